"""One value to try: a slider over round values, a field that takes units, and a reset button."""

from __future__ import annotations

import math
from collections.abc import Sequence

from PySide6.QtCore import Qt, Signal, Slot
from PySide6.QtWidgets import QGridLayout, QLabel, QLineEdit, QSlider, QToolButton, QWidget

from core.errors import Unusable
from core.units import format_quantity, parse_quantity


def doublings(low: int, high: int) -> tuple[float, ...]:
    """Powers of two from low to high."""
    return tuple(float(2**k) for k in range(low, high + 1))


def round_steps(low: int, high: int) -> tuple[float, ...]:
    """1, 2, 5 times powers of ten from 10^low to 10^high."""
    steps = [m * 10.0**k for k in range(low, high) for m in (1, 2, 5)]
    return (*steps, 10.0**high)


class TriedValue(QWidget):
    """A row of a grid: `tried` carries the value or None for 'as described'; `released` ends a drag.

    The field takes any whole value in range, the slider round ones.
    """

    tried = Signal(object)
    released = Signal()

    def __init__(
        self,
        grid: QGridLayout,
        row: int,
        title: str,
        steps: Sequence[float],
        tip: str,
        *,
        least: float = 1.0,
        none_text: str = "as described",
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.hide()  # its parts are in the grid
        self._steps = tuple(steps)
        self._least = least
        self._none_text = none_text
        self.value: float | None = None
        name = QLabel(title)
        name.setToolTip(tip)
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setRange(0, len(self._steps) - 1)
        self.slider.setPageStep(3)
        self.slider.setAccessibleName(title)
        self.slider.setToolTip(tip)
        self.slider.setMinimumWidth(90)
        self.slider.valueChanged.connect(self._on_slider)
        self.slider.sliderReleased.connect(self.released)
        self.field = QLineEdit()
        self.field.setAccessibleName(f"{title}, as a number")
        self.field.setToolTip(f"{tip}. Units such as 2k or 30B are understood")
        self.field.setMaximumWidth(110)
        self.field.setPlaceholderText(none_text)
        self.field.editingFinished.connect(self._on_field)
        self.reset = QToolButton()
        self.reset.setText("↺")
        self.reset.setAccessibleName(f"{title}: {none_text}")
        self.reset.setToolTip(f"Back to {none_text}")
        self.reset.clicked.connect(self._on_reset)
        for column, widget in enumerate((name, self.slider, self.field, self.reset)):
            grid.addWidget(widget, row, column)
        self.show_value(None)

    def show_value(self, value: float | None, described: float | None = None) -> None:
        """Show a value, or 'as described' with the slider where the described value is."""
        self.value = value
        at = value if value is not None else described
        self.slider.blockSignals(True)
        if at is not None and at > 0:
            self.slider.setValue(self._nearest(at))
        elif value is None:
            self.slider.setValue(0)
        self.slider.blockSignals(False)
        text = "" if value is None else _short(value)
        if not self.field.hasFocus() or self.field.text() != text:
            self.field.setText(text)
        self.field.setPlaceholderText(
            self._none_text if described is None else f"{_short(described)} (as is)"
        )
        self.reset.setEnabled(value is not None)

    def _nearest(self, value: float) -> int:
        logs = [abs(math.log(step / value)) for step in self._steps]
        return logs.index(min(logs))

    @Slot(int)
    def _on_slider(self, place: int) -> None:
        self.value = self._steps[place]
        self.field.setText(_short(self.value))
        self.tried.emit(self.value)

    @Slot()
    def _on_field(self) -> None:
        text = self.field.text().strip()
        if not text:
            if self.value is not None:
                self._on_reset()
            return
        try:
            value = parse_quantity(text, "count")
            if not self._least <= value <= 1e18 or value != round(value):
                raise Unusable(f"'{text}' must be a whole number of at least {self._least:g}")
        except Unusable as error:
            self.field.setToolTip(str(error))
            self.field.setProperty("bad", True)
            self.field.setText("" if self.value is None else _short(self.value))
            return
        self.field.setProperty("bad", False)
        if value != self.value:
            self.tried.emit(value)
            self.released.emit()

    @Slot()
    def _on_reset(self) -> None:
        self.tried.emit(None)
        self.released.emit()


def _short(value: float) -> str:
    if value < 100_000 and value == round(value):
        return f"{value:.0f}"
    return format_quantity(value, "count", 3)
