from dataclasses import replace

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
    default_heads,
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


# two layers of width 8 with 4 query and 2 key-value heads 2 wide, FFN of 16, vocabulary of 10
SMALL = Architecture(2, 8, 4, 2, 2, 16, 10)


def test_counts_of_a_small_shape_by_hand():
    assert (SMALL.d_q, SMALL.d_kv, SMALL.aspect_ratio, SMALL.label) == (8, 4, 4.0, "2x8")
    # query and output 8 x 8 each, key and value 8 x 4 each
    assert SMALL.params_attention_per_layer == 64 + 64 + 32 + 32 == 192
    assert SMALL.params_ffn_per_layer == 3 * 8 * 16 == 384
    assert SMALL.params_norm == 5 * 8
    assert SMALL.params_non_embedding == 2 * (192 + 384) + 40 == 1192
    assert SMALL.params_embedding == 2 * 10 * 8
    assert SMALL.params_total == 1352 and SMALL.params_read_per_step == 1272
    assert SMALL.ffn_to_attention == 2.0
    assert SMALL.cache_elements_per_token() == 2 * 2 * 4
    assert SMALL.cache_bytes_per_token(2) == 32
    # 2 x 1272, and 4 x 2 layers x 12 positions x 8, each for three sequences
    assert SMALL.decode_flops(12, 3) == (2544 + 768) * 3
    # ten tokens: 2 x 1192 and 2 x 2 x 10 x 8 each, and the logits of one
    assert SMALL.prefill_flops(10, 3) == ((2384 + 320) * 10 + 160) * 3
    assert SMALL.decode_bytes(12, 3, 4, 2) == 1272 * 4 + 12 * 3 * 32
    assert SMALL.weight_bytes(0.5) == 676
    assert SMALL.train_flops(100) == 6 * 1272 * 100


@pytest.mark.parametrize(
    ("switch", "more"),
    [
        ("tied_embeddings", -80),
        ("gated_ffn", 0),
        # query, key and value; output; up, gate and down; all five norms; two norms of a head
        ("qkv_bias", 2 * (8 + 4 + 4)),
        ("out_bias", 2 * 8),
        ("ffn_bias", 2 * (16 + 16 + 8)),
        ("norm_bias", 5 * 8),
        ("qk_norm", 2 * (2 + 2)),
    ],
)
def test_what_each_switch_adds(switch, more):
    assert set(SWITCHES) - {"gated_ffn"} <= {s for s in SWITCHES if not getattr(SMALL, s)}
    assert replace(SMALL, **{switch: True}).params_total == 1352 + more


def test_a_plain_ffn_has_two_matrices():
    plain = replace(SMALL, gated_ffn=False)
    assert plain.params_ffn_per_layer == 2 * 8 * 16
    assert replace(plain, ffn_bias=True).params_ffn_per_layer == 2 * 8 * 16 + 16 + 8


def test_rows_of_one_shape_have_one_number():
    rows = [SMALL, LLAMA_2_7B, SMALL, replace(SMALL, qk_norm=True), LLAMA_2_7B]
    numbers = Shapes.of(rows).numbers()
    assert numbers.shape == (5,)
    assert numbers[0] == numbers[2] and numbers[1] == numbers[4]
    assert len(set(numbers.tolist())) == 3


@pytest.mark.parametrize(
    ("width", "ffn"), [(96, 256), (97, 512), (192, 512), (768, 2048), (769, 2304)]
)
def test_ffn_widths_are_rounded_up(width, ffn):
    # 8/3 of 96 is 256 exactly; of 97 it is 258.67, of which the whole part counts
    assert rounded_ffn(width) == ffn
    assert rounded_ffn(96, 100) == 300 and rounded_ffn(96, 1) == 256


@pytest.mark.parametrize(
    ("width", "heads"),
    [
        (2048, 32),
        (3008, 47),
        (3072, 24),
        (3071 + 1, 24),
        (64, 1),
        (96, 2),
        (2, 1),
        (1000, 20),
        (6, 1),
    ],
)
def test_heads_are_as_wide_as_those_of_llama(width, heads):
    """64 wide, 128 from a width of 3072 on; else the even divisor that is nearest on a log scale."""
    assert default_heads(width) == heads


def test_a_width_that_gives_no_even_head_is_refused():
    with pytest.raises(ValueError, match="7 has no even head"):
        default_heads(7)
    with pytest.raises(ValueError, match="100 cannot be split into 3"):
        shape_from_label("2x100", n_heads=3)
    assert shape_from_label("2x2").d_model == 2
    with pytest.raises(ValueError, match="24x2048"):
        shape_from_label("2x1")
    assert shape_from_label("2x128").vocab_size == 50432
    assert shape_from_label("2x128", 100).params_embedding == 2 * 100 * 128


def test_sizes_of_one_are_the_least():
    assert Architecture(1, 1, 1, 1, 2, 1, 1).params_total > 0
    with pytest.raises(ValueError, match="d_head"):
        Architecture(1, 1, 1, 1, 3, 1, 1)


def test_heads_of_a_label_are_the_most_even_split_and_any_width_answers():
    def by_looking_at_all(width):
        target = 128 if width >= 3072 else 64
        sizes = [s for s in range(2, width + 1, 2) if width % s == 0]
        return width // min(sizes, key=lambda s: abs(np.log(s / target)))

    for width in (2, 4, 30, 62, 254, 2 * 4099, 2 * 8191, 6 * 4093, 3072, 16384, 65536):
        assert default_heads(width) == by_looking_at_all(width)
    assert shape_from_label(f"1x{2 * 49999999999}").d_head == 58
    with pytest.raises(ValueError, match="no even head size"):
        shape_from_label("1x99999999999")
