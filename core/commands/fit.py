"""`fit`: one law on one table of runs."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from core.commands.following import followed, said_to_be_read
from core.errors import Unusable
from core.export.checklist import checked, checklist
from core.files import check_target, write_atomically
from core.fit.fit import Fit, derived
from core.fit.mixing import mixed
from core.fit.repeats import Keep
from core.fit.row_filter import kept
from core.fit.solve import METHODS, fit
from core.fit.validate import judge_largest
from core.formats.runs.reading import Reading, load
from core.formats.runs.report import Report, joined
from core.formats.runs.suites import bundled_suites, load_suite
from core.guarded import is_there
from core.laws.columns import CONVENTIONS
from core.laws.loss import LAWS
from core.records.training_runs import TrainingRuns

HELP = "fit a loss law to a table of training runs"


def arguments(parser: argparse.ArgumentParser) -> None:
    """RUNS.csv, the law and the settings of the fit."""
    add_runs(parser)
    parser.add_argument("--law", choices=tuple(LAWS), required=True, help="which law")
    add_settings(parser)
    parser.add_argument(
        "--checklist",
        type=Path,
        metavar="FILE.md",
        help="also judge and resample the fit, and write what is needed to believe or repeat it",
    )
    parser.add_argument("--force", action="store_true", help="write over a checklist that exists")


def add_runs(parser: argparse.ArgumentParser) -> None:
    """The arguments that choose the runs."""
    parser.add_argument(
        "runs",
        nargs="+",
        metavar="RUNS.csv",
        help="table of runs (CSV, JSON, JSON lines, Parquet), a folder with a file for each run, or a bundled suite: morph, gemstones, overtraining",
    )
    parser.add_argument(
        "--together",
        action="store_true",
        help="fit several tables as one; refused where their losses differ in meaning or unit",
    )
    parser.add_argument(
        "--where",
        action="append",
        default=[],
        metavar="COLUMN=VALUE",
        help="fit only these rows; repeatable; text may hold * (e.g. 'name=*@20N')",
    )
    parser.add_argument(
        "--column",
        action="append",
        default=[],
        metavar="FIELD=COLUMN",
        help="the column of the file that holds a field, e.g. loss=loss_c4; repeatable",
    )

    parser.add_argument(
        "--best-of-repeats",
        action="store_true",
        help="of rows with one shape and number of tokens (a sweep of learning rates), keep the lowest"
        " loss; with a column of seeds, the best setting with all of its seeds",
    )
    parser.add_argument(
        "--last-of-run",
        action="store_true",
        help="of rows of one run (its checkpoints), keep the one with the most tokens",
    )


def add_settings(parser: argparse.ArgumentParser) -> None:
    """The arguments that set how to fit."""
    parser.add_argument(
        "--tied", action="store_true", help="one exponent for N and D (and R, where it has one)"
    )
    parser.add_argument(
        "--own-shape-exponent",
        action="store_true",
        help="tied exponents of N and D, but R keeps its own (inference-aware only)",
    )
    parser.add_argument(
        "--params", choices=CONVENTIONS, default="total", help="which parameters N counts"
    )
    parser.add_argument(
        "--method",
        choices=METHODS,
        default="least-squares",
        help="plain least squares on loss, or sum of Huber on log loss with bounds",
    )
    parser.add_argument("--delta", type=float, default=1e-3, help="Huber's delta (default 1e-3)")
    parser.add_argument(
        "--insist",
        action="store_true",
        help="predict even where the runs do not determine a term of the law, or are a sweep of settings",
    )


def pairs(texts: list[str], option: str) -> dict[str, str]:
    """COLUMN=VALUE texts as a mapping; raises Unusable for one without '='."""
    found = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name.strip():
            raise Unusable(f"{option} '{text}' must be written COLUMN=VALUE")
        found[name.strip()] = value.strip()
    return found


def tying_of(options: argparse.Namespace) -> bool | str:
    """The tying that the flags choose."""
    return "own-shape-exponent" if options.own_shape_exponent else bool(options.tied)


def runs_of(options: argparse.Namespace) -> tuple[TrainingRuns, TrainingRuns, Report]:
    """The runs to fit, all runs of the file (of all files with `--together`), and what reading did."""
    keep = Keep(options.best_of_repeats, options.last_of_run)
    readings = [_reading(text, options.column, keep) for text in options.runs]
    suites = [reading.runs for reading in readings]
    if len(suites) > 1 and not options.together:
        raise Unusable(
            f"{' and '.join(s.suite for s in suites)} are fitted as one only with --together"
        )
    everything = mixed(suites) if len(suites) > 1 else suites[0]
    report = joined({reading.runs.suite: reading.report for reading in readings})
    return kept(everything, options.where), everything, report


def fit_of(options: argparse.Namespace) -> tuple[Fit, TrainingRuns, TrainingRuns, Report]:
    """The fit that the options ask for, the runs it was fitted to, all runs of the files, and what
    reading them did.

    Raises Unusable for a delta that is not above zero.
    """
    if not options.delta > 0:
        raise Unusable("--delta must be above zero")
    chosen, everything, report = runs_of(options)
    found = fit(
        chosen,
        options.law,
        tied=tying_of(options),
        params=options.params,
        method=options.method,
        all_rows=everything,
        delta=options.delta,
        insist=options.insist,
    )
    return found, chosen, everything, report


def _reading(text: str, columns: list[str], keep: Keep) -> Reading:
    """The bundled suite of this name, or the table in this file, as read."""
    if text in bundled_suites() and not is_there(text):
        return load_suite(text, keep)
    path = Path(text)
    with said_to_be_read(path):
        return load(path, pairs(columns, "--column") or None, keep=keep)


def run(options: argparse.Namespace) -> tuple[str, dict[str, Any]]:
    """What was read, the fit as a table of parameters, and both as JSON."""
    if options.checklist is not None:
        check_target(options.checklist, options.force)
    found, chosen, everything, report = fit_of(options)
    largest = judge_largest(found, everything) if found.theta else {}
    text = f"{report.text()}\n{text_of(found, largest)}"
    answer = answer_of(found, largest) | {"reading": report.plain()}
    if options.checklist is not None:
        whole = followed(checked(found, chosen))
        write_atomically(options.checklist, checklist(whole, chosen, report), options.force)
        answer["checklist"] = str(options.checklist)
        text += f"\nwrote {options.checklist}"
    return text, answer


def answer_of(found: Fit, largest: dict[str, Any]) -> dict[str, Any]:
    """The fit as one JSON object without NaN.

    `undetermined` holds the parameters that the runs leave open, each with its reason. They are not in
    `theta` unless the user insisted.
    """
    return {
        "law": found.law,
        "params": found.params,
        "tied": found.tied != "free",
        "tying": found.tied,
        "method": found.method,
        "suite": found.suite,
        "n": found.n,
        "theta": found.shown,
        "undetermined": dict(found.undetermined),
        "derived": derived(found),
        "objective": number(found.objective),
        "mse": number(found.mse),
        "r2": number(found.r2),
        "mse_all": number(found.mse_all),
        "r2_all": number(found.r2_all),
        "converged": found.converged,
        "message": found.message or found.withheld or "ok",
        "withheld": found.withheld or None,
        "warnings": list(found.warnings),
        "ranges": {k: list(v) for k, v in found.ranges.items()},
        "loss_meaning": found.loss_meaning,
        "loss_unit": found.loss_unit,
        "source": found.source,
        "largest": largest or None,
    }


def number(value: float) -> float | None:
    """The value, None where it is not finite (JSON has no NaN)."""
    return float(value) if np.isfinite(value) else None


def text_of(found: Fit, largest: dict[str, Any]) -> str:
    """The fit as text."""
    law = found.definition
    lines = [
        f"{law.title}: L = {law.formula}",
        f"  {law.source}",
        f"  {found.n} runs of {found.suite}, N = {found.params} parameters, "
        f"{found.tied}, {found.method}",
    ]
    if not found.theta:
        return "\n".join([*lines, f"  failed: {found.message}"])
    shown = found.shown
    for name, value in found.theta.items():
        number_text = f"{value:.6g}" if name in shown else ""
        mark = "not determined by these runs" if name in found.undetermined else ""
        lines.append(f"  {name:>10} {number_text}{'  ' if number_text and mark else ''}{mark}")
    lines += [f"  {name:>10} {value:.6g}" for name, value in derived(found).items()]
    lines.append(f"  objective {found.objective:.8g}")
    lines.append(f"  fitted rows: MSE {found.mse:.6f}, R2 {found.r2:.4f}")
    lines.append(f"  all rows:    MSE {found.mse_all:.6f}, R2 {found.r2_all:.4f}")
    if largest:
        errors = ", ".join(f"{100 * e:.2f}" for e in largest["relative_errors"])
        rank = largest["rank_correlation"]
        order = "" if rank is None else f"; rank correlation {rank:.2f}"
        lines.append(f"  largest size ({len(largest['names'])} runs): error {errors} %{order}")
    lines += [f"  note: {w}" for w in found.warnings]
    if found.withheld:
        lines.append(f"  predictions withheld: {found.withheld} (--insist gives them)")
    if not found.converged:
        lines.append(f"  NOT CONVERGED: {found.message}")
    return "\n".join(lines)
