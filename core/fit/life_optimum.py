"""The cheapest model of a given quality over its whole life: training and serving together.

Sardana et al. 2024 (arXiv 2401.00448): minimise 6 N D + 2 N D_inf at a fixed loss L(N, D), here for
every loss law: with its shape terms, along shapes of one width over depth.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from core.arrays import Floats, Indices
from core.errors import Unusable
from core.fit.fit import Fit
from core.laws.columns import params_column

# sizes tried, relative to the given one
SCALES = np.logspace(-3.0, 2.0, 251)
# finer sizes around the best point, in steps of that grid
BETWEEN = np.linspace(-1.0, 1.0, 101)
# in every law the data term is a power of D, which two finite D (this factor apart) and an infinite
# one determine
FURTHER = 16.0


@dataclass(frozen=True, slots=True)
class Cheapest:
    """N and D of lowest cost at one loss, N in the law's own count.

    `trained_params` and `trained_tokens` are cheapest when nothing is served. Intervals are at 95 %
    over the law's resamples, None where they were not requested.
    """

    params: float
    tokens: float
    trained_params: float
    trained_tokens: float
    params_interval: tuple[float, float] | None
    tokens_interval: tuple[float, float] | None
    outside: bool  # beyond what the law was fitted on


def life_optimum(
    fit: Fit, design: Mapping[str, float], served_tokens: float, intervals: bool = True
) -> Cheapest:
    """The N and D that reach a design's loss at the lowest 6 N D + 2 N served.

    A design is the columns of the law as numbers, tokens included. Other sizes keep its width over
    depth (both grow as the cube root of N) and its ratio of FFN to attention. Raises Unusable where
    the fit cannot predict, or where the cheapest size is not between a thousandth and a hundred times
    the design's.
    """
    size = design[params_column(fit.params)]
    near = design["tokens"]
    count = len(SCALES)
    tokens = np.r_[np.full(count, near), np.full(count, near * FURTHER), np.full(count, np.inf)]
    columns = _columns(design, np.r_[np.tile(SCALES, 3), 1.0], np.r_[tokens, near])
    losses = fit.predict(columns)[None]
    n, d = _cheapest(losses, size, near, served_tokens)
    trained_n, trained_d = _cheapest(losses, size, near, 0.0)
    if not np.isfinite([n[0], trained_n[0]]).all():
        raise Unusable(f"the {fit.law} fit has no cheapest size at this loss")
    params, data = float(n[0]), float(d[0])
    sizes, datas = None, None
    if intervals:
        drawn = _cheapest(fit.draws(columns), size, near, served_tokens)
        sizes, datas = (_interval(values) for values in drawn)
    there = _columns(design, np.array([params / size]), np.array([data]))
    outside = bool(fit.outside(there)[0])
    return Cheapest(params, data, float(trained_n[0]), float(trained_d[0]), sizes, datas, outside)


def _columns(design: Mapping[str, float], scale: Floats, tokens: Floats) -> dict[str, Floats]:
    """The design at other sizes with the same proportions."""
    powers = {"params_total": 1.0, "params_non_embedding": 1.0, "d_model": 1 / 3, "n_layers": 1 / 3}
    return {k: v * scale ** powers.get(k, 0.0) for k, v in design.items()} | {"tokens": tokens}


def _cheapest(
    losses: Floats, size: float, near: float, served_tokens: float
) -> tuple[Floats, Floats]:
    """N and D (K,) of lowest cost from losses (K,3G+1) over the grid, NaN where there is none.

    At each N the loss is c + v D^-beta, so the D that reaches a loss has a closed form. Around the
    best point of the grid c, v and beta are interpolated by parabolas in ln N, which are smooth even
    where no D is enough.
    """
    count = len(SCALES)
    here, further, endless = (losses[:, i * count : (i + 1) * count] for i in range(3))
    with np.errstate(all="ignore"):
        room = losses[:, -1:] - endless
        data = np.log(here - endless)
        beta = (data - np.log(further - endless)) / np.log(FURTHER)
        ln_n = np.broadcast_to(np.log(size * SCALES), room.shape)
        rows = np.arange(len(losses))
        at = np.clip(_lowest(room, data, beta, ln_n, near, served_tokens)[0], 1, count - 2)

        def between(values: Floats) -> Floats:
            left, middle, right = (values[rows, at + step][:, None] for step in (-1, 0, 1))
            return (
                0.5 * ((right - left) * BETWEEN + (right - 2 * middle + left) * BETWEEN**2) + middle
            )

        room, data, beta, ln_n = (between(values) for values in (room, data, beta, ln_n))
        at, ln_d = _lowest(room, data, beta, ln_n, near, served_tokens)
        found = (at > 0) & (at < len(BETWEEN) - 1)
        n, d = np.exp(ln_n[rows, at]), np.exp(ln_d[rows, at])
        return np.where(found, n, np.nan), np.where(found, d, np.nan)


def _lowest(
    room: Floats, data: Floats, beta: Floats, ln_n: Floats, near: float, served_tokens: float
) -> tuple[Indices, Floats]:
    """The index of lowest cost in each row, and ln D at every point."""
    ln_d = np.log(near) + (data - np.log(room)) / beta
    cost = ln_n + np.log(6.0 * np.exp(ln_d) + 2.0 * served_tokens)
    cost = np.where((room > 0) & (beta > 0) & np.isfinite(cost), cost, np.inf)
    return np.argmin(cost, axis=1), ln_d


def _interval(values: Floats) -> tuple[float, float] | None:
    good = values[np.isfinite(values)]
    if not good.size:
        return None
    low, high = np.percentile(good, [2.5, 97.5])
    return float(low), float(high)
