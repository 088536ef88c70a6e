"""`profile`: measure the shapes of a space on this machine, into a project."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from core.commands.clustered import HELP as CLUSTER_HELP
from core.commands.clustered import measure_on_cluster
from core.commands.options import seconds, whole
from core.commands.planned import planned
from core.errors import Unusable
from core.model.workload import BYTES_PER_ELEMENT, EXECUTIONS
from core.records.measurement import Device, Measurement, Point
from core.records.progress import Progress
from core.samples.repetitions import REPETITIONS, repetitions_made
from core.units import parse_quantity

if TYPE_CHECKING:
    from core.fit.latency_fit import LatencyFit
    from core.project.project import Project
    from core.space.space import Space

HELP = "measure the shapes of a space on this machine"
SWEEPABLE = tuple(e for e in EXECUTIONS if e != "served")


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
    """SPACE, the project, and what to measure on, how, and for how long."""
    parser.add_argument("space", help="a space as TOML")
    parser.add_argument("--project", required=True, help="a .paretoscope file, made if missing")
    parser.add_argument(
        "--device",
        default="",
        help="'cpu' (default), 'cuda:N', several as 'cuda:0,cuda:1', or 'cuda:all': one sweep on each,"
        " alike ones sharing the points",
    )
    parser.add_argument("--cluster", default="", help=CLUSTER_HELP)
    parser.add_argument(
        "--execution",
        action="append",
        default=[],
        choices=SWEEPABLE,
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
    parser.add_argument("--points", type=whole, default=None, help="measure at most so many points")
    parser.add_argument(
        "--repetitions",
        type=whole,
        default=REPETITIONS,
        help=f"measure each point so many times, each in a fresh process (default: {REPETITIONS});"
        " with --until-error each is measured once",
    )
    parser.add_argument(
        "--interleave",
        type=whole,
        default=1,
        metavar="N",
        help="on a CPU, hold up to N points in memory and time them interleaved: what a shared machine"
        " does to all of them meanwhile is taken out (default: 1, one after another)",
    )
    for old, new in (("--visits", "repetitions"), ("--in-turns", "interleave")):
        # the names of earlier versions keep working
        parser.add_argument(
            old, dest=new, type=whole, default=argparse.SUPPRESS, help=argparse.SUPPRESS
        )
    parser.add_argument("--budget-s", type=seconds, default=None, help="stop after so many seconds")
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
    parser.add_argument("--again", action="store_true", help="measure what is known already, too")
    parser.add_argument("--python", default=None, help="another Python to measure with")
    parser.add_argument("--seed", type=int, default=0, help="of the order of points and blocks")


def run(options: argparse.Namespace) -> tuple[str, dict[str, Any]]:
    """Measure, fit and report: one row a point, the laws and their held-out errors."""
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
            # its candidates are what `frontier` and the window choose among
            project.put_text("space", space.text)
        before = project.measurements()
        known = repetitions_made(() if options.again else before)
        found: list[Measurement] = []
        ending = _measure(points, project, known, found, options)
        return report(options, found, project, ending)


def wanted_points(space: Space, options: argparse.Namespace) -> tuple[Point, ...]:
    """The points of a space under the command's overrides, model folders added."""
    axes: dict[str, tuple[Any, ...]] = dict(space.axes)
    if options.execution:
        axes["execution"] = tuple(options.execution)
    if options.weights:
        axes["weights"] = tuple(options.weights)
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
    known: Mapping[Any, int],
    found: list[Measurement],
    options: argparse.Namespace,
) -> dict[str, Any]:
    """Run the sweep, with its progress on standard error; returns how it ended."""
    from core.measure.sweeps.several_devices import sweep_on_all
    from core.measure.sweeps.sweep import sweep

    if options.cluster:
        follow = partial(_followed, found=found)
        return measure_on_cluster(points, project, known, options, follow)
    devices = (
        find_devices_asked(options) if "," in options.device or "all" in options.device else ()
    )
    start = partial(
        sweep,
        device=options.device,
        budget_s=options.budget_s,
        store=project.add_measurement,
        already=known,
        python=options.python,
        threads=options.threads,
        seed=options.seed,
        energy_s=5.0 if options.energy else 0.0,
    )
    if options.until_error is None:
        start = partial(start, repetitions=options.repetitions, interleave=options.interleave)
        steps = sweep_on_all(points, devices, partial(on, start)) if devices else start(points)
        swept = _followed(steps, found)
        return {
            "reason": "budget" if swept.left else "all measured",
            "skipped": swept.skipped,
            "left": swept.left,
            "seconds": swept.seconds,
            "device": swept.device,
        }
    if devices:
        raise Unusable("--until-error chooses the points of one device; name one with --device")
    from core.measure.sweeps.adaptive import BATCH, adaptive

    start = partial(start, interleave=options.interleave)
    device = find_device(options)
    earlier = [m for m in project.measurements() if m.key in known and m.device.key == device.key]
    adapted = _followed(
        adaptive(
            points,
            start,
            measured=earlier,
            target_error=options.until_error,
            budget_s=options.budget_s or float("inf"),
            batch=max(BATCH, options.interleave),
        ),
        found,
    )
    return {
        "reason": adapted.reason,
        "candidates": adapted.candidates,
        "curve": [
            {"measurements": c.measurements, "error": c.error, "elapsed_s": c.elapsed_s}
            for c in adapted.curve
        ],
        "device": device,
    }


