"""The cheapest model of a given quality over its whole life: training and serving together.

Sardana et al. 2024 (arXiv 2401.00448): minimise 6 N D + 2 N D_inf at a fixed loss L(N, D).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from core.errors import Unusable

# over about 10000 tokens per parameter no published run supports the law; typical fits end near 40
CAUTIOUS_TOKENS_PER_PARAMETER = 100.0


@dataclass(frozen=True, slots=True)
class Chinchilla:
    """L = E + A/N^alpha + B/D^beta in nats/token."""

    A: float
    B: float
    E: float
    alpha: float
    beta: float
    source: str = ""

    def loss(self, params: float, tokens: float) -> float:
        """The loss of N parameters after D tokens."""
        return float(self.E + self.A / params**self.alpha + self.B / tokens**self.beta)

    def tokens_for(self, params: float, loss: float) -> float:
        """The tokens after which N parameters reach a loss; infinite where they never do."""
        room = loss - self.E - self.A / params**self.alpha
        return float((self.B / room) ** (1.0 / self.beta)) if room > 0 else math.inf

    def balanced_tokens(self, params: float) -> float:
        """The tokens at which N is compute-optimal: alpha A/N^alpha = beta B/D^beta."""
        pull = self.alpha * self.A / params**self.alpha
        return float((self.beta * self.B / pull) ** (1.0 / self.beta))

    def compute_optimal(self, flops: float) -> tuple[float, float]:
        """N and D of the lowest loss at 6 N D = C."""
        both = self.alpha + self.beta
        g = (self.alpha * self.A / (self.beta * self.B)) ** (1.0 / both)
        params = g * (flops / 6.0) ** (self.beta / both)
        return params, flops / (6.0 * params)


# published, not fitted here; kept at every digit there is (rounding alone moves D/N from 59 to 93)
CHINCHILLA: Mapping[str, Chinchilla] = {
    "sardana": Chinchilla(
        406.4, 410.7, 1.69, 0.336, 0.283, "constants that reproduce arXiv 2401.00448's rows"
    ),
    "hoffmann": Chinchilla(406.4, 410.7, 1.69, 0.34, 0.28, "arXiv 2203.15556, as printed"),
    "hoffmann-tex": Chinchilla(
        math.exp(6.0073404),
        math.exp(6.0179186),
        math.exp(0.5267228),
        0.33917084,
        0.2849083,
        "arXiv 2203.15556, from its TeX source",
    ),
    "besiroglu": Chinchilla(
        482.01, 2085.43, 1.8172, 0.3478, 0.3658, "arXiv 2404.10102, as published"
    ),
}


@dataclass(frozen=True, slots=True)
class Prices:
    """What FLOPs cost: price per FLOP at full utilisation and the utilisation reached.

    All ones: plain FLOPs. The paper's illustration has about 0.5 for training and reading prompts
    and 0.01 for decoding.
    """

    training: float = 1.0
    inference: float = 1.0
    mfu_training: float = 1.0
    mfu_prompt: float = 1.0
    mfu_output: float = 1.0

    def __post_init__(self) -> None:
        for name in ("training", "inference", "mfu_training", "mfu_prompt", "mfu_output"):
            if not getattr(self, name) > 0:
                raise Unusable(f"{name} must be above 0, not {getattr(self, name)!r}")

    def train(self, params: float, tokens: float) -> float:
        """Cost of 6 N D training FLOPs."""
        return 6.0 * params * tokens * self.training / self.mfu_training

    def serve(self, params: float, prompt_tokens: float, output_tokens: float) -> float:
        """Cost of 2 N FLOPs a served token, prompts and outputs at their own utilisation."""
        tokens = prompt_tokens / self.mfu_prompt + output_tokens / self.mfu_output
        return 2.0 * params * tokens * self.inference


FLOPS = Prices()


@dataclass(frozen=True, slots=True)
class ServingOptimum:
    """The model of lowest cost over its life at one loss, beside the compute-optimal one.

    Costs are in FLOPs, or in the money of the prices given. `saved` is a fraction of the baseline's
    whole cost. `caution` says when the answer lies where the law was hardly tested.
    """

    params: float
    tokens: float
    loss: float
    train_cost: float
    serve_cost: float
    baseline_params: float
    baseline_tokens: float
    baseline_cost: float
    caution: str = ""

    @property
    def cost(self) -> float:
        """Training and serving together."""
        return self.train_cost + self.serve_cost

    @property
    def saved(self) -> float:
        """Fraction of the baseline's cost that is saved."""
        return 1.0 - self.cost / self.baseline_cost


def serving_optimum(
    law: Chinchilla,
    loss: float,
    prompt_tokens: float,
    output_tokens: float = 0.0,
    prices: Prices = FLOPS,
) -> ServingOptimum:
    """The N and D that reach a loss at the lowest cost of training and serving so many tokens.

    At plain FLOPs only the sum of prompt and output tokens matters (the paper's D_inf). Raises
    Unusable for a loss the law cannot reach or negative tokens. The optimum is where
    (alpha A/N^alpha) / (beta B/D^beta) = 1 + K / (6 D), K the serving cost of a parameter in
    training tokens' worth; the left falls and the right rises with N, so there is exactly one.
    """
    if not loss > law.E:
        raise Unusable(f"no model reaches a loss of {loss:g}: the law's floor is {law.E:g}")
    if prompt_tokens < 0 or output_tokens < 0:
        raise Unusable("served tokens cannot be negative")
    per_param = prices.serve(1.0, prompt_tokens, output_tokens)
    extra = per_param / prices.train(1.0, 1.0)  # in training tokens
    base_params = _balance(law, loss, 0.0)
    base_tokens = law.tokens_for(base_params, loss)
    params = _balance(law, loss, extra)
    tokens = law.tokens_for(params, loss)
    caution = ""
    if tokens / params > CAUTIOUS_TOKENS_PER_PARAMETER:
        caution = (
            f"{tokens / params:.0f} tokens per parameter: laws fitted at usual ratios overstate the "
            "gain of training small models this long"
        )
    return ServingOptimum(
        params,
        tokens,
        loss,
        prices.train(params, tokens),
        per_param * params,
        base_params,
        base_tokens,
        prices.train(base_params, base_tokens) + per_param * base_params,
        caution,
    )


def serving_optimum_like(
    law: Chinchilla,
    params: float,
    prompt_tokens: float,
    output_tokens: float = 0.0,
    prices: Prices = FLOPS,
) -> ServingOptimum:
    """The same at the quality of a compute-optimal model of N parameters ('a 13B Chinchilla')."""
    loss = law.loss(params, law.balanced_tokens(params))
    return serving_optimum(law, loss, prompt_tokens, output_tokens, prices)


def _balance(law: Chinchilla, loss: float, extra_tokens: float) -> float:
    """N at which a little more size and a little more data cost the same per loss, by bisection."""

    def excess(ln_params: float) -> float:
        params = math.exp(ln_params)
        tokens = law.tokens_for(params, loss)
        if math.isinf(tokens):
            return math.inf
        pull = law.alpha * law.A / params**law.alpha
        push = law.beta * law.B / tokens**law.beta
        return float(pull / push - 1.0 - extra_tokens / tokens)

    # below this no amount of data is enough
    low = math.log(law.A / (loss - law.E)) / law.alpha
    high = low + 1.0
    while excess(high) > 0:
        high += 1.0
    for _ in range(200):
        middle = 0.5 * (low + high)
        if excess(middle) > 0:
            low = middle
        else:
            high = middle
    return math.exp(high)
