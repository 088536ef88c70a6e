"""What if: another workload, precision, training or life of serving, tried on the picture at once."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from PySide6.QtCore import Qt, Slot
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QScrollArea,
    QSlider,
    QSpinBox,
    QSplitter,
    QVBoxLayout,
    QWidget,
)

from core.analysis.comparison import percent_text
from core.analysis.pipeline import drafting
from core.analysis.what_if import (
    PUBLISHED_ACCEPTANCE,
    SHOWN,
    Snapshot,
    as_described,
    drafts_for,
    percent_change,
    snapshot,
    speculation,
    why_nothing,
)
from core.errors import Unusable
from core.model.workload import BYTES_PER_ELEMENT
from core.project.choices import WhatIf as Tried
from core.records.metrics import METRICS
from core.records.progress import Steps
from core.table.published_precision import FORMULAS, WAYS
from core.table.speculative import draft_row
from gui.app.theme import Theme
from gui.panels.drawing import tones
from gui.panels.numbers_table import Cell, NumbersTable
from gui.panels.tried_value import TriedValue, doublings, round_steps
from gui.panels.view import Panel
from gui.panels.work_row import WorkRow
from gui.state.state import State

# name in the choices -> title, slider's values, what it means
VALUES = {
    "batch": ("Batch", doublings(0, 9), "Sequences decoded together"),
    "prompt_tokens": ("Prompt tokens", doublings(4, 17), "Tokens of each prompt"),
    "output_tokens": ("Output tokens", doublings(4, 15), "Tokens of each answer"),
    "train_tokens": ("Training tokens", round_steps(8, 14), "Tokens every candidate is trained on"),
    "served_tokens": (
        "Served tokens",
        round_steps(9, 16),
        "Tokens served over the model's life; adds serving to the train and serve cost",
    ),
}
PRECISION_TIP = (
    "What int8 or fp8 weights, or an fp8 cache, cost in loss was not measured, so that it is unknown.\n"
    "Published (arXiv 2411.04330) is an illustration: its authors warn that the constants do not"
    " transfer.\n"
    + "\n".join(f"{WAYS[way]}: loss + {formula}" for way, formula in FORMULAS.items())
)
INTERVAL = "95 % interval"
NONE_TEXTS = {"served_tokens": "none"}
HEADER = (
    Cell("Best under the limits"),
    Cell("As described"),
    Cell("What if"),
    Cell("Change"),
)


class WhatIf(Panel):
    """Sliders and fields write `choices.what_if`; the table beside them shows what changed."""

    def __init__(self, store: Any, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("what_if")
        self._store = store
        self._state: State | None = None
        self._before: Snapshot | None = None
        self._before_of: tuple[Any, ...] = ()
        self._drafts: tuple[str, ...] = ()
        self._build()

    @property
    def busy(self) -> bool:
        """Whether something is being worked out."""
        return self.work.busy

    # --- laying out ---------------------------------------------------------------------------

    def _build(self) -> None:
        grid = QGridLayout()
        grid.setVerticalSpacing(3)
        grid.setColumnStretch(1, 1)
        self.values: dict[str, TriedValue] = {}
        for row, (name, (title, steps, tip)) in enumerate(VALUES.items()):
            value = TriedValue(
                grid, row, title, steps, tip, none_text=NONE_TEXTS.get(name, "as described"),
                parent=self,
            )  # fmt: skip
            value.tried.connect(partial(self._try, name))
            value.released.connect(self._on_released)
            self.values[name] = value
        row = len(VALUES)
        grid.addWidget(QLabel("Precision of weights"), row, 0)
        self.weights = QComboBox()
        self.weights.setAccessibleName("Precision of weights")
        self.weights.setToolTip("Store the weights of every candidate like this")
        self.weights.addItem("as described", None)
        for name in BYTES_PER_ELEMENT:
            self.weights.addItem(name, name)
        self.weights.activated.connect(self._on_weights)
        grid.addWidget(self.weights, row, 1, 1, 2)
        grid.addWidget(QLabel("Loss below 16 bits"), row + 1, 0)
        self.precision = QComboBox()
        self.precision.setAccessibleName("Loss below 16 bits")
        self.precision.setToolTip(PRECISION_TIP)
        for way, words in WAYS.items():
            self.precision.addItem(f"published: {words}" if way else words, way)
        self.precision.setSizeAdjustPolicy(
            QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
        )
        self.precision.setMinimumContentsLength(16)
        self.precision.activated.connect(self._on_precision)
        grid.addWidget(self.precision, row + 1, 1, 1, 2)
        self._build_speculation(grid, row + 2)
        grid.setRowStretch(row + 6, 1)

        self.reset = QPushButton("&As described")
        self.reset.setAccessibleName("Everything as described")
        self.reset.setToolTip("Take every what-if back")
        self.reset.clicked.connect(self._on_reset)
        self.keep = QLabel("Changes the picture at once; the project's space stays as it is.")
        self.keep.setProperty("quiet", True)
        self.keep.setWordWrap(True)
        self.work = WorkRow(self._store, "what-if")
        self.work.finished.connect(self._on_before)

        controls = QWidget()
        column = QVBoxLayout(controls)
        column.setContentsMargins(0, 0, 6, 0)
        column.addLayout(grid)
        area = QScrollArea()
        area.setWidget(controls)
        area.setWidgetResizable(True)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setMinimumWidth(360)
        right = QWidget()
        column = QVBoxLayout(right)
        column.setContentsMargins(6, 0, 0, 0)
        top = QHBoxLayout()
        top.addWidget(self.reset)
        top.addWidget(self.keep, 1)
        top.addWidget(self.work)
        column.addLayout(top)
        self.table = NumbersTable("The best candidate before and after")
        column.addWidget(self.table, 1)
        self.speculated = QLabel()
        self.speculated.setWordWrap(True)
        self.speculated.setAccessibleName("What a draft model would bring")
        column.addWidget(self.speculated)
        both = QSplitter(Qt.Orientation.Horizontal)
        both.addWidget(area)
        both.addWidget(right)
        both.setStretchFactor(0, 1)
        both.setStretchFactor(1, 1)
        both.setSizes([420, 460])
        column = QVBoxLayout(self)
        column.setContentsMargins(8, 6, 8, 6)
        column.addWidget(both)

    def _build_speculation(self, grid: QGridLayout, row: int) -> None:
        low, high = PUBLISHED_ACCEPTANCE
        self.speculate = QCheckBox("Speculative decoding")
        self.speculate.setToolTip("A small draft model proposes tokens that the chosen one checks")
        self.speculate.clicked.connect(self._on_speculate)
        grid.addWidget(self.speculate, row, 0, 1, 3)
        self.acceptance = QSlider(Qt.Orientation.Horizontal)
        self.acceptance.setRange(30, 95)
        self.acceptance.setPageStep(5)
        self.acceptance.setAccessibleName("Acceptance rate in percent")
        self.acceptance.setToolTip(
            f"Chance that a draft token is accepted; {low:g} to {high:g} are published"
            " (arXiv 2211.17192)"
        )
        self.acceptance.valueChanged.connect(self._on_acceptance)
        self.acceptance.sliderReleased.connect(self._on_released)
        self.rate = QLabel()
        published = QLabel(f"Acceptance rate\n(published {100 * low:.0f} – {100 * high:.0f} %)")
        grid.addWidget(published, row + 1, 0)
        grid.addWidget(self.acceptance, row + 1, 1)
        grid.addWidget(self.rate, row + 1, 2)
        self.draft = QComboBox()
        self.draft.setAccessibleName("Draft model")
        self.draft.setToolTip("Which candidate drafts: same vocabulary and workload, faster")
        self.draft.setSizeAdjustPolicy(
            QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
        )
        self.draft.setMinimumContentsLength(16)
        self.draft.activated.connect(self._on_draft)
        grid.addWidget(QLabel("Draft model"), row + 2, 0)
        grid.addWidget(self.draft, row + 2, 1, 1, 2)
        self.ahead = QSpinBox()
        self.ahead.setRange(1, 16)
        self.ahead.setAccessibleName("Draft tokens per iteration")
        self.ahead.setToolTip("How many tokens the draft proposes before they are checked")
        self.ahead.valueChanged.connect(self._on_ahead)
        grid.addWidget(QLabel("Draft tokens"), row + 3, 0)
        grid.addWidget(self.ahead, row + 3, 1)

    # --- following the state --------------------------------------------------------------------

    def refresh(self, new: State, old: State | None) -> None:
        """Show the values tried, and what they changed."""
        self._state = new
        if (
            old is None
            or new.choices.what_if is not old.choices.what_if
            or new.table is not old.table
        ):
            self._show_values()
        if (
            old is not None
            and new.frame is old.frame
            and new.choices.what_if is old.choices.what_if
        ):
            return
        self._show_change()

    def showEvent(self, event: QShowEvent) -> None:
        """Show what changed while the panel was hidden."""
        super().showEvent(event)
        self._show_change()

    def recolour(self, theme: Theme) -> None:
        """Other tones with another palette."""
        self.table.set_tones(tones(self))

    def _show_values(self) -> None:
        state = self._state
        if state is None:
            return
        what_if = state.choices.what_if
        for name, value in self.values.items():
            tried = getattr(what_if, name)
            value.show_value(tried if tried else None, self._described(name))
        self.weights.setCurrentIndex(max(0, self.weights.findData(what_if.weights)))
        self.precision.setCurrentIndex(max(0, self.precision.findData(what_if.precision)))
        on = what_if.acceptance is not None
        self.speculate.setChecked(on)
        for widget in (self.acceptance, self.draft, self.ahead, self.rate):
            widget.setEnabled(on)
        if what_if.acceptance is not None:
            _quietly(self.acceptance, round(100 * what_if.acceptance))
        self.rate.setText(f"{self.acceptance.value()} %")
        _quietly(self.ahead, what_if.draft_tokens)
        self.reset.setEnabled(what_if != Tried())

    def _described(self, name: str) -> float | None:
        """The described value, where all candidates share one."""
        state = self._state
        if state is None or state.contents.space is None or name == "served_tokens":
            return None
        if state.table is None or getattr(state.choices.what_if, name) is not None:
            return None
        column = getattr(state.table.candidates, name)[: state.table.described]
        values = np.unique(column)
        return float(values[0]) if len(values) == 1 else None

    def _show_change(self) -> None:
        state = self._state
        if state is None or not self.isVisible():
            return
        if state.table is None or state.frame is None or state.laws is None:
            self.table.show_rows(HEADER, [])
            self.speculated.setText("Nothing to try yet: describe a space or open a project.")
            return
        choices = state.choices
        asked = (
            state.contents, state.laws, choices.limits, choices.x, choices.y, choices.device_key
        )  # fmt: skip
        if not _changes_table(choices.what_if):
            self._before, self._before_of = snapshot(state.table, state.frame), asked
        elif not _same(asked, self._before_of) and not state.busy:
            contents, laws = state.contents, state.laws
            self._before, self._before_of = None, asked

            def work() -> Steps[Any]:
                yield from ()
                return asked, as_described(contents, laws, choices)

            self.work.run(work, "As described")
        self._fill()
        self._speculate()

    @Slot(object)
    def _on_before(self, found: tuple[tuple[Any, ...], Snapshot]) -> None:
        asked, before = found
        if _same(asked, self._before_of):
            self._before = before
            self._fill()

    def _fill(self) -> None:
        state = self._state
        if state is None or state.table is None or state.frame is None:
            return
        after = snapshot(state.table, state.frame)
        before = self._before
        served = bool(state.choices.what_if.served_tokens)
        self.table.set_tones(tones(self))
        rows = [
            [
                Cell("Shape", tone="strong"),
                Cell(before.label if before else "…"),
                Cell(after.label),
                Cell(_other(before, after)),
            ],
            _counted("Keep the limits", before.feasible if before else None, after.feasible),
            _counted("On the front", before.front if before else None, after.front),
        ]
        for key in SHOWN:
            if METRICS[key].needs_served_tokens and not served:
                continue
            now = after.values.get(key, float("nan"))
            then = before.values.get(key, float("nan")) if before is not None else float("nan")
            if np.isfinite(now) or np.isfinite(then):
                sure = [shown.intervals.get(key) if shown else None for shown in (before, after)]
                rows.append(_row(key, then, now, *sure))
                if key == "loss" and any(sure):
                    rows.append(_interval_row(key, then, now, *sure))
        self.table.show_rows(HEADER, rows, sortable=False)

    # --- speculative decoding -----------------------------------------------------------------------

    def _speculate(self) -> None:
        state = self._state
        what_if = state.choices.what_if if state is not None else Tried()
        if state is None or state.table is None or state.frame is None or state.laws is None:
            return
        table = state.table
        # a chosen candidate of another what-if is not in this table
        row = state.frame.selected if state.frame.best is not None else None
        self.draft.clear()
        if row is None:
            self.speculated.setText(why_nothing(table, state.frame))
            return
        if what_if.acceptance is None:
            self.speculated.setText("")
            return
        rows = drafts_for(table, row)
        self._drafts = tuple(table.id_of(r) for r in rows)
        wanted = what_if.draft
        chosen = draft_row(table.candidates, wanted)
        if chosen is not None and wanted not in self._drafts:
            # it drafts for all candidates, even where it would not be offered for this one
            rows, self._drafts = (chosen, *rows), (wanted, *self._drafts)
        if not wanted:
            self.draft.addItem("none chosen", "")
        for r, name in zip(rows, self._drafts, strict=True):
            time = METRICS["tpot_s"].format(float(table.alone.value[r]))
            self.draft.addItem(f"{table.full_label(r)}, {time}", name)
        self.draft.setCurrentIndex(max(0, self.draft.findData(wanted)))
        if not rows:
            self.speculated.setText(
                f"No candidate could draft for {table.label(row)}: none of its kind takes at most"
                " half its time per token."
            )
            return
        draft = rows[0] if chosen is None else chosen
        try:
            found = speculation(
                table, state.laws, row, draft, what_if.acceptance, what_if.draft_tokens
            )
        except Unusable as error:
            self.speculated.setText(f"{error}.")
            return
        shown = METRICS["tpot_s"].format
        even = (
            f" It pays from an acceptance rate of {100 * found.break_even:.0f} %."
            if found.break_even is not None
            else " It never pays: the draft is too slow."
        )
        self.speculated.setText(
            f"{table.label(row)}: {shown(found.target_step_s)} per token alone, {shown(found.tpot_s)}"
            f" together. {found.text}{even}"
        )

    # --- what the user does ---------------------------------------------------------------------

    def _set(self, gesture: str, **parts: Any) -> None:
        what_if = self._store.state.choices.what_if
        self._store.choose(
            f"what-if {gesture}" if gesture else "", what_if=replace(what_if, **parts)
        )

    def _try(self, name: str, value: float | None) -> None:
        if name == "served_tokens":
            self._set(name, served_tokens=value or 0.0)
        elif name == "train_tokens" or value is None:
            self._set(name, **{name: value})
        else:
            self._set(name, **{name: int(value)})

    @Slot()
    def _on_released(self) -> None:
        self._store.end_gesture()

    @Slot()
    def _on_weights(self) -> None:
        self._set("", weights=self.weights.currentData())

    @Slot()
    def _on_precision(self) -> None:
        self._set("", precision=self.precision.currentData())

    @Slot(bool)
    def _on_speculate(self, on: bool) -> None:
        rate = self.acceptance.value() / 100 if on else None
        self._set("", acceptance=rate, draft=self._fastest_draft() if on else "")

    def _fastest_draft(self) -> str:
        """The fastest candidate that could draft for the chosen one; empty where there is none."""
        state = self._state
        if state is None or state.table is None or state.frame is None:
            return ""
        row = state.frame.selected
        drafts = () if row is None else drafts_for(state.table, row)
        return state.table.id_of(drafts[0]) if drafts else ""

    @Slot(int)
    def _on_acceptance(self, percent: int) -> None:
        self._set("acceptance", acceptance=percent / 100)

    @Slot()
    def _on_draft(self) -> None:
        self._set("", draft=self.draft.currentData())

    @Slot(int)
    def _on_ahead(self, tokens: int) -> None:
        self._set("draft tokens", draft_tokens=tokens)

    @Slot()
    def _on_reset(self) -> None:
        self._store.choose(what_if=Tried())


def _changes_table(what_if: Tried) -> bool:
    """Whether the picture differs from the described one."""
    names = (
        "batch",
        "prompt_tokens",
        "output_tokens",
        "train_tokens",
        "served_tokens",
        "weights",
        "precision",
    )
    return any(getattr(what_if, name) for name in names) or drafting(what_if) is not None


def _same(a: tuple[Any, ...], b: tuple[Any, ...]) -> bool:
    return len(a) == len(b) and all(x is y or x == y for x, y in zip(a, b, strict=True))


def _quietly(widget: QSlider | QSpinBox, value: int) -> None:
    widget.blockSignals(True)
    widget.setValue(value)
    widget.blockSignals(False)


def _other(before: Snapshot | None, after: Snapshot) -> str:
    if before is None or before.label == after.label or not after.values:
        return ""
    return "another one"


def _counted(title: str, before: int | None, after: int) -> list[Cell]:
    change = percent_change(float(before), float(after)) if before is not None else float("nan")
    return [
        Cell(title),
        Cell("…" if before is None else f"{before:,}"),
        Cell(f"{after:,}"),
        Cell(_change(change)),
    ]


def _intervals(
    key: str, values: tuple[float, float], intervals: tuple[tuple[float, float] | None, ...]
) -> list[str]:
    """Both intervals as text; empty where one is not known."""
    return [
        METRICS[key].format_range(value, *interval) if interval is not None else ""
        for value, interval in zip(values, intervals, strict=True)
    ]


def _interval_row(
    key: str, then: float, now: float, *intervals: tuple[float, float] | None
) -> list[Cell]:
    """The intervals of one metric as a row of their own, which keeps the columns narrow."""
    before, after = _intervals(key, (then, now), intervals)
    tip = (
        "95 % prediction interval: where the loss of a model trained like the law's runs would lie"
    )
    name = Cell(f"{METRICS[key].label}, 95 %", tip=tip, tone="muted")
    return [name, Cell(before or "…", tone="muted"), Cell(after or "…", tone="muted"), Cell("")]


def _row(key: str, then: float, now: float, *intervals: tuple[float, float] | None) -> list[Cell]:
    """A metric before and after; the 95 % interval of each is its tooltip."""
    metric = METRICS[key]
    tips = [
        f"{INTERVAL}: {between}" if between else ""
        for between in _intervals(key, (then, now), intervals)
    ]
    change = percent_change(then, now)
    tone = ""
    if np.isfinite(change) and metric.better and abs(change) >= 0.05:
        tone = "good" if (change < 0) == (metric.better == "lower") else "bad"
    return [
        Cell(metric.label, tip=metric.formula),
        Cell(metric.format(then) if np.isfinite(then) else "…", tip=tips[0]),
        Cell(
            metric.format(now) if np.isfinite(now) else "unknown",
            tip=tips[1],
            tone="" if np.isfinite(now) else "muted",
        ),
        Cell(_change(change), tone=tone),
    ]


def _change(percent: float) -> str:
    if not np.isfinite(percent):
        return ""
    return "same" if abs(percent) < 0.005 else percent_text(percent)