def on(
    start: Callable[..., Iterator[Any]], points: Sequence[Point], device: Device
) -> Iterator[Any]:
    """The sweep of one device."""
    return start(points, device=device)


def find_device(options: argparse.Namespace) -> Device:
    """The one device asked for. Raises Unusable, naming those there are."""
    found = find_devices_asked(options)
    if len(found) > 1:
        raise Unusable(f"name one device, not '{options.device}'")
    return found[0]


def find_devices_asked(options: argparse.Namespace) -> tuple[Device, ...]:
    """The devices asked for, each once. Raises Unusable, naming those there are."""
    from core.measure.process.session import device_name, find_devices

    every = find_devices(options.python)
    if options.device == "cuda:all":
        wanted = [device_name(d) for d in every if d.kind == "cuda"] or ["cuda"]
    else:
        words = [word.strip() for word in options.device.split(",")]
        wanted = ["cuda:0" if word == "cuda" else word for word in words]
    known = {device_name(device): device for device in every}
    for name in wanted:
        if name not in known:
            names = ", ".join(known)
            raise Unusable(f"torch sees no device '{name}' here; it sees {names}")
    if "cpu" in wanted and len(set(wanted)) > 1:
        raise Unusable("measure the cpu by itself: what drives a GPU would be timed with it")
    return tuple(known[name] for name in dict.fromkeys(wanted))


def _followed(steps: Iterator[Any], found: list[Measurement]) -> Any:
    """The outcome of a generator of steps; results are collected and told as they come."""
    live = sys.stderr.isatty()
    width = 0
    try:
        while True:
            step = next(steps)
            if isinstance(step, Measurement):
                found.append(step)
                clear = " " * width + "\r" if live else ""
                print(f"{clear}{len(found):>4}  {one_line(step)}", file=sys.stderr, flush=True)
            elif isinstance(step, Progress) and live:
                left = "" if step.seconds_left is None else f", {step.seconds_left:.0f} s left"
                line = f"      {step.done:.1f} of {step.total:.0f}  {step.text}{left}"[:118]
                print(line.ljust(width), end="\r", file=sys.stderr, flush=True)
                width = len(line)
    except StopIteration as end:
        return end.value
    finally:
        if live:
            print(" " * width, end="\r", file=sys.stderr, flush=True)
        close = getattr(steps, "close", None)
        if close is not None:
            close()


def one_line(m: Measurement) -> str:
    """One measurement as a line of text."""
    from core.samples.statistics import estimate
    from core.units import format_quantity

    name = f"{m.model or m.architecture.label}, {m.runtime.label}, {m.workload.label}"
    if m.failed:
        return f"{name}: {', '.join(m.flags)} ({m.message})"
    parts = []
    for metric in ("ttft", "tpot"):
        e = estimate(m, metric)
        if e is not None:
            # one block has no interval
            width = f" ± {100 * e.half_width:.1f} %" if e.high < float("inf") else ""
            parts.append(f"{metric.upper()} {format_quantity(e.value, 's')}{width}")
    flags = f"  [{', '.join(m.flags)}]" if m.flags else ""
    return f"{name}: {', '.join(parts)}{flags}"


def report(
    options: argparse.Namespace,
    found: Sequence[Measurement],
    project: Project,
    ending: dict[str, Any],
) -> tuple[str, dict[str, Any]]:
    """The text and the JSON object of a finished sweep."""
    from core.fit.latency import fit_latency
    from core.records.serial import to_plain

    device: Device | None = found[-1].device if found else ending["device"]
    laws: tuple[LatencyFit, ...] = ()
    if device is not None:
        keys = {device.key, *(m.device.key for m in found)}
        laws = fit_latency([m for m in project.measurements() if m.device.key in keys])
    answer: dict[str, Any] = {
        "schema_version": 1,
        "project": str(options.project),
        **{k: v for k, v in ending.items() if k != "device"},
        "device": to_plain(device) if device is not None else None,
        "measured": len(found),
        "failed": sum(m.failed for m in found),
        "measurements": [described(m) for m in found],
        "laws": [described_law(law) for law in laws],
    }
    return human(answer, found), answer


