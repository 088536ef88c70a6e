"""Compare laws: every loss law on a suite of runs, judged by what was left out of its fit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from PySide6.QtCore import Qt, Slot
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import (
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSplitter,
    QTabWidget,
    QVBoxLayout,
    QWidget,
)

from core.analysis.contents import Contents
from core.export.checklist import checked, checklist
from core.files import write_atomically
from core.fit.compare import Comparison, comparison
from core.fit.fit import Fit
from core.fit.identify import can_answer
from core.fit.resample import bootstrap
from core.fit.residuals import Residuals, residuals
from core.fit.row_filter import kept
from core.fit.sensitivity import Change, sensitivity
from core.fit.validate import trust
from core.paper.published import published_on
from core.project.choices import LossChoice
from core.records.progress import Progress, Steps
from core.records.training_runs import TrainingRuns
from gui.app.theme import Theme
from gui.panels import law_rows
from gui.panels.drawing import tones
from gui.panels.law_charts import MOST, LawCharts
from gui.panels.law_rows import Key, key_of
from gui.panels.numbers_table import NumbersTable
from gui.panels.view import Panel
from gui.panels.which_runs import WhichRuns, box
from gui.panels.work_row import WorkRow
from gui.state.state import State

METHODS = (("Least squares on loss", "least-squares"), ("Huber on log loss", "huber"))
RESAMPLES = 1000
WORKING = (
    "Every law is being fitted to these runs, and again without every shape in turn, to see how well it"
    " predicts what it has not seen. The table fills when that is done."
)
LAWS, CHARTS, PARAMETERS, ANSWERS, SENSITIVITY, CUTS = range(6)


class Laws(Panel):
    """Fits every law when first shown; details are worked out when their tab is opened."""

    def __init__(self, store: Any, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("laws")
        self._store = store
        self._state: State | None = None
        self._found: Comparison | None = None
        self._published: tuple[Fit, ...] = ()
        self._runs: TrainingRuns | None = None
        self._asked: tuple[Any, ...] = ()
        self._shown: list[Key] = []
        self._residuals: dict[Key, Residuals] = {}
        self._resampled: dict[Key, Fit] = {}
        self._changes: dict[Key, tuple[Change, ...]] = {}
        self._build()

    @property
    def busy(self) -> bool:
        """Whether something is being worked out."""
        return self.work.busy

    # --- laying out ---------------------------------------------------------------------------

    def _build(self) -> None:
        self.runs = WhichRuns()
        self.runs.changed.connect(self._compare)
        self.method = box("Method", "What a fit minimises")
        for text, name in METHODS:
            self.method.addItem(text, name)
        self.method.activated.connect(self._compare)
        self.again = QPushButton("&Compare all")
        self.again.setToolTip("Fit every law with every tying and both counts of N, and judge them")
        self.again.clicked.connect(self._compare)
        self.use = QPushButton("&Use in the plot")
        self.use.setProperty("leading", True)
        self.use.setToolTip("The plot's losses are predicted by the marked law from now on")
        self.use.clicked.connect(self._use)
        self.checklist = QPushButton("&Save checklist …")
        self.checklist.setToolTip(
            "Write the marked law's form, data, procedure and validation as Markdown"
        )
        self.checklist.clicked.connect(self._save_checklist)
        self.work = WorkRow(self._store)
        self.work.finished.connect(self._on_finished)
        self.work.ended.connect(self._on_ended)
        top = QHBoxLayout()
        asked: tuple[QWidget, ...] = (self.runs, self.method, self.again)
        for widget in asked:
            top.addWidget(widget)
        top.addWidget(self.work, 1)
        top.addWidget(self.checklist)
        top.addWidget(self.use)

        self.table = NumbersTable("Laws by the error on left-out shapes")
        self.table.chosen.connect(self._on_marked)
        self.table.checked.connect(self._on_checked)
        self.table.activated_row.connect(self._on_activated)
        self.proposal = QLabel()
        self.proposal.setWordWrap(True)
        self.proposal.setAccessibleName("Which law is proposed")
        self.proposal.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.verdict = QLabel()
        self.verdict.setWordWrap(True)
        self.verdict.setAccessibleName("About the marked law")
        self.verdict.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.charts = LawCharts()
        self.charts.picked.connect(self._on_run)
        self.run_table = NumbersTable("Runs with each law's error")
        self.run_table.chosen.connect(self._on_run)
        charts = QSplitter(Qt.Orientation.Horizontal)
        charts.addWidget(self.charts)
        charts.addWidget(self.run_table)
        charts.setStretchFactor(0, 3)
        charts.setStretchFactor(1, 2)
        self.parameters = NumbersTable("Parameters with intervals")
        self.answers = NumbersTable("Can this data answer?")
        self.sensitivity = NumbersTable("How much the answer moves")
        self.cuts = NumbersTable("Errors beyond cuts by size and tokens")

        laws = QWidget()
        column = QVBoxLayout(laws)
        column.setContentsMargins(0, 4, 0, 0)
        column.addWidget(self.proposal)
        column.addWidget(self.table, 1)
        column.addWidget(self.verdict)
        self.tabs = QTabWidget()
        self.tabs.setAccessibleName("What to see of the laws")
        for page, title, tip in (
            (laws, "Laws", "Every law by its error on what was left out"),
            (charts, "Predicted and observed", "Up to three laws side by side, and the runs"),
            (self.parameters, "Parameters", "Parameters of the laws shown, with intervals"),
            (self.answers, "Can this data answer?", "What these runs can and cannot tell apart"),
            (self.sensitivity, "Sensitivity", "How much the answer moves with the settings"),
            (self.cuts, "Beyond cuts", "The marked law fitted to small runs, judged on the larger"),
        ):
            self.tabs.addTab(page, title)
            self.tabs.setTabToolTip(self.tabs.count() - 1, tip)
        self.tabs.currentChanged.connect(self._on_tab)
        column = QVBoxLayout(self)
        column.setContentsMargins(8, 6, 8, 6)
        column.addLayout(top)
        column.addWidget(self.tabs, 1)
        self._offer()

    # --- following the state --------------------------------------------------------------------

    def refresh(self, new: State, old: State | None) -> None:
        """Offer the project's suites; mark the law in use."""
        self._state = new
        if old is None or new.contents.runs is not old.contents.runs:
            self._fill_runs(new)
            self._found = None
        if (
            old is None
            or _used(new) != _used(old)
            or new.choices.loss.suite != old.choices.loss.suite
        ):
            self._show_table()
        if self.isVisible():
            self._start_once()

    def showEvent(self, event: QShowEvent) -> None:
        """Fit every law when the panel is first shown."""
        super().showEvent(event)
        self._start_once()

    def recolour(self, theme: Theme) -> None:
        """Other tones with another palette."""
        self._tone()

    def _tone(self) -> None:
        details = (self.parameters, self.answers, self.sensitivity, self.cuts)
        for table in (self.table, self.run_table, *details):
            table.set_tones(tones(self))

    def _start_once(self) -> None:
        state = self._state
        # fitting beside a sweep would disturb what is being timed
        if state is not None and self._found is None and not self.busy and not state.sweep.running:
            self._compare()

    def _fill_runs(self, state: State) -> None:
        self.runs.fill(state.contents, state.choices.loss)
        if self._found is None and not self._asked:
            # begin with how the law in the plot was fitted
            self.method.setCurrentIndex(max(0, self.method.findData(state.choices.loss.method)))

    # --- comparing ------------------------------------------------------------------------------

    @Slot()
    def _compare(self) -> None:
        if self._state is None:
            return
        asked = (
            self._state.contents,
            self.runs.name,
            self.runs.where,
            str(self.method.currentData()),
        )
        self._found, self._published, self._shown = None, (), []
        self._residuals, self._resampled, self._changes = {}, {}, {}
        self._asked = asked
        self.work.run(lambda: _compared(*asked), "Fitting every law")
        self._show_table()

    @Slot(object)
    def _on_finished(self, found: Any) -> None:
        kind, *rest = found
        if kind == "compared":
            self._runs, self._found, self._published = rest
            used = _used(self._state)
            there = [key_of(f) for f in self._found.fits if f.theta]
            best = [key_of(f) for f in self._found.fits if f.ok]
            wanted = [key for key in (used, *best) if key in there]
            self._shown = list(dict.fromkeys(wanted))[:2]
            self._show_table()
        elif kind == "residuals":
            self._residuals |= rest[0]
        elif kind == "resampled":
            self._resampled |= rest[0]
        elif kind == "written":
            return
        else:
            self._changes |= rest[0]
        self._show_tab()

    @Slot()
    def _on_ended(self) -> None:
        self._offer()
        self._ask_more()

    def _show_table(self) -> None:
        found = self._found
        self.table.set_tones(tones(self))
        if found is None:
            self.table.show_rows(law_rows.LAW_HEADER, [])
            self.verdict.setText(
                WORKING if self.busy else "Press Compare to fit every law to these runs."
            )
            self.proposal.clear()
            self._offer()
            return
        marked = self.table.current()
        rows = law_rows.law_rows(found, self._published, self._shown, self._used_here())
        self.table.show_rows(law_rows.LAW_HEADER, rows)
        told = found.sentences()
        self.proposal.setText(told[0])
        self.proposal.setToolTip("\n".join(told))
        self.table.choose_row(marked if marked is not None else self._place(self._used_here()))
        self._on_marked()

    def _fits(self) -> tuple[Fit, ...]:
        """The fits in the order of the table's rows: one's own, then published constants."""
        return (*self._found.fits, *self._published) if self._found is not None else ()

    def _place(self, key: Key | None) -> int | None:
        fits = self._fits()
        return next((i for i, fit in enumerate(fits) if key_of(fit) == key), 0 if fits else None)

    def _used_here(self) -> Key | None:
        """The law in the plot, if it is one of this suite, these rows and this method."""
        state = self._state
        if state is None or not self._asked:
            return None
        loss = state.choices.loss
        same = (loss.suite, loss.where, loss.method) == self._asked[1:]
        return _used(state) if same else None

    def _marked(self) -> Fit | None:
        place, fits = self.table.current(), self._fits()
        return fits[place] if place is not None and place < len(fits) else None

    @Slot()
    def _on_marked(self) -> None:
        fit = self._marked()
        if fit is not None:
            sentence, warn = trust(fit)
            notes = f"   Note: {'; '.join(fit.warnings)}." if fit.warnings else ""
            sign = "⚠ " if warn else ""
            self.verdict.setText(f"{sign}{fit.title}: {sentence}{notes}")
            self.verdict.setToolTip(f"L = {fit.definition.formula}\n{fit.definition.source}")
        self._offer()
        if self.tabs.currentIndex() >= ANSWERS:
            self._show_tab()

    def _offer(self) -> None:
        fit = self._marked()
        used = fit is not None and key_of(fit) == self._used_here()
        # published constants are shown beside one's own fits and never take their place
        own = fit is not None and fit.n > 0
        self.use.setEnabled(own and fit is not None and bool(fit.theta) and not used)
        withheld = fit is not None and bool(fit.withheld)
        self.use.setText("&Use although withheld" if withheld else "&Use in the plot")
        self.again.setEnabled(not self.busy)
        self.checklist.setEnabled(own and fit is not None and bool(fit.theta) and not self.busy)

    @Slot(int, bool)
    def _on_checked(self, place: int, on: bool) -> None:
        fits = self._fits()
        if place >= len(fits):
            return
        key = key_of(fits[place])
        self._shown = [k for k in self._shown if k != key]
        if on and fits[place].theta:
            # a fourth one replaces the oldest
            self._shown = [*self._shown, key][-MOST:]
        self._show_table()
        self._show_tab()

    @Slot(int)
    def _on_activated(self, _place: int) -> None:
        if self.use.isEnabled():
            self._use()

    @Slot()
    def _use(self) -> None:
        fit = self._marked()
        if fit is None or not self._asked:
            return
        _, suite, where, method = self._asked
        loss = LossChoice(
            suite, fit.law, fit.tied, where, fit.params, method, insist=bool(fit.withheld)
        )
        self._store.choose(loss=loss)

    @Slot()
    def _save_checklist(self) -> None:
        """Ask where, then write the checklist of the marked law."""
        fit = self._marked()
        if fit is None or self._runs is None:
            return
        usual = f"{fit.suite}-{fit.law}.md"
        name, _ = QFileDialog.getSaveFileName(self, "Save checklist", usual, "Markdown (*.md)")
        if name:
            self.write_checklist(Path(name))

    def write_checklist(self, path: Path) -> None:
        """Write the checklist of the marked law to this path, in place of a file that is there."""
        fit, runs = self._marked(), self._runs
        if fit is not None and runs is not None:
            known = self._resampled.get(key_of(fit), fit)
            self.work.run(lambda: _written(known, runs, path), "Resampling for the checklist")

    # --- details of the laws shown ----------------------------------------------------------------

    def _fits_shown(self) -> list[Fit]:
        by_key = {key_of(fit): fit for fit in self._fits()}
        return [by_key[key] for key in self._shown if key in by_key]

    @Slot(int)
    def _on_tab(self, _index: int) -> None:
        self._show_tab()

    def _show_tab(self) -> None:
        """Show what is known for the open tab and ask for what is missing."""
        tab = self.tabs.currentIndex()
        fits = self._fits_shown()
        self._tone()
        if tab == CHARTS:
            found = [self._residuals[k] for k in self._shown if k in self._residuals]
            self.charts.show_laws(found)
            self.run_table.show_rows(*law_rows.run_rows(found))
        elif tab == PARAMETERS:
            known = [self._resampled.get(key_of(fit), fit) for fit in fits]
            self.parameters.show_rows(*law_rows.parameter_rows(known), sortable=False)
        elif tab == ANSWERS and (fit := self._marked()) is not None and self._runs is not None:
            fit = self._resampled.get(key_of(fit), fit)
            rows = law_rows.answer_rows(can_answer(fit, self._runs)) if fit.n else []
            self.answers.show_rows(law_rows.ANSWER_HEADER, rows, sortable=False, stretch=2)
        elif tab == SENSITIVITY and (fit := self._marked()) is not None:
            changes = self._changes.get(key_of(fit), ())
            self.sensitivity.show_rows(
                law_rows.CHANGE_HEADER, law_rows.change_rows(changes), stretch=3
            )
        elif tab == CUTS and (fit := self._marked()) is not None:
            self.cuts.show_rows(*law_rows.cut_rows(fit), sortable=False)
        self._ask_more()

    def _ask_more(self) -> None:
        """Work out what the open tab still lacks, one thing at a time."""
        runs, tab, marked = self._runs, self.tabs.currentIndex(), self._marked()
        if self._found is None or runs is None or self.busy or not self.isVisible():
            return
        fits = self._fits_shown()
        if tab == CHARTS:
            lacking = [fit for fit in fits if key_of(fit) not in self._residuals]
            if lacking:
                self.work.run(lambda: _left_out(lacking, runs), "Leaving shapes out")
        elif tab in (PARAMETERS, ANSWERS):
            wanted = fits if tab == PARAMETERS else [marked] if marked is not None else []
            lacking = [f for f in wanted if f.n and f.theta and key_of(f) not in self._resampled]
            if lacking:
                self.work.run(lambda: _resampled(lacking, runs), "Resampling shapes")
        elif tab == SENSITIVITY and marked is not None and marked.theta and marked.n:
            if key_of(marked) in self._changes:
                return
            self.work.run(lambda: _varied(marked, runs), "Varying the settings")

    @Slot(int)
    def _on_run(self, place: int) -> None:
        self.charts.light(place)
        self.run_table.choose_row(place)


