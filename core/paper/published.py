"""Published constants as fits, each with its source."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from core.errors import Unusable
from core.fit.fit import Fit
from core.fit.validate import judged_as_it_is
from core.laws.loss import R_REFERENCE, X_REFERENCE
from core.records.training_runs import TrainingRuns

HOFFMANN = "Hoffmann et al. 2022, arXiv 2203.15556, approach 3"
BESIROGLU = "Besiroglu et al. 2024, arXiv 2404.10102"
MORPH = "Bian, Yan, Venkataraman 2025, arXiv 2501.18107; Waterpine/open-lm-morph 1872be37"
GADRE = "Gadre et al. 2024, arXiv 2403.08540; mlfoundations/scaling a003c491"
GEMSTONES = "McLeish et al. 2025, arXiv 2502.06857; mcleish7/gemstone-scaling-laws 5f420478"
CONDITIONAL = "Bian, Yu, Venkataraman, Park 2026, arXiv 2510.18245"


@dataclass(frozen=True, slots=True)
class Constants:
    """One published set: law, tying, constants in the law's own parameters, and source."""

    law: str
    tied: str
    theta: dict[str, float]
    source: str
    params: str = "total"
    loss_meaning: str = "validation"
    note: str = ""
    loss_unit: str = "nats/token"
    ranges: dict[str, tuple[float, float]] = field(default_factory=dict)


def _chinchilla(a: float, b: float, e: float, alpha: float, beta: float) -> dict[str, float]:
    return {"A": a, "B": b, "E": e, "alpha": alpha, "beta": beta}


def _over_training(a: float, b: float, e: float, eta: float) -> dict[str, float]:
    return {"a": a, "b": b, "E": e, "eta": eta}


def _conditional(
    a0: float, a1: float, a2: float, b0: float, b1: float, b2: float
) -> dict[str, float]:
    """The paper's six constants in this program's form; E carries the product of the scales."""
    k = a0 + a1 * np.log(X_REFERENCE) + a2 / X_REFERENCE
    m = b0 + b1 * np.log(R_REFERENCE) + b2 / R_REFERENCE
    return {
        "A": 0.0,
        "B": 0.0,
        "E": float(k * m),
        "alpha": 1.0,
        "beta": 1.0,
        "a1": float(a1 / k),
        "a2": float(a2 / X_REFERENCE / k),
        "b1": float(b1 / m),
        "b2": float(b2 / R_REFERENCE / m),
    }


MORPH_RANGES = {
    "N": (77677440.0, 311975680.0),
    "D": (1610612736.0, 12884901888.0),
    "R": (17.45454545, 384.0),
}
ROUNDED = "rounded as printed; predictions move with the rounding"
# begins the warning that constants and runs use different losses
OTHER_LOSS = "the losses mean different things"
MULTIPLIER = "gives the multiple of the best loss at that N and D, not a loss"

