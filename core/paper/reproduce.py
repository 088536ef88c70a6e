"""The published experiment of arXiv 2501.18107 repeated: seven fits, 7,200 draws, what holds up.

Published values are those of the paper and of refits on its repository's table; obtained values are
exact minima of the same sums of squares on the bundled table.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from itertools import product

import numpy as np

from core.arrays import Floats, Indices
from core.fit.fit import Fit, derived
from core.fit.minimise import Minima, Problem, descend
from core.fit.solve import fit, law_logs, minimum, the_law
from core.fit.validate import judge_largest
from core.formats.runs.suites import suite
from core.laws.columns import fit_columns
from core.paper.minpack import minpack
from core.records.progress import Progress, Steps
from core.records.training_runs import TrainingRuns

SIZES = ("80M", "116M", "164M", "237M", "313M")
PUBLISHED_DRAW = (
    "80M_v5@20N",
    "116M_v4@20N",
    "164M_v7@20N",
    "237M_v2@20N",
    "313M_v3@20N",
    "80M_v4@160N",
)
FIT_SET = "20N+160N"
# a sum of squares over six runs below which a descent has found its valley (3 % per run)
IN_THE_VALLEY = 0.004
AT_ONCE = 1200
# the few draws that the paper's solver has not finished by then creep along a flat
PAPER_STEPS = 4000


@dataclass(frozen=True, slots=True)
class Published:
    """One published row: the law, the runs and the reported results."""

    title: str
    law: str
    tied: str
    runs: str  # 'a': 24 runs at 20N, 'b': those and 3 at 160N, 'c': the six-run draw
    values: Mapping[str, float]
    errors: tuple[float, ...] = ()  # relative errors of the four 1B models, as fractions


PUBLISHED = (
    Published(
        "Inference-aware, 27 runs",
        "inference-aware",
        "tied",
        "b",
        {"A": 54754.3, "B": 778343, "E": 2.44751, "alpha": 0.614574, "epsilon": 0.00114621,
         "mse": 0.000554, "r2": 0.9982, "rank": 1.0},
        (0.0069, 0.0090, 0.0092, 0.0115),
    ),
    Published(
        "Chinchilla, 27 runs",
        "chinchilla",
        "tied",
        "b",
        {"A": 7720.64, "B": 68573.0, "E": 2.13061, "alpha": 0.494668,
         "mse": 0.003296, "r2": 0.9895, "rank": -0.4},
        (0.0275, 0.0341, 0.0398, 0.0410),
    ),
    Published(
        "Inference-aware, 24 runs at 20 tokens per parameter",
        "inference-aware",
        "tied",
        "a",
        {"A": -16247, "B": 958444, "E": 2.40955, "alpha": 0.600808, "epsilon": 0.00107526,
         "mse": 0.1165, "r2": 0.6293, "rank": 0.8},
        (0.0011, 0.0042, 0.0013, 0.0087),
    ),
    Published(
        "Chinchilla, 24 runs at 20 tokens per parameter",
        "chinchilla",
        "tied",
        "a",
        {"A": -25288, "B": 248465, "E": 2.14271, "alpha": 0.506509,
         "mse": 0.9825, "r2": -2.1259, "rank": 0.4},
        (0.030, 0.028, 0.042, 0.024),
    ),
    Published(
        "Inference-aware, 6 runs of different shape",
        "inference-aware",
        "tied",
        "c",
        {"A": 32515.0, "B": 408924, "E": 2.33987, "alpha": 0.583011, "epsilon": 0.0016264,
         "mse": 0.000836, "r2": 0.9973, "rank": 1.0},
    ),
    Published(
        "Chinchilla, 6 runs of different shape",
        "chinchilla",
        "tied",
        "c",
        {"A": 793.468, "B": 4090.93, "E": 1.09406, "alpha": 0.347756,
         "mse": 0.01983, "r2": 0.9369, "rank": -0.4},
    ),
    Published(
        "Inference-aware with its own exponent of R, 27 runs",
        "inference-aware",
        "own-shape-exponent",
        "b",
        {"A": 50840.5, "B": 704724, "E": 2.46749, "alpha": 0.609581, "gamma": 1.25602,
         "epsilon": 2.35883e-5, "mse": 0.000487, "r2": 0.9985, "rank": 1.0},
        (0.0062, 0.0076, 0.0095, 0.0125),
    ),
)  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """One published row beside what was obtained; `errors` are of the four 1B models."""

    published: Published
    fit: Fit
    obtained: Mapping[str, float]
    errors: tuple[float, ...]

    @property
    def worst(self) -> float:
        """Largest relative difference of the law's constants from the published ones."""
        return max(
            abs(self.obtained[k] / v - 1.0)
            for k, v in self.published.values.items()
            if k not in ("mse", "r2", "rank")
        )