def _used(state: State | None) -> Key | None:
    if state is None:
        return None
    loss = state.choices.loss
    return (loss.law, loss.tied, loss.params, "")


# --- the work itself: Steps that return what kind of result they are, and the result ---------------


def _compared(contents: Contents, suite: str, where: Sequence[str], method: str) -> Steps[Any]:
    runs = contents.suite(suite)
    runs = kept(runs, where)
    found = yield from comparison(runs, method)
    return ("compared", runs, found, published_on(runs).fits)


def _each(
    fits: Sequence[Fit], kind: str, text: str, make: Callable[[Fit], Steps[Any]]
) -> Steps[Any]:
    found = {}
    for done, fit in enumerate(fits):
        yield Progress(done, len(fits), f"{text} for {fit.title}")
        found[key_of(fit)] = yield from make(fit)
    return (kind, found)


def _left_out(fits: Sequence[Fit], runs: TrainingRuns) -> Steps[Any]:
    def one(fit: Fit) -> Steps[Any]:
        yield from ()
        return residuals(fit, runs)

    return (yield from _each(fits, "residuals", "leaving shapes out", one))


def _resampled(fits: Sequence[Fit], runs: TrainingRuns) -> Steps[Any]:
    return (
        yield from _each(
            fits, "resampled", "resampling shapes", lambda fit: bootstrap(fit, runs, RESAMPLES)
        )
    )


def _written(fit: Fit, runs: TrainingRuns, path: Path) -> Steps[Any]:
    whole = yield from checked(fit, runs, RESAMPLES)
    write_atomically(path, checklist(whole, runs), force=True)
    return ("written", path)


def _varied(fit: Fit, runs: TrainingRuns) -> Steps[Any]:
    return ("varied", {key_of(fit): (yield from sensitivity(fit, runs))})
