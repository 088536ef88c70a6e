"""The content of a project without its choices, as one frozen value that everything is made from."""

from __future__ import annotations

from dataclasses import dataclass

from core.errors import Unusable
from core.fit.mixing import TOGETHER, mixed
from core.formats.runs.suites import bundled_suites, suite
from core.project.project import Project
from core.records.imported import ImportedPoint
from core.records.measurement import Measurement
from core.records.training_runs import TrainingRuns
from core.samples.bandwidth import with_best_bandwidth
from core.space.space import Space
from core.space.space_file import parse_space


@dataclass(frozen=True, slots=True, eq=False)
class Contents:
    """The content of a project without its choices."""

    name: str
    space: Space | None
    measurements: tuple[Measurement, ...]
    runs: tuple[TrainingRuns, ...]
    imported: tuple[ImportedPoint, ...] = ()

    def __post_init__(self) -> None:
        # a device probed while it was busy is not believed for good
        object.__setattr__(self, "measurements", with_best_bandwidth(self.measurements))

    def suite(self, name: str) -> TrainingRuns:
        """A suite of the project or a bundled one; 'A + B' gives both as one.

        Raises Unusable for an unknown name, listing the known ones, and for suites that cannot be put
        together.
        """
        for runs in self.runs:
            if runs.suite == name:
                return runs
        if name in bundled_suites():
            return suite(name)
        if TOGETHER in name:
            return mixed([self.suite(part) for part in name.split(TOGETHER)])
        known = ", ".join((*(r.suite for r in self.runs), *bundled_suites()))
        raise Unusable(f"there is no suite of runs '{name}' (known: {known})")


def read_contents(project: Project) -> Contents:
    """The content of a project without its choices; `project.unread` says what of it cannot be read."""
    text, space = project.text("space"), None
    try:
        space = parse_space(text) if text else None
    except Unusable as error:
        project.could_not_read("space", str(error))
    parts = project.measurements(), project.runs(), project.imported()
    return Contents(project.path.stem, space, *parts)
