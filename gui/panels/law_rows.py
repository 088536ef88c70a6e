"""The tables of the laws panel as cells: laws, parameters, answers, sensitivity, runs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from core.fit.compare import Comparison
from core.fit.doubt_facts import shapes_words
from core.fit.fit import Fit, derived
from core.fit.resample import percentiles
from core.fit.residuals import Residuals
from core.fit.sensitivity import Change
from core.fit.terms import Answer
from core.units import digits, format_quantity
from gui.panels.numbers_table import Cell

# law, tying, convention of N, and the name of published constants ('': fitted here)
Key = tuple[str, str, str, str]

LAW_HEADER = (
    Cell("Law", tip="Tick up to three laws to see them side by side"),
    Cell("Exponents", tip="Which exponents are one and the same"),
    Cell("N counts", tip="Which parameters N counts"),
    Cell("Left-out shapes", tip="Root mean square error on shapes left out of the fit, with its 95 % interval"),
    Cell("In 95 %", tip="Share of the losses of shapes left out that lie in the law's 95 % prediction intervals, made without their shape: 95 % would be right"),
    Cell("Beside the best", tip="Whether the runs can tell it from the law with the smallest error, by one standard error over shapes left out"),
    Cell("Worst", tip="The largest error on a run whose shape was left out"),
    Cell("Largest size", tip="Root mean square error on the largest size, predicted from all smaller ones"),
    Cell("Rank", tip="Mean rank correlation among shapes of one size and budget, left out of the fit"),
    Cell("Pairs right", tip="Share of pairs of equal size put in the right order, left out of the fit"),
    Cell("BIC", tip="Bayes' information criterion; rows of one shape are not independent, which flatters laws with many parameters"),
    Cell("Runs", tip="Runs the law was fitted to"),
    Cell("Note"),
)  # fmt: skip


def key_of(fit: Fit) -> Key:
    """What distinguishes one fit of a comparison from the others."""
    return (fit.law, fit.tied, fit.params, fit.suite if fit.method == "published" else "")


def law_rows(
    found: Comparison, published: Sequence[Fit], shown: Sequence[Key], used: Key | None
) -> list[list[Cell]]:
    """One row per fit, then published constants, then what could not be tried."""
    rows = [
        _law_row(fit, key_of(fit) in shown, key_of(fit) == used, _standing(found, place))
        for place, fit in enumerate(found.fits)
    ]
    rows += [_published_row(fit, key_of(fit) in shown) for fit in published]
    for law, tying, params, why in found.missing:
        cells = [Cell(law, tone="muted"), Cell(tying, tone="muted"), Cell(params, tone="muted")]
        cells += [Cell("", math.inf) for _ in range(9)]
        rows.append([*cells, Cell(why, tone="muted")])
    return rows + _naive_rows(found)


def _standing(found: Comparison, place: int) -> Cell:
    """What the runs say of a law beside the best one."""
    standing = found.standings.each[place]
    if standing is None:
        return Cell("", math.inf)
    tip = (
        f"Mean squared relative error above the best: {standing.excess:.2g},"
        f" one standard error {standing.standard_error:.2g}"
    )
    if standing.same_as is not None:
        return Cell(
            "the same law", 2, tip=f"Predicts the same as {found.fits[standing.same_as].title}"
        )
    if place == found.standings.proposed:
        return Cell("proposed", 0, tip=f"{found.sentences()[0]}\n{tip}", tone="good")
    return Cell("tie", 1, tip=tip) if standing.tie else Cell("worse", 3, tip=tip, tone="muted")


def _naive_rows(found: Comparison) -> list[list[Cell]]:
    """Predictions that need no law, in each count of N: what a law must beat."""
    rows = []
    for params, naive in found.naive().items():
        for name, (shape, largest) in naive.items():
            cells = [Cell(name.capitalize(), tone="muted"), Cell("", tone="muted")]
            cells += [Cell(params, tone="muted"), _percent(shape)]
            cells += [Cell("", math.inf), Cell("", math.inf)]
            cells += [Cell("", math.inf), _percent(largest)]
            cells += [Cell("", math.inf) for _ in range(4)]
            rows.append([*cells, Cell("no law: what a law must beat", tone="muted")])
    return rows


def _percent(value: float | None) -> Cell:
    return (
        Cell("", math.inf) if value is None else Cell(f"{100 * value:.2f} %", value, tone="muted")
    )


CUT_HEADER = (
    Cell("Fitted below", tip="The law is fitted to the runs below this size N or number of tokens D, and judged on the others"),
    Cell("Up to", tip="The largest value left out over the largest one fitted"),
    Cell("Runs", tip="Runs left out"),
    Cell("", tip="The law's root mean square error on the runs left out"),
    Cell("Mean", tip="Mean of the signed errors: above zero where the law promises too high a loss"),
    Cell("Nearest run", tip="The error of taking the loss of the nearest run in ln N and ln D"),
    Cell("Plain power law", tip="The error of ln L = a + b ln N + c ln D"),
)  # fmt: skip


def cut_rows(fit: Fit) -> tuple[list[Cell], list[list[Cell]]]:
    """Header and rows: one row per cut of this law, beside predictions that need no law."""
    header = [cell if cell.text else replace(cell, text=fit.title) for cell in CUT_HEADER]
    rows = []
    for cut in fit.left_out.cuts if fit.left_out is not None else ():
        guesses, naive = cut.guesses, cut.guesses.naive_rms
        beaten = min(naive.values()) <= guesses.rms
        rows.append(
            [
                Cell(f"{cut.column} = {format_quantity(cut.below, 'count')}", cut.below),
                Cell(f"{cut.factor:.1f} times", cut.factor),
                Cell(str(len(guesses)), len(guesses)),
                Cell(f"{100 * guesses.rms:.2f} %", guesses.rms, tone="warn" if beaten else ""),
                Cell(f"{100 * guesses.bias:+.2f} %", guesses.bias),
                *(_percent(error) for error in naive.values()),
            ]
        )
    return header, rows


def _law_row(fit: Fit, shown: bool, used: bool, standing: Cell) -> list[Cell]:
    held = fit.heldout
    tone = "strong" if used else "" if fit.ok else "muted"
    note = fit.withheld or (fit.message if not fit.ok else "") or "; ".join(fit.warnings)
    name = f"{fit.definition.title}  (in the plot)" if used else fit.definition.title
    return [
        Cell(
            name, tip=f"{fit.definition.formula}\n{fit.definition.source}", tone=tone, check=shown
        ),
        Cell(fit.tied, tone=tone),
        Cell(fit.params, tone=tone),
        _share(held, "shape_rms", tone, interval=True),
        _share(held, "coverage95_shape", tone, places=0),
        standing,
        _share(held, "shape_worst", tone),
        _share(held, "largest_rms", tone),
        _plain(held, "rank", tone),
        _share(held, "pairs_right", tone, places=0),
        _plain(held, "bic", tone, "{:.0f}"),
        Cell(str(fit.n), fit.n, tone=tone),
        Cell(note, tone="warn" if note else ""),
    ]


def _published_row(fit: Fit, shown: bool) -> list[Cell]:
    """Constants from elsewhere: nothing was left out of them, so only their error here is known."""
    held = fit.heldout
    tip = f"{fit.definition.formula}\n{fit.source}"
    note = (
        f"not fitted here; off by {100 * held['runs_rms']:.2f} % on these runs"
        f" ({100 * held['runs_bias']:+.2f} % on the mean)"
    )
    return [
        Cell(fit.title, tip=tip, tone="muted", check=shown),
        Cell(fit.tied, tone="muted"),
        Cell(fit.params, tone="muted"),
        *(Cell("", math.inf) for _ in range(5)),
        _plain(held, "rank", "muted"),
        _share(held, "pairs_right", "muted", places=0),
        Cell("", math.inf),
        Cell("", math.inf),
        Cell(note, tip="\n".join(fit.warnings), tone="muted"),
    ]


def _share(
    held: Mapping[str, float], key: str, tone: str, *, interval: bool = False, places: int = 2
) -> Cell:
    value = held.get(key)
    if value is None:
        return Cell("", math.inf)
    text = f"{100 * value:.{places}f} %"
    if interval and f"{key}_low" in held:
        text += f"  ({100 * held[f'{key}_low']:.2f} to {100 * held[f'{key}_high']:.2f})"
    return Cell(text, value, tone=tone)


def _plain(held: Mapping[str, float], key: str, tone: str, form: str = "{:.2f}") -> Cell:
    value = held.get(key)
    return Cell("", math.inf) if value is None else Cell(form.format(value), value, tone=tone)


def parameter_rows(fits: Sequence[Fit]) -> tuple[list[Cell], list[list[Cell]]]:
    """Header and rows: one row per parameter, one column per law, with 95 % intervals where resampled."""
    header = [Cell("Parameter"), *(Cell(fit.title, tip=fit.definition.formula) for fit in fits)]
    values = [{**fit.shown, **derived(fit)} for fit in fits]
    intervals = [percentiles(fit) for fit in fits]
    every = [{**fit.theta, **derived(fit)} for fit in fits]
    names = list(dict.fromkeys(name for each in every for name in each))
    rows = []
    for name in names:
        row = [Cell(name, tip=_meaning(name, fits), tone="strong")]
        for fit, value, interval in zip(fits, values, intervals, strict=True):
            why = fit.undetermined.get(name)
            row.append(_parameter(name, value, interval, why))
        rows.append(row)
    rows.append([Cell("Resamples", tone="muted"), *(_resampled(fit) for fit in fits)])
    return header, rows


def _parameter(
    name: str,
    values: Mapping[str, float],
    interval: Mapping[str, tuple[float, float]],
    undetermined: str | None,
) -> Cell:
    if name not in values:
        if undetermined:
            return Cell("not determined", tip=undetermined, tone="warn")
        return Cell("not in this law", tone="muted")
    text = digits(values[name], 4)
    if undetermined:
        return Cell(f"{text}   (not determined)", tip=undetermined, tone="warn")
    if name not in interval:
        return Cell(text)
    low, high = interval[name]
    crosses = low < 0 < high
    tip = f"95 % interval over resampled shapes: {low:.6g} to {high:.6g}"
    if crosses:
        tip += "\nThe interval holds zero: its sign is not known"
    text_with_interval = f"{text}   ({digits(low, 3)} to {digits(high, 3)})"
    return Cell(text_with_interval, tip=tip, tone="warn" if crosses else "")


def _meaning(name: str, fits: Sequence[Fit]) -> str:
    for fit in fits:
        for p in fit.definition.parameters:
            if p.name == name:
                return f"{name}, in {p.unit}; {fit.definition.formula}"
    return {
        "R_star": "the best width over depth, exp(ln_R_star)",
        "x_star": "the best d_model / sqrt(N)",
        "r_star": "the best ratio of FFN to attention parameters",
    }.get(name, name)


def _resampled(fit: Fit) -> Cell:
    """How many resamples of how many shapes stand behind the intervals of a law's parameters."""
    if fit.method == "published":
        return Cell("published, not fitted here", tone="muted")
    count = 0 if fit.resamples is None else len(fit.resamples)
    if not count:
        return Cell("none yet", tone="muted")
    words, few = shapes_words(fit.clusters)
    tip = "Shapes are drawn with replacement; intervals are as sure as there are shapes, not runs"
    return Cell(f"{count:,} of {words}", tip=tip, tone="warn" if few else "muted")


