"""The physical costs of one generated token and of one prompt, with unknown coefficients.

A law predicts seconds as `sum(coefficient[k] * amount[k])`. The amounts below follow from a shape, a
workload and a runtime by arithmetic; the coefficients (seconds per kernel, byte or FLOP)
are what `core.fit.latency` fits, never negative. So a prediction is never negative and grows with each cost.

Sources: transformer inference arithmetic (Pope et al. 2022, arXiv 2211.05102), the roofline
(Williams et al. 2009), and a cost per kernel, without which a roofline underestimates deep models.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from core.model.architecture import Counts
from core.model.workload import Runtime

MIB = 2.0**20

# per term: the unit of its coefficient, and the cost it stands for
TERMS: Mapping[str, tuple[str, str]] = {
    "step": ("s", "starting a step: one call of the model, choosing the token"),
    "kernels": ("s/kernel", "launching one kernel; a layer has about twenty"),
    "cold_kernels": (
        "s/kernel",
        "launching a kernel when the layer's weights have driven code and data out of the cache",
    ),
    "rows_kernels": (
        "s/kernel",
        "launching a kernel on several rows, where another is used than on one",
    ),
    "weight_bytes": ("s/B", "reading the weights from wherever they lie"),
    "cold_bytes": ("s/B", "reading what the last-level cache could not keep from the step before"),
    "packed_bytes": ("s/B", "rearranging the weights for kernels that work on several rows"),
    "matmul_flops": ("s/FLOP", "multiplying matrices"),
    "roof_bytes": ("s/B", "matrix work, whichever is longer: its bytes or its arithmetic"),
    "output_elements": ("s", "one row of a matrix: the end of a dot product, its write-back"),
    "activation_bytes": ("s/B", "norms, rotary positions, gates and sums between the matrices"),
    "cache_bytes": ("s/B", "reading the keys and values of the context"),
    "attention_flops": ("s/FLOP", "scores and weighted sums of attention"),
    "score_bytes": ("s/B", "writing and reading attention scores where they are not fused"),
}


@dataclass(frozen=True, slots=True)
class Machine:
    """The three properties of a machine that enter the amounts, found by trying a grid of values.

    `cache_bytes` is the cache that weights can stay in between steps (0: none does). A layer's weights
    drive code and data of the next kernels out of it, in proportion to their size.
    `ridge_flops_per_byte` is the arithmetic intensity at which a matrix product stops waiting for
    memory. `tile` is the multiple that a kernel rounds its rows and columns up to (1: none).
    """

    cache_bytes: float = 0.0
    ridge_flops_per_byte: float = 16.0
    tile: int = 1


# (shapes, batch, prompt_tokens, output_tokens, runtime, machine) -> amount of each term
Amounts = Callable[[Counts, Any, Any, Any, Runtime, Machine], dict[str, Any]]


def kernels_per_step(shapes: Counts) -> Any:
    """Kernels of one forward pass: of every layer, and of the embedding, final norm and head."""
    attention = 12 + 3 * shapes.qkv_bias + shapes.out_bias * 1 + 2 * shapes.qk_norm
    ffn = 5 + 2 * shapes.gated_ffn + 2 * shapes.ffn_bias
    return shapes.n_layers * (attention + ffn) + 4


def tpot_amounts(
    shapes: Counts,
    batch: Any,
    prompt_tokens: Any,
    output_tokens: Any,
    runtime: Runtime,
    machine: Machine,
) -> dict[str, Any]:
    """Amount of each term in one decode step at the mean context of the request, per batch.

    Values broadcast over shapes and workloads (float64 columns, or floats for one shape).
    """
    batch = np.asarray(batch, np.float64)
    context = np.asarray(prompt_tokens, np.float64) + np.asarray(output_tokens, np.float64) / 2
    amounts = _forward(shapes, batch, 1.0, runtime, machine)
    cache = batch * context * shapes.cache_bytes_per_token(runtime.cache_bytes)
    kept = _everything_read(shapes, runtime) + cache
    amounts["cold_bytes"] = np.maximum(kept - machine.cache_bytes, 0.0)
    amounts["cache_bytes"] = cache
    amounts["attention_flops"] = 4.0 * shapes.n_layers * shapes.d_q * context * batch
    return amounts


def ttft_amounts(
    shapes: Counts,
    batch: Any,
    prompt_tokens: Any,
    output_tokens: Any,
    runtime: Runtime,
    machine: Machine,
) -> dict[str, Any]:
    """Amount of each term in reading the prompts of a batch and choosing the first token."""
    batch = np.asarray(batch, np.float64)
    prompt = np.asarray(prompt_tokens, np.float64)
    amounts = _forward(shapes, batch, prompt, runtime, machine)
    amounts["cold_bytes"] = np.maximum(_everything_read(shapes, runtime) - machine.cache_bytes, 0.0)
    scores = shapes.n_layers * prompt * prompt * batch
    amounts["cache_bytes"] = batch * prompt * shapes.cache_bytes_per_token(runtime.cache_bytes)
    amounts["attention_flops"] = 2.0 * scores * shapes.d_q
    amounts["score_bytes"] = scores * shapes.n_heads * activation_bytes(runtime)
    return amounts


def activation_bytes(runtime: Runtime) -> float:
    """Bytes of one activation: 4 beside fp32 weights, otherwise 2 (integer and fp8 weights too)."""
    return 4.0 if runtime.weights == "fp32" else 2.0


def _everything_read(shapes: Counts, runtime: Runtime) -> Any:
    return shapes.params_read_per_step * runtime.weight_bytes


def _forward(
    shapes: Counts, batch: Any, tokens: Any, runtime: Runtime, machine: Machine
) -> dict[str, Any]:
    """Amounts of one pass of `tokens` new positions in each sequence, attention left out."""
    rows = batch * tokens
    tiled = _rounded(rows, machine.tile)
    layers = 1.0 * shapes.n_layers
    matrices = layers * (
        shapes.params_attention_per_layer + shapes.params_ffn_per_layer
    )  # norms and biases are a thousandth of it
    head = 1.0 * shapes.vocab_size * shapes.d_model
    layer_bytes, head_bytes = matrices * runtime.weight_bytes, head * runtime.weight_bytes
    # serving computes the logits of the last position only
    layer_flops, head_flops = 2.0 * matrices * tiled, 2.0 * head * _rounded(batch, machine.tile)
    ridge = machine.ridge_flops_per_byte
    driven_out = np.zeros_like(layers)
    if machine.cache_bytes > 0:
        driven_out = np.minimum(layer_bytes / np.maximum(layers, 1.0) / machine.cache_bytes, 1.0)
    gates = 1 + shapes.gated_ffn * 1
    qkv = shapes.d_q + 2 * shapes.d_kv
    outputs = qkv + 2 * shapes.d_model + gates * shapes.d_ff
    between = 8 * shapes.d_model + 3 * qkv + (1 + gates) * shapes.d_ff
    return {
        "step": np.ones_like(layers * rows),
        "kernels": kernels_per_step(shapes) * np.ones_like(rows),
        "cold_kernels": kernels_per_step(shapes) * driven_out * np.ones_like(rows),
        "rows_kernels": kernels_per_step(shapes) * (rows > 1),
        "weight_bytes": (layer_bytes + head_bytes) * np.ones_like(rows),
        "packed_bytes": layer_bytes * (rows > 1) + head_bytes * (batch > 1),
        "matmul_flops": layer_flops + head_flops,
        "roof_bytes": np.maximum(layer_bytes, layer_flops / ridge)
        + np.maximum(head_bytes, head_flops / ridge),
        "output_elements": layers * outputs * rows + shapes.vocab_size * batch,
        "activation_bytes": layers * between * rows * activation_bytes(runtime),
    }


def _rounded(rows: Any, tile: int) -> Any:
    return rows if tile <= 1 else np.ceil(rows / tile) * tile
