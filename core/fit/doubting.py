"""The doubt of a fit, learnt from shapes left out: other laws, each shape's own effect, scatter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from core.arrays import Bools, Floats, Indices
from core.errors import Unusable
from core.fit.beyond import axes
from core.fit.doubt import LEAST_WEIGHT, Doubt
from core.fit.fit import Fit
from core.fit.groups import groups_of
from core.fit.leaving_out import left_out
from core.fit.solve import fit as fit_law
from core.fit.stacking import stacked
from core.fit.widening import rates
from core.laws.columns import fit_columns, log_columns
from core.laws.loss import LAWS
from core.records.progress import Progress, Steps, outcome
from core.records.training_runs import TrainingRuns

# the tied Chinchilla law in other variables: believing it would count that law twice
SAME_AS = {("over-training", "tied"): ("chinchilla", "tied")}
# at least this share of the squared error on shapes left out is the shape's own, whatever parameters
# seem to explain: their variance is estimated from the same few shapes
LEAST_OWN = 0.5
# runs of one shape and one number of tokens are repeats; fewer pairs of them say little
LEAST_REPEATS = 3
# fewer shapes inside the range of the others do not tell how much shapes differ
LEAST_INSIDE = 3


@dataclass(frozen=True, slots=True, eq=False)
class _Panel:
    """Laws in rows, runs in columns: ln(observed / predicted without the run's shape)."""

    fits: tuple[Fit, ...]
    errors: Floats
    shapes: Indices
    variances: Floats  # of the laws' means at every run


def with_doubt(fit: Fit, runs: TrainingRuns, others: Sequence[Fit] | None = None) -> Fit:
    """The fit with its doubt; see `doubting`."""
    return outcome(doubting(fit, runs, others))


def doubting(fit: Fit, runs: TrainingRuns, others: Sequence[Fit] | None = None) -> Steps[Fit]:
    """Steps: learn what a fit's predictions may miss; returns the fit with `doubt`.

    `others` are judged fits to the same runs, of which those that do not predict, those in another
    convention of N and copies of one law do not count; where not given, every law that the runs allow
    is fitted in the same convention of N and by the same method. `heldout` gains
    'coverage95_shape', the share of the runs inside the range of the others that lie in the 95 %
    prediction interval made without their shape, and 'coverage95_runs', how many these are. A fit that
    failed, and published constants, come back as they are.
    """
    if not fit.theta or not fit.n:
        return fit
    yield Progress(0, 3, "fitting the other laws")
    if others is None:
        others = _others(fit, runs)
    own = fit if fit.left_out is not None else replace(fit, left_out=left_out(fit, runs, False))
    yield Progress(1, 3, "weighing the laws by shapes left out")
    panel = _panel(own, others)
    kept = runs.take(own.left_out.rows) if own.left_out is not None else runs
    clusters = int(groups_of(kept, "shape").max()) + 1
    heldout = dict(fit.heldout)
    fits: tuple[Fit, ...] = (fit,) if panel is None else panel.fits
    if panel is None:
        weights, variances = np.ones(1), [0.0]
        shape_sd, run_sd = 0.0, fit.scatter if np.isfinite(fit.scatter) else 0.0
    else:
        weights = stacked(panel.errors, panel.shapes)
        variances = [float(v) for v in np.mean(panel.variances, axis=1)]
        every = np.ones(panel.shapes.size, np.bool_)
        shape_sd, run_sd = _scatters(panel, weights, _inside(fit, panel.shapes, kept, every), kept)
        heldout |= _coverage(fit, panel, kept)
    yield Progress(2, 3, "trying cuts by size, tokens and shape")
    known = float(np.hypot(shape_sd, run_sd))
    # the law itself stays, however little it is believed; its draws are those of its resamples
    believed = weights >= LEAST_WEIGHT
    believed[0] = True
    weights = np.where(believed, weights, 0.0) / weights[believed].sum()
    doubt = Doubt(
        tuple(replace(fits[at], left_out=None) for at in np.flatnonzero(believed)[1:]),
        tuple(float(weights[at]) for at in np.flatnonzero(believed)[1:]),
        shape_sd,
        run_sd,
        rates(fit, runs, known),
        clusters,
        variances=tuple(variances[at] for at in np.flatnonzero(believed)[1:]),
        runs=len(kept),
    )
    yield Progress(3, 3, "doubted")
    return replace(fit, doubt=doubt, clusters=clusters, heldout=heldout)


def coverage(fit: Fit, runs: TrainingRuns, others: Sequence[Fit]) -> dict[str, float]:
    """'coverage95_shape' and 'coverage95_runs' of a judged fit beside judged fits of other laws, as in
    `doubting`; empty where too few shapes could be left out."""
    panel = _panel(fit, others)
    if panel is None or fit.left_out is None:
        return {}
    return _coverage(fit, panel, runs.take(fit.left_out.rows))


def _others(fit: Fit, runs: TrainingRuns) -> list[Fit]:
    """Every other law and tying, fitted as this one was, where the runs allow it."""
    found = []
    for name, law in LAWS.items():
        for tying in law.tyings:
            if _counted(name, tying.name, fit):
                continue
            try:
                each = fit_law(
                    runs,
                    name,
                    tied=tying.name,
                    params=fit.params,
                    method=fit.method,
                    delta=fit.delta,
                )
            except Unusable:
                continue
            if each.ok:
                found.append(replace(each, left_out=left_out(each, runs, False)))
    return found


def _counted(law: str, tied: str, fit: Fit) -> bool:
    """Whether a law is the one of this fit, or counts already in other variables."""
    one, own = (law, tied), (fit.law, fit.tied)
    return one == own or one in SAME_AS or SAME_AS.get(own) == one


def _panel(fit: Fit, others: Sequence[Fit]) -> _Panel | None:
    """The errors of all laws that predict on the runs left out; None where no shape was left out."""
    first = fit.left_out
    if first is None or first.by_shape is None:
        return None
    laws, errors, variances = [], [], []
    for law in (fit, *others):
        theirs = law.left_out
        if law is not fit and (not law.ok or _counted(law.law, law.tied, fit)):
            continue
        if theirs is None or theirs.by_shape is None:
            continue
        if law.params != fit.params or not np.array_equal(theirs.rows, first.rows):
            continue
        with np.errstate(invalid="ignore", divide="ignore"):
            error = np.log(theirs.by_shape.observed / theirs.by_shape.predicted)
        if np.isfinite(error).all():
            laws.append(law)
            errors.append(error)
            variances.append(theirs.variance)
    if not laws or laws[0] is not fit:
        return None
    return _Panel(tuple(laws), np.stack(errors), first.shapes, np.stack(variances))


def _scatters(
    panel: _Panel, weights: Floats, rows: Bools, runs: TrainingRuns
) -> tuple[float, float]:
    """Standard deviation of each shape's own effect, and of runs of one shape, from some of the runs.

    Both from the errors of the stacked laws on shapes left out, less the parameters' own variance. The
    runs should lie inside the range of the other shapes: what is missed beyond it is the rates' to tell. In
    simulations that gives back the effect that was put in; less the laws' variance as well, it is a
    third too small.
    """
    errors, shapes = panel.errors[:, rows], panel.shapes[rows]
    missed = weights @ errors
    square = float(np.mean(missed**2))
    own = max(square - float(np.mean(weights @ panel.variances[:, rows])), LEAST_OWN * square)
    within = _repeats(missed, shapes, runs.columns["tokens"][rows])
    if within is None:
        within = _pooled(missed, shapes)
    # without two runs of any shape there is nothing to tell the two apart by
    run = own * min((within or 0.0) / square, 1.0) if square > 0 else 0.0
    return float(np.sqrt(own - run)), float(np.sqrt(run))


def _repeats(missed: Floats, shapes: Indices, tokens: Floats) -> float | None:
    """Variance of repeats (one shape, one number of tokens); None where there are too few."""
    keys = np.stack([shapes, tokens.round()], axis=1)
    same = np.unique(keys, axis=0, return_inverse=True)[1].reshape(-1)
    return _pooled(missed, same, LEAST_REPEATS)


def _pooled(missed: Floats, groups: Indices, least: int = 1) -> float | None:
    """Pooled variance within groups; None with fewer degrees of freedom than `least`."""
    numbers, which, counts = np.unique(groups, return_inverse=True, return_counts=True)
    freedom = missed.size - numbers.size
    if freedom < least:
        return None
    means = np.bincount(which, missed) / counts
    return float(np.sum((missed - means[which]) ** 2) / freedom)


def _inside(fit: Fit, shapes: Indices, runs: TrainingRuns, among: Bools) -> Bools:
    """The runs of `among` inside the range of its other shapes; all of it where few shapes are."""
    found = _within(fit, shapes, runs, among)
    return found if np.unique(shapes[found]).size >= LEAST_INSIDE else among


def _within(fit: Fit, shapes: Indices, runs: TrainingRuns, among: Bools) -> Bools:
    """The runs of `among` that lie inside the range of its other shapes in N, D and R."""
    logs = log_columns(fit_columns(runs), axes(fit), fit.params)
    found = np.zeros(shapes.size, np.bool_)
    for shape in np.unique(shapes[among]):
        rest = among & (shapes != shape)
        here = among & (shapes == shape)
        if rest.any():
            for values in logs.values():
                here &= (values >= values[rest].min()) & (values <= values[rest].max())
            found |= here
    return found


def _coverage(fit: Fit, panel: _Panel, runs: TrainingRuns) -> dict[str, float]:
    """How many of the left-out runs lie in the 95 % prediction interval made without their shape.

    Weights and scatter are those of the other shapes. Runs beyond the range of the others are left
    out: there the interval is one of extrapolation.
    """
    every = np.ones(panel.shapes.size, np.bool_)
    known = _within(fit, panel.shapes, runs, every)
    inside = tried = 0
    count = int(panel.shapes.max()) + 1
    for shape in range(count):
        rest = panel.shapes != shape
        here = ~rest & known
        if not here.any() or count < 4:
            continue
        numbers = np.unique(panel.shapes[rest], return_inverse=True)[1].reshape(-1)
        weights = stacked(panel.errors[:, rest], numbers)
        shape_sd, run_sd = _scatters(panel, weights, _inside(fit, panel.shapes, runs, rest), runs)
        errors = panel.errors[:, here]
        centre = weights @ errors
        between = weights @ (errors - centre) ** 2
        seen = Doubt((), (), shape_sd, run_sd, {}, count - 1, runs=int(rest.sum()))
        wide = seen.quantile(0.95)
        variance = weights @ panel.variances[:, here]
        half = wide * np.sqrt(variance + between + shape_sd**2 + run_sd**2)
        # as the interval does, hold the law's own prediction
        low = np.minimum(centre - half, errors[0])
        high = np.maximum(centre + half, errors[0])
        inside += int(((low <= 0) & (high >= 0)).sum())
        tried += int(here.sum())
    if not tried:
        return {}
    return {"coverage95_shape": inside / tried, "coverage95_runs": float(tried)}
