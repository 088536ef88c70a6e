"""The measuring process: `python -m core.measure.process.child`, driven over standard input and output.

It may be another Python than the program's (a user's own CUDA torch): all it needs is this package,
numpy and torch. It ends as soon as the program that started it is gone.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from core.measure.process.messages import receive
from core.measure.process.messages import send as send_message
from core.parent import die_with_parent

BEAT_S = 0.5


def main(on_measure: Callable[[Any, Any], None] | None = None) -> int:
    """Serve requests until the other side hangs up. `on_measure(point, context)` runs before each point."""
    die_with_parent()
    # an interrupt typed at a terminal is for the program, which ends this process if it means to
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    incoming, outgoing = _take_pipes()
    server = Server(outgoing, on_measure)
    requests: list[dict[str, Any]] = []
    arrived = threading.Condition()

    def listen() -> None:
        while (message := receive(incoming)) is not None:
            if message["do"] == "go-on":
                server.kept.set()
                continue
            with arrived:
                requests.append(message)
                arrived.notify()
        # the program is gone, however it went: nobody waits for a result any more
        os._exit(0)

    threading.Thread(target=listen, daemon=True).start()
    threading.Thread(target=server.beat, daemon=True).start()
    while True:
        with arrived:
            while not requests:
                arrived.wait()
            message = requests.pop(0)
        if message["do"] == "stop":
            return 0
        server.answer(message)


class Server:
    """Answers requests one at a time; sends from two threads, one message at a time."""

    def __init__(self, outgoing: IO[bytes], on_measure: Callable[[Any, Any], None] | None) -> None:
        from core.measure.backends.backend import Pulse

        self._outgoing = outgoing
        self._sending = threading.Lock()
        self._on_measure = on_measure
        self._pulse = Pulse()
        self._context: Any = None
        self.kept = threading.Event()  # what was sent last is stored

    def send(self, kind: str, **fields: Any) -> None:
        """Send one message."""
        with self._sending:
            send_message(self._outgoing, {"kind": kind, **fields})

    def beat(self) -> None:
        """Report now and then that the work has moved: silence then means that it hangs."""
        import time

        last = -1
        while True:
            time.sleep(BEAT_S)
            if self._pulse.count != last:
                last = self._pulse.count
                try:
                    self.send("beat", count=last)
                except OSError:
                    os._exit(0)

    def answer(self, message: Mapping[str, Any]) -> None:
        """Do what a request asks and answer it; an error is an answer."""
        try:
            getattr(self, "_" + message["do"])(message)
        except Exception as error:
            import traceback

            traceback.print_exc()
            reason = (str(error).strip().splitlines() or [""])[0]
            self.send("error", message=f"{type(error).__name__}: {reason}"[:400])

    def _report(self, text: str, fraction: float) -> None:
        self._pulse.count += 1
        self.send("progress", text=text, fraction=fraction)

    def _devices(self, _message: Mapping[str, Any]) -> None:
        from core.measure.timing.devices import cpu_device, cuda_devices
        from core.records.serial import to_plain

        found, problem = cuda_devices()
        every = [to_plain(d) for d in (cpu_device(), *found)]
        self.send("devices", devices=every, problem=problem)

    def _open(self, message: Mapping[str, Any]) -> None:
        """Set up for a sweep: find the device, measure it unless it is given measured."""
        from core.measure.backends.backend import BenchContext
        from core.measure.timing.devices import cuda_devices, find_device, measured
        from core.measure.timing.protocol import Settings
        from core.records.measurement import Device, Point
        from core.records.serial import from_plain, to_plain

        if message.get("known"):
            device = from_plain(Device, message["known"])
        else:
            found = find_device(message["device"])
            if found is None:
                reason = cuda_devices()[1]
                absent = f"torch sees no device '{message['device']}' here"
                self.send("no-device", message=f"{absent}: {reason}" if reason else absent)
                return
            device = found
        if message["probe"]:
            # in every process: it may have been busy the last time
            self._report("measuring the device", 0.0)
            device = measured(device, message["threads"])
        if device.kind == "cuda":
            import torch

            # events and graph captures belong to the current device
            torch.cuda.set_device(device.index)
        anchor = message.get("anchor")
        self._context = BenchContext(
            device,
            from_plain(Settings, message["settings"]),
            message["threads"],
            from_plain(Point, anchor) if anchor else None,
            message["energy_s"],
            pulse=self._pulse,
        )
        self.send("opened", device=to_plain(device))

    def _measure(self, message: Mapping[str, Any]) -> None:
        from core.measure.process.run_point import measure
        from core.measure.timing.protocol import Settings
        from core.records.measurement import Point
        from core.records.serial import from_plain, measurement_to_dict

        point = from_plain(Point, message["point"])
        self._context.settings = from_plain(Settings, message["settings"])
        if self._on_measure is not None:
            self._on_measure(point, self._context)
        self.send(
            "result", measurement=measurement_to_dict(measure(point, self._context, self._report))
        )

    def _measure_interleaved(self, message: Mapping[str, Any]) -> None:
        from core.measure.process.interleaved import measure_interleaved
        from core.measure.timing.protocol import Settings
        from core.records.measurement import Point
        from core.records.serial import from_plain, measurement_to_dict

        points = [from_plain(Point, data) for data in message["points"]]
        self._context.settings = from_plain(Settings, message["settings"])
        if self._on_measure is not None:
            for point in points:
                self._on_measure(point, self._context)

        def keep(so_far: Mapping[int, Any]) -> None:
            rows = {str(number): measurement_to_dict(m) for number, m in so_far.items()}
            self.kept.clear()
            self.send("so-far", measurements=rows)
            # storing takes a core for a moment: what is timed meanwhile would show it
            self.kept.wait()

        with _turn_file(message["turn"]) as file:

            def turn(number: int) -> None:
                # what is written stays when this process dies, and wakes nobody
                file.seek(0)
                file.write(f"{number:<8d}".encode())

            found = measure_interleaved(points, self._context, self._report, keep, turn)
        self.send("results", measurements=[measurement_to_dict(m) for m in found])


@contextmanager
def _turn_file(path: str) -> Iterator[IO[bytes]]:
    """The open file in which turns are noted. It loses its name at once where the system allows that, so
    that no way of ending leaves it behind."""
    with Path(path or os.devnull).open("r+b", buffering=0) as file:
        if path and sys.platform != "win32":
            Path(path).unlink(missing_ok=True)
        yield file


def _take_pipes() -> tuple[IO[bytes], IO[bytes]]:
    """Our own handles of standard input and output; prints of libraries go to standard error."""
    if sys.platform == "win32":
        import msvcrt

        for descriptor in (0, 1):
            msvcrt.setmode(descriptor, os.O_BINARY)
    incoming = os.fdopen(os.dup(0), "rb")
    outgoing = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return incoming, outgoing


if __name__ == "__main__":
    sys.exit(main())
