"""One candidate in full: its shape, why it is or is not on the front, every metric with its source."""

from __future__ import annotations

import math

from PySide6.QtCore import Qt, Slot
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from core.analysis.frame import Frame, minimised
from core.analysis.front_uncertainty import FrontUncertainty, chance_text
from core.model.architecture import Architecture
from core.pareto.front import dominators, neighbours_on_front
from core.records.metrics import METRICS
from core.table.table import Table
from core.units import format_quantity
from gui.panels.metric_tree import MetricTree, metric_texts
from gui.panels.shape_picture import ShapePicture
from gui.panels.view import Panel
from gui.state.state import State
from gui.state.store import Store

# pixels; on a lower panel the words and numbers need the picture's space
LOWEST_WITH_PICTURE = 330


class Inspector(Panel):
    """Shows the chosen candidate, or the best one while a limit is in hand."""

    def __init__(self, store: Store, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._store = store
        self._live: int | None = None
        self._shown: tuple[State, int] | None = None
        self._uncertainty: FrontUncertainty | None = None
        self._largest: tuple[Table, tuple[int, int]] | None = None
        self.setAccessibleName("Inspector")
        self.setMinimumWidth(300)
        self.title = QLabel("", self)
        self.title.setProperty("title", True)
        font = self.title.font()
        font.setPointSizeF(font.pointSizeF() * 1.25)
        self.title.setFont(font)
        self.title.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.standing = QLabel("", self)
        self.standing.setProperty("quiet", True)
        self.picture = ShapePicture(self)
        self.shape = QLabel("", self)
        self.shape.setWordWrap(True)
        self.shape.setAlignment(Qt.AlignmentFlag.AlignTop)
        self.why = QLabel("", self)
        self.why.setWordWrap(True)
        self.why.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.why.setAccessibleName("Why it is on the front, or what beats it")
        self.why.setToolTip(
            "The front is drawn some hundred times, losses as the models that one would train and times"
            " within their intervals; the share is of the draws in which nothing beats this candidate."
        )
        self.pin = self._button("Pin", "Keep it for comparison (Ctrl+P)", self.on_pin)
        self.pin.setCheckable(True)
        self.baseline = self._button(
            "Baseline", "Compare everything with this candidate", self.on_baseline
        )
        self.baseline.setCheckable(True)
        self.measure = self._button(
            "Measure", "Time this candidate on this machine", self.on_measure
        )
        self.metrics = MetricTree(self)
        head = QHBoxLayout()
        head.addWidget(self.title)
        head.addWidget(self.standing, 1)
        buttons = QHBoxLayout()
        for button in (self.pin, self.baseline, self.measure):
            buttons.addWidget(button)
        buttons.addStretch(1)
        drawn = QHBoxLayout()
        drawn.addWidget(self.picture)
        drawn.addWidget(self.shape, 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(10, 8, 10, 6)
        column.setSpacing(6)
        column.addLayout(head)
        column.addLayout(drawn)
        column.addWidget(self.why)
        column.addLayout(buttons)
        column.addWidget(self.metrics, 1)

    def _button(self, text: str, tip: str, slot: object) -> QPushButton:
        button = QPushButton(text, self)
        button.setToolTip(tip)
        button.clicked.connect(slot)
        return button

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Leave the picture of the shape out where its words would be cut."""
        self.picture.setVisible(event.size().height() >= LOWEST_WITH_PICTURE)
        super().resizeEvent(event)

    # --- showing ----------------------------------------------------------------------------------

    def refresh(self, new: State, old: State | None) -> None:
        """Show the chosen row when it, the table or the front changed."""
        if old is None or new.table is not old.table or new.frame is not old.frame:
            self._live = None
            self._show(new, None if new.frame is None else new.frame.selected)
        if old is None or new.choices is not old.choices or new.frame is not old.frame:
            self._refresh_buttons(new)

    @Slot(object)
    def show_live(self, row: int | None) -> None:
        """Show another row while a limit is in hand; None: back to the chosen one."""
        if row == self._live:
            return
        self._live = row
        state = self._store.state
        shown = row if row is not None else (state.frame.selected if state.frame else None)
        self._show(state, shown, live=row is not None)

    def _refresh_buttons(self, state: State) -> None:
        identity = self._identity(state)
        for button in (self.pin, self.baseline, self.measure):
            button.setEnabled(bool(identity))
        self.pin.setChecked(identity in state.choices.pins)
        self.baseline.setChecked(bool(identity) and identity == state.choices.baseline)

    def _show(self, state: State, row: int | None, *, live: bool = False) -> None:
        table, frame = state.table, state.frame
        if table is None or frame is None or row is None or row >= len(table):
            self.title.setText("Nothing chosen")
            self.standing.setText("")
            self.why.setText("Click a point in the plot or a row of the table.")
            self._shown = None
            self.shape.setText("")
            self.picture.show_shape(None, (1, 1))
            self.metrics.show_nothing()
            return
        point = table.point(row)
        self.title.setText(table.label(row))
        self.standing.setText("best under the limit in hand" if live else standing(frame, row))
        if self._largest is None or self._largest[0] is not table:
            self._largest = (table, largest(table))
        self.picture.show_shape(point.architecture, self._largest[1])
        run = f"{point.runtime.label}; {point.workload.label}"
        self.shape.setText(f"{shape_text(point.architecture)}<br>{run}")
        self._shown = None if live else (state, row)
        self._show_why()
        self.why.setVisible(not live)
        self.metrics.show_candidate(table, row, live=live)

    @Slot(object)
    def show_uncertainty(self, found: FrontUncertainty) -> None:
        """Show how likely the candidate is on the front, if this is still the front it was found for."""
        self._uncertainty = found
        self._show_why()

    def _show_why(self) -> None:
        if self._shown is None:
            return
        state, row = self._shown
        assert state.table is not None and state.frame is not None
        text = why_text(state.table, state.frame, row)
        found = self._uncertainty
        if found is not None and found.front is state.frame.front and found.chance is not None:
            text = f"{text} {chance_text(float(found.chance[row]))}".rstrip()
        self.why.setText(text)

    # --- what the user does ------------------------------------------------------------------------

    def _identity(self, state: State) -> str:
        if state.table is None or state.frame is None or state.frame.selected is None:
            return ""
        return state.table.id_of(state.frame.selected)

    @Slot()
    def on_pin(self) -> None:
        """Pin the candidate, or let it go."""
        state = self._store.state
        identity, pins = self._identity(state), state.choices.pins
        if identity in pins:
            self._store.choose(pins=tuple(p for p in pins if p != identity))
        elif identity:
            self._store.choose(pins=(*pins, identity))

    @Slot()
    def on_baseline(self) -> None:
        """Make it the baseline, or have none."""
        state = self._store.state
        identity = self._identity(state)
        self._store.choose(baseline="" if state.choices.baseline == identity else identity)

    @Slot()
    def on_measure(self) -> None:
        """Propose it to the Measure panel."""
        state = self._store.state
        if state.table is not None and state.frame is not None and state.frame.selected is not None:
            self.measure_point.emit((state.table.point(state.frame.selected),))


def standing(frame: Frame, row: int) -> str:
    """Where a row is: on the front, inside or outside the limits, or not counted."""
    if row in frame.front:
        return "on the front"
    if frame.feasible[row] and not frame.counted[row]:
        return "not counted"
    return "inside the limits" if frame.feasible[row] else "outside the limits"


def why_text(table: Table, frame: Frame, row: int) -> str:
    """Why a row is on the front, what beats it, which limits it breaks, or why it does not count; and
    in what it lies outside the loss law's runs."""
    names = ", ".join(table.outside_columns("loss", row))
    if frame.feasible[row] and not frame.counted[row]:
        return (
            f"Not counted: the loss law's runs cannot speak for its {names}. The Limits panel has a"
            " switch that lets such candidates count."
        )
    text = place_text(table, frame, row)
    return f"{text} Outside the loss law's runs in {names}." if names else text


def place_text(table: Table, frame: Frame, row: int) -> str:
    """Why a row is on the front, what beats it, or which limits it breaks."""
    x_label, y_label = (METRICS[k].label.lower() for k in (frame.x, frame.y))
    if not frame.feasible[row]:
        broken = [
            limit.label
            for limit in frame.limits
            if not limit.allows(table.column(limit.metric, limit.statistic)[row : row + 1])[0]
        ]
        return f"Breaks {'; '.join(broken)}."
    x, y = minimised(table, frame.x), minimised(table, frame.y)
    if not (math.isfinite(float(x[row])) and math.isfinite(float(y[row]))):
        missing = frame.x if not math.isfinite(float(x[row])) else frame.y
        return f"No {METRICS[missing].label.lower()} is known: {table.source(missing, row).text}."
    if row in frame.front:
        near = [n for side in neighbours_on_front(x, y, frame.front, row, 1) for n in side]
        names = " and ".join(f"{table.label(int(n))}{difference(table, int(n), row)}" for n in near)
        return (
            f"On the front: nothing that keeps the limits is as good in both {x_label} and {y_label}"
            f" and better in one.{f' Its neighbours there: {names}.' if names else ''}"
        )
    better = dominators(x, y, row, frame.counted)
    first = int(better[0])
    others = f" and {len(better) - 1:,} others" if len(better) > 1 else ""
    values = ", ".join(
        f"{METRICS[key].label.lower()} {METRICS[key].format(float(table.column(key)[first]))}"
        f" against {METRICS[key].format(float(table.column(key)[row]))}"
        for key in (frame.x, frame.y)
    )
    return f"Beaten by {table.label(first)}{difference(table, first, row)}{others}: {values}."


def difference(table: Table, row: int, other: int) -> str:
    """The differences of two rows with the same label, in brackets; empty where the labels differ."""
    if table.label(row) != table.label(other):
        return ""
    a, b = table.point(row), table.point(other)
    differences = []
    for name, words in (
        ("n_heads", "heads"),
        ("n_kv_heads", "KV heads"),
        ("d_ff", "FFN width"),
    ):
        if getattr(a.architecture, name) != getattr(b.architecture, name):
            differences.append(f"{getattr(a.architecture, name)} {words}")
    if a.workload != b.workload:
        differences.append(a.workload.label)
    if a.runtime != b.runtime:
        differences.append(a.runtime.label)
    tokens = float(table.column("train_tokens")[row])
    if tokens != float(table.column("train_tokens")[other]) and math.isfinite(tokens):
        differences.append(f"{format_quantity(tokens, 'count')} training tokens")
    return f" ({', '.join(differences)})" if differences else ""


def shape_text(shape: Architecture) -> str:
    """The shape in words."""
    heads = f"{shape.n_heads} heads of {shape.d_head}"
    if shape.n_kv_heads != shape.n_heads:
        heads += f", {shape.n_kv_heads} KV heads"
    ffn = f"{'gated ' if shape.gated_ffn else ''}FFN {shape.d_ff:,}"
    tied = ", tied" if shape.tied_embeddings else ""
    return (
        f"<b>{shape.n_layers}</b> {'layer' if shape.n_layers == 1 else 'layers'} × <b>{shape.d_model:,}</b> wide, {heads}; {ffn};"
        f" vocabulary {shape.vocab_size:,}{tied}"
    )


def largest(table: Table) -> tuple[int, int]:
    """Deepest and widest of the table."""
    shapes = table.candidates.shapes
    return int(shapes.n_layers.max()), int(shapes.d_model.max())


def card_text(table: Table, row: int) -> str:
    """One candidate with every known metric and its source, as plain text."""
    lines = [table.label(row), table.id_of(row)]
    for metric in METRICS.values():
        value = float(table.column(metric.key)[row])
        if math.isfinite(value):
            source = table.source(metric.key, row)
            _, shown, between = metric_texts(table, metric, row, source.kind)
            interval = f" ({between})" if between else ""
            lines.append(f"{metric.label}: {shown}{interval} [{source.kind}: {source.text}]")
    return "\n".join(lines)
