"""Amounts of every term for one small shape, worked out by hand."""

from dataclasses import replace

import pytest

from core.laws.latency import MIB, TERMS, Machine, kernels_per_step, tpot_amounts, ttft_amounts
from core.model.architecture import Architecture
from core.model.workload import Runtime

# per layer 2 x 8 x 8 + 2 x 8 x 4 = 192 weights of attention and 3 x 8 x 16 = 384 of the FFN, so 1152 in
# both layers; 80 of the head; 5 norms of 8
SHAPE = Architecture(2, 8, 4, 2, 2, 16, 10)
# four bytes a weight and an activation, two an entry of the cache: 2 x 2 layers x 4 x 2 = 32 a token
RUNTIME = Runtime("eager", "fp32", "fp16")
# twice a layer's weights fit; rows come in fours
MACHINE = Machine(4608.0, 1.6, 4)
# 19 kernels a layer and 4 more
BY_HAND = {
    # three sequences at a context of 10 + 4 / 2
    "tpot": {
        "step": 1,
        "kernels": 42,
        "cold_kernels": 21,
        "rows_kernels": 42,
        "weight_bytes": 4 * (1152 + 80),
        "cold_bytes": 4 * (1152 + 40 + 80) + 1152 - 4608,
        "packed_bytes": 4 * (1152 + 80),
        # three rows are four
        "matmul_flops": 2 * 4 * (1152 + 80),
        # 9216 and 640 FLOPs at 1.6 a byte last longer than 4608 and 320 bytes
        "roof_bytes": 5760 + 400,
        # q, k, v, two of the width, gate and up
        "output_elements": 2 * (8 + 4 + 4 + 8 + 8 + 16 + 16) * 3 + 10 * 3,
        "activation_bytes": 2 * (64 + 3 * 16 + 3 * 16) * 3 * 4,
        "cache_bytes": 3 * 12 * 32,
        "attention_flops": 4 * 2 * 8 * 12 * 3,
        "score_bytes": 0,
    },
    # three prompts of 10: 30 rows are 32, three rows of logits are four
    "ttft": {
        "step": 1,
        "kernels": 42,
        "cold_kernels": 21,
        "rows_kernels": 42,
        "weight_bytes": 4 * (1152 + 80),
        "cold_bytes": 4 * (1152 + 40 + 80) - 4608,
        "packed_bytes": 4 * (1152 + 80),
        "matmul_flops": 2 * 32 * 1152 + 2 * 4 * 80,
        "roof_bytes": 46080 + 400,
        "output_elements": 2 * 64 * 30 + 10 * 3,
        "activation_bytes": 2 * 160 * 30 * 4,
        "cache_bytes": 3 * 10 * 32,
        # half of the 10 x 10 positions: 2 layers x 100 x 3 x 8 wide, twice (scores, sums)
        "attention_flops": 4 * 2 * 100 * 3 * 8 / 2,
        "score_bytes": 2 * 100 * 3 * 4 * 4,
    },
}


@pytest.mark.parametrize("phase", ["tpot", "ttft"])
def test_amounts_of_a_small_shape(phase):
    amounts = tpot_amounts if phase == "tpot" else ttft_amounts
    found = amounts(SHAPE, 3, 10, 4, RUNTIME, MACHINE)
    assert {name: float(value) for name, value in found.items()} == BY_HAND[phase]
    assert set(found) == set(TERMS)
    some = amounts(SHAPE, 3, 10, 4, RUNTIME, MACHINE, ("kernels", "step"))
    assert list(some) == ["kernels", "step"]


def test_one_row_needs_no_kernels_for_several():
    one = tpot_amounts(SHAPE, 1, 10, 4, RUNTIME, Machine())
    assert one["rows_kernels"] == one["packed_bytes"] == 0
    # several rows of one prompt, one row of logits
    prompt = ttft_amounts(SHAPE, 1, 10, 4, RUNTIME, Machine())
    assert prompt["rows_kernels"] == 42 and prompt["packed_bytes"] == 4 * 1152
    # two are several
    assert tpot_amounts(SHAPE, 2, 10, 4, RUNTIME, Machine())["packed_bytes"] == 4 * 1232


def test_a_machine_without_cache_and_tiles():
    found = tpot_amounts(SHAPE, 3, 10, 4, RUNTIME, Machine())
    assert found["cold_kernels"] == 0
    assert found["cold_bytes"] == 4 * 1272 + 1152
    assert found["matmul_flops"] == 2 * 3 * 1232
    # at 16 FLOPs a byte the bytes last longer
    assert found["roof_bytes"] == 4 * 1232
    # a cache that holds everything, and one smaller than a layer
    assert tpot_amounts(SHAPE, 3, 10, 4, RUNTIME, Machine(MIB))["cold_bytes"] == 0
    assert tpot_amounts(SHAPE, 3, 10, 4, RUNTIME, Machine(100.0))["cold_kernels"] == 42
    assert tpot_amounts(SHAPE, 3, 10, 4, RUNTIME, Machine(1.0))["cold_kernels"] == 42
    assert MIB == 1024 * 1024


def test_activations_are_two_bytes_beside_anything_but_fp32():
    for weights, size in (("fp32", 4), ("bf16", 2), ("fp8", 2)):
        found = tpot_amounts(SHAPE, 3, 10, 4, Runtime("eager", weights, "fp16"), MACHINE)
        assert found["activation_bytes"] == 2 * 160 * 3 * size


def test_biases_and_norms_are_kernels_and_a_plain_ffn_has_one_matrix_less():
    every = replace(
        SHAPE, gated_ffn=False, qkv_bias=True, out_bias=True, ffn_bias=True, qk_norm=True
    )
    # three biases, one of the output, two norms; two biases of the FFN, no gate
    assert kernels_per_step(every) == 2 * (12 + 3 + 1 + 2 + 5 + 2) + 4
    assert kernels_per_step(replace(SHAPE, qk_norm=True)) == 42 + 4
    assert kernels_per_step(replace(SHAPE, out_bias=True)) == 42 + 2
    plain = tpot_amounts(replace(SHAPE, gated_ffn=False), 3, 10, 4, RUNTIME, MACHINE)
    assert plain["output_elements"] == 2 * 48 * 3 + 30
    assert plain["activation_bytes"] == 2 * 144 * 3 * 4
