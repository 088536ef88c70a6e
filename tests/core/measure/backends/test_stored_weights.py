"""Weights that are not what the config says: quantised ones, strange ones, a head of its own."""

import json

import pytest

from core.errors import Unusable
from core.measure.backends.folder import load_model, read_folder
from core.measure.backends.stored_weights import PARTS, tensor_places

transformers = pytest.importorskip("transformers")
torch = pytest.importorskip("torch")

TINY = {
    "vocab_size": 64,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 128,
}
TABLE = "model.embed_tokens.weight"
PROJECTION = "model.layers.0.self_attn.q_proj"


@pytest.fixture
def folder(tmp_path):
    """A tiny tied Llama in bf16."""
    torch.manual_seed(0)
    config = transformers.LlamaConfig(**TINY, tie_word_embeddings=True)
    transformers.LlamaForCausalLM(config).to(torch.bfloat16).save_pretrained(tmp_path)
    return tmp_path


def stored_again(folder, **changed):
    """Write the weights again with some tensors changed or added (names with / for dots)."""
    from safetensors.torch import load_file, save_file

    file = folder / "model.safetensors"
    tensors = load_file(file) | {name.replace("/", "."): t for name, t in changed.items()}
    save_file(tensors, file, metadata={"format": "pt"})
    return tensors


@pytest.mark.parametrize("name", ["hf_quant_config.json", "quantize_config.json"])
def test_a_file_of_a_quantising_tool_is_refused(folder, name):
    (folder / name).write_text('{"quantization": {"quant_algo": "FP8"}}')
    with pytest.raises(Unusable, match=rf"weights are quantised \(it has {name}\)"):
        read_folder(folder)


@pytest.mark.parametrize("part", ["weight_scale", "weight_scale_inv", "input_scale"])
def test_scales_beside_fp8_weights_are_refused(folder, part):
    plain = stored_again(folder)[f"{PROJECTION}.weight"]
    narrow = {f"{PROJECTION}.weight": plain.to(torch.float8_e4m3fn)}
    stored_again(folder, **narrow)
    assert read_folder(folder).dtype_params["fp8"] == plain.numel()
    stored_again(folder, **{f"{PROJECTION}.{part}": torch.ones(1)})
    with pytest.raises(Unusable, match=f"quantised .*{PROJECTION}.{part}"):
        read_folder(folder)


@pytest.mark.parametrize("where", ["quantization", "compression_config", "text_config"])
def test_a_config_that_says_so_under_another_key_is_refused(folder, where):
    file = folder / "config.json"
    config = json.loads(file.read_text())
    how = {"quant_method": "fp8"}
    if where == "text_config":
        config = {"model_type": "m", where: {**config, "quantization_config": how}}
    else:
        config[where] = how
    file.write_text(json.dumps(config))
    with pytest.raises(Unusable, match=r"quantised .*fp8"):
        read_folder(folder)


def test_names_of_plain_parameters_are_no_scales():
    names = (
        "model.layers.0.input_layernorm.weight",
        "model.layers.0.self_attn.q_norm.weight",
        "model.layers.0.self_attn.q_proj.bias",
        "transformer.h.0.ln_1.bias",
    )
    assert not any(PARTS.search(name) for name in names)


def test_tensors_without_a_place_in_the_model_are_refused_when_it_loads(folder):
    stored_again(folder, **{"model.layers.0.mlp.adapter.weight": torch.ones(4, 4)})
    with pytest.raises(Unusable, match=r"1 tensors that a llama model has no place for .*adapter"):
        load_model(read_folder(folder), "fp32", "cpu")


def test_old_buffers_are_no_strangers(folder):
    stored_again(folder, **{"model.layers.0.self_attn.rotary_emb.inv_freq": torch.ones(4)})
    load_model(read_folder(folder), "fp32", "cpu")


def test_a_head_of_its_own_is_counted_although_the_config_ties_it(folder):
    tied = read_folder(folder)
    table = stored_again(folder)[TABLE]
    stored_again(folder, **{"lm_head.weight": torch.randn_like(table)})
    found = read_folder(folder)
    assert found.params == tied.params + table.numel() == found.architecture.params_total
    assert not found.architecture.tied_embeddings
    assert "a head of its own, which is counted" in found.notes[0]
    model = load_model(found, "bf16", "cpu")
    assert sum(p.numel() for p in model.parameters()) == found.params


def test_the_embedding_stored_once_more_is_counted_once(folder):
    tied = read_folder(folder)
    stored_again(folder, **{"lm_head.weight": stored_again(folder)[TABLE].clone()})
    found = read_folder(folder)
    assert found.architecture.tied_embeddings and found.notes == ()
    assert found.params == tied.params
    model = load_model(found, "bf16", "cpu")
    assert sum(p.numel() for p in model.parameters()) == found.params


def test_a_stored_head_that_transformers_leaves_out_is_refused(folder, monkeypatch):
    """As versions do that tie whatever the files hold."""
    stored_again(folder, **{"lm_head.weight": torch.randn(64, 32, dtype=torch.bfloat16)})
    monkeypatch.setattr(
        transformers.LlamaForCausalLM,
        "get_output_embeddings",
        lambda self: self.get_input_embeddings(),
    )
    with pytest.raises(Unusable, match="a head that transformers does not use"):
        load_model(read_folder(folder), "fp32", "cpu")


def test_places_are_where_the_bytes_of_a_tensor_lie(folder):
    tensors = stored_again(folder)
    file = folder / "model.safetensors"
    start, size = tensor_places(file)[TABLE]
    assert (
        file.read_bytes()[start : start + size]
        == tensors[TABLE].view(torch.uint8).numpy().tobytes()
    )
