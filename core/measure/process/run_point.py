"""One point run: load it, time it by the protocol, and record everything about it.

Runs in the measuring process. Whatever goes wrong with the point becomes a flagged measurement.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from core.errors import Unsupported, Unusable
from core.measure.backends.backend import BenchContext, Runner
from core.measure.backends.registry import backend_of, needed_bytes, start_runner
from core.measure.process.kernels import kernel_seconds
from core.measure.process.record import failed, now_utc, record_of
from core.measure.timing import protocol
from core.measure.timing.environment import Watch, snapshot
from core.measure.timing.memory import PeakMemory, is_out_of_memory, release, shortage
from core.measure.timing.protocol import Settings
from core.model.architecture import Architecture
from core.model.workload import Runtime, Workload
from core.records.measurement import ENERGY_UNKNOWN, Measurement, Point, Timing

ANCHOR = "anchor"
TOY = Architecture(1, 64, 2, 1, 32, 128, 64)


def anchored(context: BenchContext) -> Runner | None:
    """The context's anchor, loaded once; None where there is none or it does not fit or run here."""
    anchor = context.anchor
    if anchor is None or shortage(needed_bytes(anchor)["total"], context.target):
        return None
    if context.anchored is None:
        try:
            context.anchored = start_runner(anchor, context)
        except (Unsupported, RuntimeError, MemoryError):
            context.anchor = None
    return context.anchored


def warm_libraries(runtime: Runtime, context: BenchContext) -> None:
    """Run a toy once in each runtime: libraries, and the race between kernels, take their memory now.

    On CPU memory is the growth of this process, and a model is charged with nothing but its own.
    """
    point = Point(TOY, Workload(1, 8, 4), runtime)
    if context.device.kind != "cpu" or runtime in context.warmed or not backend_of(point).quick:
        return
    context.warmed.add(runtime)
    try:
        toy = start_runner(point, context)
        toy.warm()
        toy.close()
    except (Unusable, RuntimeError, MemoryError):
        # what stands in the way of a toy stands in the way of the point, where it is reported
        return


def after(settings: Settings, begun: float) -> Settings:
    """The settings with the time taken off that has gone by since a moment of `time.monotonic`."""
    if settings.total_s is None:
        return settings
    return replace(settings, total_s=settings.total_s - (time.monotonic() - begun))


def measure(
    point: Point, context: BenchContext, report: Callable[[str, float], None] = protocol.nothing
) -> Measurement:
    """Measure one point; never raises for what the point itself does wrong."""
    import torch

    begun = time.monotonic()
    needed = needed_bytes(point)
    missing = shortage(needed["total"], context.target)
    if missing:
        return failed(
            point, context.device, "oom", missing, memory_bytes={"needed": needed["total"]}
        )
    threads = context.use_threads(point.runtime.threads)
    runner: Runner | None = None
    try:
        with torch.inference_mode():
            anchor = anchored(context)
            warm_libraries(point.runtime, context)
            peak = PeakMemory(context.target)
            report(f"{protocol.LOADING} {point.label}", 0.0)
            runner = start_runner(point, context)
            peak.loaded()
            context.settings = after(context.settings, begun)
            return _timed(point, context, runner, anchor, peak, threads, needed["total"], report)
    except (Unsupported, Unusable) as error:
        return failed(point, context.device, "unsupported", str(error))
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
            return failed(point, context.device, "crashed", reason)
        have = f"{needed['total'] / 2**30:.1f} GiB were predicted to be enough"
        return failed(
            point,
            context.device,
            "oom",
            f"memory ran out while running; {have}",
            memory_bytes={"needed": needed["total"]},
        )
    finally:
        if runner is not None:
            runner.close()
        del runner
        release(context.target)


def _timed(
    point: Point,
    context: BenchContext,
    runner: Runner,
    anchor: Runner | None,
    peak: PeakMemory,
    threads: int,
    needed: int,
    report: Callable[[str, float], None],
) -> Measurement:
    """The protocol on a loaded runner, and the record of it."""
    name = point.label
    runners: dict[str, protocol.Runnable] = {name: runner}
    if anchor is not None:
        runners[ANCHOR] = anchor
    environment = snapshot(context.device, threads)
    started = now_utc()
    watch = Watch(context.device)
    outcomes = protocol.run(
        runners,
        context.settings,
        context.clock,
        report,
        {name: max(1, point.workload.output_tokens - 1)},
        frozenset({ANCHOR}),
        compilations,
    )
    raised, seen = watch.done()
    outcome = outcomes[name]
    environment.update(seen)
    timing = Timing()
    if context.device.kind == "cuda" and outcome.blocks:
        report(f"kernels of {name}", 0.9)
        first_s, token_s = kernel_seconds(runner, point.workload.output_tokens)
        timing = replace(timing, kernel_s_per_token=token_s)
        if first_s is not None:
            environment["kernel_s_first"] = first_s
    if anchor is not None and outcomes[ANCHOR].blocks.get("tpot"):
        medians = [float(np.median(b)) for b in outcomes[ANCHOR].blocks["tpot"]]
        timing = replace(timing, anchor_s=float(np.median(medians)))
    measurement = record_of(
        point,
        outcome,
        runner,
        context,
        flags=[*outcome.flags, *raised],
        memory_bytes={"needed": needed, **runner.memory(), **peak.read()},
        environment=environment,
        timing=timing,
        started_at=started,
    )
    if context.energy_s > 0 and not measurement.failed:
        from core.measure.timing.energy import energy_pass

        report(f"energy of {name}", 0.9)
        try:
            found = energy_pass(runner.request, point.workload, context.device, context.energy_s)
            measurement = replace(measurement, energy=found)
        except Unsupported as error:
            told = {**measurement.environment, ENERGY_UNKNOWN: str(error)}
            measurement = replace(measurement, environment=told)
    return measurement


def compilations() -> int:
    """Graphs torch has compiled so far in this process; 0 when its compiler was never loaded."""
    import sys

    dynamo = sys.modules.get("torch._dynamo.utils")
    return 0 if dynamo is None else int(sum(dynamo.counters["stats"].values()))
