import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from known_shapes import (
    LLAMA_2_7B,
    LLAMA_31_8B,
    QWEN_25_05B,
    counted_by_transformers,
    shapes,
)

from core.document import open_document
from core.formats.configs.hf import reading_from_config
from core.model.architecture import (
    SIZES,
    SWITCHES,
    Architecture,
    Shapes,
    rounded_ffn,
    shape_from_label,
)
from core.resources import resource

sizes = st.integers(1, 4)


@st.composite
def configs(draw, model_type):
    """A random config of a family, written as its users write it."""
    kv, group = draw(sizes), draw(sizes)
    heads, head_dim = kv * group, 2 * draw(st.integers(1, 12))
    # gpt_neox derives the head size; elsewhere it may be absent or unlike width / heads
    free_width = model_type in ("qwen2", "mistral") and draw(st.booleans())
    width = draw(st.integers(1, 9)) * heads * (3 if free_width else 1)
    width = width if free_width else heads * head_dim
    config = {
        "model_type": model_type,
        "hidden_size": width,
        "num_hidden_layers": draw(st.integers(1, 3)),
        "num_attention_heads": heads,
        "intermediate_size": draw(st.integers(1, 100)),
        "vocab_size": draw(st.integers(3, 200)),
        "tie_word_embeddings": draw(st.booleans()),
        "pad_token_id": None,
        "bos_token_id": None,
        "eos_token_id": None,
    }
    if model_type != "gpt_neox":
        config["num_key_value_heads"] = kv
        if free_width or draw(st.booleans()):
            config["head_dim"] = head_dim
    if model_type in ("llama", "gpt_neox"):
        config["attention_bias"] = draw(st.booleans())
    if model_type == "llama":
        config["mlp_bias"] = draw(st.booleans())
    return config


@pytest.mark.parametrize("model_type", ["llama", "qwen2", "mistral", "gpt_neox"])
def test_parameters_equal_what_transformers_builds(model_type):
    @settings(max_examples=25, deadline=None)
    @given(configs(model_type))
    def agree(config):
        reading = reading_from_config(config)
        assert reading.left_out == 0
        assert reading.architecture.params_total == counted_by_transformers(config)

    agree()


def morph_rows():
    rows = open_document(resource("runs/morph_runs.csv")).rows
    unique = {r["name"].split("@")[0]: r for r in rows}
    return list(unique.values())


