"""A fit as a value: a law, its parameters, how sure they are, and the runs they were found on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from core.arrays import Bools, Floats, Indices
from core.errors import Unusable
from core.fit.doubt import Doubt
from core.fit.lack_of_fit import LackOfFit
from core.fit.left_out import LeftOut
from core.fit.reach import Reach, reach_of
from core.laws.columns import fit_columns, log_columns
from core.laws.law import Law, Tying
from core.laws.loss import LAWS
from core.records.training_runs import TrainingRuns

Columns = Mapping[str, Floats]
# exact percentiles cost rows x resamples; above this many evaluations the delta method takes over
EXACT_PRODUCTS = 400_000
ROWS_AT_ONCE = 65_536
CALIBRATION_ROWS = 256


def tying_name(tied: bool | str) -> str:
    """'tied' or 'free' from a flag; a name stays as it is."""
    if isinstance(tied, str):
        return tied
    return "tied" if tied else "free"


@dataclass(frozen=True, slots=True, eq=False)
class Fit:
    """A law fitted to runs, or with published constants. A failed fit predicts nothing and gives
    the reason in `message`.

    `theta` holds the law's parameters in their own units, tied ones left out. `resamples` (B,P)
    holds the parameters found on B resamples, columns in theta's order. `ranges` are those that the
    runs had of N, D, R and of other columns of designs, by the keys of `core.fit.reach`. `heldout` holds relative errors on runs left out of a fit, by name, and
    `left_out` the predictions behind them; both are empty until the fit is judged. So is
    `lack_of_fit`, the law's error beside that of repeats, where there are any.
    `withheld` is the reason why no predictions are given, and `undetermined` holds the parameters that
    the runs leave open, each with its reason. `scatter` is the residual standard
    deviation of ln L, corrected for the number of parameters. `centre` holds the mean logs around
    which theta is well conditioned. `doubt` is what a prediction may miss beside its parameters, and
    `clusters` the number of shapes (or runs) that were resampled; 0 where it is not known.
    """

    law: str
    params: str
    tied: str
    method: str
    suite: str = ""
    n: int = 0
    theta: Mapping[str, float] = field(default_factory=dict)
    resamples: Floats | None = None
    objective: float = float("nan")
    mse: float = float("nan")
    r2: float = float("nan")
    mse_all: float = float("nan")
    r2_all: float = float("nan")
    converged: bool = False
    message: str = ""
    ranges: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    heldout: Mapping[str, float] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    withheld: str = ""
    undetermined: Mapping[str, str] = field(default_factory=dict)
    loss_meaning: str = "unknown"
    loss_unit: str = "nats/token"
    source: str = ""
    delta: float = 1e-3
    scatter: float = float("nan")
    centre: Mapping[str, float] = field(default_factory=dict)
    fixed: Mapping[str, float] = field(default_factory=dict)
    left_out: LeftOut | None = None
    doubt: Doubt | None = None
    clusters: int = 0
    lack_of_fit: LackOfFit | None = None

    @property
    def ok(self) -> bool:
        """True when there are parameters to predict with and nothing withholds them."""
        return bool(self.theta) and self.converged and not self.withheld

    @property
    def definition(self) -> Law:
        """The law itself."""
        return LAWS[self.law]

    @property
    def tying(self) -> Tying:
        """Which parameters follow others here, and which are held."""
        tying = self.definition.tying(self.tied)
        return Tying(tying.name, tying.same, {**tying.fixed, **self.fixed})

    @property
    def title(self) -> str:
        """Short name for a list: law, tying and N convention, or the source of published constants."""
        if self.method == "published":
            return f"Published: {self.suite}"
        return f"{self.definition.title} ({self.tied}, {self.params} N)"

    @property
    def shown(self) -> dict[str, float]:
        """The parameters to show: those the runs determine, and all where the user insisted."""
        hidden = self.undetermined if self.withheld else {}
        return {name: value for name, value in self.theta.items() if name not in hidden}

    def failed(self, message: str) -> Fit:
        """The same fit marked as failed, with the reason."""
        return replace(self, converged=False, message=message)

    def noted(self, warnings: tuple[str, ...], withheld: str) -> Fit:
        """The same fit with its warnings and the reason, if any, to withhold predictions."""
        return replace(self, warnings=warnings, withheld=withheld)

    def with_solution(
        self,
        theta: Mapping[str, float],
        centre: Mapping[str, float],
        objective: float,
        converged: bool,
        message: str,
        ranges: Mapping[str, tuple[float, float]],
    ) -> Fit:
        """The same fit with what the search found."""
        return replace(
            self,
            theta=dict(theta),
            centre=dict(centre),
            objective=objective,
            converged=converged,
            message=message,
            ranges=dict(ranges),
        )

    def predict(self, columns: Columns) -> Floats:
        """Loss of every row (n,), in this fit's loss unit.

        Raises Unusable where the fit failed or withholds predictions, or a column is missing.
        """
        self._require()
        value = self._evaluate(self.logs(columns), self.vector()[None])
        return np.asarray(value[0])

    def draws(self, columns: Columns) -> Floats:
        """Loss of every row under every resample (B,n), or (0,n) without resamples.

        Errors of rows move together, so the difference of two rows is much surer than either.
        """
        self._require()
        logs = self.logs(columns)
        if self.resamples is None:
            return np.empty((0, len(next(iter(logs.values())))))
        return self._evaluate(logs, self.centred(self.resamples))

    def logs(self, columns: Columns) -> dict[str, Floats]:
        """The law's columns as centred logs, each (n,)."""
        needs = [n for n in self.definition.needs if n != "r" or "b1" not in self.fixed]
        found = log_columns(columns, needs, self.params)
        return {k: v - self.centre.get(k, 0.0) for k, v in found.items()}

    def vector(self) -> Floats:
        """Theta in centred units (P,), in theta's order."""
        vector: Floats = self.centred(np.array([list(self.theta.values())]))[0]
        return vector

    def centred(self, natural: Floats) -> Floats:
        """Parameters (K,P) in the law's units to centred units, columns in theta's order."""
        tying, names = self.tying, list(self.theta)
        out = natural.astype(np.float64, copy=True)
        for i, p in enumerate(self.definition.free(tying)):
            if not p.centring:
                continue
            kind, column, exponent, sign = p.centring
            c = self.centre.get(column, 0.0)
            if kind == "shift":
                out[:, i] -= c
            else:
                leader = names.index(tying.same.get(exponent, exponent))
                # a coefficient may be beyond floating point only where its exponent is absurd
                with np.errstate(over="ignore", under="ignore", invalid="ignore"):
                    out[:, i] *= np.exp(-sign * natural[:, leader] * c)
        return out

    def _require(self) -> None:
        if not self.theta:
            raise Unusable(f"the {self.law} fit failed: {self.message}")
        if self.withheld:
            raise Unusable(f"predictions of the {self.law} fit are withheld: {self.withheld}")

    def _named(self, theta: Floats) -> dict[str, Floats]:
        """All of the law's parameters as (K,1) columns from centred free ones (K,P)."""
        tying = self.tying
        values = {name: theta[:, i : i + 1] for i, name in enumerate(self.theta)}
        for name, value in tying.fixed.items():
            values[name] = np.full((len(theta), 1), value)
        for name, leader in tying.same.items():
            values[name] = values[leader]
        return values

    def _evaluate(self, logs: Columns, theta: Floats) -> Floats:
        with np.errstate(over="ignore", invalid="ignore"):
            value: Floats = self.definition.function(self._named(theta), logs, False)[0]
        return value

    # -----------------------------------------------------------------------------------------

    def outside(self, columns: Columns) -> Bools:
        """True where a row lies outside what the runs had, in any column of `reach`."""
        return self.reach(columns).anywhere(len(columns["tokens"]))

    def reach(self, columns: Columns) -> Reach:
        """Where rows lie outside what the runs had, by column."""
        return reach_of(self.ranges, self.params, columns)

    def interval(self, columns: Columns, level: float = 0.95) -> tuple[Floats, Floats]:
        """Lower and upper end of the law's mean at every row at this level, each (n,).

        Few rows get percentiles of the resamples. Many rows get the delta method in centred units,
        calibrated against the percentiles of some of them. Both are widened for few shapes. Never
        below zero; NaN without resamples, and where the law itself gives no positive loss.
        """
        self._require()
        logs = self.logs(columns)
        middle = self._evaluate(logs, self.vector()[None])[0]
        count = middle.size
        if self.resamples is None or not len(self.resamples) or not count:
            nothing = np.full_like(middle, np.nan)
            return nothing, nothing.copy()
        if count * len(self.resamples) <= EXACT_PRODUCTS:
            low, high = self._percentiles(logs, level)
        else:
            low, high = self._delta(logs, middle, level)
        wide = self.spread(level) / _normal_quantile(level)
        good = np.where(middle > 0, middle, np.nan)
        below = np.maximum(middle - low, 0.0) * wide
        above = np.maximum(high - middle, 0.0) * wide
        return np.maximum(good - below, 0.0), good + above

    def spread(self, level: float) -> float:
        """How many standard deviations of the resamples an interval of the mean reaches.

        Student's quantile for the number of shapes G, times sqrt(G / (G - 1)): resampling few shapes
        shows too little of how they differ. The normal quantile where G is not known.
        """
        if self.clusters < 2:
            return _normal_quantile(level)
        from scipy.special import stdtrit

        inflation = float(np.sqrt(self.clusters / (self.clusters - 1.0)))
        return float(stdtrit(self.clusters - 1, 0.5 + level / 2.0)) * inflation

    def prediction(self, columns: Columns, level: float = 0.95) -> tuple[Floats, Floats]:
        """Lower and upper loss (n,) of the model that one would train: the prediction interval.

        It holds the mean's doubt, each shape's own effect, the scatter of runs, the doubt between laws
        and what lies beyond the runs (see `core.fit.doubt`). NaN where no doubt was learnt.
        """
        self._require()
        if self.doubt is None:
            nothing = np.full(np.shape(columns["tokens"]), np.nan)
            return nothing, nothing.copy()
        return self.doubt.interval(self, columns, level)

    def predictive_draws(
        self, columns: Columns, shape: Indices, model: Indices, count: int, seed: int = 0
    ) -> Floats:
        """Losses (count, n) of the models that one would train, drawn together; see `Doubt.draws`.

        (0, n) where no doubt was learnt.
        """
        self._require()
        if self.doubt is None:
            return np.empty((0, len(shape)))
        return self.doubt.draws(self, columns, shape, model, count, seed)

    def _percentiles(self, logs: Columns, level: float) -> tuple[Floats, Floats]:
        assert self.resamples is not None
        values = self._evaluate(logs, self.centred(self.resamples))
        tail = 50.0 * (1.0 - level)
        low, high = np.nanpercentile(values, [tail, 100.0 - tail], axis=0)
        return low, high

    def _delta(self, logs: Columns, middle: Floats, level: float) -> tuple[Floats, Floats]:
        """Delta method over all rows, both half-widths scaled to match percentiles."""
        root = self._root_covariance()
        theta = self.vector()[None]
        names = {name: i for i, name in enumerate(self.theta)}
        tying = self.tying
        spread = np.empty_like(middle)
        for first in range(0, middle.size, ROWS_AT_ONCE):
            rows = slice(first, first + ROWS_AT_ONCE)
            part = {k: v[rows] for k, v in logs.items()}
            _, parts = self.definition.function(self._named(theta), part, True)
            jacobian = np.zeros((len(names), part["N"].size))
            for name, slope in parts.items():
                leader = tying.same.get(name, name)
                if leader in names:
                    jacobian[names[leader]] += slope[0]
            spread[rows] = np.sqrt(((root @ jacobian) ** 2).sum(axis=0))
        sample = np.unique(np.linspace(0, middle.size - 1, CALIBRATION_ROWS).astype(np.intp))
        low, high = self._percentiles({k: v[sample] for k, v in logs.items()}, level)
        safe = np.maximum(spread[sample], 1e-300)
        down = float(np.median((middle[sample] - low) / safe))
        up = float(np.median((high - middle[sample]) / safe))
        below: Floats = middle - max(down, 0.0) * spread
        return below, middle + max(up, 0.0) * spread

    def _root_covariance(self) -> Floats:
        """A square root (P,P) of the resamples' covariance in centred units, outliers trimmed."""
        assert self.resamples is not None
        theta = self.centred(self.resamples)
        theta = theta[np.isfinite(theta).all(axis=1)]
        away = np.abs(theta - np.median(theta, axis=0))
        limit = np.percentile(away, 95, axis=0)
        kept = theta[(away <= np.maximum(limit, 1e-300) * 2.0).all(axis=1)]
        centred = (kept - kept.mean(axis=0)) / np.sqrt(max(len(kept) - 1, 1))
        _, size, axes = np.linalg.svd(centred, full_matrices=False)
        root: Floats = size[:, None] * axes
        return root