ANSWER_HEADER = (Cell(""), Cell("Question"), Cell("Why"))
SIGNS = {"yes": "✓ yes", "barely": "~ with care", "no": "✗ no"}
ANSWER_TONES = {"yes": "good", "barely": "", "no": "bad"}


def answer_rows(answers: Sequence[Answer]) -> list[list[Cell]]:
    """One row per question."""
    return [
        [
            Cell(SIGNS[a.verdict], tone=ANSWER_TONES[a.verdict]),
            Cell(a.question),
            Cell(a.why, tip=a.why),
        ]
        for a in answers
    ]


CHANGE_HEADER = (
    Cell("Changed setting"),
    Cell("Largest move", tip="Largest change of a predicted loss of the largest runs"),
    Cell("Mean move", tip="Mean change of their predicted losses"),
    Cell("Note"),
)


def change_rows(changes: Sequence[Change]) -> list[list[Cell]]:
    """One row per changed setting, worst first."""
    rows = []
    for place, change in enumerate(changes):
        if math.isfinite(change.shift):
            moves = [
                Cell(f"{100 * change.shift:.2f} %", change.shift),
                Cell(f"{100 * change.mean:.2f} %", change.mean),
            ]
        else:
            moves = [Cell("no fit", math.inf, tone="warn"), Cell("", math.inf)]
        tone = "strong" if place == 0 and math.isfinite(change.shift) else ""
        rows.append([Cell(change.setting, tone=tone), *moves, Cell(change.message, tone="muted")])
    return rows


