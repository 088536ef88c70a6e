"""A folder runs in the program's decoder only where that computes the folder's own network."""

import importlib.util

import pytest

from core.errors import Unsupported
from core.measure.backends.backend import BenchContext
from core.measure.backends.folder import read_folder
from core.measure.backends.llama_layout import KNOWN, Layout, frequencies, layout_of
from core.measure.backends.torch_backend import start
from core.measure.timing.devices import cpu_device
from core.model.workload import Runtime, Workload
from core.records.measurement import Point

transformers = pytest.importorskip("transformers")
torch = pytest.importorskip("torch")

TINY = {
    "vocab_size": 96,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 256,
    "initializer_range": 0.3,
}
LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 100.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 16,
}
LINEAR = {"rope_type": "linear", "rope_theta": 500.0, "factor": 4.0}
YARN = {"rope_type": "yarn", "rope_theta": 500.0, "factor": 4.0}
PLAIN = Layout(tuple(1e4 ** (-i / 4) for i in range(4)), 1e-6)
# configuration class, its keys
SAME = {
    "llama": ("LlamaConfig", {}),
    "llama-biased": ("LlamaConfig", {"attention_bias": True, "mlp_bias": True}),
    "llama-tied": ("LlamaConfig", {"tie_word_embeddings": True}),
    "llama-3": ("LlamaConfig", {"rope_parameters": LLAMA3, "rms_norm_eps": 1e-2}),
    "llama-linear": ("LlamaConfig", {"rope_parameters": LINEAR}),
    "mistral": ("MistralConfig", {"sliding_window": None}),
    "mistral-wide": ("MistralConfig", {"sliding_window": 40}),
    "ministral": ("MinistralConfig", {"layer_types": ["full_attention"] * 2}),
    "qwen2": ("Qwen2Config", {"rope_parameters": {"rope_type": "default", "rope_theta": 1e6}}),
    "qwen3": ("Qwen3Config", {}),
    "seed_oss": ("SeedOssConfig", {}),
    # not on the list of families, but its numbers are those of a Llama
    "granite-plain": ("GraniteConfig", {"attention_multiplier": 8**-0.5}),
}
# configuration class, its keys, what the refusal says
OTHER = {
    "gemma": ("GemmaConfig", {}, "'hidden_act' is gelu_pytorch_tanh"),
    "gemma-silu": ("GemmaConfig", {"hidden_act": "silu"}, "activation of gemma is gelu"),
    "gemma2": ("Gemma2Config", {"sliding_window": 64}, "softcapping' is"),
    "gemma3": ("Gemma3TextConfig", {}, "'query_pre_attn_scalar' is 256"),
    "granite": ("GraniteConfig", {"embedding_multiplier": 12.0}, "'embedding_multiplier' is 12"),
    "granite-attention": ("GraniteConfig", {}, "'attention_multiplier' is 1.0"),
    "nemotron": ("NemotronConfig", {}, "'partial_rotary_factor' is 0.5"),
    "arcee": ("ArceeConfig", {}, "'hidden_act' is relu2"),
    "mistral": ("MistralConfig", {"sliding_window": 8}, "at most 8 tokens, fewer than the 40"),
    "qwen2": (
        "Qwen2Config",
        {"use_sliding_window": True, "sliding_window": 8, "max_window_layers": 1},
        "at most 8 tokens",
    ),
    "llama-gelu": ("LlamaConfig", {"hidden_act": "gelu"}, "'hidden_act' is gelu"),
    "llama-yarn": ("LlamaConfig", {"rope_parameters": YARN}, "scaled as 'yarn'"),
    "olmo2": ("Olmo2Config", {}, "not laid out as Llama"),
    # a list of layers without positions, which only the logits show
    "smollm3": ("SmolLM3Config", {"no_rope_layers": [0, 1]}, "logits are off by"),
}


def save(path, kind, keys):
    torch.manual_seed(0)
    ids = {f"{name}_token_id": None for name in ("bos", "eos", "pad")}
    config = getattr(transformers, kind)(**{**TINY, **ids, **keys})
    model = transformers.AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() == 1:
                parameter.add_(0.5 * torch.rand_like(parameter))
    model.save_pretrained(path)
    return path


def begin(path, execution="eager"):
    folder = read_folder(path)
    point = Point(
        folder.architecture, Workload(1, 30, 10), Runtime(execution), str(folder.path.resolve())
    )
    return start(point, BenchContext(cpu_device(), threads=1))


@pytest.fixture
def without_transformers(monkeypatch):
    look = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *a: None if name == "transformers" else look(name)
    )


