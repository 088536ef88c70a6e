import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from known_shapes import LLAMA_31_8B, QWEN_25_05B, counted_by_transformers

from core.errors import Unusable
from core.formats.configs.hf import (
    architecture_from_config,
    read_config,
    reading_from_config,
    write_config,
)
from core.formats.configs.hf_families import FAMILIES
from core.model.architecture import SWITCHES, Architecture

switches = st.fixed_dictionaries({name: st.booleans() for name in SWITCHES})
small = st.builds(
    lambda layers, kv, group, half, width, even, ff, given: Architecture(
        layers,
        kv * group * 2 * half if even else width,
        kv * group,
        kv,
        2 * half,
        ff,
        97,
        **given,
    ),
    st.integers(1, 3),
    st.integers(1, 3),
    st.integers(1, 3),
    st.integers(1, 8),
    st.integers(1, 64),
    st.booleans(),
    st.integers(1, 99),
    switches,
)


@settings(max_examples=60, deadline=None)
@given(small)
def test_what_is_written_is_what_transformers_builds(shape):
    try:
        config = write_config(shape)
    except Unusable as error:
        # only these cannot be said by any family; the reason names a field
        assert (
            shape.norm_bias
            or shape.qk_norm
            or shape.ffn_bias
            or shape.out_bias
            or (not shape.gated_ffn)
        ), error
        assert any(name in str(error) for name in (*SWITCHES, "n_heads", "d_model", "d_head"))
        return
    assert architecture_from_config(json.loads(json.dumps(config))) == shape
    assert counted_by_transformers(config) == shape.params_total


def test_the_plainest_family_is_chosen():
    plain = {"n_layers": 2, "d_model": 64, "n_heads": 4, "n_kv_heads": 2, "d_head": 16}
    plain |= {"d_ff": 96, "vocab_size": 97}
    every = dict.fromkeys(("qkv_bias", "out_bias", "ffn_bias", "norm_bias"), True)
    expected = {
        "llama": {},
        "qwen2": {"qkv_bias": True},
        "qwen3": {"qk_norm": True},
        "gpt_neox": {"gated_ffn": False, "n_kv_heads": 4, **every},
        "starcoder2": {"gated_ffn": False, **every},
        "arcee": {"gated_ffn": False},
        "seed_oss": {"qkv_bias": True, "ffn_bias": True},
        "nemotron": {"gated_ffn": False, "norm_bias": True, "ffn_bias": True},
    }
    for family, change in expected.items():
        assert write_config(Architecture(**plain | change))["model_type"] == family


def test_a_named_family_is_kept_or_refused():
    assert write_config(QWEN_25_05B)["model_type"] == "qwen2"
    with pytest.raises(Unusable, match=r"gpt_neox family cannot express this shape.*gated_ffn"):
        write_config(LLAMA_31_8B, family="gpt_neox")
    with pytest.raises(Unusable, match="choose one of llama"):
        write_config(LLAMA_31_8B, family="gpt2")


@pytest.mark.parametrize("family", list(FAMILIES))
def test_every_family_is_counted_as_transformers_counts_it(family):
    row = FAMILIES[family]
    config = {"model_type": family, "vocab_size": 101}
    sizes = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    config |= {row.keys.get(k, k): v for k, v in sizes.items()}
    config |= dict.fromkeys(("pad_token_id", "bos_token_id", "eos_token_id"))
    if family != "gpt2":
        config[row.keys.get("intermediate_size", "intermediate_size")] = 96
    if not row.mha_only:
        config["num_key_value_heads"] = 2
    if family == "ministral":
        config["head_dim"] = 16
    if family == "phi3":
        config["pad_token_id"] = 0
    reading = reading_from_config(config)
    assert reading.architecture.params_total + reading.left_out == counted_by_transformers(config)


def test_defaults_of_absent_keys_are_the_family_s():
    base = {"hidden_size": 2048, "num_hidden_layers": 2, "num_attention_heads": 8}
    base |= {"intermediate_size": 64, "vocab_size": 100}
    gemma = architecture_from_config({"model_type": "gemma", "num_key_value_heads": 1, **base})
    assert (gemma.tied_embeddings, gemma.d_head) == (True, 256)
    assert architecture_from_config({"model_type": "mistral", **base}).n_kv_heads == 8
    none = {"num_key_value_heads": None, "head_dim": None}
    llama = architecture_from_config({"model_type": "llama", **base, **none})
    assert (llama.n_kv_heads, llama.d_head) == (8, 256)


