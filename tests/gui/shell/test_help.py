import re

import pytest
from PySide6.QtCore import QUrl
from PySide6.QtWidgets import QLabel, QVBoxLayout, QWidget
from showing import window  # noqa: F401

from core.formats.runs.reading import open_runs, preview
from core.laws.loss import LAWS
from core.records.metrics import METRICS
from core.resources import resource
from gui.panels.export import ExportDialog
from gui.panels.import_runs import ImportRuns
from gui.panels.view import HELP_PAGE
from gui.shell.help import PAGES, HelpWindow, page_for, page_text, title_of
from gui.shell.report_dialog import ReportDialog
from gui.shell.write_help import generated_pages


def test_the_committed_pages_are_those_the_code_gives(qtbot):
    for name, text in generated_pages().items():
        stored = resource(f"help/{name}").read_text(encoding="utf-8")
        assert stored == text, f"{name} is out of date; run python -m gui.shell.write_help"


def test_every_page_is_there_and_every_link_leads_to_one():
    for name in PAGES:
        text = page_text(name)
        assert text.startswith("# "), name
        for link in re.findall(r"\]\(([^)]+)\)", text):
            assert link in PAGES or link.startswith("https://"), (name, link)


def test_no_metric_or_law_is_left_out():
    assert all(f"**{m.label}**" in page_text("metrics.md") for m in METRICS.values())
    laws = page_text("laws.md")
    assert all(law.formula in laws and law.source in laws for law in LAWS.values())


def test_help_opens_for_what_has_the_focus(qtbot):
    panel = QWidget()
    panel.setProperty(HELP_PAGE, "measuring.md")
    qtbot.addWidget(panel)
    inside = QLabel("x", panel)
    QVBoxLayout(panel).addWidget(inside)
    assert page_for(inside) == "measuring.md"
    assert page_for(None) == page_for(QWidget()) == "concepts.md"


def test_bars_limits_and_dialogs_have_their_own_pages(window):  # noqa: F811
    dialogs = (
        ExportDialog(window.store, window.settings, window),
        ReportDialog(window.store, window.settings, window),
        ImportRuns(window.store, preview(open_runs(resource("runs/morph_runs.csv"))), window),
    )
    assert [page_for(dialog) for dialog in dialogs] == ["formats.md"] * 3
    assert page_for(window.menuBar()) == page_for(window.toolbar) == "keyboard.md"
    assert page_for(window.limits) == "metrics.md"
    assert page_for(window.plot_view.plot) == page_for(window.inspector) == "concepts.md"


@pytest.mark.parametrize("name", PAGES)
def test_pages_are_shown_with_their_titles_and_tables(qtbot, name):
    shown = HelpWindow()
    qtbot.addWidget(shown)
    shown.show_page(name)
    text = shown.view.toPlainText()
    assert text.startswith(title_of(name))
    assert "|" not in text.replace("||", "").partition("\n")[0]
    assert "<!--" not in text and "do not edit" not in text


def test_a_link_goes_to_its_page(qtbot):
    shown = HelpWindow()
    qtbot.addWidget(shown)
    shown.show_page("measuring.md")
    shown.on_link(QUrl("metrics.md"))
    assert shown.list.currentItem().text() == title_of("metrics.md")