@pytest.mark.parametrize("name", SAME)
def test_the_decoder_makes_the_logits_of_transformers(name, tmp_path):
    path = save(tmp_path / name, *SAME[name])
    decoder = begin(path).decoder
    tokens = torch.randint(96, (1, 40), generator=torch.Generator().manual_seed(1))
    model = transformers.AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32)
    with torch.inference_mode():
        theirs = model(tokens).logits
        torch.testing.assert_close(
            decoder.logits(decoder.hidden(tokens)), theirs, atol=1e-4, rtol=1e-4
        )
    assert theirs.std() > 0.1


@pytest.mark.parametrize("name", OTHER)
def test_another_network_is_refused_with_the_reason_and_what_to_do(name, tmp_path):
    kind, keys, reason = OTHER[name]
    path = save(tmp_path / name, kind, keys)
    with pytest.raises(Unsupported, match=reason) as refusal:
        begin(path)
    assert "measure it with 'transformers'" in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    "name", ["gemma", "gemma2", "gemma3", "granite", "nemotron", "arcee", "mistral", "qwen2"]
)
def test_what_no_config_says_shows_in_the_logits(name, tmp_path, monkeypatch):
    """Were the configs read wrongly, or a family new, the comparison alone would find it."""
    from core.measure.backends import torch_backend

    monkeypatch.setattr(torch_backend, "layout_of", lambda folder, positions: PLAIN)
    path = save(tmp_path / name, *OTHER[name][:2])
    with pytest.raises(Unsupported, match="its logits are off by"):
        begin(path)


def test_an_epsilon_of_the_norms_shows_in_the_logits(tmp_path, monkeypatch):
    from core.measure.backends import torch_backend

    path = save(tmp_path / "llama", "LlamaConfig", {"rms_norm_eps": 0.1})
    begin(path)
    monkeypatch.setattr(torch_backend, "layout_of", lambda folder, positions: PLAIN)
    with pytest.raises(Unsupported, match=r"off by .*%.* top token is the same at .*% of 32"):
        begin(path)


def test_a_model_of_no_numbers_is_refused(tmp_path):
    path = save(tmp_path / "llama", "LlamaConfig", {})
    from safetensors.torch import load_file, save_file

    tensors = load_file(path / "model.safetensors")
    tensors["model.norm.weight"][:] = float("nan")
    save_file(tensors, path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(Unsupported, match="logits are off by nan"):
        begin(path)


@pytest.mark.parametrize("name", SAME)
def test_without_transformers_known_families_run_and_others_do_not(
    name, tmp_path, without_transformers
):
    path = save(tmp_path / name, *SAME[name])
    if read_folder(path).family not in KNOWN:
        with pytest.raises(Unsupported, match=r"without the package transformers .* not granite"):
            begin(path)
        return
    decoder = begin(path).decoder
    tokens = torch.arange(40)[None]
    model = transformers.AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32)
    with torch.inference_mode():
        torch.testing.assert_close(
            decoder.logits(decoder.hidden(tokens)), model(tokens).logits, atol=1e-4, rtol=1e-4
        )


@pytest.mark.parametrize("name", ["gemma3", "nemotron", "mistral", "llama-yarn", "smollm3"])
def test_without_transformers_another_network_is_refused_too(name, tmp_path, without_transformers):
    path = save(tmp_path / name, *OTHER[name][:2])
    with pytest.raises(Unsupported):
        begin(path)


def test_a_window_as_long_as_the_text_changes_nothing(tmp_path):
    path = save(tmp_path / "mistral", "MistralConfig", {"sliding_window": 16})
    folder = read_folder(path)
    assert layout_of(folder, 16).norm_eps == 1e-6
    with pytest.raises(Unsupported, match="at most 16 tokens, fewer than the 17"):
        layout_of(folder, 17)


@pytest.mark.parametrize("rope", [LLAMA3, LINEAR, {"rope_type": "default", "rope_theta": 7e4}])
def test_frequencies_are_those_of_transformers(rope):
    from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding

    config = transformers.LlamaConfig(**TINY, rope_parameters=rope)
    theirs = LlamaRotaryEmbedding(config).inv_freq
    assert frequencies(config.to_dict(), 8) == pytest.approx(theirs.tolist(), rel=1e-5)


def test_frequencies_of_old_files_are_read_too():
    old = {"rope_theta": 500.0, "rope_scaling": {"type": "linear", "factor": 4.0}}
    assert frequencies(old, 8) == frequencies({"rope_parameters": LINEAR}, 8)
    with pytest.raises(Unsupported, match="'factor'"):
        frequencies({"rope_scaling": {"type": "linear", "factor": "4"}}, 8)
