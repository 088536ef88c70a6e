"""One point run: load it, time it by the protocol, and record everything about it.

Runs in the measuring process. Whatever goes wrong with the point becomes a flagged measurement.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np

from core.errors import Unsupported, Unusable
from core.measure.backends.decoder import Weights
from core.measure.backends.linear_kernels import compute_dtype
from core.measure.backends.torch_backend import DecoderRunner, Pulse
from core.measure.backends.weights import LlamaSource, Source
from core.measure.process.kernels import kernel_seconds
from core.measure.timing import protocol
from core.measure.timing.clock import Clock
from core.measure.timing.devices import default_threads
from core.measure.timing.environment import Watch, snapshot
from core.measure.timing.memory import PeakMemory, is_out_of_memory, needed_bytes, release, shortage
from core.measure.timing.protocol import Settings
from core.model.architecture import Architecture
from core.model.workload import Runtime, Workload
from core.records.measurement import Device, Measurement, Point, Timing

ANCHOR = "anchor"
TOY = Architecture(1, 64, 2, 1, 32, 128, 64)
# compiling takes seconds even for a toy
QUICK_TO_WARM = frozenset({"eager", "transformers", "onnx"})


class Runner(protocol.Runnable, Protocol):
    """One point loaded and ready to be timed, with what it holds in memory."""

    def memory(self) -> dict[str, int]:
        """Bytes by part."""
        ...

    def describe(self) -> dict[str, Any]:
        """What runs, for the record."""
        ...

    def close(self) -> None:
        """Drop everything it holds."""
        ...


@dataclass(slots=True)
class BenchContext:
    """What stays the same from point to point in one measuring process."""

    device: Device
    settings: Settings = field(default_factory=Settings)
    threads: int = 0
    anchor: Point | None = None
    energy_s: float = 0.0
    clock: Clock = field(default_factory=Clock)
    pulse: Pulse = field(default_factory=Pulse)
    _anchored: Runner | None = None
    warmed: set[Runtime] = field(default_factory=set)

    @property
    def target(self) -> str:
        """The torch device."""
        return "cpu" if self.device.kind == "cpu" else f"cuda:{self.device.index}"

    def use_threads(self, asked: int) -> int:
        """Set torch's threads to those asked for, or to the default; returns the number."""
        import torch

        threads = asked or self.threads or default_threads()
        if self.device.kind == "cpu":
            torch.set_num_threads(threads)
        return threads

    def anchored(self) -> Runner | None:
        """The anchor, loaded once; None where there is none or it does not fit or run here."""
        if self.anchor is None or shortage(self.anchor, self.target):
            return None
        if self._anchored is None:
            try:
                self._anchored = start_runner(self.anchor, self)
            except (Unsupported, RuntimeError, MemoryError):
                self.anchor = None
        return self._anchored


def start_runner(point: Point, context: BenchContext, weights: Weights | None = None) -> Runner:
    """The runner of a point's execution, loaded; raises Unsupported with the reason where it cannot run.

    A decoder of ours uses the `weights` given instead of loading its own.
    """
    execution = point.runtime.execution
    if execution == "transformers":
        from core.measure.backends.transformers_backend import GenerateRunner

        return GenerateRunner(point, context.target, context.clock, context.pulse)
    if execution == "onnx":
        from core.measure.backends.onnx_backend import OnnxRunner

        return OnnxRunner(
            point,
            context.target,
            context.clock,
            context.pulse,
            context.use_threads(point.runtime.threads),
        )
    if execution == "served":
        raise Unsupported("a served model is measured through its address, not as a shape")
    source = _folder_source(point, context) if point.folder else None
    return DecoderRunner(point, context.target, context.clock, context.pulse, source, weights)


def warm_libraries(runtime: Runtime, context: BenchContext) -> None:
    """Run a toy once in each runtime: libraries, and the race between kernels, take their memory now.

    On CPU memory is the growth of this process, and a model is charged with nothing but its own.
    """
    if (
        context.device.kind != "cpu"
        or runtime.execution not in QUICK_TO_WARM
        or runtime in context.warmed
    ):
        return
    context.warmed.add(runtime)
    try:
        toy = start_runner(Point(TOY, Workload(1, 8, 4), runtime), context)
        toy.warm()
        toy.close()
    except (Unusable, RuntimeError, MemoryError):
        # what stands in the way of a toy stands in the way of the point, which says so
        return


def _folder_source(point: Point, context: BenchContext) -> Source:
    """Tensors of a local model folder for the plain decoder, where its layout is Llama's."""
    from core.measure.backends.folder import load_model, read_folder

    model = load_model(read_folder(point.folder), "fp32", "cpu")
    tensors = model.state_dict()
    if "model.layers.0.self_attn.q_proj.weight" not in tensors:
        raise Unsupported("this model is not laid out as Llama is; measure it with 'transformers'")
    dtype = compute_dtype(point.runtime, context.target)
    return LlamaSource(tensors, point.architecture, dtype, context.target)


def failed(point: Point, device: Device, flag: str, message: str, **more: Any) -> Measurement:
    """A measurement without samples that says why."""
    return Measurement(
        architecture=point.architecture,
        workload=point.workload,
        runtime=point.runtime,
        device=device,
        samples={},
        flags=(flag,),
        message=" ".join(message.split()),
        started_at=now_utc(),
        model=point.model,
        **more,
    )


def now_utc() -> str:
    """ISO 8601, UTC, to the second."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def measure(
    point: Point, context: BenchContext, report: Callable[[str, float], None] = protocol.nothing
) -> Measurement:
    """Measure one point; never raises for what the point itself does wrong."""
    import torch

    needed = needed_bytes(point)
    missing = shortage(point, context.target)
    if missing:
        return failed(
            point, context.device, "oom", missing, memory_bytes={"needed": needed["total"]}
        )
    threads = context.use_threads(point.runtime.threads)
    runner: Runner | None = None
    try:
        with torch.inference_mode():
            anchor = context.anchored()
            warm_libraries(point.runtime, context)
            peak = PeakMemory(context.target)
            report(f"loading {point.label}", 0.0)
            runner = start_runner(point, context)
            peak.loaded()
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
    for flag in raised:
        outcome.flag(flag)
    environment.update(seen)
    environment.update(runner.describe())
    environment.update(
        attempts=outcome.attempts,
        warmups=outcome.warmups,
        stopped_by=outcome.stopped_by,
        seconds=round(outcome.seconds, 3),
        seed=context.settings.seed,
    )
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
    measurement = Measurement(
        architecture=point.architecture,
        workload=point.workload,
        runtime=point.runtime,
        device=context.device,
        samples={k: tuple(v) for k, v in outcome.blocks.items()},
        memory_bytes={"needed": needed, **runner.memory(), **peak.read()},
        flags=tuple(outcome.flags),
        message=outcome.message if "clock" in outcome.flags else "",
        timing=timing,
        environment=environment,
        started_at=started,
        model=point.model,
    )
    if context.energy_s > 0 and not measurement.failed:
        from core.measure.timing.energy import energy_pass

        report(f"energy of {name}", 0.9)
        measurement = replace(
            measurement,
            energy=energy_pass(runner.request, point.workload, context.device, context.energy_s),
        )
    return measurement


def compilations() -> int:
    """Graphs torch has compiled so far in this process; 0 when its compiler was never loaded."""
    import sys

    dynamo = sys.modules.get("torch._dynamo.utils")
    return 0 if dynamo is None else int(sum(dynamo.counters["stats"].values()))
