"""A measuring process of one device, replaced when it dies: asked for one point, or several interleaved."""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

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
# starts in a row that may fail; after that no other will do better
STARTS = 3
TURN_FILE = "paretoscope-turn-"
# one that was not written for so long belongs to nobody
TURN_FILE_STALE_S = 3600.0


def patience_s(point: Point) -> float:
    """Longest silence that can still be work: loading and one prompt on a very slow device."""
    a, work = point.architecture, point.workload
    loading = needed_bytes(point)["total"] / 50e6
    prompt = a.prefill_flops(work.prompt_tokens, work.batch) / 2e9
    return float(60.0 + loading + prompt + backend_of(point).patience_s)


class NotStarted(RuntimeError):
    """A measuring process that was to replace another died while it started; the next one may not."""


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
        # of the interleaved run at work, by number of the point; replaced when there is more
        self.so_far: dict[int, Measurement] = {}
        self._due: Sequence[int] = ()
        self._failed_starts = 0
        self._started = False

    @property
    def pid(self) -> int | None:
        """The measuring process, while there is one."""
        return self._worker.pid if self._worker is not None and self._worker.alive else None

    def open(self) -> Steps[Device]:
        """Start the process and measure the device; returns the device.

        Raises Unusable when there is no such device or the process cannot start, NotStarted when an
        earlier one could and another may again.
        """
        if self._worker is not None and self._worker.alive and self.device is not None:
            return self.device
        while True:
            try:
                self.device = yield from self._start()
            except (WorkerDied, WorkerHung) as error:
                self.close()
                self._failed_starts += 1
                if self._failed_starts >= STARTS or isinstance(error, WorkerHung):
                    again = " any more" if self._started else ""
                    raise Unusable(f"measuring cannot start{again}: {error}") from error
                if self._started:
                    raise NotStarted(f"while starting, {error}") from error
                continue
            self._failed_starts, self._started = 0, True
            return self.device

    def _start(self) -> Steps[Device]:
        """Start the process once, in place of another."""
        self.close()
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
        if answer["kind"] != "opened":
            self.close()
            raise Unusable(str(answer.get("message", "measuring cannot start")))
        return from_plain(Device, answer["device"])

    def measure(self, point: Point, budget_s: float | None = None) -> Steps[Measurement]:
        """Measure one point; whatever goes wrong is a flag on the returned measurement."""
        try:
            device = yield from self.open()
        except NotStarted as error:
            assert self.device is not None
            return failed(point, self.device, "crashed", str(error))
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
        self.so_far = {}
        due = list(range(len(points)))
        while len(due) > 1:
            try:
                yield from self.open()
            except NotStarted:
                # none of them is to blame; the next start is an error if it fails often enough
                continue
            blamed = yield from self._interleaved(points, due, budget_s)
            due = [n for n in due if n not in self.so_far]
            # where it is unknown whose turn it was, each will show alone whether it was that
            alone = due if blamed is None else [n for n in due if n == blamed]
            for number in alone:
                yield from self._alone(points, number, budget_s)
            due = [n for n in due if n not in self.so_far]
        for number in due:
            yield from self._alone(points, number, budget_s)
        return [self.so_far[number] for number in range(len(points))]

    def _interleaved(
        self, points: Sequence[Point], due: Sequence[int], budget_s: float | None
    ) -> Steps[int | None]:
        """Interleave the points due, adding to `so_far`; returns whose turn it was at a death."""
        self._due = due
        blamed: int | None = None
        with _turn_file() as (path, turns):
            request = {
                "do": "measure_interleaved",
                "points": [to_plain(points[n]) for n in due],
                "settings": to_plain(self._settings_for(budget_s)),
                "turn": path,
            }
            try:
                answer = yield from self._ask(
                    request, self._hang_s or max(patience_s(points[n]) for n in due)
                )
                if answer["kind"] == "results":
                    arrived = zip(due, answer["measurements"], strict=True)
                    self._add({n: measurement_from_dict(m) for n, m in arrived})
            except (WorkerHung, WorkerDied) as error:
                self.close()
                blamed = _whose_turn(turns, due)
                self.so_far = {
                    n: ended_early(m, str(error)) for n, m in self.so_far.items() if n != blamed
                }
        return blamed

    def _add(self, found: Mapping[int, Measurement]) -> None:
        # a new one each time, by which whoever looks sees that there is more
        self.so_far = {**self.so_far, **found}

    def _alone(self, points: Sequence[Point], number: int, budget_s: float | None) -> Steps[None]:
        """Measure one of several points, adding it to `so_far`."""
        inner = self.measure(points[number], budget_s)
        try:
            while True:
                step = next(inner)
                done = (len(self.so_far) + min(0.99, step.done)) / len(points)
                yield replace(step, done=min(0.99, done))
        except StopIteration as end:
            self._add({number: end.value})
        finally:
            inner.close()

    def _settings_for(self, budget_s: float | None) -> Settings:
        """The settings of a point that may take so many seconds."""
        if budget_s is None:
            return self.settings
        most = max(0.0, budget_s)
        return replace(self.settings, budget_s=min(self.settings.budget_s, most), total_s=most)

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
        worker = self._worker
        for message in worker.ask(request, patience):
            if message["kind"] == "progress":
                text, fraction = message["text"], message["fraction"]
            elif message["kind"] == "so-far":
                arrived = message["measurements"].items()
                self._add({self._due[int(n)]: measurement_from_dict(m) for n, m in arrived})
            elif message["kind"] != "tick":
                return message
            yield Progress(fraction, 1.0, text)
            if message["kind"] == "so-far":
                # whoever follows has stored it
                worker.tell({"do": "go-on"})
        raise WorkerDied("the measuring process fell silent")

    def close(self) -> None:
        """End the measuring process now."""
        if self._worker is not None:
            self._worker.close()
            self._worker = None


@contextlib.contextmanager
def _turn_file() -> Iterator[tuple[str, IO[bytes] | None]]:
    """A file in which a measuring process notes whose turn it is: its name, and itself open.

    The measuring process takes its name away as soon as it has it open, where the system allows that.
    ('', None) where none can be made. Those that a killed program left are removed.
    """
    try:
        for old in Path(tempfile.gettempdir()).glob(f"{TURN_FILE}*"):
            with contextlib.suppress(OSError):
                if time.time() - old.stat().st_mtime > TURN_FILE_STALE_S:
                    old.unlink()
        handle, path = tempfile.mkstemp(prefix=TURN_FILE)
    except OSError:
        yield "", None
        return
    try:
        with os.fdopen(handle, "rb", buffering=0) as file:
            yield path, file
    finally:
        with contextlib.suppress(OSError):
            Path(path).unlink(missing_ok=True)


def _whose_turn(file: IO[bytes] | None, due: Sequence[int]) -> int | None:
    """The point noted last, or None where none was."""
    if file is None:
        return None
    try:
        file.seek(0)
        number = int(file.read().decode("ascii"))
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
