"""Rows that are not one finished run each: sweeps of a setting, and checkpoints of one run."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from core.arrays import Bools, Floats, Indices
from core.document import words_of
from core.records.training_runs import TrainingRuns

# tokens that differ by less count as equal: a budget is rounded to whole batches
SAME_TOKENS = 1.005
# share of rows beyond one for each N and D from which a table is a sweep and not a few retries
LEAST_SHARE = 0.1
# several values of one setting -> words of a column's name, all of which must be there
SETTINGS: Mapping[str, str] = {
    "learning rates": "lr, learning rate",
    "batch sizes": "bs, gbs, batch",
    "weight decays": "wd, weight decay",
    "warm-ups": "warmup, warm up",
    "momenta": "momentum, beta1, beta2, beta 1, beta 2",
    "dropouts": "dropout",
    "optimizers": "optimizer, optimiser",
    "schedules": "schedule, scheduler",
}
# a column with one of these words holds a result, not a setting
RESULTS = frozenset(
    ["loss", "time", "seconds", "s", "ms", "hours", "grad", "norm", "ppl", "perplexity"]
)
SEEDS = frozenset(["seed", "seeds", "trial", "replicate", "repetition"])
DATA = frozenset(["data", "dataset", "corpus", "mix", "mixture", "suite"])
STEPS = frozenset(
    ["step", "globalstep", "trainstep", "trainingstep", "iteration", "iter", "checkpoint", "ckpt"]
)
SAME_RUN = (
    "params_total",
    "params_non_embedding",
    "n_layers",
    "d_model",
    "n_heads",
    "n_kv_heads",
    "d_ff",
    "vocab_size",
)


@dataclass(frozen=True, slots=True)
class Keep:
    """Which rows stand for the others: the last of each run, the best of each N, D and shape."""

    best_of_repeats: bool = False
    last_of_run: bool = False


@dataclass(frozen=True, slots=True)
class Sweep:
    """Runs of one shape and one number of tokens that differ in a setting.

    `settings` has for each column that differs the fewest and most values at one size and number of
    tokens, where there is more than one. `points` of `all_points` sizes and numbers of tokens have several such rows; `extra` counts the
    rows beyond one for each.
    """

    settings: Mapping[str, tuple[int, int]]
    points: int
    all_points: int
    extra: int
    rows: int

    @property
    def refused(self) -> bool:
        """Whether the rows are too many to be taken for single runs done again."""
        return self.extra >= LEAST_SHARE * self.rows

    @property
    def text(self) -> str:
        """What makes the rows repeat, and what can be done."""
        what = " and ".join(
            f"{'up to ' * (fewest < most)}{most} {setting_of(column)} ({column})"
            for column, (fewest, most) in self.settings.items()
        )
        where = (
            "each N and D"
            if self.points == self.all_points
            else f"{self.points} of {self.all_points} pairs of N and D"
        )
        return (
            f"the rows repeat: {what} for {where}, and a law describes the best run of each; "
            "keep the best (--best-of-repeats, or a choice on importing) or choose rows by "
            f"{', '.join(self.settings)}"
        )


def setting_of(column: str) -> str:
    """What several values of a column are, such as 'learning rates'; empty for no known setting."""
    # W&B and MLflow put folders before the name: 'config.lr', 'optim/lr'
    words = set(words_of(re.split(r"[./]", column)[-1]))
    if words & RESULTS:
        return ""
    for title, names in SETTINGS.items():
        if any(set(name.split()) <= words for name in names.split(", ")):
            return title
    return ""


def sweep_of(runs: TrainingRuns) -> Sweep | None:
    """The sweep of settings that the rows hold; None where no two rows differ in a setting alone.

    Rows that differ in nothing or in a seed are true repeats, and no sweep.
    """
    settings = _codes(runs, [c for c in (*runs.columns, *runs.labels) if setting_of(c)])
    if not settings:
        return None
    points = points_of(runs)
    several: dict[str, tuple[int, int]] = {}
    swept: set[int] = set()
    for column, codes in settings.items():
        pairs = np.unique(np.stack([points, codes], axis=1), axis=0)
        numbers, counts = np.unique(pairs[:, 0], return_counts=True)
        if counts.max() > 1:
            several[column] = (int(counts[counts > 1].min()), int(counts.max()))
            swept |= set(numbers[counts > 1].tolist())
    if not several:
        return None
    extra = int(np.isin(points, list(swept)).sum()) - len(swept)
    return Sweep(several, len(swept), int(points.max()) + 1, extra, len(runs))


def sweep_refusal(runs: TrainingRuns) -> str:
    """Why no law is fitted to these rows as they are; empty when it may be."""
    found = sweep_of(runs)
    return found.text if found is not None and found.refused else ""


def points_of(runs: TrainingRuns) -> Indices:
    """Number of every row's shape, training data and tokens (equal within half a percent).

    Beside a column of steps only equal tokens are equal: checkpoints may lie close to each other.
    """
    kinds, tokens = _kinds(runs), runs.columns["tokens"]
    same = 1.0 + 1e-9 if _step_column(runs) is not None else SAME_TOKENS
    order = np.lexsort((tokens, kinds))
    points = np.empty(len(runs), dtype=np.intp)
    point, kind, first = -1, -1, float("nan")
    for i in order:
        if kinds[i] != kind or not tokens[i] <= first * same:
            point, kind, first = point + 1, int(kinds[i]), float(tokens[i])
        points[i] = point
    return points


def conditions_of(runs: TrainingRuns) -> Indices:
    """Number of every row's shape, training data, tokens and settings.

    Rows of one number are one run done again, with another seed at most.
    """
    settings = _codes(runs, [c for c in (*runs.columns, *runs.labels) if setting_of(c)])
    return _numbered([points_of(runs), *settings.values()])


# --- checkpoints ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Checkpoints:
    """Rows that look like stages of the same runs. `run` numbers the run of every row."""

    run: Indices
    rows: int
    runs: int
    why: str

    @property
    def text(self) -> str:
        """What was seen, and what can be done."""
        return (
            f"{self.rows} rows look like checkpoints of {self.runs} runs ({self.why}); keep the last "
            "of each (--last-of-run, or a choice on importing), or resample whole runs or shapes only"
        )


def checkpoints_of(runs: TrainingRuns, run_column: str = "") -> Checkpoints | None:
    """The runs whose checkpoints the rows are; None where rows look like finished runs.

    A sign is a column of steps that grows with the tokens of one run, or a column that names runs
    (`run_column` with the word 'run'), has one name on several rows, and holds one shape at growing
    tokens for it. A model's name on several rows is no sign: a model may be trained many times.
    """
    step = _step_column(runs)
    named = "run" in words_of(run_column)
    run = _run_of_each(runs)
    if run is None or (step is None and not named):
        return None
    kinds, tokens = _kinds(runs), runs.columns["tokens"]
    rows, count = 0, 0
    for number in np.unique(run):
        here = np.flatnonzero(run == number)
        here = here[np.argsort(tokens[here], kind="stable")]
        growing = np.diff(tokens[here]) > 0
        if step is not None:
            growing &= np.diff(step[1][here]) > 0
        if here.size > 1 and growing.all() and np.unique(kinds[here]).size == 1:
            rows, count = rows + here.size, count + 1
    if 2 * rows < len(runs):
        return None
    why = f"'{step[0]}' grows with the tokens" if step else f"'{run_column}' is the same on them"
    return Checkpoints(run, rows, count, why)


def _step_column(runs: TrainingRuns) -> tuple[str, Floats] | None:
    for column, values in runs.columns.items():
        if "".join(words_of(re.split(r"[./]", column)[-1])) in STEPS:
            return column, values
    return None


def _run_of_each(runs: TrainingRuns) -> Indices | None:
    """Number of every row's run: rows of one name, else of one shape where steps are known.

    Rows of one run have different tokens. Where they have not, settings and seeds tell runs apart.
    None where every row is a run of its own.
    """
    names = np.unique(np.array(runs.names, dtype=object), return_inverse=True)[1].reshape(-1)
    kinds = _kinds(runs)
    if int(names.max()) + 1 < len(runs):
        run = names
    elif _step_column(runs) is not None:
        run = kinds
    else:
        return None
    pairs = np.stack([run.astype(np.float64), runs.columns["tokens"]], axis=1)
    if len(np.unique(pairs, axis=0)) < len(runs):
        others = [c for c in (*runs.columns, *runs.labels) if setting_of(c) or _is(c, SEEDS)]
        run = _numbered([run, kinds, *_codes(runs, others).values()])
    return np.asarray(run)


# --- keeping some rows for the others -------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Kept:
    """Which rows are kept, and for each row left out the reason."""

    rows: Bools
    why: Mapping[int, str] = field(default_factory=dict)
    warnings: Sequence[str] = ()


def keep_rows(runs: TrainingRuns, keep: Keep) -> Kept:
    """The rows that `keep` asks for: first the last of each run, then the best of each N and D.

    The last has the most tokens. The best has the lowest loss. Where a column holds seeds, the best
    setting by its mean loss is kept with all of its seeds.
    """
    rows = np.ones(len(runs), dtype=bool)
    why: dict[int, str] = {}
    warnings = []
    if keep.last_of_run:
        _last_of_run(runs, rows, why)
        if not why:
            warnings.append(
                "no two rows are of one run: keeping the last of each leaves nothing out"
            )
    if keep.best_of_repeats:
        before = len(why)
        _best_of_repeats(runs, rows, why)
        if len(why) == before:
            warnings.append(
                "no two rows have one shape and number of tokens: keeping the best leaves nothing out"
            )
    return Kept(rows, why, warnings)


def _last_of_run(runs: TrainingRuns, rows: Bools, why: dict[int, str]) -> None:
    run = _run_of_each(runs)
    if run is None:
        return
    tokens = runs.columns["tokens"]
    order = np.lexsort((np.arange(len(runs)), tokens, run))
    last = np.append(np.diff(run[order]) != 0, True)
    for i, follower in pairwise(order):
        if run[i] == run[follower]:
            of = f" of {runs.names[i]}" if runs.names[i] == runs.names[follower] else ""
            why[int(i)] = f"an earlier checkpoint{of}, at {tokens[i]:.4g} tokens"
    rows[order[~last]] = False


def _best_of_repeats(runs: TrainingRuns, rows: Bools, why: dict[int, str]) -> None:
    columns = (*runs.columns, *runs.labels)
    points, losses = points_of(runs), runs.columns["loss"]
    codes = _codes(runs, [c for c in columns if setting_of(c)])
    settings = [c for c, values in codes.items() if values.any()]
    # without a column of seeds, each row is a setting of its own
    ways = np.arange(len(runs))
    if any(_is(c, SEEDS) for c in columns):
        ways = _numbered([codes[c] for c in settings] or [np.zeros(len(runs))])
    kept = np.flatnonzero(rows)
    for here in np.split(kept[np.argsort(points[kept], kind="stable")], _ends(points[kept])):
        means = {way: float(losses[here[ways[here] == way]].mean()) for way in ways[here].tolist()}
        best = min(means, key=lambda way: means[way])
        for i in here[ways[here] != best]:
            rows[i] = False
            why[int(i)] = (
                f"loss {losses[i]:.4g}{_with(runs, settings, int(i))}; the best at this size and "
                f"these tokens is {means[best]:.4g}"
                f"{_with(runs, settings, int(here[ways[here] == best][0]))}"
            )


def _ends(points: Indices) -> Indices:
    return np.flatnonzero(np.diff(np.sort(points))) + 1


def _with(runs: TrainingRuns, settings: Sequence[str], i: int) -> str:
    """A row's settings, such as ' (lr 0.001, bs 64)'."""
    if not settings:
        return ""
    values = [
        f"{c} {runs.columns[c][i]:g}" if c in runs.columns else f"{c} {runs.labels[c][i]}"
        for c in settings
    ]
    return f" ({', '.join(values)})"