def run_rows(found: Sequence[Residuals]) -> tuple[list[Cell], list[list[Cell]]]:
    """Header and rows: one row per run in the order of the first law, one error per law shown."""
    if not found:
        return [Cell("Run")], []
    header = [
        Cell("Run"),
        *(
            Cell(
                f.fit.title if f.fit.method == "published" else f.fit.definition.title,
                tip=f"Error of {f.fit.title}",
            )
            for f in found
        ),
        Cell("Loss"), Cell("N"), Cell("D"), Cell("R", tip="Width over depth"),
    ]  # fmt: skip
    first = found[0]
    errors = [dict(zip(f.names, f.error, strict=True)) for f in found]
    worst = [3.0 * float(np.sqrt(np.mean(f.error**2))) if len(f.error) else 0.0 for f in found]
    rows = []
    for i, name in enumerate(first.names):
        row = [Cell(name)]
        for each, limit in zip(errors, worst, strict=True):
            error = each.get(name, math.nan)
            known = math.isfinite(error)
            row.append(
                Cell(
                    f"{100 * error:+.2f} %" if known else "",
                    abs(error) if known else math.inf,
                    tone="warn" if known and abs(error) > limit else "",
                )
            )
        row += [
            Cell(f"{first.observed[i]:.4f}", first.observed[i]),
            Cell(format_quantity(first.size[i], "count"), first.size[i]),
            Cell(format_quantity(first.tokens[i], "count"), first.tokens[i]),
            Cell(digits(first.shape[i], 3), float(np.nan_to_num(first.shape[i], nan=-1.0))),
        ]
        rows.append(row)
    return header, rows
