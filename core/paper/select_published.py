"""The published 1B shapes, their published latencies, and the law that ranked them."""

from __future__ import annotations

import numpy as np

from core.arrays import Floats
from core.formats.runs.suites import Landmark, landmarks, suite
from core.model.architecture import Shapes, shape_from_label
from core.paper.select import Latencies, LossPredictor, trained_draws

# the shapes scored in the paper's repository at 1B, layers x width
SCORED = (
    "24x2048", "20x2304", "16x2560", "14x2624", "14x3072", "12x2816", "12x3072", "10x3200",
    "8x3328", "6x4096", "4x4608", "2x5632",
)  # fmt: skip


def timed_landmarks() -> tuple[Landmark, ...]:
    """The published models with a known shape and a latency: the three Morph models.

    The other landmarks run on other stacks (OPT, Pythia, Neox), where the same depth takes 30 %
    less or 10 % more time, so their latencies say nothing about these shapes.
    """
    return tuple(mark for mark in landmarks() if mark.architecture is not None)


def published_shapes() -> Shapes:
    """The twelve shapes the paper's repository scores; three of them have a published latency."""
    trained = {m.architecture.label: m.architecture for m in timed_landmarks() if m.architecture}
    return Shapes.of(trained.get(label) or shape_from_label(label) for label in SCORED)


def published_name(shapes: Shapes, row: int) -> str:
    """The name of the model that was published with a row's shape, '' where none was."""
    names = {(m.n_layers, m.d_model): m.name for m in timed_landmarks()}
    return names.get((int(shapes.n_layers[row]), int(shapes.d_model[row])), "")


def depth_line() -> tuple[float, float, float]:
    """a and b of T = a + b x layers through the published latencies, and the largest error in s.

    Batch 1 on an A100 is bound by kernel launches: widths from 2048 to 3072 made no difference.
    """
    marks = timed_landmarks()
    layers = np.array([m.n_layers for m in marks], dtype=np.float64)
    seconds = np.array([m.latency_s for m in marks])
    basis = np.stack([np.ones_like(layers), layers], axis=1)
    (a, b), *_ = np.linalg.lstsq(basis, seconds, rcond=None)
    return float(a), float(b), float(np.abs(basis @ [a, b] - seconds).max())


def published_latency(shapes: Shapes, estimate: bool = False) -> Latencies:
    """Published seconds of the Morph shapes; others NaN, or from the depth line with `estimate`."""
    marks = timed_landmarks()
    known = {(m.n_layers, m.d_model): m.latency_s for m in marks}
    keys = zip(shapes.n_layers.tolist(), shapes.d_model.tolist(), strict=True)
    value: Floats = np.array([known.get(key, np.nan) for key in keys], dtype=np.float64)
    unknown = np.isnan(value)
    a, b, miss = depth_line()
    outside = np.zeros(len(value), np.bool_)
    if estimate:
        value = np.where(unknown, a + b * shapes.n_layers, value)
        deep, wide = [m.n_layers for m in marks], [m.d_model for m in marks]
        outside = unknown & (
            (shapes.n_layers < min(deep)) | (shapes.n_layers > max(deep))
            | (shapes.d_model < min(wide)) | (shapes.d_model > max(wide))
        )  # fmt: skip
    where = f"{marks[0].device}, {marks[0].execution}, {marks[0].workload.label}"
    return Latencies(
        value,
        unknown & estimate,
        outside,
        f"published ({where})",
        f"the line {a:.3f} s + {b:.4f} s x layers through {len(marks)} published latencies of 12 "
        f"to 24 layers and widths 2048 to 3072 ({where}; largest error {miss:.2f} s)",
    )


def published_predictor(resamples: int = 1000) -> LossPredictor:
    """The paper's main fit, repeated on its 27 runs: tied exponents, plain least squares."""
    from core.fit.doubting import with_doubt
    from core.fit.resample import with_resamples
    from core.fit.row_filter import kept
    from core.fit.solve import fit
    from core.fit.validate import judge_largest

    runs = suite("morph")
    used = kept(runs, ["published_fit_set=20N+160N"])
    found = fit(used, "inference-aware", tied=True, all_rows=runs)
    judged = judge_largest(found, runs)
    if resamples:
        found = with_doubt(with_resamples(found, used, resamples), used)
    errors = judged["relative_errors"]
    low, high = found.ranges["N"]
    return LossPredictor(
        found.predict,
        found.prediction,
        trained_draws(found),
        found.reach,
        f"{found.definition.formula}, fitted to {found.n} runs of {low / 1e6:.0f} to "
        f"{high / 1e6:.0f} M parameters (train-average loss, nats/token)",
        f"On the {len(errors)} published models of 1.4 to 1.7 B parameters, which it has not seen, "
        f"it missed by {100 * min(errors):.1f} to {100 * max(errors):.1f} % and its order has rank "
        f"correlation {judged['rank_correlation']:.2f} with theirs.",
    )