PUBLISHED: dict[str, Constants] = {
    "hoffmann": Constants(
        "chinchilla",
        "free",
        _chinchilla(float(np.exp(6.0073404)), float(np.exp(6.0179186)), float(np.exp(0.5267228)), 0.33917084, 0.2849083),
        HOFFMANN + ", constants of the TeX source",
    ),
    "hoffmann-rounded": Constants(
        "chinchilla", "free", _chinchilla(406.4, 410.7, 1.69, 0.34, 0.28), HOFFMANN, note=ROUNDED
    ),
    "besiroglu": Constants(
        "chinchilla",
        "free",
        _chinchilla(482.01, 2085.43, 1.8172, 0.3478, 0.3658),
        BESIROGLU,
        note="not the global Huber minimum of its own data (A = 477.8, B = 2143)",
    ),
    "besiroglu-minimum": Constants(
        "chinchilla",
        "free",
        _chinchilla(477.826, 2143.417, 1.81722, 0.34731, 0.36717),
        BESIROGLU + "; global Huber minimum of its 240 rows, recomputed",
    ),
    "data-constrained": Constants(
        "chinchilla",
        "tied",
        {"A": 521.0, "B": 1488.0, "E": 1.87, "alpha": 0.353},
        "Muennighoff et al. 2023, repository datablations (C4, one epoch)",
    ),
    "inference-aware": Constants(
        "inference-aware",
        "tied",
        {"A": 54754.3, "B": 778343.0, "E": 2.44751, "alpha": 0.614574, "epsilon": 0.00114621},
        MORPH + ", 27 runs",
        loss_meaning="train average",
        ranges=MORPH_RANGES,
    ),
    "inference-aware-own-exponent": Constants(
        "inference-aware",
        "own-shape-exponent",
        {
            "A": 50840.5,
            "B": 704724.0,
            "E": 2.46749,
            "alpha": 0.609581,
            "gamma": 1.25602,
            "epsilon": 2.35883e-5,
        },
        MORPH + ", law_nonequal, 27 runs",
        loss_meaning="train average",
        ranges=MORPH_RANGES,
    ),
    "over-training-c4": Constants(
        "over-training", "tied", _over_training(141.277, 189.516, 1.5083, 0.1212), GADRE + ", C4", note=ROUNDED
    ),
    "over-training-redpajama": Constants(
        "over-training", "tied", _over_training(212.236, 366.687, 1.8366, 0.1364), GADRE + ", RedPajama", note=ROUNDED
    ),
    "over-training-refinedweb": Constants(
        "over-training", "tied", _over_training(157.116, 246.207, 1.7345, 0.1272), GADRE + ", RefinedWeb", note=ROUNDED
    ),
    "gemstones": Constants(
        "width-depth",
        "free",
        {
            **_chinchilla(441.5254, 35314.28, 1.5345, 0.3636, 0.4935),
            "F": 2.9507, "G": 0.8036, "f": 0.2196, "g": 0.4759,
        },
        GEMSTONES + ", all data (hot_100b+)",
        note=ROUNDED,
    ),
    "gemstones-100b": Constants(
        "width-depth",
        "free",
        {
            **_chinchilla(2892.95, 23375.09, 1.4806, 0.5001, 0.4761),
            "F": 4.2717, "G": 0.9249, "f": 0.2447, "g": 0.3872,
        },
        GEMSTONES + ", up to 100 billion tokens (hot)",
        note=ROUNDED,
    ),
    "conditional": Constants(
        "conditional",
        "free",
        _conditional(2.697, 0.0974, 0.0078, 0.3870, 0.0063, 0.0065),
        CONDITIONAL + ", 80M, 145M and 297M runs",
        "non-embedding",
        note=MULTIPLIER,
        loss_unit="multiple of the best loss",
    ),
    "conditional-1b": Constants(
        "conditional",
        "free",
        _conditional(2.319, 0.238, 0.0176, 0.5104, 0.0051, 0.0062),
        CONDITIONAL + ", 1B runs only",
        "non-embedding",
        note=MULTIPLIER,
        loss_unit="multiple of the best loss",
    ),
}  # fmt: skip


def published(name: str) -> Fit:
    """Published constants as a Fit, with n = 0, no resamples, and their name as suite.

    Raises Unusable if there are no constants of that name.
    """
    if name not in PUBLISHED:
        raise Unusable(
            f"there are no published constants '{name}'; there are {', '.join(PUBLISHED)}"
        )
    found = PUBLISHED[name]
    fields: dict[str, Any] = {"ranges": found.ranges} if found.ranges else {}
    return Fit(
        found.law,
        found.params,
        found.tied,
        "published",
        suite=name,
        theta=found.theta,
        converged=True,
        message=found.note,
        warnings=(found.note,) if found.note else (),
        loss_meaning=found.loss_meaning,
        loss_unit=found.loss_unit,
        source=found.source,
        **fields,
    )


@dataclass(frozen=True, slots=True, eq=False)
class Published:
    """Published constants judged on a table of runs; `missing` holds names and reasons."""

    fits: tuple[Fit, ...]
    missing: tuple[tuple[str, str], ...]

    def rows(self) -> list[dict[str, Any]]:
        """One plain dictionary per set of constants, free of NaN; errors as fractions."""
        return [
            {
                "name": fit.suite,
                "law": fit.law,
                "tying": fit.tied,
                "params": fit.params,
                "theta": dict(fit.theta),
                "source": fit.source,
                "loss_meaning": fit.loss_meaning,
                "error_rms": fit.heldout["runs_rms"],
                "error_mean": fit.heldout["runs_bias"],
                "rank_correlation": fit.heldout.get("rank"),
                "pairs_right": fit.heldout.get("pairs_right"),
                "warnings": list(fit.warnings),
            }
            for fit in self.fits
        ] + [{"name": name, "message": why} for name, why in self.missing]


def published_on(runs: TrainingRuns) -> Published:
    """Every set of published constants judged on these runs, none fitted to them, best first."""
    fits, missing = [], []
    for name, constants in PUBLISHED.items():
        if constants.loss_unit != runs.loss_unit:
            missing.append((name, f"it predicts {constants.loss_unit}, not {runs.loss_unit}"))
            continue
        try:
            fit = judged_as_it_is(published(name), runs)
        except Unusable as error:
            missing.append((name, str(error)))
            continue
        if not fit.heldout:
            missing.append((name, "no run has all the columns it needs"))
            continue
        if fit.loss_meaning != runs.loss_meaning:
            note = f"{OTHER_LOSS}: '{fit.loss_meaning}', and '{runs.loss_meaning}' of these runs"
            fit = replace(fit, warnings=(*fit.warnings, note))
        fits.append(fit)
    fits.sort(key=lambda fit: fit.heldout["runs_rms"])
    return Published(tuple(fits), tuple(missing))
