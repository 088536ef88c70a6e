import json
import os
import shutil
import subprocess
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from known_shapes import LLAMA_2_7B, LLAMA_31_8B, QWEN_25_05B

from core.errors import Unusable
from core.export.formats import format_of, refusal, write_shape
from core.formats.configs import megatron, open_lm, tensorrt_llm, torchtitan
from core.formats.configs.config_formats import read_shape
from core.formats.configs.writing import ExportContext, proved, sidecar
from core.model.architecture import shape_from_label

MORPH_1B = shape_from_label("24x2048", n_heads=16)


def test_what_each_format_cannot_say_is_named():
    for key, shape, reason in (
        ("open_lm", LLAMA_31_8B, "no grouped queries"),
        ("open_lm", replace(LLAMA_2_7B, d_ff=11000), "11008 for d_model 4096, not 11000"),
        ("open_lm", replace(MORPH_1B, qkv_bias=True), "qkv_bias would become False"),
        ("open_lm", replace(MORPH_1B, qk_norm=True), "over all heads together"),
        ("torchtitan", QWEN_25_05B, "qkv_bias would become False"),
        ("torchtitan", replace(LLAMA_31_8B, d_head=64), "evenly into heads"),
        ("litgpt", QWEN_25_05B, "output head apart"),
        ("litgpt", replace(LLAMA_31_8B, qk_norm=True, norm_bias=True), "a bias"),
        ("megatron", replace(LLAMA_31_8B, qk_norm=True, norm_bias=True), "a bias"),
        ("megatron", replace(LLAMA_31_8B, out_bias=True), "out_bias would become False"),
        ("tensorrt_llm", replace(LLAMA_31_8B, norm_bias=True), "norm_bias would become False"),
        ("vllm", replace(LLAMA_31_8B, norm_bias=True), "no Hugging Face family"),
    ):
        assert reason in refusal(key, shape, ExportContext()), key
    with pytest.raises(Unusable, match="not a format"):
        write_shape("onnx", MORPH_1B, ExportContext())
    with pytest.raises(Unusable, match="format of tables"):
        write_shape("csv", MORPH_1B, ExportContext())


def test_published_ffn_widths_of_torchtitan():
    # the pairs torchtitan itself ships for Llama 3 8B, 70B and 405B, and 2-7B's default
    assert torchtitan.ffn_width(4096, 1024, 1.3) == 14336
    assert torchtitan.ffn_width(8192, 4096, 1.3) == 28672
    assert torchtitan.ffn_width(16384, 4096, 1.2) == 53248
    assert torchtitan.ffn_arguments(4096, 11008) == (256, None)


@settings(deadline=None)
@given(st.integers(1, 20000), st.integers(1, 100000))
def test_any_ffn_width_is_found_for_torchtitan(dim, d_ff):
    multiple_of, multiplier = torchtitan.ffn_arguments(dim, d_ff)
    assert torchtitan.ffn_width(dim, multiple_of, multiplier) == d_ff


def test_published_files_of_other_tools_are_read():
    # open_lm's own 1B: hidden_dim 2048, 24 layers, 16 heads; the fork's first 1B shape
    text = """{"hidden_dim": 2048, "n_layers": 24, "n_heads": 16, "seq_len": 2048,
        "vocab_size": 50432, "post_embed_norm": false, "weight_tying": false}"""
    assert open_lm.read(text) == MORPH_1B
    # Megatron-LM's example of Llama-3.1-8B; 128,256 is a multiple of its padding
    flags = """--num-layers 32 --hidden-size 4096 --ffn-hidden-size=14336 \\
        --num-attention-heads 32 --group-query-attention --num-query-groups 8 --swiglu
        --disable-bias-linear --normalization RMSNorm --untie-embeddings-and-output-weights
        --kv-channels 128 --vocab-size 128256  # with rope"""
    assert megatron.read(flags) == LLAMA_31_8B
    # a config that trtllm's convert_checkpoint leaves out optional keys of
    config = {
        "architecture": "LlamaForCausalLM",
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "hidden_size": 4096,
        "intermediate_size": 11008,
        "vocab_size": 32000,
    }
    assert tensorrt_llm.read(json.dumps(config)) == LLAMA_2_7B


