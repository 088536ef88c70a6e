"""Fitting a loss law to runs: choose rows, centre logs, try every start, return the best."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import product

import numpy as np

from core.arrays import Bools, Floats, Indices
from core.errors import Unusable
from core.fit.fit import Fit, quality, tying_name
from core.fit.identify import warnings_of
from core.fit.minimise import HUBER_DELTA, ROUND, Minima, Problem, descend, linear_solve
from core.fit.reach import known_ranges
from core.fit.repeats import sweep_refusal
from core.fit.row_filter import kept as matching
from core.fit.terms import refusal, term_answers, undetermined
from core.fit.varied import told_apart_at_one_size
from core.laws.columns import fit_columns, log_columns, params_column
from core.laws.law import Law, Tying
from core.laws.loss import LAWS
from core.records.training_runs import TrainingRuns

METHODS = ("least-squares", "huber")
# below this spread (largest over smallest) the FFN ratio cannot be told from a constant
LEAST_RATIO_SPREAD = 1.5
# how many numbers one chunk of starts may hold
CHUNK = 1_000_000
# how many distinct descents of one weighting are carried to the end
DISTINCT = 6
STILL_FALLING = (
    "the search was still improving when it was stopped: the data do not pin down the parameters, "
    "which may run off to infinity; tie exponents or fit by huber, which has bounds"
)
# steps that every start takes before the best are picked
SCOUT = 6
# a descent is given up when this many rounds like its last one would not reach the best
PATIENCE = 10.0


def fit(
    runs: TrainingRuns,
    law: str,
    *,
    tied: bool | str = False,
    params: str = "total",
    method: str = "least-squares",
    where: Mapping[str, str] | None = None,
    all_rows: TrainingRuns | None = None,
    delta: float = HUBER_DELTA,
    insist: bool = False,
) -> Fit:
    """The law fitted to the runs that `where` keeps, judged on them and on all rows.

    `tied` is True, False or a tying's name. `mse_all` and `r2_all` are over `all_rows` (default:
    `runs` before `where`). A failed fit is a Fit whose message gives the reason. Where the runs do
    not determine a term of the law (`core.fit.terms`) the Fit names its parameters and withholds its
    predictions unless `insist`; rows that are a sweep of settings are not fitted unless `insist`.
    Raises Unusable for an unknown law, method or convention, or a missing column.
    """
    chosen = the_law(law)
    if method not in METHODS:
        raise Unusable(f"method is '{method}'; it must be one of {', '.join(METHODS)}")
    params_column(params)
    everything = runs if all_rows is None else all_rows
    kept = matching(runs, where or ())
    tying = the_tying(chosen, tied)
    columns = fit_columns(kept)
    logs = law_logs(chosen, columns, params)
    chosen_tying, notes = tying_for(chosen, tying, logs)
    usable = usable_rows(logs, kept.columns["loss"])
    if dropped := int((~usable).sum()):
        notes.append(
            f"{dropped} rows are left out: they lack a positive value in a column the law needs"
        )
    start = Fit(
        law=chosen.name,
        params=params,
        tied=tying.name,
        method=method,
        suite=kept.suite,
        n=int(usable.sum()),
        loss_meaning=kept.loss_meaning,
        loss_unit=kept.loss_unit,
        source=kept.source,
        delta=delta,
        fixed=dict(chosen_tying.fixed),
    )
    wanted = len(chosen.free(chosen_tying))
    if start.n < wanted:
        return start.failed(f"{start.n} runs cannot determine {wanted} parameters")
    logs = {k: v[usable] for k, v in logs.items()}
    centre = centres(chosen, logs)
    problem = Problem(
        chosen,
        chosen_tying,
        method,
        {k: (v - centre.get(k, 0.0))[None] for k, v in logs.items()},
        kept.columns["loss"][usable][None],
        np.ones((1, start.n)),
        delta,
    )
    again = sweep_refusal(kept.take(usable))
    if again and not insist:
        return start.noted(tuple(notes), again).failed(again)
    if again:
        notes.insert(0, again + "; fitted as they are because you insisted")
    best = minimum(problem)
    if not np.isfinite(best.objective[0]):
        return refused(start.noted(tuple(notes), ""), kept, insist).failed(
            "no start led to a finite objective: the law cannot describe the losses"
        )
    theta = natural(chosen, chosen_tying, best.theta, centre)
    found = start.with_solution(
        {name: float(values[0]) for name, values in theta.items()},
        centre,
        float(best.objective[0]),
        bool(best.converged[0]),
        "" if best.converged[0] else STILL_FALLING,
        known_ranges(columns, params, usable),
    )
    if not np.isfinite(found.vector()).all():
        start = refused(start.noted(tuple(notes), ""), kept, insist)
        return start.failed("the search diverged: an exponent grew too large for a number")
    found = refused(quality(found, kept.take(usable), everything), kept, insist)
    notes = [*found.warnings, *notes]
    notes += warnings_of(found, problem, best)
    sets = set(kept.labels.get("train_dataset", ()))
    if len(sets) > 1:
        notes.append(
            f"runs on {len(sets)} training sets are fitted together; choose one of "
            f"{', '.join(sorted(sets))} by train_dataset"
        )
    together = list(dict.fromkeys(kept.labels.get("suite", ())))
    if len(together) > 1:
        notes.append(
            f"runs of {' and '.join(together)} are fitted together: any difference between them "
            "besides size, tokens and shape counts as error"
        )
    return found.noted(tuple(notes), found.withheld)


def refused(fit: Fit, runs: TrainingRuns, insist: bool) -> Fit:
    """The fit with the parameters that these runs leave open, and its predictions withheld if any.

    Where the user insists, the reason is a warning instead.
    """
    answers = term_answers(fit, runs)
    open_ones, reason = undetermined(answers), refusal(answers)
    if reason and insist:
        warning = f"{reason}; predictions are given because you insisted"
        return replace(fit, undetermined=open_ones, warnings=(warning, *fit.warnings))
    return replace(fit, undetermined=open_ones, withheld=reason)


def problem_of(fit: Fit, runs: TrainingRuns) -> tuple[Problem, Indices]:
    """The problem that a fit solved, on these runs, and which of the runs it could use.

    Centred as the fit was, so that the fit's own vector is a start.
    """
    law = fit.definition
    needs = [n for n in law.needs if n != "r" or "b1" not in fit.fixed]
    logs = log_columns(fit_columns(runs), needs, fit.params)
    usable = np.flatnonzero(usable_rows(logs, runs.columns["loss"]))
    return Problem(
        law,
        fit.tying,
        fit.method,
        {k: (v[usable] - fit.centre.get(k, 0.0))[None] for k, v in logs.items()},
        runs.columns["loss"][usable][None],
        np.ones((1, usable.size)),
        fit.delta,
    ), usable


def the_law(name: str) -> Law:
    """The law of that name, or Unusable with the names there are."""
    if name not in LAWS:
        raise Unusable(f"there is no law '{name}'; there are {', '.join(LAWS)}")
    return LAWS[name]


def the_tying(law: Law, tied: bool | str) -> Tying:
    """The tying of that name, or the only one of a law that has one; Unusable if there is none."""
    if len(law.tyings) == 1:
        return law.tyings[0]
    try:
        return law.tying(tying_name(tied))
    except KeyError as error:
        raise Unusable(str(error.args[0])) from None


def law_logs(law: Law, columns: Mapping[str, Floats], params: str) -> dict[str, Floats]:
    """The law's columns as logs; the FFN ratio alone may be missing."""
    needs = [n for n in law.needs if n != "r" or "ffn_to_attention" in columns]
    return log_columns(columns, needs, params)


