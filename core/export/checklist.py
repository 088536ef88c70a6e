"""The checklist of a scaling-law fit as Markdown: what anyone needs who wants to believe or repeat it."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from core.arrays import Floats
from core.errors import Unusable
from core.fit.doubting import doubting
from core.fit.fit import Fit, derived
from core.fit.groups import SAME_SIZE, groups_of, levels_of
from core.fit.left_out import Cut
from core.fit.repeats import checkpoints_of, setting_of
from core.fit.resample import bootstrap, percentiles
from core.fit.solve import grid_of, problem_of
from core.fit.validate import trust, validation
from core.formats.runs.report import Report
from core.laws.columns import MEANING, fit_columns, params_column
from core.records.progress import Steps
from core.records.training_runs import TrainingRuns
from core.units import format_quantity

UNKNOWN = "not known"
SOURCE = (
    "(Mis)Fitting: A Survey of Scaling Laws (Li, Kudugunta, Zettlemoyer 2025, arXiv 2502.18969)"
)
COUNTS = {
    "total": "all parameters, embeddings included",
    "non-embedding": "the parameters without embeddings",
}
MINIMISED = {
    "least-squares": "the sum of squared errors of the loss",
    "huber": "the sum of Huber's function of ln L' - ln L",
}
SHAPE = (
    ("n_layers", "layers"),
    ("d_model", "width"),
    ("n_heads", "heads"),
    ("n_kv_heads", "KV heads"),
    ("d_ff", "FFN width"),
    ("vocab_size", "vocabulary"),
)
RESAMPLES = 1000
Items = list[tuple[str, str]]


def checked(fit: Fit, runs: TrainingRuns, resamples: int = RESAMPLES) -> Steps[Fit]:
    """Steps: judge, resample and doubt a fit as far as that is not done; returns it for a checklist.

    A fit without parameters comes back as it is.
    """
    if fit.left_out is None:
        fit = yield from validation(fit, runs)
    if fit.resamples is None:
        fit = yield from bootstrap(fit, runs, resamples)
    if fit.doubt is None:
        fit = yield from doubting(fit, runs)
    return fit


def checklist(
    fit: Fit, runs: TrainingRuns, report: Report | None = None, unit: str = "shape", seed: int = 0
) -> str:
    """The checklist of a judged fit to these runs, ending in a line break.

    `report` says what reading the table did, `unit` and `seed` how the fit was resampled, where it
    was. What is not known is written as not known. Raises Unusable for a fit without parameters.
    """
    if not fit.theta:
        raise Unusable(f"there is no fit to write a checklist of: {fit.message}")
    _, usable = problem_of(fit, runs)
    kept = runs.take(usable)
    parts = [
        f"# Checklist of a fit: {fit.title}, {fit.suite}",
        f"After the checklist of {SOURCE}. What this program cannot know is marked '{UNKNOWN}'.",
        _section("1. Hypothesis and form", _form(fit)),
        _constants(fit),
        _section("2. Training", _training(kept)),
        _section("3. Data", _data(fit, runs, kept, report)),
        _section("4. Fitting", _fitting(fit, kept)),
        _section("5. Validation", _validation(fit, unit, seed)),
        _cuts(fit.left_out.cuts if fit.left_out is not None else ()),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _section(title: str, items: Items) -> str:
    return "\n".join(
        [f"## {title}", "", *(f"- {name}: {value or UNKNOWN}" for name, value in items)]
    )


def _form(fit: Fit) -> Items:
    law, tying = fit.definition, fit.tying
    free = [p.name for p in law.free(tying)]
    tied = [f"{name} = {leader}" for name, leader in tying.same.items()]
    held = [f"{name} = {value:g}" for name, value in tying.fixed.items()]
    others = [f"{symbol} = {MEANING[symbol]}" for symbol in law.needs if symbol not in ("N", "D")]
    return [
        ("Law", f"{law.title}, L = {law.formula}"),
        ("Published in", law.source),
        ("L", f"{_meaning(fit.loss_meaning)}, in {fit.loss_unit}"),
        ("N counts", COUNTS[fit.params]),
        ("D", "training tokens"),
        ("Other variables", "; ".join(others) or "none"),
        ("Free parameters", f"{len(free)}: {', '.join(free)}"),
        ("Tied parameters", ", ".join(tied) or "none"),
        ("Parameters held", ", ".join(held) or "none"),
    ]


def _meaning(meaning: str) -> str:
    return f"loss whose meaning is {UNKNOWN}" if meaning == "unknown" else f"{meaning} loss"


def _constants(fit: Fit) -> str:
    found = percentiles(fit)
    rows = ["| parameter | value | 95 % interval |", "|---|---|---|"]
    for name, value in {**fit.theta, **derived(fit)}.items():
        inside = f"{found[name][0]:.6g} to {found[name][1]:.6g}" if name in found else UNKNOWN
        rows.append(f"| {name} | {value:.8g} | {inside} |")
    return "\n".join(rows)


def _training(runs: TrainingRuns) -> Items:
    shape = [
        f"{label} {_span(runs.columns[name], whole=True)}"
        for name, label in SHAPE
        if name in runs.columns and np.isfinite(runs.columns[name]).any()
    ]
    settings = [
        f"{name} {_span(runs.columns[name])}" for name in runs.columns if setting_of(name)
    ] + [f"{name} {_values(runs.labels[name])}" for name in runs.labels if setting_of(name)]
    return [
        ("Architectures", f"{groups_of(runs, 'shape').max() + 1}: {', '.join(shape) or UNKNOWN}"),
        ("Optimiser, learning rate, schedule, batch size", "; ".join(settings)),
        ("Training data", _values(runs.labels.get("train_dataset", ()))),
        ("Tokeniser and context length", ""),
        ("Where the runs come from", runs.source),
        ("Licence", runs.licence),
    ]


def _data(fit: Fit, runs: TrainingRuns, kept: TrainingRuns, report: Report | None) -> Items:
    columns = fit_columns(kept)
    size, tokens = columns[params_column(fit.params)], columns["tokens"]
    stages = checkpoints_of(kept)
    unused = len(runs) - len(kept)
    items = [
        ("Runs fitted", f"{len(kept)} of {int(groups_of(kept, 'shape').max()) + 1} shapes"),
        ("Runs given but not usable by this law", str(unused or "none")),
    ]
    if report is None:
        items.append(("Rows read, left out, guessed", UNKNOWN))
    else:
        guessed = [f"{name} from '{column}'" for name, (column, _) in report.guessed.items()]
        items += [
            ("Rows read", str(report.rows)),
            ("Rows left out in reading", "; ".join(report.dropped) or "none"),
            ("Columns guessed", ", ".join(guessed) or "none"),
            ("Columns derived", "; ".join(report.derived) or "none"),
            ("Outliers and oddities, kept", "; ".join(report.warnings) or "none"),
        ]
    items += [
        ("N", f"{_span(size, 'count')}, {_levels(size)} sizes"),
        ("D", f"{_span(tokens, 'count')}, {_levels(tokens)} numbers of tokens"),
        ("D/N", _span(tokens / size)),
        ("Loss", _span(columns["loss"])),
        ("Finished runs or checkpoints", stages.text if stages else "no sign of checkpoints"),
        ("Runs done again", fit.lack_of_fit.text if fit.lack_of_fit is not None else "none"),
    ]
    return items


def _fitting(fit: Fit, runs: TrainingRuns) -> Items:
    problem, _ = problem_of(fit, runs)
    names = [p.name for p in problem.law.free(problem.tying)]
    bounds = [
        f"{low:g} <= {name}" + (f" <= {high:g}" if np.isfinite(high) else "")
        for name, low, high in zip(names, problem.low, problem.high, strict=True)
        if np.isfinite(low)
    ]
    delta = f", delta {fit.delta:g}" if fit.method == "huber" else ""
    return [
        ("Minimised", MINIMISED[fit.method] + delta),
        ("Weights", "every run counts once"),
        (
            "Search",
            "damped Newton steps from a grid of exponents; the coefficients in which the law is"
            " linear are solved for at each of its points",
        ),
        ("Starts", f"{len(grid_of(problem))} points of the grid, the best unlike ones to the end"),
        ("Tolerance", "until no step of any length gains 1e-13 of the sum"),
        ("Bounds", ", ".join(bounds) or "none"),
        ("Converged", "yes" if fit.converged else f"no: {fit.message}"),
        ("Sum reached", f"{fit.objective:.8g}; R2 {fit.r2:.5f} on the runs fitted"),
        ("Parameters that the runs leave open", _left_open(fit)),
        ("Notes", "; ".join(fit.warnings) or "none"),
        ("Predictions withheld", fit.withheld or "no"),
    ]


def _left_open(fit: Fit) -> str:
    return "; ".join(f"{name}: {why}" for name, why in fit.undetermined.items()) or "none"


def _validation(fit: Fit, unit: str, seed: int) -> Items:
    held = fit.heldout

    def percent(key: str) -> str:
        return f"{100 * held[key]:.2f} %"

    shape = largest = covered = naive = ""
    if "shape_rms" in held:
        shape = (
            f"{percent('shape_rms')} ({percent('shape_rms_low')} to {percent('shape_rms_high')}),"
            f" at worst {percent('shape_worst')}"
        )
    if "largest_rms" in held:
        largest = (
            f"{percent('largest_rms')} on {held['largest_runs']:.0f} runs"
            f" {held['largest_factor']:.1f} times larger, at worst {percent('largest_worst')}"
        )
    if "coverage95_shape" in held:
        covered = f"{100 * held['coverage95_shape']:.0f} % of {held['coverage95_runs']:.0f} runs"
    if fit.left_out is not None and fit.left_out.by_shape is not None:
        errors = fit.left_out.by_shape.naive_rms
        naive = ", ".join(f"{name} {100 * error:.2f} %" for name, error in errors.items())
    drawn = 0 if fit.resamples is None else len(fit.resamples)
    resampled = f"{drawn} resamples of whole {unit}s with replacement, seed {seed}"
    if drawn and fit.clusters:
        resampled += f"; {fit.clusters} {unit}s"
    rank = f"{percent('pairs_right')} of {held['pairs']:.0f} pairs" if "pairs" in held else ""
    return [
        ("Error on shapes left out, root mean square", shape),
        ("Error of predictions without a law on the same shapes", naive),
        ("Losses in the 95 % prediction interval made without their shape", covered),
        ("Error on the largest size, predicted from the others", largest),
        ("Pairs of equal size put in the right order", rank),
        ("Intervals of the parameters", resampled if drawn else ""),
        ("In one sentence", trust(fit)[0]),
        ("Program", "Paretoscope; the runs and the settings above repeat this fit"),
    ]


def _cuts(cuts: Iterable[Cut]) -> str:
    rows = [
        f"| {cut.column} = {format_quantity(cut.below, 'count')} | {cut.factor:.1f} |"
        f" {len(cut.guesses)} | {100 * cut.guesses.rms:.2f} % | {100 * cut.guesses.bias:+.2f} % |"
        + "".join(f" {100 * error:.2f} % |" for error in cut.guesses.naive_rms.values())
        for cut in cuts
    ]
    title = "Fitted to the runs below a size or a number of tokens, and judged on the others:\n\n"
    head = "| fitted below | up to times | runs | error | mean | nearest run | plain power law |"
    return title + "\n".join([head, "|---|---|---|---|---|---|---|", *rows]) if rows else ""


def _span(values: Floats, unit: str = "", whole: bool = False) -> str:
    known = values[np.isfinite(values)]
    if not known.size:
        return UNKNOWN

    def text(value: float) -> str:
        if unit:
            return format_quantity(value, unit)
        return f"{value:,.0f}" if whole else f"{value:.4g}"

    low, high = text(float(known.min())), text(float(known.max()))
    return low if low == high else f"{low} to {high}"


def _values(texts: Iterable[str]) -> str:
    return ", ".join(sorted({text for text in texts if text}))


def _levels(values: Floats) -> int:
    """How many different values there are, those within 22 % taken for one."""
    return int(levels_of(values, SAME_SIZE).max()) + 1
