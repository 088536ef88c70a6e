"""One row for a panel's own long work: its progress, a text, and the button that stops it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from PySide6.QtCore import QObject, Qt, Signal, Slot
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QHBoxLayout, QLabel, QProgressBar, QPushButton, QSizePolicy, QWidget

from core.errors import Unusable
from core.records.progress import Progress, Steps
from gui.state.job import Job


class ElidedLabel(QLabel):
    """A label that shows as much of its text as fits, with an ellipsis where there is more."""

    def paintEvent(self, _: QPaintEvent) -> None:
        """Draw the text, cut at a whole letter."""
        shown = self.fontMetrics().elidedText(
            self.text(), Qt.TextElideMode.ElideRight, self.contentsRect().width()
        )
        painter = QPainter(self)
        self.style().drawItemText(
            painter,
            self.contentsRect(),
            self.alignment().value,
            self.palette(),
            self.isEnabled(),
            shown,
            self.foregroundRole(),
        )


class WorkRow(QWidget):
    """Runs one piece of work at a time in one of the store's lanes beside the fits; short work names
    a lane of its own, so as not to wait behind long work.

    `found` carries what the work yields on its way, `finished` what it returns; `ended` always comes.
    Starting other work cancels what ran.
    """

    found = Signal(object)
    finished = Signal(object)
    ended = Signal()

    def __init__(self, store: Any, lane: str = "", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._store = store
        self._lane = lane
        self._job: Job | None = None
        self.text = ElidedLabel()
        self.text.setProperty("quiet", True)
        self.text.setAccessibleName("What is being worked out")
        # a text that comes and goes must not make the panel wider
        self.text.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.bar = QProgressBar()
        self.bar.setAccessibleName("Progress")
        self.bar.setTextVisible(False)
        self.bar.setMaximumWidth(70)
        self.stop = QPushButton("S&top")
        self.stop.setAccessibleName("Stop")
        self.stop.setToolTip("Stop working this out")
        self.stop.clicked.connect(self.cancel)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.bar)
        row.addWidget(self.text, 1)
        row.addWidget(self.stop)
        self._show(False)

    @property
    def busy(self) -> bool:
        """Whether something is being worked out."""
        return self._job is not None

    def run(self, work: Callable[[], Steps[Any]], text: str) -> None:
        """Run this work in place of what runs."""
        self.cancel()
        self._show_text(f"{text} …")
        self.bar.setRange(0, 0)
        self._show(True)
        job = self._store.background(work, self._lane)
        self._job = job
        job.progressed.connect(self._on_progress)
        job.yielded.connect(self._on_yielded)
        job.returned.connect(self._on_returned)
        job.failed.connect(self._on_failed)
        job.ended.connect(self._on_ended)

    @Slot()
    def cancel(self) -> None:
        """Stop what runs; its other signals no longer arrive."""
        job, self._job = self._job, None
        if job is not None:
            job.cancel()
            self._show(False)
            self.ended.emit()

    def _show(self, on: bool) -> None:
        self.bar.setVisible(on)
        self.stop.setVisible(on)
        if not on:
            self._show_text("")

    def _show_text(self, text: str) -> None:
        """Show a text as far as it fits, and all of it as tooltip."""
        for widget in (self.text, self.bar):
            widget.setToolTip(text)
        self.text.setText(text)

    def _mine(self, sender: QObject | None) -> bool:
        return self._job is not None and (sender is None or sender is self._job)

    @Slot(object)
    def _on_progress(self, progress: Progress) -> None:
        if not self._mine(self.sender()):
            return
        self.bar.setRange(0, 1000)
        self.bar.setValue(round(1000 * progress.done / max(progress.total, 1e-9)))
        left = progress.seconds_left
        more = f", {left:.0f} s left" if left is not None and left >= 1 else ""
        self._show_text(f"{progress.text}{more} …")

    @Slot(object)
    def _on_yielded(self, value: object) -> None:
        if self._mine(self.sender()):
            self.found.emit(value)

    @Slot(object)
    def _on_returned(self, found: object) -> None:
        if self._mine(self.sender()):
            self.finished.emit(found)

    @Slot(object)
    def _on_failed(self, error: BaseException) -> None:
        # the store shows every failure; an unusable input is also shown beside the work it stopped
        if self._mine(self.sender()) and isinstance(error, Unusable):
            self._show_text(str(error))

    @Slot(object)
    def _on_ended(self, job: object) -> None:
        if job is self._job:
            self._job = None
            text = self.text.text()
            self._show(False)
            # a message of failure stays, a report of progress does not
            if text and not text.endswith("…"):
                self._show_text(text)
            self.ended.emit()