def tying_for(law: Law, tying: Tying, logs: Mapping[str, Floats]) -> tuple[Tying, list[str]]:
    """The tying with the FFN factor held at 1 where the runs do not determine it, and a note of that."""
    if "r" not in law.needs:
        return tying, []
    ratio = logs.get("r")
    why = "is not in the table"
    if ratio is not None:
        known = np.isfinite(ratio) & np.isfinite(logs["N"]) & np.isfinite(logs["x"])
        here = ratio[known]
        if not here.size or np.ptp(here) < np.log(LEAST_RATIO_SPREAD):
            why = "does not vary enough"
        elif told_apart_at_one_size(here, logs["x"][known], np.exp(logs["N"][known])):
            return tying, []
        else:
            why = "cannot be told from size and width by these runs"
    note = f"the FFN-to-attention ratio {why}; its factor is held at 1"
    return Tying(tying.name, tying.same, {**tying.fixed, "b1": 0.0, "b2": 0.0}), [note]


def usable_rows(logs: Mapping[str, Floats], loss: Floats) -> Bools:
    """Rows with a positive finite value in every column the law needs."""
    good = np.isfinite(loss) & (loss > 0)
    for values in logs.values():
        good &= np.isfinite(values)
    return good


def centres(law: Law, logs: Mapping[str, Floats]) -> dict[str, float]:
    """Mean log of every column that a parameter is centred on."""
    named = {p.centring[1] for p in law.parameters if p.centring}
    return {k: float(v.mean()) for k, v in logs.items() if k in named and v.size}


