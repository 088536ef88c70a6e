import json

import numpy as np
import pytest
from known_shapes import LLAMA_2_7B, LLAMA_31_8B, QWEN_25_05B

from core.__main__ import main
from core.commands.info import counts
from core.export.formats import format_of, write_shape
from core.formats.configs.config_formats import config_formats
from core.formats.configs.hf import write_config
from core.formats.configs.writing import ExportContext
from core.model.workload import Workload


def info(capsys, *words):
    assert main(["info", *words, "--json"]) == 0
    out = capsys.readouterr().out.splitlines()
    return "\n".join(out[:-1]), json.loads(out[-1])


def refused(capsys, *words):
    assert main(["info", *words]) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.count("\n") == 1
    return captured.err


def test_a_label(capsys):
    text, answer = info(capsys, "24x2048", "--heads", "16", "--tokens", "28.99B")
    # 1B_v1 of the published runs
    assert answer["params_total"] == 1_439_795_200
    assert answer["params_non_embedding"] == 1_233_225_728
    assert answer["train_flops"] == 6 * answer["params_read_per_step"] * 28.99e9
    assert "1,439,795,200" in text and "24 layers, width 2,048, 16 heads of 128" in text


def test_changes_to_a_label(capsys):
    words = ("--kv-heads", "2", "--vocab", "1000", "--ffn", "100", "--tied")
    _, answer = info(capsys, "2x256", *words)
    shape = answer["architecture"]
    assert (shape["n_kv_heads"], shape["vocab_size"], shape["d_ff"]) == (2, 1000, 100)
    assert shape["tied_embeddings"] is True


def test_parts_add_up():
    n = counts(LLAMA_31_8B, Workload(4, 1000, 24), "bf16", "fp8")
    parts = ("params_attention", "params_ffn", "params_norm", "params_embedding")
    assert sum(n[part] for part in parts) == n["params_total"] == 8_030_261_248
    assert n["weight_bytes"] == 2 * 8_030_261_248
    assert n["cache_bytes"] == 131_072 / 2 * 1024 * 4
    assert n["decode_flops"] == LLAMA_31_8B.decode_flops(1012, 4)


@pytest.mark.parametrize("key", [row.key for row in config_formats()])
def test_every_file_we_write_is_read(key, tmp_path, capsys):
    file = tmp_path / format_of(key).file
    file.write_text(write_shape(key, LLAMA_2_7B, ExportContext()))
    _, answer = info(capsys, str(file))
    assert answer["params_total"] == 6_738_415_616 and str(file) in answer["source"]


def test_a_model_folder_with_weights(tmp_path, capsys):
    numpy = pytest.importorskip("safetensors.numpy")
    (tmp_path / "config.json").write_text(json.dumps(write_config(QWEN_25_05B)))
    text, answer = info(capsys, str(tmp_path))
    assert answer["stored"] is None and "weights not counted" in text
    numpy.save_file({"a": np.zeros((2, 3), np.float16)}, tmp_path / "model.safetensors")
    text, answer = info(capsys, str(tmp_path))
    assert answer["stored"] == {"fp16": 6} and answer["params_total"] == 494_032_768
    assert "tied embeddings, biases on qkv" in text


def test_parameters_beside_the_shape_are_shown(tmp_path, capsys):
    config = {"model_type": "gpt2", "n_embd": 768, "n_layer": 12, "n_head": 12, "vocab_size": 50257}
    (tmp_path / "config.json").write_text(json.dumps(config))
    text, answer = info(capsys, str(tmp_path))
    # GPT-2: 124,439,808 parameters, 786,432 of them positions
    assert answer["params_total"] + answer["params_left_out"] == 124_439_808
    assert "learned positions" in text


def test_a_gguf_file(tmp_path, capsys):
    from gguf_file import TINY, gguf

    file = tmp_path / "m.gguf"
    file.write_bytes(gguf(TINY))
    _, answer = info(capsys, str(file))
    assert answer["params_total"] == TINY.params_total
    assert answer["stored"] == {"all types": TINY.params_total}


def test_unusable_input_is_one_line(tmp_path, capsys):
    assert "neither a shape" in refused(capsys, "big")
    assert "not a shape" in refused(capsys, "24x")
    assert "--batch must be" in refused(capsys, "2x64", "--batch", "-1")
    assert "--tokens must be above 0" in refused(capsys, "2x64", "--tokens", "0")
    assert "not a unit" in refused(capsys, "2x64", "--tokens", "3 sheep")
    assert "cannot be split" in refused(capsys, "2x64", "--heads", "7")
    assert "n_kv_heads" in refused(capsys, "2x64", "--kv-heads", "7")
    assert "invalid choice" in refused(capsys, "2x64", "--weights", "fp4")
    assert "there is no such file" in refused(capsys, str(tmp_path))
    (tmp_path / "config.json").write_text('{"model_type": "t5"}')
    assert "'model_type' 't5'" in refused(capsys, str(tmp_path))
    assert "--tied changes a shape" in refused(capsys, str(tmp_path), "--tied")
    (tmp_path / "x.safetensors").write_text("x")
    assert "name their folder" in refused(capsys, str(tmp_path / "x.safetensors"))


@pytest.mark.parametrize(
    "words", [["²x64"], ["2x64", "--batch", "²"], ["2x64", "--heads", "1" * 5000]]
)
def test_digits_that_are_no_whole_number_are_refused(words, capsys):
    """'²' is a digit and no number; int() refuses what is longer than 4300 digits."""
    assert main(["info", *words]) == 2
    assert "Traceback" not in capsys.readouterr().err
