"""How far a prediction lies beyond what was measured, and how fast its doubt grows out there.

Each doubling of a size can bring what no measurement has shown: the next level of memory, another
kernel, another way to share the work between cores. Such changes come one after the other and do not
depend on each other, so a law's error wanders: its variance grows in proportion to the number of
doublings. The growth is counted in units of the law's scatter: on the recorded sweep of the Xeon, TPOT
and TTFT, whose scatters differ twofold, need the same in these units.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from core.arrays import Floats
from core.fit.latency_terms import MIN_SHAPES, NEGLIGIBLE_ERROR, Points, predict_others
from core.laws.latency import Machine
from core.model.architecture import Counts
from core.model.workload import Runtime

HEAD = "head_weights"
SIZES = (
    *("n_layers", "d_model", "d_q", "d_kv", "d_ff", "vocab_size"),
    *(HEAD, "params_read_per_step"),
)
WORK = ("batch", "prompt_tokens", "context")

# Shares of the points, ordered by size, that a law is fitted to in order to predict the others.
CUTS = (1 / 2, 2 / 3, 5 / 6)
# A law of which no more is known is taken for the worst of those recorded. Cut by size or by width, the
# variance of TPOT grew by 0.2 to 12 times that of the scatter per doubling, that of TTFT by at most 1.4. Beyond
# the largest batch, prompt or context it grew by up to 4 times. (`resources/sweeps`, two machines.)
SIZE_GROWTH, WORK_GROWTH = 12.0, 4.0
# The prior counts twice what the cuts show. They share the largest shapes, so that together they are one
# observation; and on the Xeon they show no growth among the smaller two thirds, beyond which it is 4.
PRIOR_WEIGHT = 2.0


@dataclass(frozen=True, slots=True)
class Edge:
    """One side of the measured ranges of some quantities, and the growth beyond it by default."""

    quantities: tuple[str, ...]
    upward: bool
    growth: float


LARGER, SMALLER = Edge(SIZES, True, SIZE_GROWTH), Edge(SIZES, False, SIZE_GROWTH)
EDGES = (LARGER, SMALLER, Edge(WORK, True, WORK_GROWTH), Edge(WORK, False, WORK_GROWTH))
PRIOR_GROWTH = tuple(edge.growth for edge in EDGES)


def quantities(
    shapes: Counts, batch: Any, prompt_tokens: Any, output_tokens: Any
) -> dict[str, Any]:
    """What ranges are kept of, by name: SIZES and WORK; 'context' is its middle in the answer.

    The weights of the head are among them: it is the largest matrix, and can lie outside where vocabulary
    and width lie inside.
    """
    values = {k: getattr(shapes, k) for k in SIZES if k != HEAD}
    prompt = np.asarray(prompt_tokens, np.float64)
    context = prompt + np.asarray(output_tokens, np.float64) / 2
    values |= {HEAD: shapes.vocab_size * shapes.d_model}
    values |= {"batch": batch, "prompt_tokens": prompt, "context": context}
    return {k: np.asarray(v, np.float64) for k, v in values.items()}


def ranges_of(points: Points) -> dict[str, tuple[float, float]]:
    """Lowest and highest value of each quantity over some points."""
    values = quantities(points.shapes, points.batch, points.prompt_tokens, points.output_tokens)
    return {k: (float(np.min(v)), float(np.max(v))) for k, v in values.items()}


def doublings(
    ranges: Mapping[str, tuple[float, float]], values: Mapping[str, Any], edge: Edge
) -> Floats:
    """By how many doublings the quantity that is farthest out lies beyond an edge; 0 inside."""
    far: Any = 1.0
    for name in edge.quantities:
        low, high = ranges[name]
        far = np.maximum(far, values[name] / high if edge.upward else low / values[name])
    return np.asarray(np.log2(far))


def growth(
    points: Points, metric: str, runtime: Runtime, grid: Sequence[Machine], scatter: float
) -> tuple[float, ...]:
    """Beyond each edge, by how many times that of the scatter the variance grows per doubling.

    Beyond sizes it is estimated by cuts: a law fitted to the smaller (larger) points predicts
    the others, and what their squared errors exceed the scatter by is set against their distance. The
    estimate is shrunk towards the prior. Beyond workloads it is the prior.
    """
    return tuple(
        _shrunk(edge, points, metric, runtime, grid, scatter)
        if edge in (LARGER, SMALLER)
        else edge.growth
        for edge in EDGES
    )


def _shrunk(
    edge: Edge,
    points: Points,
    metric: str,
    runtime: Runtime,
    grid: Sequence[Machine],
    scatter: float,
) -> float:
    size = np.asarray(points.shapes.params_read_per_step, np.float64)
    order = size if edge.upward else -size
    excess = squares = 0.0
    for limit in dict.fromkeys(np.sort(order)[[round(len(order) * c) - 1 for c in CUTS]].tolist()):
        inside = order <= limit
        if inside.all() or len(np.unique(points.group[inside])) < MIN_SHAPES:
            continue
        rest, beyond = points.take(inside), points.take(~inside)
        ratio, leverage = predict_others(rest, beyond, metric, runtime, grid)
        error = np.log(np.maximum(ratio, 1e-300)) / max(scatter, NEGLIGIBLE_ERROR)
        work = (beyond.shapes, beyond.batch, beyond.prompt_tokens, beyond.output_tokens)
        far = doublings(ranges_of(rest), quantities(*work), edge)
        # a shape counts once, however many workloads it was measured under
        count = np.bincount(beyond.group)[beyond.group]
        excess += float(np.sum(far * (error**2 - leverage**2) / count))
        squares += float(np.sum(far**2 / count))
    if squares == 0:
        return edge.growth
    return (PRIOR_WEIGHT * edge.growth + max(excess / squares, 0.0)) / (PRIOR_WEIGHT + 1)