def natural(
    law: Law, tying: Tying, theta: Floats, centre: Mapping[str, float]
) -> dict[str, Floats]:
    """Free centred parameters (K,P) to the law's own units: name -> (K,), tied ones left out."""
    free = [p.name for p in law.free(tying)]
    values = {name: theta[:, i] for i, name in enumerate(free)}
    shown: dict[str, Floats] = {}
    for p in law.free(tying):
        value = values[p.name]
        if p.centring:
            kind, column, exponent, sign = p.centring
            c = centre[column]
            if kind == "shift":
                value = value + c
            else:
                leader = tying.same.get(exponent, exponent)
                with np.errstate(over="ignore"):
                    value = value * np.exp(sign * values[leader] * c)
        shown[p.name] = value
    return shown


# ---------------------------------------------------------------------------------------------


def minimum(problem: Problem, starts: int = 16, steps: int = 300) -> Minima:
    """The lowest objective found for every weighting of the problem, from a grid of exponents.

    At every grid point the linear coefficients are solved exactly. The best points descend a few
    steps together, and the best of those descend to the end.
    """
    parts = []
    grid = grid_of(problem)
    width = max(1, CHUNK // max(1, len(grid) * problem.loss.shape[1]))
    for first in range(0, problem.size, width):
        which = np.arange(first, min(problem.size, first + width))
        parts.append(_minimum(problem.rows(which), which.size, grid, starts, steps))
    return Minima(
        np.concatenate([p.theta for p in parts]),
        np.concatenate([p.objective for p in parts]),
        np.concatenate([p.converged for p in parts]),
    )


def _minimum(problem: Problem, size: int, grid: Floats, starts: int, steps: int) -> Minima:
    which = np.repeat(np.arange(size), len(grid))
    solved, value = project(problem, np.tile(grid, (size, 1)), which)
    value = value.reshape(size, len(grid))
    picked = unlike_best(problem, grid, value, starts)
    count = picked.shape[1]
    theta = np.take_along_axis(solved.reshape(size, len(grid), -1), picked[:, :, None], axis=1)
    which = np.repeat(np.arange(size), count)
    first = descend(problem, theta.reshape(size * count, -1), which, SCOUT, exact=False)
    return finish(problem, size, count, first, which, steps)


def unlike_best(problem: Problem, grid: Floats, value: Floats, starts: int) -> Indices:
    """Grid points to start from (B,S): the best of every family of shape terms, best first.

    Starts that differ in the exponents of N and D alone lead to one minimum; those that differ in
    the shape term lead to different ones.
    """
    names = [p.name for p in problem.law.free(problem.tying)]
    apart = [i for i, n in enumerate(names) if n not in ("alpha", "beta", "eta")]
    family = np.unique(grid[:, apart], axis=0, return_inverse=True)[1].reshape(-1)
    if family.max() + 1 < 4:
        return np.argsort(value, axis=1)[:, : min(3, len(grid))]
    members = [np.flatnonzero(family == k) for k in range(int(family.max()) + 1)]
    best = np.stack([m[np.argmin(value[:, m], axis=1)] for m in members], axis=1)
    order = np.argsort(np.take_along_axis(value, best, axis=1), axis=1)[:, :starts]
    return np.take_along_axis(best, order, axis=1)


def finish(
    problem: Problem, size: int, count: int, first: Minima, which: Indices, steps: int
) -> Minima:
    """Carries the best distinct descents of every weighting to the end; returns the best of each."""
    values = first.objective.reshape(size, count)
    order = np.argsort(values, axis=1)
    sorted_values = np.take_along_axis(values, order, axis=1)
    # descents that agree to four digits are on their way to one minimum
    fresh = np.ones_like(sorted_values, dtype=bool)
    with np.errstate(invalid="ignore"):
        gap = np.diff(sorted_values, axis=1)
        fresh[:, 1:] = gap > 1e-4 * np.abs(sorted_values[:, 1:])
    rank = np.cumsum(fresh, axis=1)
    far = sorted_values > 2.0 * sorted_values[:, :1] + 1e-6 * problem.loss.shape[1]
    keep = fresh & (rank <= DISTINCT) & ~far
    rows, places = np.nonzero(keep)
    picked = rows * count + order[rows, places]
    none = np.zeros(picked.size, dtype=bool)
    last = _race(problem, Minima(first.theta[picked], first.objective[picked], none), rows, steps)
    objective = np.full(size, np.inf)
    winner = np.zeros(size, dtype=np.intp)
    for k in np.argsort(-last.objective, kind="stable"):
        objective[rows[k]] = last.objective[k]
        winner[rows[k]] = k
    return Minima(last.theta[winner], last.objective[winner], last.converged[winner])


def _race(problem: Problem, at: Minima, rows: Indices, steps: int) -> Minima:
    """Carries descents on round by round; gives up one that stays far above the best."""
    live = np.arange(len(rows))
    for _ in range(0, steps, ROUND):
        if not live.size:
            break
        before = at.objective[live]
        more = descend(problem, at.theta[live], rows[live], ROUND)
        at.theta[live], at.objective[live] = more.theta, more.objective
        at.converged[live] = more.converged
        lowest = np.full(problem.size, np.inf)
        np.minimum.at(lowest, rows, at.objective)
        with np.errstate(invalid="ignore"):
            gain = before - more.objective
            behind = more.objective - lowest[rows[live]]
        live = live[~more.converged & (behind <= PATIENCE * gain)]
    return at


def grid_of(problem: Problem) -> Floats:
    """Every combination of the starts of the parameters that are not linear (G,P), ones elsewhere."""
    free = problem.law.free(problem.tying)
    return np.array(list(product(*[(1.0,) if p.linear else p.starts for p in free])))


def project(problem: Problem, theta: Floats, which: Indices) -> tuple[Floats, Floats]:
    """Theta with its linear coefficients solved exactly given the others, and the objective there.

    For a robust fit they solve least squares on relative errors, reweighted twice.
    """
    free = problem.law.free(problem.tying)
    linear = np.flatnonzero([p.linear for p in free])
    part = problem.rows(which)
    _, jacobian = part.slopes(theta)
    basis = jacobian[:, linear]
    robust = problem.method == "huber"
    bounded = np.full(linear.size, robust)
    weights = (
        part.weights / part.loss**2 if robust else np.broadcast_to(part.weights, part.weights.shape)
    )
    solved = theta.copy()
    for _ in range(3 if robust else 1):
        weighted = basis * np.broadcast_to(weights, (len(theta), basis.shape[2]))[:, None, :]
        gram = weighted @ basis.transpose(0, 2, 1)
        right = np.einsum(
            "kpn,kn->kp", weighted, np.broadcast_to(part.loss, (len(theta), basis.shape[2]))
        )
        bad = ~np.isfinite(gram).all(axis=(1, 2))
        gram[bad], right[bad] = np.eye(linear.size), 0.0
        solved[:, linear] = linear_solve(gram, right, bounded)
        if robust:
            value = np.einsum("kp,kpn->kn", solved[:, linear], basis)
            away = np.abs(value / part.loss - 1.0)
            weights = part.weights / part.loss**2 / np.maximum(away, part.delta)
    objective = part.objective(part.residuals(part.value(solved)))
    return solved, objective
