"""Local model folders: what their small files say, and every reason to refuse one."""

import json
import os
import struct
from dataclasses import replace

import pytest

from core.errors import Unusable
from core.formats.configs.safetensors import tensor_headers
from core.measure.backends.folder import load_model, read_folder

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


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A tiny random Llama as transformers itself writes it."""
    path = tmp_path_factory.mktemp("models") / "tiny-llama"
    torch.manual_seed(0)
    model = transformers.LlamaForCausalLM(transformers.LlamaConfig(**TINY))
    model.to(torch.bfloat16).save_pretrained(path)
    return path


@pytest.fixture
def folder(tmp_path, saved):
    """A copy that a test may spoil."""
    for file in saved.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    return tmp_path


def change(folder, **keys):
    file = folder / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **keys}))


def split(folder, parts=2):
    """Rewrite the weights as numbered shards with an index, as large models have them."""
    from safetensors.torch import load_file, save_file

    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    where = {}
    for i in range(parts):
        name = f"model-{i + 1:05}-of-{parts:05}.safetensors"
        mine = dict(list(tensors.items())[i::parts])
        save_file(mine, folder / name, metadata={"format": "pt"})
        where |= dict.fromkeys(mine, name)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": where}))


def test_a_folder_is_read_without_its_weights(saved):
    got = read_folder(saved)
    a = got.architecture
    assert (a.n_layers, a.d_model, a.n_heads, a.n_kv_heads, a.d_ff) == (2, 32, 4, 2, 48)
    model = transformers.AutoModelForCausalLM.from_pretrained(saved)
    assert got.params == sum(p.numel() for p in model.parameters()) == a.params_total
    assert got.dtype_params == {"bf16": got.params}
    assert (got.dtype, got.weight_bytes, got.has_weights) == ("bf16", 2 * got.params, True)
    assert got.name == "tiny-llama" and not got.has_tokenizer and got.notes == ()


@pytest.mark.parametrize("tied", [False, True])
def test_tied_heads_are_counted_once(tmp_path, tied):
    config = transformers.Qwen2Config(**TINY, tie_word_embeddings=tied)
    model = transformers.Qwen2ForCausalLM(config)
    model.save_pretrained(tmp_path)
    assert read_folder(tmp_path).params == sum(p.numel() for p in model.parameters())


def test_shards_count_together_and_a_missing_one_is_named(folder):
    whole = read_folder(folder)
    split(folder)
    assert read_folder(folder).params == whole.params
    (folder / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(Unusable, match=r"1 of 2 weight files are missing \(model-00002"):
        read_folder(folder)


def test_an_index_may_not_point_outside(folder):
    split(folder)
    (folder / "model.safetensors.index.json").write_text(
        '{"weight_map": {"a": "../b.safetensors"}}'
    )
    with pytest.raises(Unusable, match="outside the folder"):
        read_folder(folder)


def test_without_weights_random_ones_are_announced_and_loaded(folder):
    whole = read_folder(folder)
    (folder / "model.safetensors").unlink()
    got = read_folder(folder)
    assert got.params == whole.params and not got.has_weights
    assert "random ones" in got.notes[0]
    model = load_model(got, "fp32", "cpu")
    assert sum(p.numel() for p in model.parameters()) == got.params


def test_loaded_weights_are_the_stored_ones(saved):
    model = load_model(read_folder(saved), "fp32", "cpu")
    stored = transformers.AutoModelForCausalLM.from_pretrained(saved, dtype=torch.float32)
    tokens = torch.arange(10)[None]
    with torch.inference_mode():
        assert torch.equal(model(tokens).logits, stored(tokens).logits)
    assert os.environ["HF_HUB_OFFLINE"] == "1"


def test_weights_of_another_shape_are_noted_and_lost_ones_refused(folder):
    from safetensors.torch import load_file, save_file

    tensors = load_file(folder / "model.safetensors")
    lost = tensors.pop("model.layers.1.mlp.up_proj.weight")
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    got = read_folder(folder)
    assert got.params == got.architecture.params_total - lost.numel()
    assert "its config describes" in got.notes[0]
    with pytest.raises(Unusable, match=r"1 tensors .*layers.1.mlp.up_proj"):
        load_model(got, "fp32", "cpu")


@pytest.mark.parametrize(
    ("keys", "reason"),
    [
        ({"auto_map": {"AutoModel": "modeling.Model"}}, "code of its own"),
        ({"is_encoder_decoder": True}, "encoder-decoder"),
        ({"num_local_experts": 8}, "mixture of experts"),
        ({"kv_lora_rank": 512}, "MLA"),
        ({"quantization_config": {"quant_method": "gptq"}}, "quantised .*gptq"),
        ({"model_type": "surprise"}, "surprise"),
    ],
)
def test_what_cannot_be_measured_is_refused_with_the_reason(folder, keys, reason):
    change(folder, **keys)
    with pytest.raises(Unusable, match=reason) as refusal:
        read_folder(folder)
    assert "\n" not in str(refusal.value)


def test_pickles_adapters_and_strangers_are_refused(folder):
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(Unusable, match="pickles"):
        read_folder(folder)
    (folder / "pytorch_model.bin").unlink()
    (folder / "adapter_config.json").write_text("{}")
    with pytest.raises(Unusable, match="adapter"):
        read_folder(folder)
    (folder / "config.json").unlink()
    with pytest.raises(Unusable, match=r"no config\.json"):
        read_folder(folder)
    with pytest.raises(Unusable, match="not a folder"):
        read_folder(folder / "nowhere")


def test_damaged_weights_are_refused_before_anything_loads(folder):
    file = folder / "model.safetensors"
    whole = file.read_bytes()
    file.write_bytes(whole[:-10])
    with pytest.raises(Unusable, match="cut short"):
        read_folder(folder)
    for head in (b"", b"\xff" * 64, struct.pack("<Q", 4) + b"oops", struct.pack("<Q", 2) + b"[]"):
        file.write_bytes(head)
        with pytest.raises(Unusable, match=r"damaged|not a safetensors"):
            tensor_headers(file)
    (folder / "config.json").write_text('{"model_type": ')
    with pytest.raises(Unusable, match="not complete JSON"):
        read_folder(folder)


def test_an_unknown_precision_is_refused(saved):
    with pytest.raises(Unusable, match="int8"):
        load_model(replace(read_folder(saved), name="x"), "int8", "cpu")
