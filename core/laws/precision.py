"""What bits cost in loss: low-precision training, quantisation after training, parallel streams.

All constants here are published and not fitted here. The authors of arXiv 2411.04330 warn that
theirs do not transfer to other models and data: show them as an illustration, never as a prediction.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from core.errors import Unusable

# floats, or arrays of them that broadcast
Values = Any

PROVENANCE = "published constants, not fitted here"


# --- floating-point training (8a)


@dataclass(frozen=True, slots=True)
class FloatTraining:
    """L = n/N^alpha + d/D^beta + eps + (D^beta/N^alpha) log2(B) / (gamma (E+.5)^delta (M+.5)^nu).

    E and M are exponent and mantissa bits, B the elements that share a scale. Nats/token.
    """

    n: float = 69.2343
    alpha: float = 0.2368
    d: float = 68973.0621
    beta: float = 0.5162
    eps: float = 1.9061
    gamma: float = 11334.5197
    delta: float = 3.1926
    nu: float = 2.9543
    fit_range: str = "41-679 M parameters, 10-100 B tokens, LLaMA shapes on Dolma 1.7"
    source: str = "arXiv 2501.02423"

    def _format(self, exponent_bits: Values, mantissa_bits: Values) -> Values:
        e, m = np.asarray(exponent_bits, np.float64), np.asarray(mantissa_bits, np.float64)
        return (e + 0.5) ** self.delta * (m + 0.5) ** self.nu

    def penalty(
        self,
        params: Values,
        tokens: Values,
        exponent_bits: Values,
        mantissa_bits: Values,
        log2_block: Values,
    ) -> Values:
        """The loss that the number format adds; it grows with tokens and falls with parameters."""
        n, d = np.asarray(params, np.float64), np.asarray(tokens, np.float64)
        scale = self.gamma * self._format(exponent_bits, mantissa_bits)
        return d**self.beta / n**self.alpha * log2_block / scale

    def loss(
        self,
        params: Values,
        tokens: Values,
        exponent_bits: Values,
        mantissa_bits: Values,
        log2_block: Values = 7.0,
    ) -> Values:
        """The loss of a model trained in a format; blocks of 128 elements by default.

        For scaling by channel use CHANNEL_LOG2_BLOCK.
        """
        n, d = np.asarray(params, np.float64), np.asarray(tokens, np.float64)
        plain = self.n / n**self.alpha + self.d / d**self.beta + self.eps
        return plain + self.penalty(n, d, exponent_bits, mantissa_bits, log2_block)

    def critical_tokens(
        self, params: Values, exponent_bits: Values, mantissa_bits: Values, log2_block: Values = 7.0
    ) -> Values:
        """The tokens beyond which more data makes the model worse in this format."""
        n = np.asarray(params, np.float64)
        inside = self.d * self.gamma * n**self.alpha * self._format(exponent_bits, mantissa_bits)
        return (inside / log2_block) ** (1.0 / (2.0 * self.beta))

    def best_format(self, bits: int) -> tuple[int, int]:
        """Exponent and mantissa bits that lose least at a total width (one bit is the sign)."""
        if bits < 3:
            raise Unusable(f"{bits} bits leave no room for a sign, an exponent and a mantissa")
        best = self.nu * bits / (self.delta + self.nu) - 0.5
        mantissa = min(max(round(best), 1), bits - 2)
        return bits - 1 - mantissa, mantissa

    def best_training_bits(self, flops: float, log2_block: float = 7.0) -> float:
        """The width P (sign included, not whole) of lowest loss at a cost (6/16) N D P = C.

        Exponent and mantissa are split as best for each width; N and D follow from the cost. `flops`
        counts 16-bit operations.
        """
        bits = np.linspace(2.5, 32.0, 296)[:, None]
        params = np.geomspace(1e6, 1e17, 2201)
        half = bits * self.nu / (self.delta + self.nu)  # M + 0.5; E + 0.5 is the rest
        tokens = flops / (6.0 / 16.0 * params * bits)
        losses = self.loss(params, tokens, bits - half - 0.5, half - 0.5, log2_block)
        return float(bits[np.argmin(losses.min(axis=1)), 0])


FLOAT_TRAINING = FloatTraining()
CHANNEL_LOG2_BLOCK = 13.1567
FORMATS: Mapping[str, tuple[int, int]] = {  # exponent and mantissa bits
    "fp16": (5, 10),
    "bf16": (8, 7),
    "fp8-e4m3": (4, 3),
    "fp8-e5m2": (5, 2),
    "fp6-e3m2": (3, 2),
    "fp4-e2m1": (2, 1),
}


# --- integer precision in training and after it (8b)


@dataclass(frozen=True, slots=True)
class Part:
    """How one part keeps its effective parameters at P bits: 1 - exp(-P/gamma + n).

    The sign of n matters: the appendix's e^{x/gamma + n} with x = -P. Dropping n puts the best
    precision at 3.5 bits instead of the published 7 to 8, and -(P/gamma + n) leaves no optimum.
    """

    gamma: float
    n: float

    def retention(self, bits: Values) -> tuple[Values, Values]:
        """The kept fraction, cut below at FLOOR, and where it was cut (the law is invalid there)."""
        kept = 1.0 - np.exp(-np.asarray(bits, dtype=np.float64) / self.gamma + self.n)
        return np.maximum(kept, FLOOR)[()], (kept < FLOOR)[()]


FLOOR = 1e-3  # a smaller kept fraction means that training at so few bits diverges


@dataclass(frozen=True, slots=True)
class Precision:
    """L = A N_eff^-alpha + B D^-alpha + E + delta, N_eff = N times the kept fractions; nats/token.

    delta = C (D^gD / N^gN) exp(-P_post / g_post + b) is what quantising after training adds; the
    paper's basic form has b = 0. The bundled `b` belongs to its form with a bias.
    """

    A: float = 4.299e3
    B: float = 1.806e4
    E: float = 2.7648
    alpha: float = 0.4965
    weights: Part = Part(2.6745, 0.3037)
    activations: Part = Part(2.2102, 1.4072)
    cache: Part = Part(0.9578, 2.4185)
    C: float = 0.0598
    g_d: float = 0.5068
    g_n: float = 0.3439
    g_post: float = 0.5907
    b: float = 1.1277
    fit_range: str = "465 runs, up to 1.7 B parameters and 26 B tokens, GPTQ"
    source: str = (
        "Kumar et al. 2024, arXiv 2411.04330; its authors warn that constants do not transfer"
    )

    def effective_params(
        self, params: Values, weight_bits: Values, activation_bits: Values, cache_bits: Values
    ) -> tuple[Values, Values]:
        """N times the three kept fractions, and where one of them had to be cut at FLOOR."""
        kept: Values = np.asarray(params, dtype=np.float64)
        cut: Values = np.False_
        parts = ((self.weights, weight_bits), (self.activations, activation_bits))
        for part, bits in (*parts, (self.cache, cache_bits)):
            fraction, low = part.retention(bits)
            kept, cut = kept * fraction, cut | low
        return kept, cut

    def loss(
        self,
        params: Values,
        tokens: Values,
        weight_bits: Values = 16,
        activation_bits: Values = 16,
        cache_bits: Values = 16,
    ) -> Values:
        """The loss of a model trained at these precisions, before any quantising after it."""
        kept, _ = self.effective_params(params, weight_bits, activation_bits, cache_bits)
        d = np.asarray(tokens, dtype=np.float64)
        return self.A * kept**-self.alpha + self.B * d**-self.alpha + self.E

    def quantisation_loss(
        self, params: Values, tokens: Values, bits: Values, biased: bool = False
    ) -> Values:
        """What quantising the weights to `bits` after training adds; it grows with the tokens."""
        n, d = np.asarray(params, np.float64), np.asarray(tokens, np.float64)
        exponent = -np.asarray(bits, np.float64) / self.g_post + (self.b if biased else 0.0)
        return self.C * d**self.g_d / n**self.g_n * np.exp(exponent)

    def critical_tokens(self, params: Values, bits: Values, biased: bool = False) -> Values:
        """The tokens beyond which training longer makes the quantised model worse."""
        n = np.asarray(params, dtype=np.float64)
        exponent = np.asarray(bits, np.float64) / self.g_post - (self.b if biased else 0.0)
        inside = self.alpha * self.B * n**self.g_n * np.exp(exponent) / (self.g_d * self.C)
        return inside ** (1.0 / (self.g_d + self.alpha))

    def best_training_bits(self, low: float = 1.0, high: float = 32.0) -> float:
        """The one precision of everything that loses least at a fixed cost (6/16) N D P.

        With one exponent for N and D the loss at a cost falls with (kept fractions) / P alone, so
        the answer is the same at every cost. Raises Unusable when it lies at an end of the range.
        """
        bits = np.linspace(low, high, 200_001)
        kept, cut = self.effective_params(1.0, bits, bits, bits)
        worth = np.where(cut, 0.0, kept / bits)
        best = int(np.argmax(worth))
        if best in (0, len(bits) - 1):
            raise Unusable(
                f"no best precision between {low:g} and {high:g} bits: these constants favour "
                f"{'fewer' if best == 0 else 'more'} bits without end"
            )
        return float(bits[best])

    def without_bias(self) -> Precision:
        """The same with every n dropped, as popular notes have it; for comparison only."""
        parts = {k: replace(getattr(self, k), n=0.0) for k in ("weights", "activations", "cache")}
        return replace(self, **parts)


PRECISION = Precision()


# --- parallel streams (ParScale)


@dataclass(frozen=True, slots=True)
class ParScale:
    """L = (A / (N (k ln P + 1)))^alpha + E; N non-embedding parameters, P streams, natural log."""

    E: float
    A: float
    alpha: float
    k: float
    data: str
    fit_range: str = "up to 8 streams and 4.4 B parameters, 42 B tokens"
    source: str = "arXiv 2505.10475; QwenLM/ParScale cd6acb4"

    def equivalent_params(self, params_non_embedding: Values, streams: Values) -> Values:
        """The size of a single-stream model of the same loss: N (k ln P + 1)."""
        p = np.asarray(streams, dtype=np.float64)
        if np.any(p < 1):
            raise Unusable("a model has at least one stream")
        return np.asarray(params_non_embedding, np.float64) * (self.k * np.log(p) + 1.0)

    def loss(self, params_non_embedding: Values, streams: Values = 1) -> Values:
        """The loss of a model of N non-embedding parameters with P parallel streams."""
        size = self.equivalent_params(params_non_embedding, streams)
        return (self.A / size) ** self.alpha + self.E

    def streams_for(self, params_non_embedding: float, equivalent: float) -> float:
        """The streams that give a model the loss of a larger one; may lie outside the fitted 8."""
        gain = (equivalent / params_non_embedding - 1.0) / self.k
        return math.exp(gain) if gain > 0 else 1.0


PARSCALE: Mapping[str, ParScale] = {
    "stack-v2-python": ParScale(0.69129485, 1.130722e7, 0.18940453, 0.39342656, "Stack-V2-Python"),
    "pile": ParScale(1.28885036, 1.9727912e8, 0.19636257, 0.33443088, "Pile"),
}