def described(m: Measurement) -> dict[str, Any]:
    """One measurement for JSON: values with intervals, flags, the ratio to the memory floor."""
    from core.samples.roofline import floor_ratio, launch_overhead_s
    from core.samples.statistics import PHASES, estimate

    metrics: dict[str, Any] = {}
    for metric in PHASES:
        e = estimate(m, metric)
        if e is not None:
            metrics[metric] = {
                "value": e.value,
                # one block has no interval
                "low": e.low if e.high < float("inf") else None,
                "high": e.high if e.high < float("inf") else None,
                "n": e.n,
            }
            for tail in ("p90", "p95", "p99"):
                t = estimate(m, metric, tail)
                if t is not None:
                    metrics[metric][tail] = t.value
    return {
        "id": m.id,
        "model": m.model,
        "shape": dataclasses.asdict(m.architecture),
        "params_total": int(m.architecture.params_total),
        "workload": dataclasses.asdict(m.workload),
        "runtime": dataclasses.asdict(m.runtime),
        "metrics": metrics,
        "floor_ratio": floor_ratio(m),
        "launch_overhead_s": launch_overhead_s(m),
        "memory_bytes": dict(m.memory_bytes),
        "energy": dict(m.energy) or None,
        "flags": list(m.flags),
        "message": m.message,
        "stopped_by": m.environment.get("stopped_by"),
    }


def described_law(law: LatencyFit) -> dict[str, Any]:
    """One latency law for JSON; held-out numbers only where it could be fitted."""
    return {
        "metric": law.metric,
        "device_key": law.device_key,
        "runtime": dataclasses.asdict(law.runtime),
        "ok": law.ok,
        "n": law.n,
        "n_shapes": law.n_shapes,
        "terms": dict(law.terms),
        "heldout_error": law.heldout_error,
        "heldout": dict(law.heldout),
        "message": law.message,
    }


def human(answer: dict[str, Any], found: Sequence[Measurement]) -> str:
    """The table a person reads, and a line for each law."""
    from core.units import format_quantity

    lines = []
    device = answer["device"]
    if device is not None:
        speed = device["bandwidth_bytes_per_s"]
        reads = f", reads {format_quantity(speed, 'B')}/s" if speed else ""
        lines.append(f"{device['name']}{reads}")
    if found:
        lines.append(
            f"{'shape':<14} {'runtime':<26} {'batch':>5} {'in':>5} {'out':>5} {'TTFT':>9} {'TPOT':>9}"
            f" {'±':>6} {'tokens/s':>9} {'floor':>6} {'memory':>9}  flags"
        )
    for m, row in zip(found, answer["measurements"], strict=True):
        lines.append(_row(m, row))
    lines.append("")
    skipped = f", {answer['skipped']} known already" if answer.get("skipped") else ""
    left = f", {answer['left']} left" if answer.get("left") else ""
    lines.append(
        f"{answer['measured']} measured ({answer['failed']} without a result){skipped}{left};"
        f" ended: {answer['reason']}"
    )
    for lane, count in answer.get("by_lane", {}).items():
        lines.append(f"{count} on {lane}")
    if answer.get("lost_workers"):
        lines.append(f"{answer['lost_workers']} workers lost, {answer['retried']} points retried")
    for law in answer["laws"]:
        name = f"law of {law['metric'].upper()} ({law['runtime']['execution']}, {law['runtime']['weights']})"
        if not law["ok"]:
            lines.append(f"{name}: {law['message']}")
        elif law["heldout_error"] is None:
            lines.append(f"{name}: {law['n_shapes']} shapes, too few to leave one out")
        else:
            lines.append(
                f"{name}: {law['n_shapes']} shapes, error on a left-out shape {law['heldout_error']:.1%}"
            )
    return "\n".join(lines)


def _row(m: Measurement, row: dict[str, Any]) -> str:
    from core.units import format_quantity

    def cell(metric: str, unit: str) -> str:
        known = row["metrics"].get(metric)
        return format_quantity(known["value"], unit) if known else "-"

    tpot = row["metrics"].get("tpot")
    half = "-"
    if tpot and tpot["low"] is not None:
        half = f"{100 * (tpot['high'] - tpot['low']) / 2 / tpot['value']:.1f} %"
    speed = row["metrics"].get("tokens_per_s")
    rate = f"{speed['value']:.1f}" if speed else "-"
    ratio = f"{row['floor_ratio']:.2f}" if row["floor_ratio"] else "-"
    memory = m.memory_bytes.get("peak_allocated") or m.memory_bytes.get("needed")
    size = format_quantity(memory, "B") if memory else "-"
    name, work = m.model or m.architecture.label, m.workload
    note = ", ".join(m.flags) + (f": {m.message}" if m.failed and m.message else "")
    return (
        f"{name:<14} {m.runtime.label:<26} {work.batch:>5}"
        f" {work.prompt_tokens:>5} {work.output_tokens:>5} {cell('ttft', 's'):>9}"
        f" {cell('tpot', 's'):>9} {half:>6} {rate:>9}"
        f" {ratio:>6} {size:>9}  {note}"
    )
