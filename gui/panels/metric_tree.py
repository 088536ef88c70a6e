"""Every metric of one candidate with its interval and source, and its parameters by part."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from PySide6.QtCore import Qt
from PySide6.QtGui import QBrush, QPalette
from PySide6.QtWidgets import QHeaderView, QTreeWidget, QTreeWidgetItem, QWidget

from core.model.architecture import Architecture
from core.records.metric import Metric
from core.records.metrics import METRICS
from core.table.table import Table
from core.units import format_quantity
from gui.panels.metric_box import in_lines, metric_tip

INTERVAL_WIDTH = 110
# a filled mark is measured, as in the plot
MARKS = {"exact": "", "measured": "●", "predicted": "○", "published": "▽", "unknown": ""}
KINDS = {
    "exact": "counted from the shape",
    "measured": "measured",
    "predicted": "predicted by a law",
    "published": "illustrated",
    "unknown": "not known",
}
TRAINED = (
    "If you trained this design as the law's runs were trained, its loss would lie in here 19 times in"
    " 20\n95 % prediction interval"
)


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the tree; a heading has its name alone."""

    name: str
    value: str = ""
    beside: str = ""
    tip: str = ""
    heading: bool = False


class MetricTree(QTreeWidget):
    """Name, value and interval of each metric in groups."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._lines: list[Line] = []
        self.setColumnCount(3)
        self.setHeaderLabels(["Metric", "Value", "95 %"])
        self.headerItem().setToolTip(2, "The 95 % interval, in the unit of the value")
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setRootIsDecorated(False)
        self.setIndentation(8)
        self.setUniformRowHeights(True)
        self.setAllColumnsShowFocus(True)
        self.setAccessibleName("Metrics of the candidate")
        header = self.header()
        header.setStretchLastSection(False)
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        header.setSectionResizeMode(1, QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(2, QHeaderView.ResizeMode.Fixed)
        header.resizeSection(2, INTERVAL_WIDTH)

    def show_nothing(self) -> None:
        """No candidate is chosen."""
        self._lines = []
        self.clear()

    def show_candidate(self, table: Table, row: int, *, live: bool) -> None:
        """Show a row of the table; `live`: in passing, while a limit is in hand."""
        lines = [*metric_lines(table, row), *part_lines(table.point(row).architecture)]
        names = [line.name for line in lines]
        if live and names == [line.name for line in self._lines]:
            # a drag shows many candidates: only the numbers differ, and no tooltip can be read
            for at, (line, before) in enumerate(zip(lines, self._lines, strict=True)):
                item = self.topLevelItem(at)
                if item is not None and line.value != before.value:
                    item.setText(1, line.value)
                if item is not None and line.beside != before.beside:
                    item.setText(2, line.beside)
        else:
            self._rebuild(lines)
        self._lines = lines

    def _rebuild(self, lines: list[Line]) -> None:
        self.setUpdatesEnabled(False)
        bar = self.verticalScrollBar()
        at = bar.value()
        self.clear()
        quiet = QBrush(self.palette().color(QPalette.ColorRole.PlaceholderText))
        right = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        for line in lines:
            if line.heading:
                heading = QTreeWidgetItem(self, [line.name])
                heading.setFirstColumnSpanned(True)
                heading.setForeground(0, quiet)
                heading.setFlags(Qt.ItemFlag.ItemIsEnabled)
                continue
            item = QTreeWidgetItem(self, [line.name, line.value, line.beside])
            for column in range(3):
                item.setToolTip(column, line.tip)
            item.setTextAlignment(1, right)
            item.setForeground(2, quiet)
        bar.setValue(at)
        self.setUpdatesEnabled(True)


def metric_lines(table: Table, row: int) -> Iterator[Line]:
    """Each metric of a row under its group's name; unknown ones only where a reader would look for them."""
    group = ""
    for metric in by_group():
        source = table.source(metric.key, row)
        if math.isfinite(float(table.column(metric.key)[row])):
            name, value, between = metric_texts(table, metric, row, source.kind)
        else:
            by_law = metric.group == "Quality" and metric.law
            if metric.group != "Speed" and not by_law:
                continue
            name, value, between = metric.label, "not known", ""
        if metric.group != group:
            group = metric.group
            yield Line(group, heading=True)
        told = in_lines(f"{KINDS[source.kind]}: {source.text}")
        tip = f"{metric_tip(metric)}\n{told}"
        if between:
            kind = (
                TRAINED if metric.key == "loss" and source.kind == "predicted" else "95 % interval"
            )
            tip = f"{tip}\n{kind}: {between}"
        yield Line(name, value, between, tip)


def part_lines(shape: Architecture) -> Iterator[Line]:
    """The parameters of each part and its share of them all."""
    yield Line("Parameters by part", heading=True)
    for name, count in parameter_parts(shape).items():
        yield Line(name, format_quantity(count, "count"), f"{count / shape.params_total:.0%}")


def metric_texts(table: Table, metric: Metric, row: int, kind: str) -> tuple[str, str, str]:
    """Name, value and interval of a metric, marked by where it came from."""
    estimates = table.estimates(metric.key)
    value, low, high = (float(c[row]) for c in (estimates.value, estimates.low, estimates.high))
    outside = " ⚠" if estimates.outside[row] else ""
    between = ""
    if kind not in ("exact", "unknown") and low < high:
        between = f"{metric.format_range(value, low, high)}{outside}"
    return metric.label, f"{metric.format(value)} {MARKS[kind]}".rstrip(), between


def by_group() -> list[Metric]:
    """All metrics, those of one group together."""
    groups = list(dict.fromkeys(metric.group for metric in METRICS.values()))
    return sorted(METRICS.values(), key=lambda metric: groups.index(metric.group))


def parameter_parts(shape: Architecture) -> dict[str, float]:
    """Parameters of each part; they add up to the total."""
    return {
        "Attention": float(shape.n_layers * shape.params_attention_per_layer),
        "FFN": float(shape.n_layers * shape.params_ffn_per_layer),
        "Norms": float(shape.params_norm),
        "Embedding and head": float(shape.params_embedding),
    }
