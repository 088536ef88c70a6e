import json
from dataclasses import replace

import numpy as np
import pytest
from gguf_file import TINY, gguf
from hypothesis import given, settings
from hypothesis import strategies as st
from known_shapes import LLAMA_31_8B, QWEN_25_05B

from core.errors import Unusable
from core.formats.configs.gguf import read_gguf, read_header
from core.formats.configs.safetensors import read_stored


@pytest.mark.parametrize(
    ("shape", "kind"),
    [
        (TINY, "llama"),
        (replace(TINY, tied_embeddings=True, qkv_bias=True), "qwen2"),
        (replace(TINY, d_head=16, qk_norm=True), "qwen3"),
        (replace(TINY, gated_ffn=False), "arcee"),
        (replace(QWEN_25_05B, vocab_size=5000), "qwen2"),
    ],
)
def test_gguf_header_gives_shape_and_count(shape, kind, tmp_path):
    file = tmp_path / "model.gguf"
    for version in (2, 3):
        file.write_bytes(gguf(shape, kind, version))
        assert read_gguf(file) == shape
        assert read_header(file).parameters == shape.params_total


def test_gguf_without_tensors_takes_the_family_s_build(tmp_path):
    file = tmp_path / "vocab.gguf"
    file.write_bytes(gguf(TINY, "qwen2", tensors={}))
    assert read_gguf(file) == replace(TINY, qkv_bias=True)
    per_layer = {"llama.attention.head_count_kv": [2, 2]}
    file.write_bytes(gguf(TINY, values=per_layer))
    assert read_gguf(file) == TINY
    many = gguf(replace(TINY, vocab_size=10000), tensors={})
    file.write_bytes(many)
    assert read_gguf(file).vocab_size == 10000


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"general.architecture": "rwkv7"}, "'general.architecture' 'rwkv7' is not supported"),
        ({"llama.expert_count": 8}, "'llama.expert_count'"),
        ({"llama.attention.head_count_kv": [2, 4]}, "differs from layer to layer"),
        ({"llama.attention.head_count": 3}, "n_heads"),
    ],
)
def test_gguf_that_cannot_be_said_is_refused_by_key(values, said, tmp_path):
    file = tmp_path / "model.gguf"
    file.write_bytes(gguf(TINY, values=values))
    with pytest.raises(Unusable, match=said):
        read_gguf(file)


def test_damaged_gguf(tmp_path):
    file = tmp_path / "model.gguf"
    whole = gguf(TINY)
    for cut in range(0, len(whole) - 1, 7):
        file.write_bytes(whole[:cut])
        with pytest.raises(Unusable, match=r"model\.gguf: "):
            read_gguf(file)
    file.write_bytes(gguf(TINY, version=9))
    with pytest.raises(Unusable, match="version 9 is not known here"):
        read_gguf(file)
    with pytest.raises(Unusable, match="no such file"):
        read_gguf(tmp_path / "gone.gguf")

    @settings(deadline=None)
    @given(st.integers(8, len(whole) - 1), st.integers(0, 255))
    def flipped(at, byte):
        file.write_bytes(whole[:at] + bytes([byte]) + whole[at + 1 :])
        try:
            read_gguf(file)
        except Unusable as error:
            assert "\n" not in str(error)

    flipped()


def test_safetensors_counts_by_precision(tmp_path):
    numpy = pytest.importorskip("safetensors.numpy")
    numpy.save_file(
        {"a": np.zeros((3, 5), np.float32), "b": np.zeros(7, np.float16)},
        tmp_path / "1.safetensors",
    )
    stored = read_stored(tmp_path / "1.safetensors")
    assert dict(stored.numbers) == {"fp16": 7, "fp32": 15}
    assert (stored.total, stored.stored_bytes, stored.shards) == (22, 74, 1)
    numpy.save_file({"c": np.zeros(4, np.int8)}, tmp_path / "2.safetensors")
    assert dict(read_stored(tmp_path).numbers) == {"fp16": 7, "fp32": 15, "int8": 4}
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {}, "weight_map": {"c": "2.safetensors"}}))
    assert read_stored(tmp_path).total == read_stored(index).total == 4
    for weight_map, said in (
        ({"c": "3.safetensors"}, "1 of 1 shards are missing"),
        ({"c": "../2.safetensors"}, "outside its folder"),
        ([], "not a readable safetensors index"),
    ):
        index.write_text(json.dumps({"weight_map": weight_map}))
        with pytest.raises(Unusable, match=said):
            read_stored(tmp_path)


def test_safetensors_of_a_real_checkpoint_equal_the_arithmetic(tmp_path):
    """A tiny Llama saved by transformers: what its headers count is what its config says."""
    from transformers import LlamaConfig, LlamaForCausalLM

    from core.formats.configs.hf import read_config

    config = LlamaConfig(
        vocab_size=50,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
    )
    LlamaForCausalLM(config).save_pretrained(tmp_path)
    assert read_config(tmp_path).architecture == TINY
    assert read_stored(tmp_path).total == TINY.params_total


def test_missing_or_broken_safetensors(tmp_path):
    with pytest.raises(Unusable, match=r"no \.safetensors file"):
        read_stored(tmp_path)
    with pytest.raises(Unusable, match="no such file"):
        read_stored(tmp_path / "x.safetensors")
    (tmp_path / "x.safetensors").write_bytes(b"\xff" * 40)
    with pytest.raises(Unusable, match=r"x\.safetensors: "):
        read_stored(tmp_path)


def test_a_full_size_header_is_read_without_its_weights(tmp_path):
    """Llama-3.1-8B: the header alone, as if 16 GB followed it."""
    file = tmp_path / "model.gguf"
    file.write_bytes(gguf(replace(LLAMA_31_8B), values={"tokenizer.ggml.tokens": ["a"]}))
    assert read_header(file).parameters == 8_030_261_248
    assert read_gguf(file) == LLAMA_31_8B
