"""The physical costs of one generated token and of one prompt, with unknown coefficients.

A law predicts seconds as `sum(coefficient[k] * amount[k])`. The amounts below follow from a shape, a
workload and a runtime by arithmetic; the coefficients (seconds per kernel, byte or FLOP)
are what `core.fit.latency` fits, never negative. So a prediction is never negative and grows with each cost.

Sources: transformer inference arithmetic (Pope et al. 2022, arXiv 2211.05102), the roofline
(Williams et al. 2009), and a cost per kernel, without which a roofline underestimates deep models.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from core.model.architecture import Counts
from core.model.workload import Runtime

MIB = 2.0**20


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


@dataclass(frozen=True)
class Pass:
    """One pass through the model, and what its costs are made of; all broadcast (float64).

    Each of `batch` sequences has `tokens` new positions and attends to `context` positions. `first` is
    a pass over prompts, of which serving computes the logits of the last position only.
    """

    shapes: Counts
    batch: Any
    tokens: Any
    context: Any
    runtime: Runtime
    machine: Machine
    first: bool

    @cached_property
    def rows(self) -> Any:
        """Rows of the matrix products."""
        return self.batch * self.tokens

    @cached_property
    def layers(self) -> Any:
        """Number of layers."""
        return 1.0 * self.shapes.n_layers

    @cached_property
    def kernels(self) -> Any:
        """Kernels launched."""
        return kernels_per_step(self.shapes) * np.ones_like(self.rows)

    @cached_property
    def layer_weights(self) -> Any:
        """Weights of all layers' matrices; norms and biases are a thousandth of it."""
        s = self.shapes
        return self.layers * (s.params_attention_per_layer + s.params_ffn_per_layer)

    @cached_property
    def head_weights(self) -> Any:
        """Weights of the matrix that gives the logits."""
        return 1.0 * self.shapes.vocab_size * self.shapes.d_model

    @cached_property
    def layer_bytes(self) -> Any:
        """Bytes of all layers' matrices."""
        return self.layer_weights * self.runtime.weight_bytes

    @cached_property
    def head_bytes(self) -> Any:
        """Bytes of the matrix that gives the logits."""
        return self.head_weights * self.runtime.weight_bytes

    @cached_property
    def layer_flops(self) -> Any:
        """FLOPs of all layers' matrices, rows rounded up to tiles."""
        return 2.0 * self.layer_weights * _rounded(self.rows, self.machine.tile)

    @cached_property
    def head_flops(self) -> Any:
        """FLOPs of the logits, one row per sequence."""
        return 2.0 * self.head_weights * _rounded(self.batch, self.machine.tile)

    @cached_property
    def cache_read(self) -> Any:
        """Bytes of keys and values that attention reads."""
        per_token = self.shapes.cache_bytes_per_token(self.runtime.cache_bytes)
        return self.batch * self.context * per_token

    @cached_property
    def driven_out(self) -> Any:
        """Share of code and data that a layer's weights drive out of the cache."""
        if self.machine.cache_bytes <= 0:
            return np.zeros_like(self.layers)
        layer = self.layer_bytes / np.maximum(self.layers, 1.0)
        return np.minimum(layer / self.machine.cache_bytes, 1.0)


@dataclass(frozen=True, slots=True)
class Term:
    """A cost: the unit of its coefficient, what it stands for, and its amount in a pass."""

    unit: str
    meaning: str
    amount: Callable[[Pass], Any]


def _cold_bytes(p: Pass) -> Any:
    read = p.shapes.params_read_per_step * p.runtime.weight_bytes
    # reading a prompt writes new keys and values, so none of them are in the cache already
    kept = read if p.first else read + p.cache_read
    return np.maximum(kept - p.machine.cache_bytes, 0.0)


def _roof_bytes(p: Pass) -> Any:
    ridge = p.machine.ridge_flops_per_byte
    return np.maximum(p.layer_bytes, p.layer_flops / ridge) + np.maximum(
        p.head_bytes, p.head_flops / ridge
    )


def _output_elements(p: Pass) -> Any:
    s = p.shapes
    outputs = s.d_q + 2 * s.d_kv + 2 * s.d_model + (1 + s.gated_ffn * 1) * s.d_ff
    return p.layers * outputs * p.rows + s.vocab_size * p.batch


def _activation_bytes(p: Pass) -> Any:
    s = p.shapes
    between = 8 * s.d_model + 3 * (s.d_q + 2 * s.d_kv) + (2 + s.gated_ffn * 1) * s.d_ff
    return p.layers * between * p.rows * activation_bytes(p.runtime)


def _attention_flops(p: Pass) -> Any:
    # causal: a position of a prompt attends to half of them on average
    if p.first:
        return 2.0 * (p.shapes.n_layers * p.tokens * p.tokens * p.batch) * p.shapes.d_q
    return 4.0 * p.shapes.n_layers * p.shapes.d_q * p.context * p.batch