@dataclass(frozen=True, slots=True, eq=False)
class Summary:
    """One law over all draws; quantiles are of the mean squared error on all 76 runs."""

    median: float
    q25: float
    q75: float
    q95: float
    r2_above_99: float  # shares of the draws from here on
    rank_is_one: float
    shape_negative: float
    published_percentile: float


@dataclass(frozen=True, slots=True, eq=False)
class Draws:
    """All six-run draws: mean squared error on all runs, per draw, of both laws.

    `paper` is the inference-aware law as the paper's solver leaves it (scipy's curve_fit from all
    ones, which for the Chinchilla law ends at the minimum); the others are exact minima.
    """

    members: Indices  # (7200, 6) row numbers of the table
    inference_aware: Floats
    chinchilla: Floats
    paper: Floats
    published: int  # which draw the paper shows
    summaries: Mapping[str, Summary]  # 'inference-aware', 'chinchilla', 'paper'
    shape_wins: float
    shape_wins_paper: float
    stuck: float  # share of draws in which the paper's solver misses the minimum by 0.1 % or more


@dataclass(frozen=True, slots=True, eq=False)
class Reproduction:
    """The experiment repeated: rows, draws, and what holds up in plain sentences."""

    rows: tuple[Row, ...]
    draws: Draws
    holds: tuple[str, ...]
    fails: tuple[str, ...]

    def text(self) -> str:
        """Everything as text for a terminal."""
        return "\n".join([*_row_lines(self.rows), "", *_draw_lines(self.draws), "",
                          "What holds up:", *(f"  - {s}" for s in self.holds),
                          "What does not:", *(f"  - {s}" for s in self.fails)])  # fmt: skip


def reproduction(
    runs: TrainingRuns | None = None,
) -> Steps[Reproduction]:
    """Steps: the seven fits, each yielded as a Row when it is made, then all draws; returns both with
    the sentences. `runs` defaults to the bundled suite."""
    table = suite("morph") if runs is None else runs
    rows = []
    for done, published in enumerate(PUBLISHED):
        yield Progress(done, 100, published.title)
        rows.append(published_row(table, published))
        yield rows[-1]
    draws = yield from _draws(table)
    yield Progress(97, 100, "asking what holds up")
    holds, fails = _sentences(table, rows, draws)
    yield Progress(100, 100, "reproduced")
    return Reproduction(tuple(rows), draws, holds, fails)


def fit_set(table: TrainingRuns, which: str) -> TrainingRuns:
    """The runs of a published fit: 'a', 'b' or 'c'."""
    if which == "c":
        return table.take(np.array([table.names.index(n) for n in PUBLISHED_DRAW]))
    marked = np.array([v == FIT_SET for v in table.labels["published_fit_set"]])
    if which == "a":
        marked &= np.array([n.endswith("@20N") for n in table.names])
    return table.take(marked)


def published_row(table: TrainingRuns, published: Published) -> Row:
    """One published fit repeated."""
    found = fit(fit_set(table, published.runs), published.law, tied=published.tied, all_rows=table)
    largest = judge_largest(found, table)
    obtained = {
        **found.theta,
        "mse": found.mse_all,
        "r2": found.r2_all,
        "rank": largest["rank_correlation"] or 0.0,
    }
    return Row(published, found, obtained, tuple(largest["relative_errors"]))


# ---------------------------------------------------------------------------------------------


def draw_members(table: TrainingRuns) -> Indices:
    """Row numbers (7200,6) of every draw: a run of each size at 20N, and one 80M run at 160N."""
    marked = [v == FIT_SET for v in table.labels["published_fit_set"]]
    names = list(enumerate(table.names))
    pools = [
        [i for i, n in names if marked[i] and n.startswith(f"{size}_") and n.endswith("@20N")]
        for size in SIZES
    ]
    pools.append([i for i, n in names if marked[i] and n.endswith("@160N")])
    return np.array(list(product(*pools)), dtype=np.intp)


def draw_problem(
    table: TrainingRuns, law: str, members: Indices, centre: Mapping[str, float]
) -> Problem:
    """Tied least squares of a law on every draw, columns centred as given."""
    chosen = the_law(law)
    logs = law_logs(chosen, fit_columns(table), "total")
    return Problem(
        chosen,
        chosen.tying("tied"),
        "least-squares",
        {k: (v - centre.get(k, 0.0))[members] for k, v in logs.items()},
        table.columns["loss"][members],
        np.ones((1, members.shape[1])),
    )


def centre_of(table: TrainingRuns, members: Indices) -> dict[str, float]:
    """Mean logs over the runs that any draw holds."""
    logs = law_logs(the_law("inference-aware"), fit_columns(table), "total")
    return {k: float(v[np.unique(members)].mean()) for k, v in logs.items()}


