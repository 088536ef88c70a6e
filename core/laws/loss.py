"""Loss laws as plain functions, and the table of them: one law, one row.

Every function takes parameters by name (arrays that broadcast against the columns), the natural
logarithms of the columns, and whether slopes are wanted; it returns the loss and its slopes.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from core.arrays import Floats
from core.laws.law import Law, Logs, Parameter, Slopes, Tying

Parameters = Mapping[str, Floats]
Term = tuple[Floats, Slopes]

# the shape at which the conditional law's factor is 1 (the optimum of arXiv 2510.18245)
X_REFERENCE = 0.08
R_REFERENCE = 1.0


def times(first: Term, second: Term) -> Term:
    """The product of two terms, with its slopes."""
    (a, da), (b, db) = first, second
    slopes = {name: slope * b for name, slope in da.items()}
    for name, slope in db.items():
        slopes[name] = a * slope
    return a * b, slopes


def chinchilla(p: Parameters, x: Logs, slopes: bool = False) -> Term:
    """E + A/N^alpha + B/D^beta, Hoffmann et al. 2022 (arXiv 2203.15556), approach 3."""
    n = np.exp(-p["alpha"] * x["N"])
    d = np.exp(-p["beta"] * x["D"])
    a_term, b_term = p["A"] * n, p["B"] * d
    value = p["E"] + a_term + b_term
    if not slopes:
        return value, {}
    return value, {
        "A": n,
        "B": d,
        "E": np.ones_like(value),
        "alpha": -a_term * x["N"],
        "beta": -b_term * x["D"],
    }


def inference_aware(p: Parameters, x: Logs, slopes: bool = False) -> Term:
    """(E + A/N^alpha + B/D^beta) (1 + epsilon R^gamma), R = d/l (arXiv 2501.18107)."""
    return times(chinchilla(p, x, slopes), aspect_power(p, x, slopes))


def aspect_power(p: Parameters, x: Logs, slopes: bool = False) -> Term:
    """1 + epsilon R^gamma: rises with R for ever when epsilon and gamma are positive."""
    power = np.exp(p["gamma"] * x["R"])
    term = p["epsilon"] * power
    return 1.0 + term, {"epsilon": power, "gamma": term * x["R"]} if slopes else {}


def u_shaped(p: Parameters, x: Logs, slopes: bool = False) -> Term:
    """(E + A/N^alpha + B/D^beta) (1 + c ln^2(R/R*)): a best aspect ratio R* when c > 0."""
    return times(chinchilla(p, x, slopes), aspect_valley(p, x, slopes))


def aspect_valley(p: Parameters, x: Logs, slopes: bool = False) -> Term:
    """1 + c (ln R - ln R*)^2."""
    away = x["R"] - p["ln_R_star"]
    square = away * away
    if not slopes:
        return 1.0 + p["c"] * square, {}
    return 1.0 + p["c"] * square, {"c": square, "ln_R_star": -2.0 * p["c"] * away}


def width_depth(p: Parameters, x: Logs, slopes: bool = False) -> Term:
    """E + A/N^alpha + B/D^beta + F/d^f + G/l^g, McLeish et al. 2025 (arXiv 2502.06857)."""
    value, parts = chinchilla(p, x, slopes)
    d = np.exp(-p["f"] * x["d"])
    depth = np.exp(-p["g"] * x["l"])
    f_term, g_term = p["F"] * d, p["G"] * depth
    if slopes:
        parts |= {"F": d, "G": depth, "f": -f_term * x["d"], "g": -g_term * x["l"]}
    return value + f_term + g_term, parts


def conditional(p: Parameters, x: Logs, slopes: bool = False) -> Term:
    """(E + A/N^alpha + B/D^beta) times a factor of d/sqrt(N) and one of r (arXiv 2510.18245).

    The factors are 1 + a1 ln(x/x0) + a2 (x0/x - 1) and 1 + b1 ln(r/r0) + b2 (r0/r - 1): the
    paper's a0 + a1 ln x + a2/x with its spare scale removed, 1 at x0 = 0.08 and r0 = 1. The best
    x is x0 a2/a1, the best r is r0 b2/b1.
    """
    law = times(chinchilla(p, x, slopes), log_valley(p, x, ("x", "a1", "a2", X_REFERENCE), slopes))
    if "r" not in x:
        return law
    return times(law, log_valley(p, x, ("r", "b1", "b2", R_REFERENCE), slopes))


def log_valley(
    p: Parameters, x: Logs, names: tuple[str, str, str, float], slopes: bool = False
) -> Term:
    """1 + a ln(x/x0) + b (x0/x - 1) of the named column, parameters and reference."""
    column, a, b, reference = names
    log = x[column] - np.log(reference)
    inverse = np.expm1(-log)
    value = 1.0 + p[a] * log + p[b] * inverse
    if not slopes:
        return value, {}
    return value, {a: np.broadcast_to(log, value.shape), b: np.broadcast_to(inverse, value.shape)}


def over_training(p: Parameters, x: Logs, slopes: bool = False) -> Term:
    """E + (a M^eta + b M^-eta) C^-eta, C = 6 N D, M = D/N, Gadre et al. 2024 (arXiv 2403.08540)."""
    # M^eta C^-eta = 6^-eta N^-2eta, and M^-eta C^-eta = 6^-eta D^-2eta
    six = np.log(6.0)
    n = np.exp(-p["eta"] * (six + 2.0 * x["N"]))
    d = np.exp(-p["eta"] * (six + 2.0 * x["D"]))
    a_term, b_term = p["a"] * n, p["b"] * d
    value = p["E"] + a_term + b_term
    if not slopes:
        return value, {}
    eta = -a_term * (six + 2.0 * x["N"]) - b_term * (six + 2.0 * x["D"])
    return value, {"a": n, "b": d, "E": np.ones_like(value), "eta": eta}


def best_aspect(p: Mapping[str, float]) -> dict[str, float]:
    """'R_star', the best aspect ratio of the u-shaped law; with c below zero it is the worst one."""
    return {"R_star": float(np.exp(np.clip(p["ln_R_star"], -700, 700)))} if p["c"] > 0 else {}


def best_ratios(p: Mapping[str, float]) -> dict[str, float]:
    """'x_star' and 'r_star' of the conditional law, each where its factor has a turning point."""
    found = {}
    if p["a1"] * p["a2"] > 0:
        found["x_star"] = X_REFERENCE * p["a2"] / p["a1"]
    if p.get("b1", 0.0) * p.get("b2", 0.0) > 0:
        found["r_star"] = R_REFERENCE * p["b2"] / p["b1"]
    return found


# ---------------------------------------------------------------------------------------------

EXPONENT_STARTS = (0.05, 0.15, 0.3, 0.5, 0.8)
A = Parameter("A", "nats x N^alpha", 0.0, linear=True, centring=("times", "N", "alpha", 1.0))
B = Parameter("B", "nats x D^beta", 0.0, linear=True, centring=("times", "D", "beta", 1.0))
E = Parameter("E", "nats/token", 0.0, linear=True)
ALPHA = Parameter("alpha", "1", 0.0, starts=EXPONENT_STARTS)
BETA = Parameter("beta", "1", 0.0, starts=EXPONENT_STARTS)
BASE = (A, B, E, ALPHA, BETA)

ANY_N = "fits either count; constants hold only for the count they were fitted with"

LAWS: dict[str, Law] = {
    law.name: law
    for law in (
        Law(
            "chinchilla",
            "Chinchilla",
            "E + A/N^alpha + B/D^beta",
            "Hoffmann et al. 2022, arXiv 2203.15556; refit Besiroglu et al. 2024, arXiv 2404.10102",
            chinchilla,
            BASE,
            ("N", "D"),
            (Tying("tied", {"beta": "alpha"}), Tying("free")),
            ANY_N,
            note="no term for shape: shapes of one size get the same loss",
            closed_optimum=True,
        ),
        Law(
            "inference-aware",
            "Inference-aware",
            "(E + A/N^alpha + B/D^beta) (1 + epsilon R^gamma), R = d_model/n_layers",
            "Bian, Yan, Venkataraman 2025, arXiv 2501.18107",
            inference_aware,
            (
                *BASE,
                Parameter("gamma", "1", -3.0, 3.0, (-2.5, -0.8, 0.5, 1.5)),
                Parameter(
                    "epsilon",
                    "R^-gamma",
                    starts=(-0.1, -0.01, 0.01, 0.1),
                    centring=("times", "R", "gamma", -1.0),
                ),
            ),
            ("N", "D", "R"),
            (
                Tying("tied", {"beta": "alpha", "gamma": "alpha"}),
                Tying("own-shape-exponent", {"beta": "alpha"}),
                Tying("free"),
            ),
            "published with total parameters, both embeddings counted",
            ("epsilon", "gamma"),
            note="monotone in R: it cannot have a best aspect ratio",
            closed_optimum=True,
            signed=("epsilon",),
        ),
        Law(
            "u-shaped",
            "U-shaped",
            "(E + A/N^alpha + B/D^beta) (1 + c ln^2(R/R*))",
            "this program; the shape of the published data, arXiv 2501.18107",
            u_shaped,
            (
                *BASE,
                Parameter("c", "1", starts=(-0.005, 0.005, 0.03)),
                Parameter(
                    "ln_R_star", "ln(d/l)", starts=(-1.5, 0.0, 1.5), centring=("shift", "R", "", 1)
                ),
            ),
            ("N", "D", "R"),
            (Tying("tied", {"beta": "alpha"}), Tying("free")),
            ANY_N,
            ("c", "ln_R_star"),
            closed_optimum=True,
            signed=("c",),
            implied=best_aspect,
        ),
        Law(
            "width-depth",
            "Width-depth",
            "E + A/N^alpha + B/D^beta + F/d^f + G/l^g",
            "McLeish et al. 2025, arXiv 2502.06857",
            width_depth,
            (
                *BASE,
                Parameter("F", "nats x d^f", 0.0, linear=True, centring=("times", "d", "f", 1.0)),
                Parameter("G", "nats x l^g", 0.0, linear=True, centring=("times", "l", "g", 1.0)),
                Parameter("f", "1", 0.0, starts=(0.1, 0.5, 1.5)),
                Parameter("g", "1", 0.0, starts=(0.1, 0.5, 1.5)),
            ),
            ("N", "D", "d", "l"),
            (Tying("tied", {"beta": "alpha"}), Tying("free")),
            "published with total parameters",
            ("F", "G", "f", "g"),
        ),
        Law(
            "conditional",
            "Conditional",
            "(E + A/N^alpha + B/D^beta) (1 + a1 ln(x/x0) + a2 (x0/x - 1))"
            " (1 + b1 ln(r/r0) + b2 (r0/r - 1)), x = d_model/sqrt(N), r = FFN/attention",
            "Bian, Yu, Venkataraman, Park 2026, arXiv 2510.18245",
            conditional,
            (
                *BASE,
                Parameter("a1", "1", starts=(-0.05, 0.05)),
                Parameter("a2", "1", starts=(-0.05, 0.05)),
                Parameter("b1", "1", starts=(0.0,)),
                Parameter("b2", "1", starts=(0.0,)),
            ),
            ("N", "D", "x", "r"),
            (Tying("tied", {"beta": "alpha"}), Tying("free")),
            "published with non-embedding parameters",
            ("a1", "a2", "b1", "b2"),
            implied=best_ratios,
        ),
        Law(
            "over-training",
            "Over-training",
            "E + (a M^eta + b M^-eta) C^-eta, C = 6 N D, M = D/N",
            "Gadre et al. 2024, arXiv 2403.08540",
            over_training,
            (
                Parameter("a", "nats", 0.0, linear=True, centring=("times", "N", "eta", 2.0)),
                Parameter("b", "nats", 0.0, linear=True, centring=("times", "D", "eta", 2.0)),
                E,
                Parameter("eta", "1", 0.0, starts=tuple(s / 2 for s in EXPONENT_STARTS)),
            ),
            ("N", "D"),
            (Tying("tied"),),
            "published with total parameters",
            note="the tied Chinchilla law written in compute and tokens per parameter",
        ),
    )
}