def _score_bytes(p: Pass) -> Any:
    if not p.first:
        return np.zeros_like(p.layers * p.rows)
    scores = p.shapes.n_layers * p.tokens * p.tokens * p.batch
    return scores * p.shapes.n_heads * activation_bytes(p.runtime)


TERMS: Mapping[str, Term] = {
    "step": Term(
        "s",
        "starting a step: one call of the model, choosing the token",
        lambda p: np.ones_like(p.layers * p.rows),
    ),
    "kernels": Term(
        "s/kernel", "launching one kernel; a layer has about twenty", lambda p: p.kernels
    ),
    "cold_kernels": Term(
        "s/kernel",
        "launching a kernel when the layer's weights have driven code and data out of the cache",
        lambda p: kernels_per_step(p.shapes) * p.driven_out * np.ones_like(p.rows),
    ),
    "rows_kernels": Term(
        "s/kernel",
        "launching a kernel on several rows, where another is used than on one",
        lambda p: kernels_per_step(p.shapes) * (p.rows > 1),
    ),
    "weight_bytes": Term(
        "s/B",
        "reading the weights from wherever they lie",
        lambda p: (p.layer_bytes + p.head_bytes) * np.ones_like(p.rows),
    ),
    "cold_bytes": Term(
        "s/B", "reading what the last-level cache could not keep from the step before", _cold_bytes
    ),
    "packed_bytes": Term(
        "s/B",
        "rearranging the weights for kernels that work on several rows",
        lambda p: p.layer_bytes * (p.rows > 1) + p.head_bytes * (p.batch > 1),
    ),
    "matmul_flops": Term("s/FLOP", "multiplying matrices", lambda p: p.layer_flops + p.head_flops),
    "roof_bytes": Term(
        "s/B", "matrix work, whichever is longer: its bytes or its arithmetic", _roof_bytes
    ),
    "output_elements": Term(
        "s", "one row of a matrix: the end of a dot product, its write-back", _output_elements
    ),
    "activation_bytes": Term(
        "s/B", "norms, rotary positions, gates and sums between the matrices", _activation_bytes
    ),
    "cache_bytes": Term(
        "s/B", "reading the keys and values of the context", lambda p: p.cache_read
    ),
    "attention_flops": Term("s/FLOP", "scores and weighted sums of attention", _attention_flops),
    "score_bytes": Term(
        "s/B", "writing and reading attention scores where they are not fused", _score_bytes
    ),
}


def tpot_amounts(
    shapes: Counts,
    batch: Any,
    prompt_tokens: Any,
    output_tokens: Any,
    runtime: Runtime,
    machine: Machine,
    terms: Iterable[str] | None = None,
) -> dict[str, Any]:
    """Amount of each term (or of these) in one decode step at the mean context of the request.

    Values broadcast over shapes and workloads (float64 columns, or floats for one shape).
    """
    batch = np.asarray(batch, np.float64)
    context = np.asarray(prompt_tokens, np.float64) + np.asarray(output_tokens, np.float64) / 2
    step = Pass(shapes, batch, 1.0, context, runtime, machine, first=False)
    return {name: TERMS[name].amount(step) for name in (TERMS if terms is None else terms)}


def ttft_amounts(
    shapes: Counts,
    batch: Any,
    prompt_tokens: Any,
    output_tokens: Any,
    runtime: Runtime,
    machine: Machine,
    terms: Iterable[str] | None = None,
) -> dict[str, Any]:
    """Amount of each term (or of these) in reading a batch's prompts and choosing the first token."""
    batch, prompt = np.asarray(batch, np.float64), np.asarray(prompt_tokens, np.float64)
    first = Pass(shapes, batch, prompt, prompt, runtime, machine, first=True)
    return {name: TERMS[name].amount(first) for name in (TERMS if terms is None else terms)}


def kernels_per_step(shapes: Counts) -> Any:
    """Kernels of one forward pass: of every layer, and of the embedding, final norm and head."""
    attention = 12 + 3 * shapes.qkv_bias + shapes.out_bias * 1 + 2 * shapes.qk_norm
    ffn = 5 + 2 * shapes.gated_ffn + 2 * shapes.ffn_bias
    return shapes.n_layers * (attention + ffn) + 4


def activation_bytes(runtime: Runtime) -> float:
    """Bytes of one activation: 4 beside fp32 weights, otherwise 2 (integer and fp8 weights too)."""
    return 4.0 if runtime.weights == "fp32" else 2.0


def _rounded(rows: Any, tile: int) -> Any:
    return rows if tile <= 1 else np.ceil(rows / tile) * tile
