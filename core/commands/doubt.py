"""`doubt`: what these runs can answer, and which settings a fit depends on."""

from __future__ import annotations

import argparse
import math
from typing import Any

from core.commands.fit import add_runs, runs_of
from core.commands.following import followed
from core.commands.options import whole
from core.errors import Unusable
from core.fit.identify import can_answer
from core.fit.repeats import sweep_refusal
from core.fit.sensitivity import sensitivity
from core.fit.solve import METHODS, fit
from core.laws.columns import CONVENTIONS
from core.laws.loss import LAWS

HELP = "what these runs can answer, and which setting changes the answer most"


def arguments(parser: argparse.ArgumentParser) -> None:
    """RUNS.csv and the law to doubt."""
    add_runs(parser)
    parser.add_argument("--law", choices=tuple(LAWS), default="inference-aware")
    parser.add_argument("--tied", action="store_true", help="exponents tied")
    parser.add_argument("--params", choices=CONVENTIONS, default="total", help="which N")
    parser.add_argument("--method", choices=METHODS, default="huber", help="how to fit")
    parser.add_argument(
        "--resamples", type=whole, default=400, help="resamples behind the doubts (default 400)"
    )


def run(options: argparse.Namespace) -> tuple[str, dict[str, Any]]:
    """What the runs can and cannot tell apart, then the settings, worst first."""
    from core.fit.resample import with_resamples

    runs, everything, report = runs_of(options)
    if again := sweep_refusal(runs):
        raise Unusable(again)
    settings = {"tied": options.tied, "params": options.params, "method": options.method}
    base = fit(runs, options.law, all_rows=everything, insist=True, **settings)
    if not base.theta:
        raise Unusable(f"the {options.law} law cannot be fitted to these runs: {base.message}")
    answers = can_answer(with_resamples(base, runs, options.resamples), runs)
    moved = followed(sensitivity(base, runs))
    lines = [report.text(), f"Can {len(runs)} runs of {runs.suite} answer? ({base.title})"]
    lines += [f"  {answer.verdict:<7}{answer.question} {answer.why}" for answer in answers]
    lines.append(
        "What the prediction depends on, worst first (shift in % of the largest size's loss):"
    )
    lines += [
        f"  {c.setting:<44}"
        + (f"{100 * c.shift:8.2f} worst {100 * c.mean:8.2f} mean" if c.fit else f"  {c.message}")
        for c in moved
    ]
    answer = {
        "suite": runs.suite,
        "law": options.law,
        "reading": report.plain(),
        "answers": [{"question": a.question, "verdict": a.verdict, "why": a.why} for a in answers],
        "sensitivity": [
            {
                "setting": c.setting,
                "worst": finite(c.shift),
                "mean": finite(c.mean),
                "message": c.message,
            }
            for c in moved
        ],
    }
    return "\n".join(lines), answer


def finite(value: float) -> float | None:
    """The number, or None where there is none (JSON has no infinity)."""
    return float(value) if math.isfinite(value) else None