def test_vocabulary_is_padded_as_megatron_pads_it():
    flags = "--num-layers 2 --hidden-size 64 --num-attention-heads 4 --vocab-size 50257"
    assert megatron.read(flags).vocab_size == 50304
    assert megatron.read(flags + " --make-vocab-size-divisible-by 1").vocab_size == 50257
    assert megatron.read(flags).d_ff == 256
    assert "divisible-by 1\n" in write_shape(
        "megatron", replace(MORPH_1B, vocab_size=50257), ExportContext()
    )


def test_broken_text_is_refused_in_one_line(tmp_path):
    path = tmp_path / "model"
    for text, said in (
        ("{", "not complete JSON"),
        ("{}", "holds no known model shape"),
        ("hello", "holds no known model shape"),
        ('{"hidden_dim": 64}', "key 'n_heads' is missing"),
        ('{"hidden_dim": 64, "n_heads": 0}', "whole numbers"),
        ('{"hidden_dim": 64, "n_heads": 4, "ffn_type": "moe"}', "'ffn_type' 'moe'"),
        ("x = TransformerModelArgs(", "not Python source"),
        ("x = TransformerModelArgs(dim=64, n_heads=5)", "not a multiple"),
        ("TransformerModelArgs", "no call"),
        ("--num-layers 2 --hidden-size x", "'--hidden-size' must be a whole number"),
        ("--num-layers 2", "'--hidden-size' is missing"),
        ("# --num-layers", "'--hidden-size' is missing"),
        ("--num-layers 'open", "No closing quotation"),
        ("n_embd: 64\nn_layer: -1", "'n_layer' must be a whole number"),
        ("n_embd: 64\nmlp_class_name: LLaMAMoE", "LLaMAMoE"),
        ("exec vllm serve x", "no config between"),
        ('{"architecture": "BertModel"}', "'architecture' BertModel"),
    ):
        path.write_text(text)
        with pytest.raises(Unusable, match="model: ") as caught:
            read_shape(path)
        assert said in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("key", ["vllm", "sglang"])
def test_serve_scripts_run(key, tmp_path):
    """The script is executed with a stand-in server, with random weights and with a folder."""
    shell = shutil.which("sh")
    if shell is None:
        pytest.skip("no POSIX shell")
    program = {"vllm": "vllm", "sglang": "python"}[key]
    stand_in = tmp_path / program
    stand_in.write_text('#!/bin/sh\nfor a in "$@"; do echo "$a"; done\n')
    stand_in.chmod(0o755)
    script = tmp_path / "serve.sh"
    context = ExportContext("it's 24x2048; rm -rf $HOME", None, "fp8", "fp8", 8192, 16)
    script.write_text(write_shape(key, MORPH_1B, context))
    environment = os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}"}

    def served(*arguments):
        done = subprocess.run(
            [shell, str(script), *arguments],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.splitlines()

    random = served()
    folder = tmp_path / context.folder
    assert read_shape(folder / "config.json") == (MORPH_1B, format_of("hf"))
    assert context.folder in random and "dummy" in random and "8192" in random and "16" in random
    trained = served("/models/mine", "--port", "1")
    assert "/models/mine" in trained and "dummy" not in trained
    assert trained[-2:] == ["--port", "1"]
    with pytest.raises(Unusable, match=r"an int8 cache is not supported by (vLLM|SGLang)"):
        write_shape(key, MORPH_1B, ExportContext(cache="int8"))


def test_sidecar_says_where_numbers_came_from():
    provenance = {"tpot_s": {"value": float("nan"), "source": "measured"}}
    about = json.loads(sidecar(LLAMA_31_8B, ExportContext(provenance=provenance), "hf"))
    assert about["schema_version"] == 1
    assert about["params_total"] == 8_030_261_248
    assert about["cache_bytes_per_token"] == 131_072
    assert about["provenance"]["tpot_s"] == {"value": None, "source": "measured"}


def test_a_wrong_reading_back_is_caught():
    with pytest.raises(Unusable, match="d_ff would become 11008 instead of 5632"):
        proved(replace(LLAMA_2_7B, d_ff=5632), "", lambda _: LLAMA_2_7B, "x")