def paper_minima(
    plain: Problem, centred: Problem, centre: Mapping[str, float]
) -> Generator[int, None, Minima]:
    """Steps: where scipy's curve_fit ends from all ones, in centred units; yields how many remain.

    Descents that have found a valley are finished by Newton steps, which end at the same point.
    """
    names = [p.name for p in plain.law.free(plain.tying)]
    ended = yield from minpack(plain, np.ones(len(names)), PAPER_STEPS, IN_THE_VALLEY)
    theta = ended.theta.copy()
    exponent = theta[:, names.index("alpha")]
    for name, column, sign in (("A", "N", -1.0), ("B", "D", -1.0), ("epsilon", "R", 1.0)):
        if name in names:
            with np.errstate(over="ignore", under="ignore"):
                theta[:, names.index(name)] *= np.exp(sign * exponent * centre[column])
    handed = np.flatnonzero(~ended.converged & (ended.objective <= IN_THE_VALLEY))
    finished = descend(centred, theta[handed], handed, 300)
    theta[handed] = finished.theta
    objective = centred.objective(centred.residuals(centred.value(theta)))
    return Minima(theta, objective, np.ones(len(theta), dtype=bool))


def _draws(table: TrainingRuns) -> Steps[Draws]:
    members = draw_members(table)
    centre = centre_of(table, members)
    found: dict[str, Minima] = {}
    for name, begin in (("inference-aware", 8.0), ("chinchilla", 32.0)):
        parts = []
        for first in range(0, len(members), AT_ONCE):
            done = begin + 24.0 * first / len(members)
            yield Progress(done, 100, f"draw {first} of {len(members)}: {name}, exact minimum")
            some = members[first : first + AT_ONCE]
            parts.append(minimum(draw_problem(table, name, some, centre), starts=6))
        found[name] = Minima(
            np.concatenate([p.theta for p in parts]),
            np.concatenate([p.objective for p in parts]),
            np.concatenate([p.converged for p in parts]),
        )
    steps = paper_minima(
        draw_problem(table, "inference-aware", members, {}),
        draw_problem(table, "inference-aware", members, centre),
        centre,
    )
    while True:
        try:
            left = next(steps)
        except StopIteration as end:
            found["paper"] = end.value
            break
        done = 56.0 + 41.0 * (1.0 - left / len(members))
        yield Progress(done, 100, f"the paper's own solver: {left} draws under way")
    return _judged(table, members, centre, found)


def _judged(
    table: TrainingRuns,
    members: Indices,
    centre: Mapping[str, float],
    found: Mapping[str, Minima],
) -> Draws:
    """The draws' predictions of every run, judged."""
    wanted = [table.names.index(n) for n in PUBLISHED_DRAW]
    shown = int(np.flatnonzero((members == wanted).all(axis=1))[0])
    loss = table.columns["loss"]
    large = np.array([i for i, n in enumerate(table.names) if n.startswith("1B_")])
    every = np.arange(len(table))[None]
    errors: dict[str, Floats] = {}
    summaries = {}
    for name, minima in found.items():
        law = "inference-aware" if name == "paper" else name
        guess = draw_problem(table, law, every, centre).value(minima.theta)
        mse = ((guess - loss) ** 2).mean(axis=1)
        errors[name] = mse
        right = (np.argsort(guess[:, large], axis=1) == np.argsort(loss[large])).all(axis=1)
        q25, median, q75, q95 = (float(v) for v in np.percentile(mse, [25, 50, 75, 95]))
        summaries[name] = Summary(
            median,
            q25,
            q75,
            q95,
            float((1.0 - mse / loss.var() > 0.99).mean()),
            float(right.mean()),
            float((minima.theta[:, -1] < 0).mean()) if law == "inference-aware" else 0.0,
            float(100.0 * (mse < mse[shown]).mean()),
        )
    least, paper = found["inference-aware"].objective, found["paper"].objective
    return Draws(
        members,
        errors["inference-aware"],
        errors["chinchilla"],
        errors["paper"],
        shown,
        summaries,
        float((errors["inference-aware"] < errors["chinchilla"]).mean()),
        float((errors["paper"] < errors["chinchilla"]).mean()),
        float((paper > least * 1.001).mean()),
    )


# ---------------------------------------------------------------------------------------------


