"""Trust: what the laws in use predicted for shapes they had not seen, beside what was measured."""

from __future__ import annotations

import math
from itertools import zip_longest
from typing import Any

import numpy as np
from PySide6.QtCore import Qt, Slot
from PySide6.QtGui import QResizeEvent, QShowEvent
from PySide6.QtWidgets import (
    QComboBox,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSplitter,
    QVBoxLayout,
    QWidget,
)

from core.analysis.pipeline import Laws
from core.analysis.validation import (
    LARGEST_ERROR,
    LEAST_RANK,
    LatencyTrust,
    judge_loss,
    latency_sentence,
    latency_trust,
    loss_sentence,
    unmeasured_on_front,
)
from core.fit.doubt_facts import LEAST_COVERAGE, doubt_facts
from core.fit.fit import Fit
from core.records.measurement import Point
from core.records.metrics import of_phase
from core.records.progress import Steps
from core.units import format_quantity, plus_minus
from gui.app.theme import Theme
from gui.panels.drawing import Chart, ink, series, tones
from gui.panels.flow_layout import FlowLayout
from gui.panels.numbers_table import Cell, NumbersTable
from gui.panels.view import Panel
from gui.panels.work_row import WorkRow
from gui.state.state import State

HEADER = (
    Cell("Measured point"),
    Cell("Measured", tip="Median of its samples"),
    Cell("Predicted", tip="By the law fitted without this shape"),
    Cell("Error", tip="Predicted over measured, less one"),
    Cell("In its interval", tip="Whether the 95 % interval made without it holds the measurement"),
)
NUMBERS = (
    ("Mean error", "error", "Mean of the absolute errors on shapes left out of the fit"),
    ("Bias", "bias", "Mean of the signed errors; above zero the law predicts too slow"),
    ("Rank correlation", "rank", "How alike the order of predicted and measured is (Spearman)"),
    ("Coverage", "coverage", "Measurements inside their 95 % interval; 95 % would be right"),
)


