"""The loss that low precision costs, in training and by quantising afterwards (Kumar et al. 2024).

The constants are published and not fitted here. The authors of arXiv 2411.04330 warn that they do
not transfer to other models and data: show them as an illustration, never as a prediction.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

# floats, or arrays of them that broadcast
Values = Any


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
    most_params: float = 1.7e9
    most_tokens: float = 26e9
    source: str = "arXiv 2411.04330"

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

    def training_loss(self, params: Values, weight_bits: Values, cache_bits: Values) -> Values:
        """What training with weights and cache of so few bits adds to the loss in 16; 0 in 16 bits.

        Activations stay in 16 bits. The tokens do not matter in this form.
        """
        kept, _ = self.effective_params(params, weight_bits, 16, cache_bits)
        whole, _ = self.effective_params(params, 16, 16, 16)
        return self.A * (kept**-self.alpha - whole**-self.alpha)

    def quantisation_loss(
        self, params: Values, tokens: Values, bits: Values, biased: bool = False
    ) -> Values:
        """What quantising the weights to `bits` after training adds; it grows with the tokens."""
        n, d = np.asarray(params, np.float64), np.asarray(tokens, np.float64)
        exponent = -np.asarray(bits, np.float64) / self.g_post + (self.b if biased else 0.0)
        return self.C * d**self.g_d / n**self.g_n * np.exp(exponent)


PRECISION = Precision()
