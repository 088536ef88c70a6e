"""A measuring process of one device, replaced when it dies: asked for one point, or several interleaved."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from core.errors import Unusable
from core.measure.backends.registry import backend_of, needed_bytes
from core.measure.process.record import failed
from core.measure.process.worker import Worker, WorkerDied, WorkerHung, child_command
from core.measure.timing.protocol import Settings
from core.records.measurement import Device, Measurement, Point
from core.records.progress import Progress, Steps
from core.records.serial import from_plain, measurement_from_dict, to_plain

DRIFT = 0.05
START_PATIENCE_S = 180.0


def patience_s(point: Point) -> float:
    """Longest silence that can still be work: loading and one prompt on a very slow device."""
    a, work = point.architecture, point.workload
    loading = needed_bytes(point)["total"] / 50e6
    prompt = a.prefill_flops(work.prompt_tokens, work.batch) / 2e9
    return float(60.0 + loading + prompt + backend_of(point).patience_s)


class Session:
    """A measuring process that is replaced when it dies; use `close`, or close its generators."""

    def __init__(
        self,
        device: str | Device,
        settings: Settings | None = None,
        python: str | Path | None = None,
        threads: int = 0,
        anchor: Point | None = None,
        energy_s: float = 0.0,
        hang_s: float | None = None,
        probe: bool = True,
        command: Sequence[str] | None = None,
    ) -> None:
        self.name = device if isinstance(device, str) else device_name(device)
        self.device: Device | None = None
        if isinstance(device, Device) and device.bandwidth_bytes_per_s is not None:
            self.device = device
        self.settings = settings or Settings()
        self._threads = threads
        self._anchor = anchor
        self._energy_s = energy_s
        self._hang_s = hang_s
        self._probe = probe
        self._command = list(command or child_command(python))
        self._worker: Worker | None = None
        self._anchor_s: float | None = None
        self.so_far: dict[
            int, Measurement
        ] = {}  # of the interleaved run at work, by number of the point
        self._due: Sequence[int] = ()

    @property
    def pid(self) -> int | None:
        """The measuring process, while there is one."""
        return self._worker.pid if self._worker is not None and self._worker.alive else None

    def open(self) -> Steps[Device]:
        """Start the process and measure the device; returns the device.

        Raises Unusable when there is no such device or the process cannot start.
        """
        if self._worker is not None and self._worker.alive and self.device is not None:
            return self.device
        self.close()
        try:
            self._worker = Worker(self._command)
            request: dict[str, Any] = {
                "do": "open",
                "device": self.name,
                "threads": self._threads,
                "settings": to_plain(self.settings),
                "anchor": to_plain(self._anchor) if self._anchor else None,
                "energy_s": self._energy_s,
                "probe": self._probe,
                "known": to_plain(self.device) if self.device else None,
            }
            answer = yield from self._ask(request, START_PATIENCE_S)
        except (WorkerDied, WorkerHung) as error:
            self.close()
            raise Unusable(f"measuring cannot start: {error}") from error
        if answer["kind"] != "opened":
            self.close()
            raise Unusable(str(answer.get("message", "measuring cannot start")))
        self.device = from_plain(Device, answer["device"])
        return self.device

    def measure(self, point: Point, budget_s: float | None = None) -> Steps[Measurement]:
        """Measure one point; whatever goes wrong is a flag on the returned measurement."""
        device = yield from self.open()
        request = {
            "do": "measure",
            "point": to_plain(point),
            "settings": to_plain(self._settings_for(budget_s)),
        }
        try:
            answer = yield from self._ask(request, self._hang_s or patience_s(point))
        except WorkerHung as error:
            self.close()
            return failed(point, device, "hung", str(error))
        except WorkerDied as error:
            self.close()
            return failed(point, device, "crashed", str(error))
        if answer["kind"] != "result":
            return failed(point, device, "crashed", str(answer.get("message", "no result")))
        return self._drifted(measurement_from_dict(answer["measurement"]))

    def measure_interleaved(
        self, points: Sequence[Point], budget_s: float | None = None
    ) -> Steps[list[Measurement]]:
        """Measure points interleaved (`core.measure.process.interleaved`), in their order; alone where
        that fails.

        When the process dies or hangs, what it had sent until then is kept and marked; while the run
        lasts that is `so_far`, for whoever leaves in the middle. The point whose turn it was is
        measured alone, which shows whether it was to blame, and the others are interleaved again.
        """
        yield from self.open()
        self.so_far = {}
        due = list(range(len(points)))
        while len(due) > 1:
            blamed = yield from self._interleaved(points, due, budget_s)
            due = [n for n in due if n not in self.so_far]
            # where it is unknown whose turn it was, each will show alone whether it was that
            alone = due if blamed is None else [n for n in due if n == blamed]
            for number in alone:
                yield from self._alone(points, number, budget_s)
            due = [n for n in due if n not in self.so_far]
        for number in due:
            yield from self._alone(points, number, budget_s)
        found, self.so_far = self.so_far, {}
        return [found[number] for number in range(len(points))]

    def _interleaved(
        self, points: Sequence[Point], due: Sequence[int], budget_s: float | None
    ) -> Steps[int | None]:
        """Interleave the points due, adding to `so_far`; returns whose turn it was at a death."""
        yield from self.open()
        self._due = due
        file = _turn_file()
        request = {
            "do": "measure_interleaved",
            "points": [to_plain(points[n]) for n in due],
            "settings": to_plain(self._settings_for(budget_s)),
            "turn": file,
        }
        blamed: int | None = None
        try:
            answer = yield from self._ask(
                request, self._hang_s or max(patience_s(points[n]) for n in due)
            )
            if answer["kind"] == "results":
                arrived = zip(due, answer["measurements"], strict=True)
                self.so_far |= {n: measurement_from_dict(m) for n, m in arrived}
        except (WorkerHung, WorkerDied) as error:
            self.close()
            blamed = _whose_turn(file, due)
            self.so_far = {
                n: ended_early(m, str(error)) for n, m in self.so_far.items() if n != blamed
            }
        finally:
            if file:
                with contextlib.suppress(OSError):
                    Path(file).unlink()
        return blamed

    def _alone(self, points: Sequence[Point], number: int, budget_s: float | None) -> Steps[None]:
        """Measure one of several points, adding it to `so_far`."""
        inner = self.measure(points[number], budget_s)
        try:
            while True:
                step = next(inner)
                done = (len(self.so_far) + min(0.99, step.done)) / len(points)
                yield replace(step, done=min(0.99, done))
        except StopIteration as end:
            self.so_far[number] = end.value
        finally:
            inner.close()

    def _settings_for(self, budget_s: float | None) -> Settings:
        """The settings of a point that may take so many seconds."""
        if budget_s is None:
            return self.settings
        return replace(self.settings, budget_s=min(self.settings.budget_s, max(0.0, budget_s)))

    def _drifted(self, measurement: Measurement) -> Measurement:
        """The measurement, flagged when the anchor is not what it was at the first point."""
        now = measurement.timing.anchor_s
        if now is None:
            return measurement
        if self._anchor_s is None:
            self._anchor_s = now
        change = now / self._anchor_s - 1
        environment = {**measurement.environment, "anchor_change": round(change, 4)}
        flags = measurement.flags
        if abs(change) > DRIFT:
            flags = (*flags, "drift")
        return replace(measurement, environment=environment, flags=flags)

    def _ask(self, request: dict[str, Any], patience: float) -> Steps[dict[str, Any]]:
        assert self._worker is not None
        text, fraction = "", 0.0
        for message in self._worker.ask(request, patience):
            if message["kind"] == "progress":
                text, fraction = message["text"], message["fraction"]
            elif message["kind"] == "so-far":
                arrived = message["measurements"].items()
                self.so_far |= {self._due[int(n)]: measurement_from_dict(m) for n, m in arrived}
            elif message["kind"] != "tick":
                return message
            yield Progress(fraction, 1.0, text)
        raise WorkerDied("the measuring process fell silent")

    def close(self) -> None:
        """End the measuring process now."""
        if self._worker is not None:
            self._worker.close()
            self._worker = None


def _turn_file() -> str:
    """A file in which a measuring process notes whose turn it is; '' where none can be made."""
    try:
        handle, path = tempfile.mkstemp(prefix="paretoscope-turn-")
    except OSError:
        return ""
    os.close(handle)
    return path


def _whose_turn(file: str, due: Sequence[int]) -> int | None:
    """The point noted last, or None where none was."""
    try:
        number = int(Path(file).read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None
    return due[number] if 0 <= number < len(due) else None


def ended_early(measurement: Measurement, why: str) -> Measurement:
    """A measurement of an interleaved run that ended early, with a message; any other as it is."""
    if measurement.message or not measurement.timing.ended_early:
        return measurement
    message = f"timed until the interleaved run ended early ({why})"
    return replace(measurement, message=message)


def device_name(device: Device) -> str:
    """'cpu' or 'cuda:N'."""
    return "cpu" if device.kind == "cpu" else f"cuda:{device.index}"


def find_devices(python: str | Path | None = None) -> tuple[Device, ...]:
    """The devices a measuring process sees, unmeasured. Raises Unusable when it cannot start."""
    return ask_devices(python)[0]


def ask_devices(python: str | Path | None = None) -> tuple[tuple[Device, ...], str]:
    """The devices a measuring process sees, and one line on why no GPU is among them, or nothing."""
    worker: Worker | None = None
    try:
        worker = Worker(child_command(python))
        for message in worker.ask({"do": "devices"}, START_PATIENCE_S):
            if message["kind"] == "devices":
                found = tuple(from_plain(Device, d) for d in message["devices"])
                return found, str(message.get("problem", ""))
            if message["kind"] == "error":
                raise Unusable(f"no devices can be listed: {message['message']}")
    except (WorkerDied, WorkerHung) as error:
        raise Unusable(f"no devices can be listed: {error}") from error
    finally:
        if worker is not None:
            worker.close()
    return (), ""
