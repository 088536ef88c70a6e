import json
import os
import shutil
import subprocess
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from known_shapes import LLAMA_2_7B, LLAMA_31_8B, QWEN_25_05B, shapes

from core.errors import Unusable
from core.export.formats import FORMATS, format_of, read_shape, refusal, write_shape
from core.formats.configs import megatron, open_lm, tensorrt_llm, torchtitan
from core.formats.configs.writing import ExportContext, proved, sidecar
from core.formats.own.selection import Row, Value
from core.formats.own.table_csv import read as read_csv
from core.formats.own.table_csv import write as write_csv
from core.formats.own.table_json import read as read_json
from core.formats.own.table_json import write as write_json
from core.formats.own.training_plan import TrainingDevice
from core.formats.own.training_plan import read as read_plan
from core.formats.own.training_plan import write as write_plan
from core.model.architecture import Architecture, shape_from_label
from core.model.workload import Runtime, Workload

SHAPES = [key for key, row in FORMATS.items() if row.kind == "shape"]
MORPH_1B = shape_from_label("24x2048", n_heads=16)


@pytest.mark.parametrize("key", SHAPES)
def test_every_format_reads_back_to_the_same_shape(key, tmp_path):
    context = ExportContext("1B: a/design", 3e10, "bf16", "fp8", 8192, 16)
    path = tmp_path / format_of(key).file
    path.write_text(write_shape(key, MORPH_1B, context))
    assert read_shape(path) == (MORPH_1B, key)


@pytest.mark.parametrize("key", SHAPES)
def test_any_shape_is_written_truly_or_refused_with_a_reason(key, tmp_path):
    path = tmp_path / "file"

    @settings(deadline=None)
    @given(shapes)
    def check(shape):
        try:
            text = write_shape(key, shape, ExportContext())
        except Unusable as error:
            assert len(str(error)) > 20 and "\n" not in str(error)
            assert refusal(key, shape) == str(error)
        else:
            path.write_text(text)
            assert read_shape(path) == (shape, key)
            assert refusal(key, shape) == ""

    check()


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
        assert reason in refusal(key, shape), key
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
        ("{}", "holds no model shape known here"),
        ("hello", "holds no model shape known here"),
        ('{"hidden_dim": 64}', "key 'n_heads' is missing"),
        ('{"hidden_dim": 64, "n_heads": 0}', "whole numbers"),
        ('{"hidden_dim": 64, "n_heads": 4, "ffn_type": "moe"}', "'ffn_type' 'moe'"),
        ("x = TransformerModelArgs(", "not Python source"),
        ("x = TransformerModelArgs(dim=64, n_heads=5)", "not a multiple"),
        ("TransformerModelArgs", "no call"),
        ("--num-layers 2 --hidden-size x", "'--hidden-size' must be a whole number"),
        ("--num-layers 2", "'--hidden-size' is missing"),
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
    assert read_shape(folder / "config.json") == (MORPH_1B, "hf")
    assert context.folder in random and "dummy" in random and "8192" in random and "16" in random
    trained = served("/models/mine", "--port", "1")
    assert "/models/mine" in trained and "dummy" not in trained
    assert trained[-2:] == ["--port", "1"]
    with pytest.raises(Unusable, match=r"(vLLM|SGLang) has no int8 cache"):
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


def rows():
    shape = Architecture(2, 64, 4, 2, 16, 96, 97, tied_embeddings=True)
    values = {
        "loss": Value(3.25, 3.1, 3.4, "predicted", 'law "x", on 27 runs\nof two lines'),
        "train_tokens": Value(1e9, source="counted from the shape"),
        "tpot_s": Value(0.1 + 0.2, kind="measured", source="7 samples"),
    }
    first = Row(
        "L2", "a, b", shape, Workload(2, 3, 4), Runtime("graph", "bf16", "fp8", 3), "gpu", values
    )
    second = replace(first, identity="L3", architecture=LLAMA_2_7B, values={"loss": Value(2.5)})
    return first, second


def test_tables_read_back_exactly():
    assert read_json(write_json(rows())) == rows()
    first, second = read_csv(write_csv(rows()))
    assert first == rows()[0]
    # the second row's loss has no source; its columns are there because the first one's has
    assert second == replace(rows()[1], values={"loss": Value(2.5)})
    assert "loss [nats/token],loss_low [nats/token]" in write_csv(rows())
    table = json.loads(write_json(rows(), {"project": "p"}))
    assert table["schema_version"] == 1 and table["provenance"] == {"project": "p"}
    assert table["metrics"]["tpot_s"]["unit"] == "s"


def test_tables_of_another_version_are_refused():
    with pytest.raises(Unusable, match="'schema_version' 2"):
        read_json(write_json(rows()).replace('"schema_version": 1', '"schema_version": 2'))
    with pytest.raises(Unusable, match="'schema_version' '7'"):
        read_csv(write_csv(rows()).replace("\n1,L2", "\n7,L2"))
    with pytest.raises(Unusable, match="column 'n_layers' is missing"):
        read_csv("schema_version,id\n1,x\n")
    with pytest.raises(Unusable, match="'kind'"):
        read_json('{"schema_version": 1, "rows": []}')
    with pytest.raises(Unusable, match="no field 'n_experts'"):
        read_json(write_json(rows()).replace('"n_layers"', '"n_experts"'))


def test_a_training_plan_counts_time_and_cost():
    device = TrainingDevice("A100", 4, 0.5, price_per_hour=2.0)
    text = write_plan(rows()[:1], {"project": "p"}, device)
    plan = json.loads(text)
    shape = rows()[0].architecture
    flops = 6 * (shape.params_total) * 1e9  # tied: the table is the head, read in full
    assert plan["runs"][0]["train_flops"] == flops
    seconds = flops / (4 * 312e12 * 0.5)
    assert plan["total"]["time_s"] == pytest.approx(seconds)
    assert plan["total"]["cost"] == pytest.approx(seconds / 3600 * 4 * 2.0)
    assert read_plan(text) == ((shape, 1e9),)
    with pytest.raises(Unusable, match="no training tokens"):
        write_plan(rows())
    with pytest.raises(Unusable, match="state it"):
        TrainingDevice("Abacus")
    with pytest.raises(Unusable, match="utilisation"):
        TrainingDevice(utilisation=1.5)
    with pytest.raises(Unusable, match="'kind' and 'schema_version'"):
        read_plan("{}")