def test_all_published_shapes_are_exact():
    rows = morph_rows()
    assert len(rows) == 35
    for row in rows:
        layers, width, heads, ffn, vocab = (
            int(row[k]) for k in ("n_layers", "d_model", "n_heads", "d_ff", "vocab_size")
        )
        shape = Architecture(layers, width, heads, heads, width // heads, ffn, vocab)
        assert shape.params_total == int(row["params_total"]), row["name"]
        assert shape.params_non_embedding == int(row["params_non_embedding"]), row["name"]
        assert rounded_ffn(width) == ffn


def test_published_totals():
    # counts of the published checkpoints
    assert LLAMA_2_7B.params_total == 6_738_415_616
    assert LLAMA_31_8B.params_total == 8_030_261_248
    assert QWEN_25_05B.params_total == 494_032_768


def test_published_cache_and_attention():
    assert LLAMA_2_7B.cache_bytes_per_token(2) == 524_288
    assert LLAMA_31_8B.cache_bytes_per_token(2) == 131_072
    # laws.md 14: attention of Llama-2-7B at 2048, and the prefill of 2048 tokens
    no_context = LLAMA_2_7B.decode_flops(0)
    assert LLAMA_2_7B.decode_flops(2048) - no_context == 4 * 32 * 2048 * 4096 == 1_073_741_824
    # its weights, "13.476 GB", count the input embedding, of which a step reads one row
    assert LLAMA_2_7B.weight_bytes(2) == pytest.approx(13.476e9, rel=1e-4)
    assert no_context == 2 * (6_738_415_616 - 32000 * 4096)
    attention = LLAMA_2_7B.prefill_flops(2048) - 2 * LLAMA_2_7B.params_non_embedding * 2048
    assert attention - 2 * 32000 * 4096 == pytest.approx(1.100e12, rel=1e-3)


def test_causal_attention_is_half_of_the_last_step_each():
    # summed over a prompt, decode-style attention at each context is the prefill's causal average
    tokens = 512
    steps = sum(LLAMA_31_8B.decode_flops(t) - LLAMA_31_8B.decode_flops(0) for t in range(tokens))
    linear = 2 * LLAMA_31_8B.params_non_embedding * tokens + 2 * 128256 * 4096
    assert LLAMA_31_8B.prefill_flops(tokens) - linear == pytest.approx(steps, rel=2 / tokens)


def test_decode_reads_weights_once_and_cache_per_sequence():
    one = LLAMA_31_8B.decode_bytes(1000, 1, 2, 2)
    many = LLAMA_31_8B.decode_bytes(1000, 9, 2, 2)
    assert many - one == 8 * 1000 * 131_072
    assert one == 2 * (8_030_261_248 - 128256 * 4096) + 1000 * 131_072


@settings(deadline=None)
@given(st.lists(shapes, min_size=1, max_size=8))
def test_columns_equal_rows(rows):
    columns = Shapes.of(rows)
    for name in (
        "params_total",
        "params_non_embedding",
        "params_embedding",
        "params_read_per_step",
        "params_attention_per_layer",
        "params_ffn_per_layer",
        "aspect_ratio",
    ):
        assert getattr(columns, name).tolist() == [getattr(a, name) for a in rows], name
    assert columns.decode_flops(777, 3).tolist() == [a.decode_flops(777, 3) for a in rows]
    assert columns.prefill_flops(77, 3).tolist() == [a.prefill_flops(77, 3) for a in rows]
    assert columns.decode_bytes(77, 3, 2, 1).tolist() == [a.decode_bytes(77, 3, 2, 1) for a in rows]
    assert [columns.row(i) for i in range(len(rows))] == rows
    kept = columns.take(np.array([len(rows) - 1]))
    assert len(kept) == 1 and kept.row(0) == rows[-1]


@settings(deadline=None)
@given(shapes, st.sampled_from(SIZES), st.integers(1, 5))
def test_more_of_anything_is_never_cheaper(shape, name, factor):
    values = {f: getattr(shape, f) for f in (*SIZES, *SWITCHES)}
    values[name] *= 1 + factor
    if name == "n_kv_heads":
        values["n_heads"] *= 1 + factor
    larger = Architecture(**values)
    assert larger.params_total > shape.params_total
    assert larger.decode_flops(100) > shape.decode_flops(100)
    assert larger.prefill_flops(100) > shape.prefill_flops(100)
    assert larger.decode_bytes(100, 2, 2, 2) > shape.decode_bytes(100, 2, 2, 2)
    assert larger.cache_bytes_per_token(2) >= shape.cache_bytes_per_token(2)


@settings(deadline=None)
@given(shapes)
def test_parts_add_up(shape):
    assert shape.params_total == shape.params_non_embedding + shape.params_embedding
    rows = shape.vocab_size * shape.d_model
    assert shape.params_total - shape.params_read_per_step == (0 if shape.tied_embeddings else rows)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"n_layers": 0}, "n_layers must be a whole number"),
        ({"d_model": 2.5}, "d_model must be a whole number"),
        ({"d_ff": True}, "d_ff must be a whole number"),
        ({"n_kv_heads": 3}, "must be a multiple of n_kv_heads"),
        ({"d_head": 63}, "must be even"),
    ],
)
def test_impossible_shapes_are_refused_by_field(change, text):
    values = {f: getattr(LLAMA_2_7B, f) for f in SIZES} | change
    with pytest.raises(ValueError, match=text):
        Architecture(**values)


def test_shape_from_label():
    shape = shape_from_label("24x2048")
    assert (shape.n_layers, shape.d_model, shape.n_heads, shape.d_ff) == (24, 2048, 32, 5632)
    assert shape_from_label("12X2816", n_heads=16).d_ff == 7680
    for wrong in ("24", "x2048", "24x", "0x64", "24x2048x2", "24x-5", "3x7"):
        with pytest.raises(ValueError):
            shape_from_label(wrong)
