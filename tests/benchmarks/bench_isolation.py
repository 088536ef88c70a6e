"""Does the window disturb the measurement, and the measurement the window? Both ways of isolating.

    python tests/benchmarks/bench_isolation.py [--threads N] [--seconds S]

A real Qt window repaints a half-million-point raster at every 16 ms tick (busy) or only ticks (idle)
while the decoder runs in a thread of the same process or in the measuring process. One run, shuffled
rounds; printed are time per token relative to the idle window with the process, and the ticks.
"""

import argparse
import os
import random
import statistics
import threading
import time

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import numpy as np
from PySide6.QtCore import Qt, QTimer
from PySide6.QtGui import QImage, QPainter
from PySide6.QtWidgets import QApplication, QWidget

from core.measure.process.session import Session
from core.measure.timing.clock import Clock
from core.measure.timing.devices import default_threads
from core.measure.timing.protocol import Settings
from core.model.architecture import Architecture
from core.model.workload import Runtime, Workload
from core.records.measurement import Point
from core.samples.statistics import estimate

SHAPE = Architecture(12, 768, 12, 12, 64, 2048, 8192)
POINTS = 500_000
TICK_MS = 16


class Window(QWidget):
    """Ticks every 16 ms; when busy, bins half a million points and paints them at each."""

    def __init__(self):
        super().__init__()
        self.resize(1055, 690)
        self.busy = False
        self.ticks = []
        rng = np.random.default_rng(0)
        self._at = rng.integers(0, 1055 * 690, POINTS)
        self._level = rng.random(POINTS).astype(np.float32)
        self._threshold = 0.0
        self._image = QImage(1055, 690, QImage.Format.Format_RGB32)
        self._timer = QTimer(self)
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.timeout.connect(self._tick)
        self._timer.start(TICK_MS)

    def _tick(self):
        self.ticks.append(time.perf_counter())
        if self.busy:
            self._threshold = (self._threshold + 0.01) % 1.0
            kept = self._at[self._level > self._threshold]
            counts = np.bincount(kept, minlength=1055 * 690)
            pixels = (counts.clip(0, 255) * 0x010101).astype(np.uint32).reshape(690, 1055)
            self._image = QImage(
                pixels.data, 1055, 690, 4 * 1055, QImage.Format.Format_RGB32
            ).copy()
            self.update()

    def paintEvent(self, _event):
        painter = QPainter(self)
        painter.drawImage(0, 0, self._image)


class InThread:
    """The decoder in a thread of the window's process."""

    def __init__(self, threads):
        import torch

        from core.measure.backends.backend import Pulse
        from core.measure.backends.torch_backend import DecoderRunner

        torch.set_num_threads(threads)
        with torch.inference_mode():
            self.subject = DecoderRunner(POINT, "cpu", Clock(), Pulse())

    def run(self, seconds):
        import torch

        gaps = []
        with torch.inference_mode():
            self.subject.warm()
            end = time.perf_counter() + seconds
            while time.perf_counter() < end:
                gaps += self.subject.request()["tpot"]
        return statistics.median(gaps)


class InProcess:
    """The product's own measuring process."""

    def __init__(self, threads):
        self.session = Session("cpu", threads=threads, probe=False)
        for _ in self.session.open():
            pass

    def run(self, seconds):
        blocks = max(6, int(seconds))
        self.session.settings = Settings(
            min_blocks=blocks, max_blocks=blocks, warm_s=0.5, retries=0, budget_s=seconds
        )
        steps = self.session.measure(POINT)
        while True:
            try:
                next(steps)
            except StopIteration as end:
                return estimate(end.value, "itl").value


POINT = Point(SHAPE, Workload(1, 16, 40), Runtime())


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=default_threads(1))
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    app = QApplication([])
    window = Window()
    window.show()
    ways = {"thread": InThread(options.threads), "process": InProcess(options.threads)}
    plan = [(way, busy) for way in ways for busy in (False, True)] * options.rounds
    random.Random(0).shuffle(plan)
    found, ticks = {}, {}

    def work():
        for way, busy in plan:
            window.busy = busy
            first = len(window.ticks)
            found.setdefault((way, busy), []).append(ways[way].run(options.seconds))
            gaps = np.diff(window.ticks[first:]) * 1e3
            ticks.setdefault((way, busy), []).append(gaps)
        for busy in (False, True):
            window.busy = busy
            first = len(window.ticks)
            time.sleep(options.seconds)
            ticks["none", busy] = [np.diff(window.ticks[first:]) * 1e3]
        ways["process"].session.close()
        QTimer.singleShot(0, app, app.quit)

    threading.Thread(target=work, daemon=True).start()
    app.exec()
    base = statistics.median(found["process", False])
    print(
        f"{options.threads} torch thread(s) of {os.cpu_count()} cores; medians of {options.rounds} rounds"
    )
    print(
        "decoder in   window   token ms   against idle/process   ticks ms p50   p99   max   > 33 ms"
    )
    for way, busy in [(w, b) for w in ("none", "thread", "process") for b in (False, True)]:
        gaps = np.concatenate(ticks[way, busy])
        token = statistics.median(found[way, busy]) if (way, busy) in found else None
        timing = f"{token * 1e3:8.2f} {token / base:18.3f}x" if token else f"{'-':>8} {'-':>19}"
        p50, p99 = np.quantile(gaps, [0.5, 0.99])
        print(
            f"{way:<12} {'busy' if busy else 'idle':<6} {timing}"
            f" {p50:17.1f} {p99:7.1f} {gaps.max():6.1f} {int((gaps > 33).sum()):4d} of {len(gaps)}"
        )


if __name__ == "__main__":
    main()