# --- rows as numbers ------------------------------------------------------------------------------


def _is(column: str, words: frozenset[str]) -> bool:
    return bool(set(words_of(column)) & words)


def _kinds(runs: TrainingRuns) -> Indices:
    """Number of every row's shape, size and training data: what all rows of one run share."""
    known = [np.nan_to_num(runs.columns[c], nan=-1.0) for c in SAME_RUN if c in runs.columns]
    data = [c for c in runs.labels if _is(c, DATA)]
    return _numbered([*known, *_codes(runs, data).values()])


def _codes(runs: TrainingRuns, columns: Sequence[str]) -> dict[str, Indices]:
    """A number for each value of each column, of numbers or of text."""
    found = {}
    for column in columns:
        if column in runs.columns:
            values = np.nan_to_num(runs.columns[column], nan=-1.0)
        else:
            values = np.array(runs.labels[column], dtype=object)
        found[column] = np.unique(values, return_inverse=True)[1].reshape(-1)
    return found


def _numbered(columns: Sequence[Floats | Indices]) -> Indices:
    """A number for each distinct row of the columns."""
    table = np.stack([np.asarray(c, dtype=np.float64) for c in columns], axis=1)
    return np.asarray(np.unique(table, axis=0, return_inverse=True)[1]).reshape(-1)