class Trust(Panel):
    """The loss law's sentence and what its losses may miss, one latency law at a time with its errors,
    and what to measure next."""

    def __init__(self, store: Any, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("trust")
        self._store = store
        self._state: State | None = None
        self._judged: tuple[LatencyTrust, ...] = ()
        self._judged_of: Laws | None = None
        self._loss: Fit | None = None
        self._build()

    @property
    def busy(self) -> bool:
        """Whether something is being worked out."""
        return self.work.busy

    def _build(self) -> None:
        self.loss = _sentence("Trust in the loss law")
        self.doubt = QWidget()
        self.doubt.setAccessibleName("What a predicted loss may miss")
        self.facts: list[QLabel] = []
        self._flow = FlowLayout(self.doubt, 18, 2)
        self._flow.setContentsMargins(0, 0, 0, 0)
        self.latency = _sentence("Trust in the latency law")
        self.law = QComboBox()
        self.law.setAccessibleName("Latency law")
        self.law.setToolTip("Which latency law: time per token or to the first, and how it runs")
        self.law.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToContents)
        self.law.activated.connect(self._on_law)
        self.work = WorkRow(self._store, "trust")
        self.work.finished.connect(self._on_finished)
        self.work.ended.connect(self._on_ended)
        self.this = QPushButton("&Measure this point")
        self.this.setToolTip("Time the marked point again on this machine")
        self.this.clicked.connect(self._measure_this)
        self.chosen = QPushButton("Measure the c&hosen one")
        self.chosen.setToolTip("Time the candidate chosen in the plot")
        self.chosen.clicked.connect(self._measure_chosen)
        self.front = QPushButton("Measure the &front")
        self.front.setToolTip("Time everything on the front that is only predicted")
        self.front.clicked.connect(self._measure_front)
        top = QHBoxLayout()
        top.addWidget(self.law)
        top.addWidget(self.work, 1)
        for button in (self.this, self.chosen, self.front):
            button.setAccessibleName(button.text().replace("&", ""))
            top.addWidget(button)

        self.numbers: dict[str, QLabel] = {}
        numbers = QHBoxLayout()
        numbers.setSpacing(18)
        self.shapes = QLabel()
        self.shapes.setAccessibleName("Shapes measured")
        self.shapes.setToolTip("Each was left out of the fit once and predicted from the others")
        numbers.addWidget(self.shapes)
        for title, name, tip in NUMBERS:
            label = QLabel()
            label.setToolTip(tip)
            label.setAccessibleName(title)
            label.setAccessibleDescription(tip)
            self.numbers[name] = label
            numbers.addWidget(label)
        numbers.addStretch()

        self.chart = Chart(
            "Predicted against measured", ("Measured", "s"), ("Predicted", "s"),
            x_log=True, y_log=True,
        )  # fmt: skip
        self.chart.picked.connect(self._mark)
        self.legend = QLabel(
            "○ predicted without its shape, with 95 % interval; ◇ measured outside it; dashed: equal"
        )
        self.legend.setProperty("quiet", True)
        self.legend.setWordWrap(True)
        self.chart.setToolTip(self.legend.text())
        self.table = NumbersTable("Measured points with their predictions")
        self.table.chosen.connect(self._mark)
        self.table.activated_row.connect(self._measure_this)
        left = QWidget()
        column = QVBoxLayout(left)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.chart, 1)
        column.addWidget(self.legend)
        self.both = QSplitter(Qt.Orientation.Horizontal)
        self.both.addWidget(left)
        self.both.addWidget(self.table)
        self.both.setStretchFactor(0, 1)
        self.both.setStretchFactor(1, 1)
        self.both.setSizes([500, 420])
        self.empty = QLabel()
        self.empty.setWordWrap(True)
        self.empty.setAlignment(Qt.AlignmentFlag.AlignCenter)

        column = QVBoxLayout(self)
        column.setContentsMargins(8, 6, 8, 6)
        column.setSpacing(4)
        column.addWidget(self.loss)
        column.addWidget(self.doubt)
        column.addWidget(self.latency)
        column.addLayout(top)
        column.addLayout(numbers)
        column.addWidget(self.both, 1)
        column.addWidget(self.empty, 1)
        self._show()

    # --- following the state --------------------------------------------------------------------

    def refresh(self, new: State, old: State | None) -> None:
        """Judge the laws again when they changed and the panel is visible."""
        self._state = new
        if old is None or new.laws is not old.laws:
            self._loss = None if new.laws is None else new.laws.loss
            self._show()
        elif new.frame is not old.frame or new.choices.selected != old.choices.selected:
            self._offer()
        if self.isVisible():
            self._start_once()

    def showEvent(self, event: QShowEvent) -> None:
        """The laws are judged when the panel is first shown."""
        super().showEvent(event)
        self._start_once()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """In a low dock the chart needs the space more than its legend, which its tooltip repeats."""
        super().resizeEvent(event)
        self.legend.setVisible(self.height() >= 330)

    def recolour(self, theme: Theme) -> None:
        """Other tones with another palette."""
        self._show()

    def _start_once(self) -> None:
        state = self._state
        if state is None or state.laws is None or state.laws is self._judged_of or self.busy:
            return
        # working it out beside a sweep would disturb what is being timed
        if state.sweep.running:
            return
        laws, contents, choices = state.laws, state.contents, state.choices
        self._judged_of = laws

        def work() -> Steps[Any]:
            latency = tuple(latency_trust(fit) for fit in laws.latency)
            loss = laws.loss
            if loss is not None:
                loss = yield from judge_loss(contents, choices, loss)
            return laws, latency, loss

        self.work.run(work, "Leaving shapes out")
        self._show_law()

    @Slot(object)
    def _on_finished(self, found: tuple[Laws, tuple[LatencyTrust, ...], Fit | None]) -> None:
        laws, judged, loss = found
        if self._state is None or laws is not self._state.laws:
            # the laws have moved on meanwhile
            self._judged_of = None
            return
        self._judged, self._loss = judged, loss
        self._show()

    @Slot()
    def _on_ended(self) -> None:
        # laws that changed meanwhile had to wait for this
        if self.isVisible():
            self._start_once()
        self._show_law()

    # --- showing --------------------------------------------------------------------------------

    def _show(self) -> None:
        state = self._state
        laws = state.laws if state is not None else None
        sentence, warn = loss_sentence(self._loss, laws.loss_message if laws is not None else "")
        _show_sentence(self.loss, f"Loss: {sentence}" if laws is not None else "", warn)
        self._show_doubt()
        before = self.law.currentText()
        self.law.clear()
        for judged in self._judged:
            self.law.addItem(judged.title)
        usable = [i for i, j in enumerate(self._judged) if len(j.measured)]
        at = self.law.findText(before)
        self.law.setCurrentIndex(at if at >= 0 else (usable[0] if usable else 0))
        self._show_law()

    def _show_doubt(self) -> None:
        """One label per part of the loss law's doubt, each with the formula it enters."""
        facts = doubt_facts(self._loss) if self._loss is not None else ()
        while len(self.facts) < len(facts):
            self.facts.append(QLabel(self.doubt))
            self._flow.addWidget(self.facts[-1])
        for label, fact in zip_longest(self.facts, facts):
            label.setVisible(fact is not None)
            if fact is not None:
                label.setText(f"{'⚠ ' if fact.warn else ''}{fact.name}: {fact.text}")
                label.setToolTip(fact.tip)
                label.setAccessibleName(fact.name)
                label.setAccessibleDescription(fact.tip)
                _paint(label, fact.warn)
        self.doubt.setVisible(bool(facts))

    @Slot()
    def _on_law(self) -> None:
        self._show_law()

    def _current(self) -> LatencyTrust | None:
        index = self.law.currentIndex()
        return self._judged[index] if 0 <= index < len(self._judged) else None

    @Slot()
    def _show_law(self) -> None:
        judged = self._current()
        there = judged is not None and len(judged.measured) > 0
        self.both.setVisible(there)
        self.empty.setVisible(not there)
        for label in (self.shapes, *self.numbers.values()):
            label.setVisible(there)
        self.law.setVisible(bool(self._judged))
        if judged is None:
            _show_sentence(self.latency, "", False)
            self.empty.setText(self._why_empty())
        else:
            sentence, warn = latency_sentence(judged)
            # the numbers below state the same where there are any
            _show_sentence(self.latency, "" if there else f"Latency: {sentence}", warn)
            self.law.setToolTip(sentence)
            self.shapes.setText(f"{'⚠ ' if warn else ''}{judged.fit.n_shapes} shapes")
            self.empty.setText(judged.fit.message if not there else "")
        if judged is not None and there:
            self._show_numbers(judged)
            self._draw(judged)
            self._fill(judged)
        self._offer()

    def _why_empty(self) -> str:
        state = self._state
        if state is None or state.laws is None:
            return "No laws yet."
        if not state.contents.measurements:
            return "Nothing is measured yet, so there is nothing to compare predictions with."
        if state.sweep.running:
            return "The laws are judged when the sweep has ended; doing it now would disturb it."
        if self.busy:
            return "Working it out …"
        if state.laws.latency and state.laws is not self._judged_of:
            return "The laws have changed; they are judged when this panel is shown."
        if state.laws.latency and not self._judged:
            return "Judging the laws was stopped; it starts again when they change."
        reasons = dict.fromkeys(fit.message for fit in state.laws.latency if not fit.ok)
        return "There is no latency law to judge" + (f": {'; '.join(reasons)}." if reasons else ".")

    def _show_numbers(self, judged: LatencyTrust) -> None:
        warns = {
            "error": judged.error > LARGEST_ERROR,
            "bias": abs(judged.bias) > LARGEST_ERROR / 2,
            "rank": judged.rank < LEAST_RANK,
            "coverage": judged.coverage < LEAST_COVERAGE,
        }
        for title, name, _ in NUMBERS:
            value = getattr(judged, name)
            text = (
                "unknown" if not math.isfinite(value)
                else f"{value:.2f}" if name == "rank"
                else f"{100 * value:+.1f} %" if name == "bias"
                else f"{100 * value:.0f} %" if name == "coverage"
                else plus_minus(value, "unknown")
            )  # fmt: skip
            label = self.numbers[name]
            label.setText(f"{'⚠ ' if warns[name] else ''}{title} {text}")
            _paint(label, warns[name])

    def _draw(self, judged: LatencyTrust) -> None:
        colours = ink(self)
        chart = self.chart
        chart.start_over()
        chart.same_line(colours.quiet)
        chart.spans(judged.measured, judged.low, judged.high, series(self, 0))
        inside = judged.inside
        tips = [_tip(judged, i) for i in range(len(judged.measured))]
        for mask, symbol, colour in (
            (inside, "o", series(self, 0)),
            (~inside, "d", colours.limit),
        ):
            places = np.flatnonzero(mask)
            chart.points(
                judged.measured[places], judged.predicted[places], filled=False, colour=colour,
                symbol=symbol, size=9, keys=[int(i) for i in places], tips=[tips[i] for i in places],
            )  # fmt: skip
        chart.show_all()

    def _fill(self, judged: LatencyTrust) -> None:
        self.table.set_tones(tones(self))
        rows = []
        for i, name in enumerate(judged.labels):
            error = judged.predicted[i] / judged.measured[i] - 1.0
            inside = bool(judged.inside[i])
            rows.append(
                [
                    Cell(name, tip=_tip(judged, i)),
                    Cell("● " + format_quantity(judged.measured[i], "s"), judged.measured[i]),
                    Cell("○ " + format_quantity(judged.predicted[i], "s"), judged.predicted[i]),
                    Cell(f"{100 * error:+.1f} %", abs(error), tone="" if inside else "warn"),
                    Cell("yes" if inside else "no", tone="" if inside else "warn"),
                ]
            )
        self.table.show_rows(HEADER, rows)
        if judged.worst is not None and self.table.current() is None:
            self._mark(judged.worst)

    @Slot(int)
    def _mark(self, place: int) -> None:
        self.chart.light(place)
        self.table.choose_row(place)
        self._offer()

    # --- measuring ------------------------------------------------------------------------------

    def _offer(self) -> None:
        front = self._front_points()
        self.this.setEnabled(self._marked_point() is not None)
        self.chosen.setEnabled(self._chosen_point() is not None)
        self.front.setEnabled(bool(front))
        self.front.setText(f"Measure the &front ({len(front)})" if front else "Measure the &front")

    def _marked_point(self) -> Point | None:
        judged, place = self._current(), self.table.current()
        if judged is None or place is None or place >= len(judged.points):
            return None
        return judged.points[place]

    def _chosen_point(self) -> Point | None:
        state = self._state
        if state is None or state.table is None or state.frame is None:
            return None
        row = state.frame.selected
        return None if row is None or row in state.table.names else state.table.point(row)

    def _front_points(self) -> tuple[Point, ...]:
        state = self._state
        if state is None or state.table is None or state.frame is None:
            return ()
        table = state.table
        # one shape trained on other tokens is one thing to time
        return tuple(dict.fromkeys(table.point(r) for r in unmeasured_on_front(table, state.frame)))

    @Slot()
    def _measure_this(self) -> None:
        point = self._marked_point()
        if point is not None:
            self.measure_point.emit((point,))

    @Slot()
    def _measure_chosen(self) -> None:
        point = self._chosen_point()
        if point is not None:
            self.measure_point.emit((point,))

    @Slot()
    def _measure_front(self) -> None:
        if points := self._front_points():
            self.measure_point.emit(points)


def _tip(judged: LatencyTrust, i: int) -> str:
    what = of_phase(judged.fit.metric).label

    def seconds(value: float) -> str:
        return format_quantity(float(value), "s")

    return (
        f"{judged.labels[i]}\n{what}: measured {seconds(judged.measured[i])}, predicted"
        f" {seconds(judged.predicted[i])} ({seconds(judged.low[i])} to {seconds(judged.high[i])})"
    )


def _sentence(name: str) -> QLabel:
    label = QLabel()
    label.setWordWrap(True)
    label.setAccessibleName(name)
    label.setTextInteractionFlags(
        Qt.TextInteractionFlag.TextSelectableByMouse
        | Qt.TextInteractionFlag.TextSelectableByKeyboard
    )
    return label


def _show_sentence(label: QLabel, text: str, warn: bool) -> None:
    label.setText(f"⚠ {text}" if warn and text else text)
    label.setVisible(bool(text))
    _paint(label, warn)


def _paint(label: QLabel, warn: bool) -> None:
    """The window's own colour for what went wrong, by a property its style knows."""
    if label.property("bad") != warn:
        label.setProperty("bad", warn)
        label.style().unpolish(label)
        label.style().polish(label)
