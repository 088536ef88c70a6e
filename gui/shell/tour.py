"""A tour of six steps over the window: each highlights a part and explains it in one sentence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from PySide6.QtCore import QEvent, QObject, QPoint, QRect, Qt, QTimer, Slot
from PySide6.QtGui import QColor, QKeyEvent, QPainter, QPaintEvent, QPen, QRegion
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

if TYPE_CHECKING:
    from gui.shell.shell import Shell

WIDE = 360
GAP = 12
# after any of these a part may lie elsewhere
MOVES = (QEvent.Type.Move, QEvent.Type.Resize, QEvent.Type.Show, QEvent.Type.Hide)


@dataclass(frozen=True, slots=True)
class Stop:
    """One step: its sentence and the parts of the window it is about (`Shell.parts`)."""

    title: str
    text: str
    parts: tuple[str, ...]


STOPS = (
    Stop(
        "Every dot is a model",
        "Each dot is a model that could be built: further left it writes faster, further down it"
        " predicts text better, and the dark steps join those that nothing beats.",
        ("plot",),
    ),
    Stop(
        "Say what you need",
        "Drag the red line: models that take longer than that turn grey, and the best of the rest"
        " is found while you drag. Each limit shows here what it hides.",
        ("chips", "plot"),
    ),
    Stop(
        "Read the answer",
        "This explains in plain words what the chosen model gains and loses, and what a little more"
        " time would buy.",
        ("sentence",),
    ),
    Stop(
        "Ask where a number comes from",
        "Click any dot: here is everything known about it, and for each number whether it was"
        " measured or predicted, and how sure it is.",
        ("inspector",),
    ),
    Stop(
        "Make it your machine",
        "The demonstration was timed on another machine; the Measure panel times a dozen shapes on"
        " yours, and the picture becomes your own.",
        ("panels",),
    ),
    Stop(
        "Take it with you",
        "Export writes the chosen model for training and serving tools, Report writes a page that"
        " others can read and repeat, Present shows it on a projector. F1 explains the rest.",
        ("toolbar",),
    ),
)


class Tour(QWidget):
    """A veil over the window with a hole at the lit part, which can be used meanwhile.

    Enter or Right goes on, Left goes back, Esc ends. Once ended or skipped it does not start by itself
    again."""

    def __init__(self, shell: Shell) -> None:
        super().__init__(shell.widget)
        self._shell = shell
        self._window = shell.widget
        self.at = 0
        self.setObjectName("tour")
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAccessibleName("Tour")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.bubble = QFrame(self)
        self.bubble.setObjectName("tourBubble")
        self.bubble.setProperty("chip", True)
        self.bubble.setAutoFillBackground(True)
        self.title = QLabel(self.bubble)
        self.title.setProperty("title", True)
        self.text = QLabel(self.bubble)
        self.text.setWordWrap(True)
        self.count = QLabel(self.bubble)
        self.count.setProperty("quiet", True)
        self.skip = QPushButton("Skip the tour", self.bubble)
        self.back = QPushButton("Back", self.bubble)
        self.next = QPushButton("Next", self.bubble)
        self.next.setProperty("leading", True)
        self.skip.clicked.connect(self.end)
        self.back.clicked.connect(lambda: self.go(self.at - 1))
        self.next.clicked.connect(lambda: self.go(self.at + 1))
        row = QHBoxLayout()
        row.addWidget(self.count)
        row.addStretch(1)
        for button in (self.skip, self.back, self.next):
            row.addWidget(button)
        column = QVBoxLayout(self.bubble)
        column.setContentsMargins(16, 12, 16, 12)
        column.setSpacing(8)
        column.addWidget(self.title)
        column.addWidget(self.text)
        column.addLayout(row)
        self.bubble.setFixedWidth(WIDE)
        self._followed: list[QWidget] = []
        # a banner that disappears moves several parts in turn: the bubble is placed once, after them all
        self._soon = QTimer(self, singleShot=True, interval=0)
        self._soon.timeout.connect(self._place)

    def begin(self) -> None:
        """Show the first step."""
        self._follow()
        self.setGeometry(self._window.rect())
        self.show()
        self.raise_()
        self.go(0)
        self.setFocus()

    def go(self, to: int) -> None:
        """Show a step; after the last one the tour is over."""
        if to >= len(STOPS):
            self.end()
            return
        self.at = max(0, to)
        stop = STOPS[self.at]
        self.title.setText(stop.title)
        self.text.setText(stop.text)
        self.count.setText(f"{self.at + 1} of {len(STOPS)}")
        self.back.setEnabled(self.at > 0)
        self.next.setText("Done" if self.at == len(STOPS) - 1 else "Next")
        self.setAccessibleDescription(f"{stop.title}. {stop.text}")
        self._place()

    @Slot()
    def end(self) -> None:
        """End the tour; it does not start by itself again."""
        self._shell.settings["toured"] = True
        self._soon.stop()
        for widget in self._followed:
            widget.removeEventFilter(self)
        self._followed = []
        self.close()

    @property
    def lit(self) -> QRect:
        """The lit part of the window, in its coordinates."""
        found = QRect()
        for part in self._parts(STOPS[self.at]):
            if part.isVisible():
                found = found.united(QRect(part.mapTo(self._window, QPoint(0, 0)), part.size()))
        return found.intersected(self.rect()).adjusted(-2, -2, 2, 2)

    def _parts(self, stop: Stop) -> list[QWidget]:
        known = self._shell.parts()
        return [known[name] for name in stop.parts if name in known]

    def _place(self) -> None:
        self.bubble.adjustSize()
        hole = self.lit
        wide, high = self.bubble.width(), self.bubble.sizeHint().height()
        self.bubble.resize(wide, high)
        room = self.rect().adjusted(GAP, GAP, -GAP, -GAP)
        # places that leave the lit part free: below, above, left, right; the last one is inside it
        spots = (
            QPoint(hole.left(), hole.bottom() + GAP),
            QPoint(hole.left(), hole.top() - high - GAP),
            QPoint(hole.left() - wide - GAP, hole.top()),
            QPoint(hole.right() + GAP, hole.top()),
            QPoint(hole.right() - wide - GAP, hole.top() + GAP),
        )
        # never over the edge of the window
        inside = [
            QPoint(
                min(max(p.x(), room.left()), room.right() - wide),
                min(max(p.y(), room.top()), room.bottom() - high),
            )
            for p in spots
        ]
        free = (p for p in inside if not hole.intersects(QRect(p, self.bubble.size())))
        self.bubble.move(next(free, inside[-1]))
        # the lit part stays usable: the hole takes no clicks
        self.setMask(QRegion(self.rect()).subtracted(QRegion(hole)).united(self.bubble.geometry()))
        self.update()

    def _follow(self) -> None:
        """Watch the parts of all steps and their parents, up to the window."""
        found: dict[QWidget, None] = {self._window: None}
        for stop in STOPS:
            for part in self._parts(stop):
                above: QWidget | None = part
                while above is not None and above is not self._window:
                    found[above] = None
                    above = above.parentWidget()
        self._followed = list(found)
        for widget in self._followed:
            widget.installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Follow the window's size, and the lit part where something above it appears or disappears."""
        if watched is self._window and event.type() == QEvent.Type.Resize:
            self.setGeometry(self._window.rect())
            self._place()
        elif event.type() in MOVES:
            self._soon.start()
        return super().eventFilter(watched, event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Go on, go back, or end."""
        key = event.key()
        if key in (Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Right, Qt.Key.Key_Space):
            self.go(self.at + 1)
        elif key in (Qt.Key.Key_Left, Qt.Key.Key_Backspace):
            self.go(self.at - 1)
        elif key == Qt.Key.Key_Escape:
            self.end()
        else:
            super().keyPressEvent(event)

    def paintEvent(self, _: QPaintEvent) -> None:
        """A veil over all but the lit part."""
        painter = QPainter(self)
        painter.fillRect(self.rect(), QColor(0, 0, 0, 120))
        painter.setPen(QPen(self.palette().highlight().color(), 2))
        painter.drawRect(self.lit.adjusted(-1, -1, 0, 0))
