"""A law: a plain function with named parameters, their bounds and starts, and its source."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from core.arrays import Floats

# natural logarithms of the columns a law reads, each of shape (..., n)
Logs = Mapping[str, Floats]
# a law's value and its slope by each parameter; no slopes where none are wanted
Slopes = dict[str, Floats]
LawFunction = Callable[[Mapping[str, Floats], Logs, bool], tuple[Floats, Slopes]]


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a law: its unit, bounds for a robust fit, and where a search starts.

    `linear`: the law is linear in it once the others are given, so it is solved for exactly.
    `centring` says how it moves when a column is measured from its geometric mean c:
    ('times', column, exponent, sign) multiplies by c^(sign * exponent); ('shift', column, '', 1)
    adds ln c; None leaves it alone. `starts` are in centred units.
    """

    name: str
    unit: str
    low: float = -np.inf
    high: float = np.inf
    starts: tuple[float, ...] = ()
    linear: bool = False
    centring: tuple[str, str, str, float] | None = None


@dataclass(frozen=True, slots=True)
class Tying:
    """Which parameters of a law follow another, and which are held at a value."""

    name: str  # 'tied', 'own-shape-exponent' or 'free'
    same: Mapping[str, str] = field(default_factory=dict)
    fixed: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Law:
    """A loss law: one row of the table of laws.

    `function(parameters, logs, slopes)` returns the loss and, where wanted, its slopes. `needs` are
    the columns it reads: N parameters, D tokens, d width, l layers, R = d/l, x = d/sqrt(N),
    r = FFN over attention parameters. `n_note` says which N its published constants count.
    """

    name: str
    title: str
    formula: str
    source: str
    function: LawFunction
    parameters: tuple[Parameter, ...]
    needs: tuple[str, ...]
    tyings: tuple[Tying, ...]
    n_note: str
    shape_parameters: tuple[str, ...] = ()  # empty: the law has no shape term
    note: str = ""
    # size and data terms are those of Chinchilla, at most times a factor of shape: the best N and D
    # for a budget have a closed form
    closed_optimum: bool = False
    # parameters whose sign decides which way shape works
    signed: tuple[str, ...] = ()
    # what parameters imply beyond themselves, e.g. the best aspect ratio
    implied: Callable[[Mapping[str, float]], dict[str, float]] | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Every parameter's name, in order."""
        return tuple(p.name for p in self.parameters)

    @property
    def has_shape_term(self) -> bool:
        """True when two shapes of one size can differ in predicted loss."""
        return bool(self.shape_parameters)

    def tying(self, name: str) -> Tying:
        """The tying of that name; KeyError names the ones there are."""
        for tying in self.tyings:
            if tying.name == name:
                return tying
        raise KeyError(f"{self.name} has no tying '{name}'; it has {[t.name for t in self.tyings]}")

    def free(self, tying: Tying) -> tuple[Parameter, ...]:
        """The parameters that a fit with this tying searches for."""
        return tuple(
            p for p in self.parameters if p.name not in tying.same and p.name not in tying.fixed
        )
