"""Speculative decoding: tokens gained per iteration, its cost, and the best lookahead.

Two models. With an acceptance rate alpha per draft token (Leviathan et al. 2023, arXiv 2211.17192)
everything is a closed form. With a measured TAR, the mean tokens gained per iteration (Yan, Agarwal,
Venkataraman 2024, arXiv 2402.01528), only times are needed. Both count the bonus token that the
target model adds itself. Times are in seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from core.errors import Unusable

# floats, or arrays of them that broadcast
Values = Any

MAX_LOOKAHEAD = 64


# --- closed form: acceptance rate


def expected_tokens(alpha: Values, k: Values) -> Values:
    """(1 - alpha^(k+1)) / (1 - alpha): tokens per target pass with k draft tokens, bonus included.

    `alpha` in [0, 1] is the chance that a draft token is accepted, taken as independent. At
    alpha = 1 every draft token passes: k + 1.
    """
    a, n = np.broadcast_arrays(np.asarray(alpha, dtype=np.float64), np.asarray(k, np.float64) + 1.0)
    if np.any((a < 0) | (a > 1)) or np.any(n < 1):
        raise Unusable("an acceptance rate lies between 0 and 1, and a lookahead is not negative")
    with np.errstate(divide="ignore", invalid="ignore"):
        # expm1 keeps its digits where alpha is nearly 1
        value = np.expm1(n * np.log(a)) / (a - 1.0)
    return np.where(a == 1.0, n, np.where(a == 0.0, 1.0, value))[()]


def speedup(alpha: Values, k: Values, draft_cost: Values, verify_cost: Values = 1.0) -> Values:
    """Speed over plain decoding: expected tokens / (k c + v).

    In units of a target step on one token, `draft_cost` c is a draft step and `verify_cost` v is a
    target pass on k + 1 tokens (1: the closed form; above 1: the measured form).
    """
    return expected_tokens(alpha, k) / (np.asarray(k) * draft_cost + verify_cost)


def best_lookahead(
    alpha: float,
    draft_cost: float,
    verify_cost: Callable[[int], float] = lambda k: 1.0,
    longest: int = MAX_LOOKAHEAD,
) -> tuple[int, float]:
    """The lookahead with the highest speed-up, and that speed-up; (0, 1.0) where none helps.

    Every lookahead is tried: measured verify costs have steps, so a first drop is not yet the best.
    """
    gains = [1.0] + [
        float(speedup(alpha, k, draft_cost, verify_cost(k))) for k in range(1, longest + 1)
    ]
    best = int(np.argmax(gains))
    return best, gains[best]


# --- measured form: TAR


def tokens_gained(accepted: Sequence[Sequence[bool]]) -> float:
    """TAR from the acceptances of each iteration's draft tokens: those before the first refusal, plus
    1, averaged.

    The + 1 is the token the target adds itself, as the paper's repository counts.
    """
    if not accepted:
        raise Unusable("no iterations: a TAR needs at least one")
    gained = [next((i for i, ok in enumerate(row) if not ok), len(row)) + 1 for row in accepted]
    return sum(gained) / len(gained)


def iteration_s(k: float, draft_step_s: float, verify_s: float) -> float:
    """Seconds of one iteration: k draft steps and one target pass."""
    return k * draft_step_s + verify_s


def tokens_per_s(tar: float, k: float, draft_step_s: float, verify_s: float) -> float:
    """Throughput of one sequence: TAR tokens per iteration (bonus included)."""
    return tar / iteration_s(k, draft_step_s, verify_s)


def required_tar(
    reference_tar: float,
    k: float,
    draft_step_s: float,
    reference_draft_step_s: float,
    verify_s: float,
) -> float:
    """The TAR at which a new draft ties a reference draft of known TAR."""
    new = iteration_s(k, draft_step_s, verify_s)
    return reference_tar * new / iteration_s(k, reference_draft_step_s, verify_s)


# --- goodput (SmartSpec)


def goodput(
    alpha: float,
    k: int,
    batch: int,
    draft_step_s: Callable[[int], float],
    target_pass_s: Callable[[int], float],
    overhead_s: float = 0.0,
) -> float:
    """Tokens per second of a batch: B E[tokens] / (k t_draft(B) + t_target(B (k+1)) + overhead).

    `target_pass_s` takes the number of tokens in the pass (arXiv 2406.14066, SmartSpec).
    """
    time = k * draft_step_s(batch) + target_pass_s(batch * (k + 1)) + overhead_s
    return batch * float(expected_tokens(alpha, k)) / time


def goodput_lookahead(
    alpha: float,
    batch: int,
    draft_step_s: Callable[[int], float],
    target_pass_s: Callable[[int], float],
    overhead_s: float = 0.0,
    longest: int = MAX_LOOKAHEAD,
) -> tuple[int, float]:
    """The lookahead with the highest goodput, and that goodput in tokens/s; lookahead 0: do not draft."""
    values = [
        goodput(alpha, k, batch, draft_step_s, target_pass_s, overhead_s)
        for k in range(longest + 1)
    ]
    best = int(np.argmax(values))
    return best, values[best]