def _normal_quantile(level: float) -> float:
    """Half-width of the central normal interval, in standard deviations."""
    from statistics import NormalDist

    return NormalDist().inv_cdf(0.5 + level / 2.0)


def derived(fit: Fit) -> dict[str, float]:
    """Values that follow from the parameters, such as the best aspect ratio, where the law has any.

    None where predictions are withheld and parameters of the shape term (of the law, where it has no
    shape term) are not determined.
    """
    implied = fit.definition.implied
    read = set(fit.definition.shape_parameters) or set(fit.theta)
    if implied is None or not fit.theta or (fit.withheld and read & set(fit.undetermined)):
        return {}
    return implied(fit.theta)


def quality(fit: Fit, fitted: TrainingRuns, everything: TrainingRuns) -> Fit:
    """The fit with mean squared error and R2 on the fitted rows and on every row that has them."""
    mse, r2, log_sum = _errors(fit, fitted)
    mse_all, r2_all, _ = _errors(fit, everything)
    spare = max(fit.n - len(fit.theta), 1)
    return replace(
        fit,
        mse=mse,
        r2=r2,
        mse_all=mse_all,
        r2_all=r2_all,
        scatter=float(np.sqrt(log_sum / spare)),
    )


def predicted(fit: Fit, runs: TrainingRuns) -> Floats:
    """Predicted loss of every run, NaN where a column is not known; also of a withheld fit."""
    return replace(fit, withheld="").predict(fit_columns(runs))


def _errors(fit: Fit, runs: TrainingRuns) -> tuple[float, float, float]:
    """Mean squared error, R2 and the sum of squared log errors."""
    loss = runs.columns["loss"]
    guess = predicted(fit, runs)
    known = np.isfinite(guess) & np.isfinite(loss) & (loss > 0)
    loss, guess = loss[known], guess[known]
    if not loss.size:
        return float("nan"), float("nan"), float("nan")
    square = float(((guess - loss) ** 2).sum())
    around = float(((loss - loss.mean()) ** 2).sum())
    with np.errstate(invalid="ignore", divide="ignore"):
        log_sum = float(np.nansum(np.log(np.maximum(guess, 1e-12) / loss) ** 2))
    return square / loss.size, 1.0 - square / around if around > 0 else float("nan"), log_sum
