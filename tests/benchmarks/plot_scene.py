"""A synthetic scene of any size for looking at the plot and timing it."""

from __future__ import annotations

import numpy as np

from core.pareto.front import front_indices, nondominated
from core.pareto.front_chance import band_along_front, draws_from_intervals
from gui.plot.scene import (
    DARK,
    LIGHT,
    Axis,
    Band,
    Landmark,
    LimitView,
    Measured,
    Overlay,
    Scene,
)

X = Axis("tpot_s", "Time per output token", "s", True, "lower")
Y = Axis("loss", "Loss", "nats/token", False, "lower", 4)


def columns(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Latency, loss and memory of made-up designs that trade off as real ones do."""
    random = np.random.default_rng(seed)
    size = 10 ** random.uniform(7.5, 9.7, n)
    depth = np.exp(random.normal(0, 0.35, n))
    latency = 2e-4 * depth + size * 2 / 1.6e12 * random.lognormal(0, 0.15, n)
    loss = 1.9 + 400 / size**0.33 * (1 + 0.05 * np.abs(np.log(depth))) + random.normal(0, 0.01, n)
    memory = size * 2 * random.lognormal(0.1, 0.2, n)
    return latency, loss, memory


def scene(
    n: int, dark: bool = False, seed: int = 0, rich: bool = True, large: bool = False
) -> Scene:
    """A scene of n candidates with a latency and a memory limit."""
    x, y, memory = columns(n, seed)
    limits = (
        LimitView(("tpot_s", "<="), "<=", 2.2e-3, x, "x", "TPOT", "s"),
        LimitView(("loss", "<="), "<=", None, y, "y", "Loss", "nats/token", 4),
        LimitView(("memory_bytes", "<="), "<=", 6e9, memory, "", "Memory", "B"),
    )
    plain = Scene(x, y, X, Y, limits, colours=DARK if dark else LIGHT, large=large)
    if not rich:
        return plain
    random = np.random.default_rng(seed + 1)
    mask = (x <= 2.2e-3) & (memory <= 6e9)
    half = (0.04 * x, 0.012 * np.ones(n))
    rows = random.choice(np.flatnonzero((x > 4e-4) & (x < 4e-3)), min(24, n), replace=False)
    measured = Measured(
        x[rows],
        y[rows],
        rows,
        (x[rows] * 0.94, x[rows] * 1.07),
        (y[rows] - 0.012, y[rows] + 0.012),
    )
    front = front_indices(x, y, mask)
    source = np.zeros(n, dtype=np.intp)
    source[rows] = 1
    source[front[::4]] = 1
    at = np.geomspace(x.min(), 2.2e-3, 120)
    near = np.flatnonzero(mask)[np.argsort(x[mask])][:: max(1, int(mask.sum()) // 4000)]
    near = np.union1d(near, front)
    x_draws = draws_from_intervals(x[near], (x - half[0])[near], (x + half[0])[near], 200, 0)
    y_draws = draws_from_intervals(y[near], (y - half[1])[near], (y + half[1])[near], 200, 1)
    low, high = band_along_front(x_draws, y_draws, at)
    chance = np.zeros(n)
    for draw in zip(x_draws, y_draws, strict=True):
        chance[near] += nondominated(np.column_stack(draw)) / len(x_draws)
    names = ("Morph-1B", "Gemma-2 2B", "Llama-3.2 1B", "Qwen2.5 1.5B", "SmolLM2 360M", "OLMo 1B")
    # three close together, to see that their labels keep clear of each other
    places = (
        (1.50e-3, 2.33),
        (1.56e-3, 2.325),
        (1.44e-3, 2.335),
        (2.7e-3, 2.27),
        (7e-4, 2.5),
        (1.9e-3, 2.42),
    )
    ox, oy, _ = columns(60, seed + 9)
    return Scene(
        x,
        y,
        X,
        Y,
        limits,
        source=source,
        measured=measured,
        landmarks=tuple(Landmark(a, b, t) for (a, b), t in zip(places, names, strict=True)),
        band=Band(at, low, high),
        chance=chance,
        outside=(x > 4e-3) | (x < 4e-4),
        overlays=(Overlay("laptop.paretoscope", ox * 1.6, oy + 0.04),),
        selected=int(front[len(front) // 3]),
        pinned=(int(front[len(front) // 2]), int(rows[2])),
        baseline=int(rows[0]),
        colours=DARK if dark else LIGHT,
        large=large,
    )
