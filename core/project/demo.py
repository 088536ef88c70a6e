"""The demonstration project: a described space, a recorded sweep and the public runs."""

from __future__ import annotations

import tempfile
from contextlib import suppress
from pathlib import Path

from core.errors import Unusable
from core.formats.own.raw_json import read
from core.pareto.limits import parse_limit
from core.project.choices import Choices, LossChoice
from core.project.project import SUFFIX, Project
from core.records.measurement import Measurement
from core.resources import resource

SWEEP = "sweeps/demo.json"
SPACE = "spaces/demo.toml"


def recorded_sweep(name: str = SWEEP) -> tuple[Measurement, ...]:
    """The measurements of a sweep that ships with the program."""
    return read(resource(name).read_text(encoding="utf-8"), name)


def create_demo(path: Path) -> Project:
    """The demonstration as an ordinary project file at a new path."""
    project = Project.create(path)
    project.put_text("space", resource(SPACE).read_text(encoding="utf-8"))
    project.put_text("demo", "1")
    for measurement in recorded_sweep():
        project.add_measurement(measurement)
    project.put_choices(demo_choices())
    return project


def demo_choices() -> Choices:
    """Speed against quality with one limit ready to be dragged, under the loss law that predicts
    left-out shapes of the bundled runs best (`compare` shows by how much)."""
    return Choices(
        limits=(parse_limit("tpot<=12ms"),),
        loss=LossChoice(law="width-depth", tied="free", method="huber"),
    )


def open_demo(folder: Path) -> Project:
    """The demonstration project of this folder, made anew when it is missing or cannot be read."""
    path = folder / f"demo{SUFFIX}"
    if path.exists():
        with suppress(Unusable):
            return Project.open(path)
        path.unlink()
    unfinished = folder / f"demo-unfinished{SUFFIX}"
    unfinished.unlink(missing_ok=True)
    create_demo(unfinished).close()
    unfinished.replace(path)
    return Project.open(path)


def demo_in_memory(folder: Path | None = None) -> Project:
    """The demonstration project, to read, without a file of its own; named as if it were in `folder`."""
    with tempfile.TemporaryDirectory() as temporary:
        path = Path(temporary) / f"demo{SUFFIX}"
        create_demo(path).close()
        project = Project.in_memory(path)
    if folder is not None:
        project.path = folder / path.name
    return project


def open_any(name: str) -> Project:
    """A project by path, to read, or the demonstration (held in memory) for 'demo'."""
    if name != "demo" or Path(name).exists():
        return Project.open(Path(name).expanduser(), read_only=True)
    return demo_in_memory()
