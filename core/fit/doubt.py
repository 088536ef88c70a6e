"""What a prediction of a law may miss: the doubt that turns its mean into a prediction interval."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from core.arrays import Floats, Indices
from core.fit.beyond import Fitted, beyond

Columns = Mapping[str, Floats]
# laws believed less than this are left out of predictions; their weight goes to the others
LEAST_WEIGHT = 0.02
# a mean is never taken to lie below this share of the law's own
LEAST_SHARE = 1e-3


class Mean(Fitted, Protocol):
    """What the doubt needs of a fit: its mean, how sure the mean is, and its resamples."""

    @property
    def law(self) -> str:
        """Name of the law."""
        ...

    @property
    def tied(self) -> str:
        """Name of the tying."""
        ...

    def predict(self, columns: Columns) -> Floats:
        """The mean's loss of every row (n,)."""
        ...

    def interval(self, columns: Columns, level: float = 0.95) -> tuple[Floats, Floats]:
        """Lower and upper end of the mean (n,)."""
        ...

    def draws(self, columns: Columns) -> Floats:
        """The mean under every resample (B,n)."""
        ...

    def spread(self, level: float) -> float:
        """How many standard deviations of the resamples an interval of the mean reaches."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Doubt:
    """How far the model that one would train may lie from a law's mean; all are of ln L.

    `laws` are the other laws that these runs leave possible and `weights` how much each is believed;
    `own_weight` is what is left for the law itself. `shape_sd` is the standard deviation of each
    shape's own effect, and `run_sd` that of single runs of one shape. `rates` widen by distance beyond
    the runs (see `core.fit.widening`). `clusters` are the shapes it was all learnt from, and `runs` how
    many runs. `variances` are those of the other laws' means inside the runs, by the jackknife.

    With weights w and the laws' deviations d_k = ln f_k - ln f from this law, the prediction is
    centred at ln f + sum w d, and its variance is

        shape_sd^2 + run_sd^2 + max(sum w v + sum w (d_k - sum w d)^2, (rate x distance)^2)

    where v are the variances of the laws' means. The quantile is Student's. Its degrees of freedom are
    those of shape_sd^2 (shapes less one) and run_sd^2 (runs less one) together, after Satterthwaite.
    """

    laws: tuple[Mean, ...]
    weights: tuple[float, ...]
    shape_sd: float
    run_sd: float
    rates: Mapping[str, float]
    clusters: int
    variances: tuple[float, ...] = ()
    runs: int = 0

    @property
    def own_weight(self) -> float:
        """How much the law itself is believed."""
        return 1.0 - sum(self.weights)

    @property
    def freedom(self) -> float:
        """Degrees of freedom of shape_sd^2 + run_sd^2 (Satterthwaite 1946)."""
        shape, run = self.shape_sd**2, self.run_sd**2
        of_shapes, of_runs = max(self.clusters - 1, 1), max(self.runs - 1, 1)
        if not self.runs or not shape + run:
            return of_shapes
        return float((shape + run) ** 2 / (shape**2 / of_shapes + run**2 / of_runs))

    def quantile(self, level: float) -> float:
        """Student's two-sided quantile for what the effect of shapes and the scatter were learnt from."""
        from scipy.special import stdtrit

        return float(stdtrit(self.freedom, 0.5 + level / 2.0))

    def interval(self, fit: Mean, columns: Columns, level: float) -> tuple[Floats, Floats]:
        """Lower and upper loss (n,) of the model one would train, at this level.

        It always holds the law's own prediction and the interval of its mean. NaN where the law gives no
        positive loss, or has no resamples.
        """
        middle = _log(fit.predict(columns))
        low, high = fit.interval(columns, level)
        # a lower end of zero has no logarithm
        mean = (_log(high) - np.fmax(_log(low), middle + np.log(LEAST_SHARE))) / 2.0
        shift, between = self._between(columns, middle)
        wide = self.quantile(level)
        far = sum(
            (
                np.square(self.rates.get(name, 0.0) * away)
                for name, away in self._away(fit, columns)
            ),
            np.zeros(middle.shape),
        )
        mean_square = self.own_weight * mean**2 + wide**2 * self._others_variance()
        doubt = np.maximum(mean_square + wide**2 * between, wide**2 * far)
        half = np.sqrt(doubt + wide**2 * (self.shape_sd**2 + self.run_sd**2))
        centre = middle + shift
        return (
            np.minimum(np.exp(centre - half), low),
            np.maximum(np.exp(centre + half), high),
        )

    def draws(
        self, fit: Mean, columns: Columns, shape: Indices, model: Indices, count: int, seed: int
    ) -> Floats:
        """Losses (count, n) of the models one would train, drawn together.

        In one draw all rows share the law, its parameters and the error beyond each edge of the runs.
        Rows of one number in `shape` (n,) share the shape's own effect; rows of one number in `model`
        (n,) are one model. Empty, (0, n), without resamples.
        """
        drawn = fit.draws(columns)
        rows = len(shape)
        if len(drawn) < 2:
            return np.empty((0, rows))
        random = np.random.default_rng(seed)
        middle = _log(fit.predict(columns))
        picked = np.arange(count) % len(drawn)
        # a draw of Student's t is a normal one over a scale that is drawn, once for all rows
        scale = np.sqrt(self.freedom / random.chisquare(self.freedom, count))[:, None]
        wide = fit.spread(0.95) / self.quantile(0.95)
        moved = _log(np.maximum(drawn, LEAST_SHARE * np.exp(middle))) - middle
        moved = moved * wide
        typical = float(np.sqrt(np.median(np.var(moved, axis=0))))
        # another law's parameters err as much as its own jackknife says
        share = [1.0, *(np.sqrt(v) / max(typical, 1e-12) for v in self.variances)]
        share += [1.0] * (1 + len(self.laws) - len(share))
        variance = self.own_weight * np.var(moved, axis=0) + self._others_variance()
        laws = np.stack([np.zeros(rows), *self._deviations(columns, middle)])
        chosen = random.choice(len(laws), count, p=[self.own_weight, *self.weights])
        values = middle + scale * np.array(share)[chosen, None] * moved[picked] + laws[chosen]
        for sd, of in ((self.shape_sd, shape), (self.run_sd, model)):
            numbers, which = np.unique(of, return_inverse=True)
            values += sd * scale * random.standard_normal((count, numbers.size))[:, which.ravel()]
        _, between = self._between(columns, middle)
        far = [(self.rates.get(name, 0.0) * away) for name, away in self._away(fit, columns)]
        total = sum((np.square(each) for each in far), np.zeros(rows))
        with np.errstate(invalid="ignore", divide="ignore"):
            # only what parameters and laws do not explain already
            rest = np.sqrt(np.maximum(total - variance - between, 0.0) / total)
        for each in far:
            # the two edges of a range err independently
            for edge in (each > 0, each < 0):
                if edge.any():
                    common = scale * random.standard_normal((count, 1))
                    values[:, edge] += common * (rest * each)[edge]
        return np.asarray(np.exp(values))

    def _others_variance(self) -> float:
        """What the other laws' means add to the variance."""
        return sum(w * v for w, v in zip(self.weights, self.variances, strict=False))

    def _away(self, fit: Mean, columns: Columns) -> list[tuple[str, Floats]]:
        return list(beyond(fit, columns).items())

    def _deviations(self, columns: Columns, middle: Floats) -> list[Floats]:
        """ln f_k - ln f of every other law (n,); 0 where that law gives no positive loss."""
        found = []
        for law in self.laws:
            each = _log(law.predict(columns)) - middle
            found.append(np.where(np.isfinite(each), each, 0.0))
        return found

    def _between(self, columns: Columns, middle: Floats) -> tuple[Floats, Floats]:
        """Mean (n,) and variance (n,) of the laws' deviations from this one."""
        mean, square = np.zeros((2, *middle.shape))
        for weight, each in zip(self.weights, self._deviations(columns, middle), strict=True):
            mean += weight * each
            square += weight * each**2
        return mean, np.maximum(square - mean**2, 0.0)


def _log(values: Floats) -> Floats:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.where(values > 0, np.log(values), np.nan))
