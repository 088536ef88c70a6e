"""Decoder shapes and everything that follows from them by arithmetic: parameters, FLOPs, bytes.

The formulas are written once and work both on one `Architecture` (plain ints, validated) and on
`Shapes` (the same fields as integer columns), so that a million candidates are counted at once.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.arrays import Bools, Ints
from core.units import whole_number

# counts are ints for an Architecture and int64/float64 columns for Shapes
Count = Any


class Counts:
    """Counts shared by one shape and by columns of shapes; every formula is exact arithmetic."""

    __slots__ = ()

    n_layers: Any
    d_model: Any
    n_heads: Any
    n_kv_heads: Any
    d_head: Any
    d_ff: Any
    vocab_size: Any
    tied_embeddings: Any
    gated_ffn: Any
    qkv_bias: Any
    out_bias: Any
    ffn_bias: Any
    norm_bias: Any
    qk_norm: Any

    @property
    def d_q(self) -> Count:
        """Width of all query heads together."""
        return self.n_heads * self.d_head

    @property
    def d_kv(self) -> Count:
        """Width of all key (or value) heads together."""
        return self.n_kv_heads * self.d_head

    @property
    def aspect_ratio(self) -> Count:
        """R = d_model / n_layers (arXiv 2501.18107)."""
        return self.d_model / self.n_layers

    @property
    def params_attention_per_layer(self) -> Count:
        """Query, key, value and output projections of one layer, with biases and q/k norms."""
        weights = 2 * self.d_model * self.d_q + 2 * self.d_model * self.d_kv
        biases = self.qkv_bias * (self.d_q + 2 * self.d_kv) + self.out_bias * self.d_model
        return weights + biases + self.qk_norm * 2 * self.d_head

    @property
    def params_ffn_per_layer(self) -> Count:
        """Gated FFN has three matrices (gate, up, down), plain FFN two (up, down)."""
        matrices = 2 + self.gated_ffn * 1
        biases = self.ffn_bias * ((matrices - 1) * self.d_ff + self.d_model)
        return matrices * self.d_model * self.d_ff + biases

    @property
    def params_norm(self) -> Count:
        """Two norms per layer and a final one; each with a gain, and a bias where norms have one."""
        return (2 * self.n_layers + 1) * self.d_model * (1 + self.norm_bias * 1)

    @property
    def params_non_embedding(self) -> Count:
        """All parameters except the input embedding and the output head."""
        layer = self.params_attention_per_layer + self.params_ffn_per_layer
        return self.n_layers * layer + self.params_norm

    @property
    def params_embedding(self) -> Count:
        """Input embedding and output head; counted once when they are tied."""
        return self.vocab_size * self.d_model * (2 - self.tied_embeddings * 1)

    @property
    def params_total(self) -> Count:
        """Every stored parameter, both embeddings included."""
        return self.params_non_embedding + self.params_embedding

    @property
    def params_read_per_step(self) -> Count:
        """Parameters read by a decode step: all except the input embedding, whose rows are looked up."""
        return self.params_non_embedding + self.vocab_size * self.d_model

    @property
    def ffn_to_attention(self) -> Count:
        """r of the conditional law (arXiv 2510.18245): FFN over attention parameters."""
        return self.params_ffn_per_layer / self.params_attention_per_layer

    def cache_elements_per_token(self) -> Count:
        """Key and value entries one token leaves in the cache: 2 n_layers n_kv_heads d_head."""
        return 2 * self.n_layers * self.d_kv

    def cache_bytes_per_token(self, bytes_per_element: Count) -> Count:
        """Cache bytes per token and sequence; Llama-2-7B in fp16 gives 524,288."""
        return self.cache_elements_per_token() * bytes_per_element

    def decode_flops(self, context: Count, batch: Count = 1) -> Count:
        """FLOPs of one decode step at a context length: 2 P + 4 n_layers T d_q, per sequence.

        P leaves out the input embedding (a lookup). Source: transformer inference arithmetic
        (Pope et al. 2022, arXiv 2211.05102).
        """
        return (2 * self.params_read_per_step + 4 * self.n_layers * context * self.d_q) * batch

    def prefill_flops(self, prompt_tokens: Count, batch: Count = 1) -> Count:
        """FLOPs to read a prompt: 2 P_layers per token, causal attention 2 n_layers T d_q per token,
        and one row of logits per sequence (serving computes only the last)."""
        per_token = 2 * self.params_non_embedding + 2 * self.n_layers * prompt_tokens * self.d_q
        return (per_token * prompt_tokens + 2 * self.vocab_size * self.d_model) * batch

    def decode_bytes(
        self, context: Count, batch: Count, weight_bytes: Count, cache_bytes: Count
    ) -> Count:
        """Bytes a decode step must read: the weights once, the cache of every sequence."""
        cache = self.cache_bytes_per_token(cache_bytes) * context * batch
        return self.params_read_per_step * weight_bytes + cache

    def weight_bytes(self, bytes_per_weight: float) -> Count:
        """Bytes of all stored parameters."""
        return self.params_total * bytes_per_weight

    def train_flops(self, tokens: Count) -> Count:
        """6 N D (Kaplan et al. 2020), N without the input embedding."""
        return 6.0 * self.params_read_per_step * tokens


@dataclass(frozen=True, slots=True)
class Architecture(Counts):
    """One decoder shape. Raises ValueError, naming the field, for a shape that cannot exist."""

    n_layers: int
    d_model: int
    n_heads: int
    n_kv_heads: int
    d_head: int
    d_ff: int
    vocab_size: int
    tied_embeddings: bool = False
    gated_ffn: bool = True
    qkv_bias: bool = False
    out_bias: bool = False
    ffn_bias: bool = False
    norm_bias: bool = False
    qk_norm: bool = False

    def __post_init__(self) -> None:
        for name in SIZES:
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise ValueError(f"{name} must be a whole number of at least 1, not {value!r}")
        if self.n_heads % self.n_kv_heads:
            raise ValueError(
                f"n_heads ({self.n_heads}) must be a multiple of n_kv_heads ({self.n_kv_heads})"
            )
        if self.d_head % 2:
            raise ValueError(f"d_head ({self.d_head}) must be even for rotary positions")

    @property
    def label(self) -> str:
        """Short name: layers x width, e.g. 24x2048."""
        return f"{self.n_layers}x{self.d_model}"


SIZES = ("n_layers", "d_model", "n_heads", "n_kv_heads", "d_head", "d_ff", "vocab_size")
SWITCHES = (
    "tied_embeddings",
    "gated_ffn",
    "qkv_bias",
    "out_bias",
    "ffn_bias",
    "norm_bias",
    "qk_norm",
)


@dataclass(frozen=True, slots=True, eq=False)
class Shapes(Counts):
    """Columns of shapes, all of one length: int64 for sizes, bool for switches."""

    n_layers: Ints
    d_model: Ints
    n_heads: Ints
    n_kv_heads: Ints
    d_head: Ints
    d_ff: Ints
    vocab_size: Ints
    tied_embeddings: Bools
    gated_ffn: Bools
    qkv_bias: Bools
    out_bias: Bools
    ffn_bias: Bools
    norm_bias: Bools
    qk_norm: Bools

    def __len__(self) -> int:
        return len(self.n_layers)

    @staticmethod
    def of(architectures: Iterable[Architecture]) -> Shapes:
        """Columns from single shapes, in order."""
        rows = list(architectures)
        columns: dict[str, Any] = {
            f.name: np.array(
                [getattr(a, f.name) for a in rows], np.int64 if f.name in SIZES else np.bool_
            )
            for f in fields(Shapes)
        }
        return Shapes(**columns)

    def row(self, index: int) -> Architecture:
        """The shape at one index."""
        sizes: dict[str, Any] = {name: int(getattr(self, name)[index]) for name in SIZES}
        switches: dict[str, Any] = {name: bool(getattr(self, name)[index]) for name in SWITCHES}
        return Architecture(**sizes, **switches)

    def take(self, indices: NDArray[Any]) -> Shapes:
        """The shapes at the given indices (or under the given mask)."""
        return Shapes(**{f.name: getattr(self, f.name)[indices] for f in fields(Shapes)})

    def numbers(self) -> Ints:
        """A number for each row (n,), the same for rows of one shape."""
        table = np.stack([getattr(self, f.name).astype(np.int64) for f in fields(Shapes)], axis=1)
        found: Ints = np.unique(table, axis=0, return_inverse=True)[1].reshape(-1)
        return found


def rounded_ffn(d_model: int, multiple: int = 256) -> int:
    """SwiGLU width of open_lm and Llama: 8/3 of the width, rounded up to a multiple (default 256)."""
    return multiple * -(-int(8 * d_model / 3) // multiple)


def shape_from_label(
    label: str, vocab_size: int = 50432, n_heads: int | None = None
) -> Architecture:
    """A Llama-style shape from 'LAYERSxWIDTH' ('24x2048'), with the paper's FFN width and MHA.

    Heads default to the most even split with heads near 64 wide (128 from a width of 3072 on).
    Raises ValueError with the expected form.
    """
    layers, _, width = label.lower().partition("x")
    n_layers, d_model = whole_number(layers), whole_number(width)
    if n_layers is None or d_model is None or d_model < 2:
        raise ValueError(f"'{label}' is not a shape; write layers x width, e.g. 24x2048")
    heads = n_heads or default_heads(d_model)
    if d_model % heads:
        raise ValueError(f"a width of {d_model} cannot be split into {heads} heads")
    return Architecture(
        n_layers, d_model, heads, heads, d_model // heads, rounded_ffn(d_model), vocab_size
    )


def default_heads(d_model: int) -> int:
    """The head count whose head size is even, divides the width and lies nearest to 64 (or 128)."""
    target = 128 if d_model >= 3072 else 64
    # the sizes below the target are few, and above it only those up to the square of it over 2
    # can be nearer in ratio than 2 is, which divides every even width
    sizes = [s for s in range(2, min(d_model, target**2 // 2) + 1, 2) if d_model % s == 0]
    if not sizes:
        raise ValueError(f"a width of {d_model} has no even head size")
    return d_model // min(sizes, key=lambda s: abs(np.log(s / target)))
