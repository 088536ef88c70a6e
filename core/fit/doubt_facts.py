"""What a fit's doubt consists of, in words: how often its intervals held, other laws, scatter, shapes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from core.fit.doubt import Doubt, Mean
from core.fit.fit import Fit
from core.laws.loss import LAWS

# intervals at 95 % that held less than this share of what was left out come with a warning
LEAST_COVERAGE = 0.85
# a law believed less than this is outdone by others
LITTLE_WEIGHT = 0.1
# resampling fewer shapes tells little of how shapes differ
FEW_SHAPES = 10
FORMULA = (
    "A prediction interval is as wide as Student's quantile for the number of shapes times the root of\n"
    "shape² + run² + max(variance of the law's mean + variance between laws, (rate × distance)²),\n"
    "in ln L, around the mean of the laws by their weights."
)


@dataclass(frozen=True, slots=True)
class Fact:
    """One part of a doubt: its name, what was found, where that comes from, and whether to warn."""

    name: str
    text: str
    tip: str
    warn: bool = False


def coverage_words(heldout: Mapping[str, float], unseen: str = "shapes") -> tuple[str, bool]:
    """'95 % prediction intervals held 92 % of 71 losses of shapes left out', and whether to warn.

    Empty where it is not known.
    """
    share = heldout.get("coverage95_shape")
    if share is None:
        return "", False
    count = round(heldout["coverage95_runs"])
    return (
        f"95 % prediction intervals held {100 * share:.0f} % of {count} losses of {unseen} left out",
        share < LEAST_COVERAGE,
    )


def outdone_words(fit: Fit) -> tuple[str, bool]:
    """That other laws predict the runs left out better, with the best of them; empty otherwise."""
    doubt = fit.doubt
    if doubt is None or not doubt.laws or doubt.own_weight >= LITTLE_WEIGHT:
        return "", False
    weight, best = max(zip(doubt.weights, doubt.laws, strict=True), key=lambda pair: pair[0])
    return (
        f"other laws predict the runs left out better, {_named(best)} best (weight {weight:.2f}"
        f" against {doubt.own_weight:.2f})",
        True,
    )


def shapes_words(count: int, unit: str = "shape") -> tuple[str, bool]:
    """'35 shapes', with a plain warning where there are few of them; empty where it is not known."""
    if not count:
        return "", False
    text = f"{count:,} {unit}" if count == 1 else f"{count:,} {unit}s"
    if count >= FEW_SHAPES:
        return text, False
    return f"{text}, too few: intervals of parameters may be too narrow", True


def doubt_facts(fit: Fit) -> tuple[Fact, ...]:
    """Every part of the doubt; empty where none was learnt."""
    doubt = fit.doubt
    if doubt is None:
        return ()
    few = doubt.clusters < FEW_SHAPES
    laws = [f"{_named(law)} {_share(w)}" for law, w in ordered(doubt)]
    found = [
        Fact(
            "Shapes",
            f"{doubt.clusters:,}" + (" (few)" if few else ""),
            "Shapes that the law and its doubt were learnt from. Intervals are widened by Student's t"
            " for their number"
            + (f"; fewer than {FEW_SHAPES} tell little of how shapes differ." if few else "."),
            few,
        ),
        Fact(
            "Laws",
            f"this one {_share(doubt.own_weight)}"
            + (f", {', '.join(laws)}" if laws else ", no other"),
            "How much each law is believed, by how well it predicts runs whose shape was left out"
            " (stacking, arXiv 1704.02030). Laws believed less than 2 % are left out.",
            doubt.own_weight < LITTLE_WEIGHT,
        ),
        Fact(
            "Own effect of a shape",
            f"±{_percent(doubt.shape_sd)}",
            "Standard deviation of what is common to all losses of one shape, beside the laws' mean.\n"
            + FORMULA,
        ),
        Fact(
            "Scatter of runs",
            f"±{_percent(doubt.run_sd)}",
            "Standard deviation of single runs of one shape: of repeats, where there are enough of"
            " them.\n" + FORMULA,
        ),
    ]
    if doubt.rates:
        each = ", ".join(f"{name} ±{_percent(r * math.log(2))}" for name, r in doubt.rates.items())
        found.append(
            Fact(
                "Per doubling outside",
                each,
                "How fast the error grows outside the range of N, D and R, one standard deviation:"
                " from several cuts through the runs, each law fitted on one side and judged on the"
                " other.\n" + FORMULA,
            )
        )
    return tuple(found)


def doubt_plain(fit: Fit) -> dict[str, Any] | None:
    """The doubt as plain values, standard deviations of ln L; None where none was learnt."""
    doubt = fit.doubt
    if doubt is None:
        return None
    return {
        "shapes": doubt.clusters,
        "own_weight": doubt.own_weight,
        "laws": [
            {"law": law.law, "tying": law.tied, "weight": weight} for law, weight in ordered(doubt)
        ],
        "shape_sd": doubt.shape_sd,
        "run_sd": doubt.run_sd,
        "rates": dict(doubt.rates),
    }


def ordered(doubt: Doubt) -> list[tuple[Mean, float]]:
    """The other laws with their weights, the most believed first."""
    return sorted(zip(doubt.laws, doubt.weights, strict=True), key=lambda pair: -pair[1])


def _named(law: Mean) -> str:
    """Law and tying; the convention of N is that of the fit."""
    return f"{LAWS[law.law].title} ({law.tied})"


def _share(weight: float) -> str:
    return f"{100 * weight:.0f} %"


def _percent(deviation: float) -> str:
    return f"{100 * deviation:.2g} %"
