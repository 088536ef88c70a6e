"""`profile`: measure the shapes of a space on this machine, into a project."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from core.commands.clustered import HELP as CLUSTER_HELP
from core.commands.clustered import measure_on_cluster
from core.commands.devices import chosen_devices, find_device
from core.commands.following import followed
from core.commands.measured import one_line
from core.commands.measuring import measuring_into
from core.commands.options import seconds, whole
from core.commands.planned import planned
from core.commands.profile_report import report
from core.errors import Unusable
from core.measure.backends.registry import check_names, sweepable
from core.model.workload import BYTES_PER_ELEMENT
from core.records.measurement import Measurement, Point
from core.samples.repetitions import REPETITIONS, repetitions_made
from core.units import parse_quantity

if TYPE_CHECKING:
    from core.project.project import Project
    from core.space.space import Space

HELP = "measure the shapes of a space on this machine"


def share(text: str) -> float:
    """A relative error: '5%' or 0.05."""
    try:
        value = parse_quantity(text)
    except Unusable as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError(f"'{text}' must lie between 0 and 100%")
    return value


def arguments(parser: argparse.ArgumentParser) -> None:
    """SPACE, the project, the devices, and how and for how long to measure."""
    parser.add_argument("space", help="a space as TOML")
    parser.add_argument("--project", required=True, help="a .paretoscope file, made if missing")
    parser.add_argument(
        "--device",
        default="",
        help="'cpu' (default), 'cuda:N', several as 'cuda:0,cuda:1', or 'cuda:all': one sweep on each;"
        " devices that are alike share the points",
    )
    parser.add_argument("--cluster", default="", help=CLUSTER_HELP)
    parser.add_argument(
        "--execution",
        action="append",
        default=[],
        choices=sweepable(),
        help="instead of those of the space; repeatable",
    )
    parser.add_argument(
        "--weights",
        action="append",
        default=[],
        choices=tuple(BYTES_PER_ELEMENT),
        help="weight precision instead of those of the space; repeatable",
    )
    parser.add_argument("--model", action="append", default=[], help="a local model folder as well")
    parser.add_argument(
        "--points", type=whole, default=None, help="measure at most this many points"
    )
    parser.add_argument(
        "--repetitions",
        type=whole,
        default=REPETITIONS,
        help=f"measure each point this many times, each in a fresh process (default: {REPETITIONS});"
        " with --until-error each is measured once",
    )
    parser.add_argument(
        "--interleave",
        type=whole,
        default=1,
        metavar="N",
        help="on a CPU, hold up to N points in memory and time them interleaved: the effect of a shared"
        " machine on all of them is taken out (default: 1, one after another)",
    )
    for old, new in (("--visits", "repetitions"), ("--in-turns", "interleave")):
        # the names of earlier versions keep working
        parser.add_argument(
            old, dest=new, type=whole, default=argparse.SUPPRESS, help=argparse.SUPPRESS
        )
    parser.add_argument(
        "--budget-s",
        type=seconds,
        default=None,
        help="stop after this many seconds, compiling included",
    )
    parser.add_argument(
        "--until-error",
        type=share,
        default=None,
        help="choose what to measure next, until the law's held-out error is below this (5%%)",
    )
    parser.add_argument(
        "--plan",
        action="store_true",
        help="only show what would be measured and what it could cost",
    )
    parser.add_argument("--threads", type=whole, default=0, help="CPU threads (default: cores)")
    parser.add_argument("--energy", action="store_true", help="add an energy pass to every point")
    parser.add_argument(
        "--again", action="store_true", help="also measure points that are already known"
    )
    parser.add_argument("--python", default=None, help="another Python to measure with")
    parser.add_argument("--seed", type=int, default=0, help="of the order of points and blocks")


def run(options: argparse.Namespace) -> tuple[str, dict[str, Any]]:
    """Measure, fit and report: one row per point, the laws and their held-out errors."""
    from core.project.project import Project
    from core.space.space_file import read_space

    options.device = options.device or ("auto" if options.cluster else "cpu")
    if not (options.cluster or options.device == "cpu" or options.device.startswith("cuda")):
        raise Unusable(f"--device is 'cpu' or 'cuda:N', not '{options.device}'")
    space = read_space(options.space)
    points = wanted_points(space, options)
    if options.plan:
        if options.cluster:
            raise Unusable("--plan is for one device; a cluster's machines are not known before")
        return planned(points, find_device(options), options)
    with Project.open_or_create(options.project) as project:
        if not project.text("space") and not project.read_only:
            # `frontier` and the window choose among its candidates
            project.put_text("space", space.text)
        found: list[Measurement] = []
        with measuring_into(project):
            ending = _measure(points, project, found, options)
        return report(options, found, project, ending)


def wanted_points(space: Space, options: argparse.Namespace) -> tuple[Point, ...]:
    """The points of a space under the command's overrides, model folders added."""
    axes: dict[str, tuple[Any, ...]] = dict(space.axes)
    if options.execution:
        axes["execution"] = tuple(options.execution)
    if options.weights:
        axes["weights"] = tuple(options.weights)
    check_names(axes["execution"])
    space = dataclasses.replace(space, axes=axes)
    points = space.measurement_points(options.points)
    if not options.model:
        return points
    from core.measure.backends.folder import read_folder

    settings = dict.fromkeys((p.workload, p.runtime) for p in points)
    folders = [read_folder(path) for path in options.model]
    models = [
        Point(folder.architecture, workload, runtime, str(folder.path))
        for folder in folders
        for workload, runtime in settings
    ]
    return (*points, *models)


def _measure(
    points: Sequence[Point],
    project: Project,
    found: list[Measurement],
    options: argparse.Namespace,
) -> dict[str, Any]:
    """Run the sweep, with its progress on standard error; returns how it ended."""
    from core.project.measure_into import adapt_into, sweep_into

    keep = partial(_keep, found)
    if options.cluster:
        made = repetitions_made(() if options.again else project.measurements())
        return measure_on_cluster(points, project, made, options, keep)
    several = "," in options.device or "all" in options.device
    how: dict[str, Any] = {
        "again": options.again,
        "budget_s": options.budget_s,
        "interleave": options.interleave,
        "python": options.python,
        "threads": options.threads,
        "seed": options.seed,
        "energy_s": 5.0 if options.energy else 0.0,
    }
    if options.until_error is None:
        device, *others = chosen_devices(options) if several else (options.device,)
        swept = followed(
            sweep_into(
                project, points, device, others=others, repetitions=options.repetitions, **how
            ),
            keep,
        )
        return {
            "reason": "budget" if swept.left else "all measured",
            "skipped": swept.skipped,
            "left": swept.left,
            "seconds": swept.seconds,
            "device": swept.device,
        }
    if several:
        raise Unusable("--until-error chooses the points of one device; name one with --device")
    one = find_device(options)
    adapted = followed(
        adapt_into(project, points, one, target_error=options.until_error, **how), keep
    )
    return {
        "reason": adapted.reason,
        "candidates": adapted.candidates,
        "curve": [
            {"measurements": c.measurements, "error": c.error, "elapsed_s": c.elapsed_s}
            for c in adapted.curve
        ],
        "device": one,
    }


def _keep(found: list[Measurement], step: Any) -> str | None:
    """Collect a measurement; the line to print of it."""
    if not isinstance(step, Measurement):
        return None
    found.append(step)
    return f"{len(found):>4}  {one_line(step)}"
