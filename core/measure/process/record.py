"""The measurement that one point gives: what was timed and under what, or why nothing was."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping
from typing import Any

from core.measure.backends.backend import BenchContext, Runner
from core.measure.timing.protocol import Outcome
from core.records.measurement import Device, Measurement, Point, Timing


def record_of(
    point: Point,
    outcome: Outcome,
    runner: Runner,
    context: BenchContext,
    *,
    flags: Iterable[str],
    memory_bytes: Mapping[str, int],
    environment: Mapping[str, Any],
    timing: Timing,
    started_at: str,
) -> Measurement:
    """The measurement of a point that was timed.

    What the runner and the outcome report of themselves joins the `environment` of the machine. Equal
    flags count once. The outcome's message is kept only where it explains why the clock was refused.
    """
    return Measurement(
        architecture=point.architecture,
        workload=point.workload,
        runtime=point.runtime,
        device=context.device,
        samples={k: tuple(v) for k, v in outcome.blocks.items()},
        memory_bytes=memory_bytes,
        flags=tuple(dict.fromkeys(flags)),
        message=outcome.message if "clock" in outcome.flags else "",
        timing=timing,
        environment={
            **environment,
            **runner.describe(),
            "attempts": outcome.attempts,
            "warmups": outcome.warmups,
            "stopped_by": outcome.stopped_by,
            "seconds": round(outcome.seconds, 3),
            "seed": context.settings.seed,
        },
        started_at=started_at,
        model=point.model,
    )


def failed(point: Point, device: Device, flag: str, message: str, **more: Any) -> Measurement:
    """A measurement without samples, with the reason as its message."""
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