def _sentences(
    table: TrainingRuns, rows: list[Row], draws: Draws
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What holds up and what does not, every number obtained here."""
    aware, plain = rows[0].fit, rows[1].fit
    held = ~np.isin(np.array(table.names), np.array(fit_set(table, "b").names))
    loss = table.columns["loss"][held]

    def left_out(found: Fit) -> float:
        return float(((found.predict(fit_columns(table.take(held))) - loss) ** 2).mean())

    paper = draws.summaries["paper"]
    exact = draws.summaries["inference-aware"]
    worst = max(r.worst for r in rows)
    holds = (
        f"All seven published fits come out: their constants within {100 * worst:.2f} % (curve_fit "
        "stops a little before the minimum), every reported error to one unit of its last printed "
        "digit, every rank correlation exactly.",
        f"On the {held.sum()} runs that no fit saw, the law with shape has mean squared error "
        f"{left_out(aware):.6f}, the one without {left_out(plain):.6f}.",
        f"Six runs are enough: at the exact minimum the law with shape wins in "
        f"{100 * draws.shape_wins:.0f} % of {len(draws.members)} draws, with a median error of "
        f"{exact.median:.5f} against {draws.summaries['chinchilla'].median:.5f}.",
        f"Runs with more tokens per parameter are needed: without them A is negative and R2 over "
        f"all runs falls to {rows[2].fit.r2_all:.2f} (with shape) and {rows[3].fit.r2_all:.2f}.",
    )
    free = fit(table, "chinchilla", tied=False, params="non-embedding")
    tied_plain = fit(table, "chinchilla", tied=True)
    tied = fit(table, "inference-aware", tied=True)
    other = fit(table, "inference-aware", tied=True, params="non-embedding")
    valley = fit(table, "u-shaped", tied=True)
    best = derived(valley).get("R_star", float("nan"))
    fails = (
        "Shape partly stands for embeddings: shapes of one total size differ in block parameters. "
        f"Counting non-embedding parameters, a law without shape has error {free.mse:.6f} on all "
        f"runs, near the {tied.mse:.6f} of the law with shape on total parameters (and far from "
        f"{tied_plain.mse:.6f} without shape), and epsilon turns negative "
        f"({other.theta['epsilon']:.4f}).",
        f"The loss is U-shaped in R but the law is monotone: with a valley it fits better "
        f"({valley.mse:.6f}, best R {best:.0f}), and it is too optimistic about very deep, narrow shapes.",
        f"The published draw is a lucky one: at percentile {paper.published_percentile:.0f} for "
        f"the law with shape, {draws.summaries['chinchilla'].published_percentile:.0f} for the one "
        "without.",
        f"The paper's solver, started from all ones, misses the minimum in {100 * draws.stuck:.0f} % "
        f"of the draws; its 95th percentile of error is {paper.q95:.2f}, that of the exact minimum "
        f"{exact.q95:.4f}. The tail is the solver's, not the law's.",
        "The rank correlation of -0.4 of the law without shape says only that the four 1B models "
        "differ in size; it would be the same for any law of N alone.",
        "The losses are most likely averages over training, not final losses.",
    )
    return holds, fails


def _row_lines(rows: tuple[Row, ...]) -> list[str]:
    lines = []
    for row in rows:
        lines.append(f"{row.published.title} (largest difference {100 * row.worst:.4f} %)")
        for name, value in row.published.values.items():
            lines.append(f"  {name:>8}  published {value:<12.6g} obtained {row.obtained[name]:.6g}")
        if row.published.errors:
            published = ", ".join(f"{100 * e:.2f}" for e in row.published.errors)
            obtained = ", ".join(f"{100 * e:.2f}" for e in row.errors)
            lines.append(f"  1B errors  published {published} %  obtained {obtained} %")
    return lines


def _draw_lines(draws: Draws) -> list[str]:
    head = f"{'':<34}{'median':>9}{'q25':>9}{'q75':>9}{'q95':>9}{'R2>.99':>8}{'rank 1':>8}{'eps<0':>7}{'shown at':>10}"
    lines = [f"{len(draws.members)} six-run draws, mean squared error on all 76 runs:", head]
    titles = {
        "paper": "with shape, the paper's solver",
        "inference-aware": "with shape, exact minimum",
        "chinchilla": "without shape",
    }
    for name, title in titles.items():
        s = draws.summaries[name]
        lines.append(
            f"{title:<34}{s.median:>9.5f}{s.q25:>9.5f}{s.q75:>9.5f}{s.q95:>9.4f}"
            f"{100 * s.r2_above_99:>7.0f}%{100 * s.rank_is_one:>7.0f}%"
            f"{100 * s.shape_negative:>6.0f}%{s.published_percentile:>9.0f}%"
        )
    lines.append(
        f"the shape term wins in {100 * draws.shape_wins_paper:.0f} % of draws by the paper's solver, "
        f"{100 * draws.shape_wins:.0f} % at the exact minimum; the solver misses it in "
        f"{100 * draws.stuck:.0f} %"
    )
    return lines