def test_text_config_is_followed_and_noted():
    config = {
        "model_type": "gemma3",
        "text_config": {
            "model_type": "gemma3_text",
            "hidden_size": 2560,
            "intermediate_size": 10240,
            "num_hidden_layers": 34,
            "sliding_window": 1024,
        },
        "vision_config": {"hidden_size": 1152},
    }
    # published: 4,300,079,472 with the vision tower (416,866,032) and projector (2,950,272)
    reading = reading_from_config(config)
    assert reading.architecture.params_total + reading.left_out == 3_880_263_168
    assert any("multimodal" in note for note in reading.notes)
    assert any("sliding_window" in note for note in reading.notes)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"num_local_experts": 8}, "'num_local_experts': 8"),
        ({"n_routed_experts": 64}, "mixture of experts"),
        ({"kv_lora_rank": 512}, "'kv_lora_rank': 512"),
        ({"is_encoder_decoder": True}, "encoder-decoder"),
        ({"model_type": "mamba2"}, "'model_type' 'mamba2'"),
        ({"model_type": None}, "no 'model_type'"),
        ({"hidden_size": None}, "'hidden_size', which is missing"),
        ({"hidden_size": "64"}, "'hidden_size' must be a whole number"),
        ({"hidden_size": [64, 64]}, "'hidden_size' must be a whole number"),
        ({"hidden_size": 65}, "not a multiple of the heads"),
        ({"num_key_value_heads": 3}, "n_kv_heads"),
        ({"head_dim": 15}, "d_head"),
        ({"vocab_size": -1}, "'vocab_size'"),
        ({"intermediate_size": True}, "'intermediate_size'"),
    ],
)
def test_what_cannot_be_said_is_refused_by_key(change, text):
    config = {
        "model_type": "llama",
        "hidden_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 96,
        "vocab_size": 100,
    }
    assert architecture_from_config(config).n_kv_heads == 4
    with pytest.raises(Unusable, match=text):
        architecture_from_config(config | change)


def test_broken_files_are_named(tmp_path):
    file = tmp_path / "config.json"
    with pytest.raises(Unusable, match=r"config\.json: there is no such file"):
        read_config(tmp_path)
    for content in ('{"model_type": "llama"', "[" * 5000, "\udcff"):
        file.write_bytes(content.encode(errors="surrogateescape"))
        with pytest.raises(Unusable, match=r"config\.json: "):
            read_config(file)
    file.write_text("[1]")
    with pytest.raises(Unusable, match="expected one JSON object, found list"):
        read_config(file)


@settings(max_examples=80, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(
            [
                "hidden_size",
                "num_attention_heads",
                "head_dim",
                "text_config",
                "num_experts",
                "num_key_value_heads",
                "vocab_size",
                "tie_word_embeddings",
                "rope_parameters",
            ]
        ),
        st.one_of(
            st.none(),
            st.integers(-5, 10**12),
            st.floats(),
            st.text(max_size=3),
            st.lists(st.integers()),
        )
        | st.dictionaries(st.text(max_size=3), st.integers()),
    ),
    st.sampled_from(list(FAMILIES)),
)
def test_any_config_gives_a_shape_or_one_line(junk, family):
    config = {
        "model_type": family,
        "hidden_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 96,
        "vocab_size": 100,
    }
    try:
        shape = architecture_from_config(config | junk)
    except Unusable as error:
        assert "\n" not in str(error)
    else:
        assert shape.params_total > 0


@pytest.mark.parametrize("value", [None, [1], "a/b", float("inf"), 0])
@pytest.mark.parametrize(
    ("model_type", "key"), [("gpt2", "n_positions"), ("opt", "max_position_embeddings")]
)
def test_positions_that_are_no_count_are_refused_by_name(model_type, key, value):
    config = {"model_type": model_type, "vocab_size": 50, key: value}
    config |= {"n_embd": 32, "n_layer": 2, "n_head": 4, "hidden_size": 32, "ffn_dim": 64}
    config |= {"num_hidden_layers": 2, "num_attention_heads": 4}
    with pytest.raises(Unusable, match=f"'{key}' must be a whole number"):
        architecture_from_config(config)
