"""`compare`: every loss law on one table of runs, by its errors on runs left out."""

from __future__ import annotations

import argparse
from typing import Any

from core.commands.fit import add_runs, runs_of
from core.commands.following import followed
from core.fit.compare import Comparison, comparison, named
from core.fit.fit import Fit
from core.fit.left_out import Cut
from core.fit.solve import METHODS
from core.fit.validate import trust
from core.laws.columns import CONVENTIONS
from core.laws.loss import LAWS
from core.paper.published import OTHER_LOSS, Published, published_on
from core.units import format_quantity

CAVEAT = "AIC and BIC treat rows as independent; runs of one shape are not"
NOTHING = "No law could be fitted."
HELP = "fit every loss law in both N conventions and judge each on runs left out"


def arguments(parser: argparse.ArgumentParser) -> None:
    """RUNS.csv, and which laws."""
    add_runs(parser)
    parser.add_argument(
        "--law", action="append", choices=tuple(LAWS), default=[], help="only this law; repeatable"
    )
    parser.add_argument(
        "--params", action="append", choices=CONVENTIONS, default=[], help="only this N; repeatable"
    )
    parser.add_argument("--method", choices=METHODS, default="huber", help="how to fit")
    parser.add_argument(
        "--published",
        action="store_true",
        help="show published constants beside the fits, judged on the same runs and not fitted here",
    )


def run(options: argparse.Namespace) -> tuple[str, dict[str, Any]]:
    """The table, best held-out error first."""
    kept, _, report = runs_of(options)
    found = followed(comparison(kept, options.method, options.law, options.params or CONVENTIONS))
    sentence, warn = trust(found.fits[0]) if found.fits else (NOTHING, True)
    answer = {
        "suite": found.suite,
        "method": found.method,
        "n": len(kept),
        "loss_meaning": kept.loss_meaning,
        "loss_unit": kept.loss_unit,
        "source": kept.source,
        "laws": found.rows(),
        "proposed": None if found.proposed is None else named(found.proposed),
        "proposal": found.sentences(),
        "trust": None if found.proposed is None else trust(found.proposed)[0],
        "best": sentence,
        "warn": warn,
        "note": CAVEAT,
        "reading": report.plain(),
    }
    text = f"{report.text()}\n{text_of(found, len(kept))}"
    if options.published:
        beside = published_on(kept)
        answer["published"] = beside.rows()
        text = f"{text}\n\n{published_text(beside)}"
    return text, answer


def text_of(found: Comparison, count: int) -> str:
    """The table for people; errors in percent."""
    head = (
        f"{'law':<16}{'exponents':<20}{'N':<15}{'objective':>13}{'R2':>9}"
        f"{'left-out shape':>22}{'in 95 %':>9}{'largest size':>14}{'rank':>7}{'pairs':>7}{'AIC':>9}{'BIC':>9}"
    )
    lines = [
        f"{found.suite}, {count} runs, {found.method}; errors are of runs left out of the fit, in %;"
        " 'in 95 %': share of losses of shapes left out that lie in their 95 % prediction intervals",
        head,
    ]
    for place, f in enumerate(found.fits):
        held = f.heldout

        def percent(key: str, places: int = 2, held: Any = held) -> str:
            return f"{100 * held[key]:.{places}f}" if key in held else "-"

        def plain(key: str, places: int = 2, held: Any = held) -> str:
            return f"{held[key]:.{places}f}" if key in held else "-"

        shape = percent("shape_rms")
        if "shape_rms_low" in held:
            shape += f" ({percent('shape_rms_low')}-{percent('shape_rms_high')})"
        lines.append(
            f"{f.law:<16}{f.tied:<20}{f.params:<15}{f.objective:>13.6g}{f.r2:>9.4f}"
            f"{shape:>22}{percent('coverage95_shape', 0):>9}"
            f"{percent('largest_rms'):>14}{plain('rank'):>7}{plain('pairs_right'):>7}"
            f"{plain('aic', 1):>9}{plain('bic', 1):>9}"
            + ("" if f.ok else "  withheld" if f.withheld else "  failed")
            + _mark(found, place)
        )
    lines += _naive_lines(found)
    lines += dict.fromkeys(
        f"withheld: {f.withheld}" if f.withheld else f"failed: {f.message}"
        for f in found.fits
        if not f.ok
    )
    lines += [f"{law:<16}{ty:<20}{n:<15}  not fitted: {why}" for law, ty, n, why in found.missing]
    shown = found.proposed or next(iter(found.fits), None)
    sentence = trust(shown)[0] if shown is not None else NOTHING
    return "\n".join([*lines, *_cut_lines(found.proposed), CAVEAT, *found.sentences(), sentence])


def _mark(found: Comparison, place: int) -> str:
    """What the runs say of a law beside the others, for the end of its line."""
    standing = found.standings.each[place]
    if standing is None:
        return ""
    if standing.same_as is not None:
        return "  the same law"
    if place == found.standings.proposed:
        return "  proposed"
    return "  tie" if standing.tie else ""


def _naive_lines(found: Comparison) -> list[str]:
    """The naive predictions in each count of N, under the columns of the laws."""
    return [
        f"{name:<36}{params:<15}{'':>22}{100 * shape:>22.2f}"
        + f"{'':>9}"
        + (f"{'-':>14}" if largest is None else f"{100 * largest:>14.2f}")
        + "  no law"
        for params, each in found.naive().items()
        for name, (shape, largest) in each.items()
    ]


def _cut_lines(fit: Fit | None) -> list[str]:
    """Every cut of one law beside the naive predictions; errors in percent."""
    cuts = fit.left_out.cuts if fit is not None and fit.left_out is not None else ()
    if fit is None or not cuts:
        return []
    names = list(cuts[0].guesses.naive_rms)
    head = f"{'fitted below':<16}{'up to times':>12}{'runs':>6}{'error':>8}{'mean':>8}"
    head += "".join(f"{name:>17}" for name in names)
    return [f"{fit.title} beyond several cuts; errors in %", head, *map(_cut_line, cuts)]


def _cut_line(cut: Cut) -> str:
    guesses = cut.guesses
    where = f"{cut.column} = {format_quantity(cut.below, 'count', 3)}"
    return (
        f"{where:<16}{cut.factor:>12.1f}{len(guesses):>6}{100 * guesses.rms:>8.2f}"
        f"{100 * guesses.bias:>+8.2f}"
        + "".join(f"{100 * value:>17.2f}" for value in guesses.naive_rms.values())
    )


def published_text(beside: Published) -> str:
    """The published constants as a table of their own; errors in percent."""
    lines = [
        "Published constants on the same runs, not fitted here; errors are of all runs, in %",
        f"{'constants':<30}{'law':<16}{'N':<15}{'error':>8}{'mean':>8}{'rank':>7}{'pairs':>7}",
    ]
    for f in beside.fits:
        held = f.heldout
        rank, right = held.get("rank"), held.get("pairs_right")
        lines.append(
            f"{f.suite:<30}{f.law:<16}{f.params:<15}{100 * held['runs_rms']:>8.2f}"
            f"{100 * held['runs_bias']:>+8.2f}{'-' if rank is None else f'{rank:.2f}':>7}"
            f"{'-' if right is None else f'{right:.2f}':>7}  {f.source}"
        )
    lines += [f"{name:<30}  not judged: {why}" for name, why in beside.missing]
    notes = dict.fromkeys(w for f in beside.fits for w in f.warnings if w.startswith(OTHER_LOSS))
    return "\n".join([*lines, *(f"note: {w}" for w in notes)])
