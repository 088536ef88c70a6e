import re

import pytest
from PySide6.QtCore import QUrl
from PySide6.QtWidgets import QLabel, QVBoxLayout, QWidget

from core.laws.loss import LAWS
from core.records.metrics import METRICS
from core.resources import resource
from gui.shell.help import PAGES, HelpWindow, generated_pages, page_for, page_text, title_of


def test_the_committed_pages_are_those_the_code_gives(qtbot):
    for name, text in generated_pages().items():
        stored = resource(f"help/{name}").read_text(encoding="utf-8")
        assert stored == text, f"{name} is out of date; run python -m gui.shell.help"


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


class MeasurePanel(QWidget):
    pass


def test_help_opens_for_what_has_the_focus(qtbot):
    panel = MeasurePanel()
    qtbot.addWidget(panel)
    inside = QLabel("x", panel)
    QVBoxLayout(panel).addWidget(inside)
    assert page_for(inside) == "measuring.md"
    assert page_for(None) == page_for(QWidget()) == "concepts.md"


def test_every_class_that_has_a_page_exists():
    from gui.shell.help import PAGE_OF

    known = {
        name
        for path in (resource("").parent / "gui").rglob("*.py")
        for name in re.findall(r"^class (\w+)\(", path.read_text(encoding="utf-8"), re.M)
    }
    missing = [name for name in PAGE_OF if not name.startswith("Q") and name not in known]
    assert missing == []


@pytest.mark.parametrize("name", PAGES)
def test_pages_are_shown_with_their_titles_and_tables(qtbot, name):
    window = HelpWindow()
    qtbot.addWidget(window)
    window.show_page(name)
    shown = window.view.toPlainText()
    assert shown.startswith(title_of(name))
    assert "|" not in shown.replace("||", "").partition("\n")[0]
    assert "<!--" not in shown and "do not edit" not in shown


def test_a_link_goes_to_its_page(qtbot):
    window = HelpWindow()
    qtbot.addWidget(window)
    window.show_page("measuring.md")
    window.on_link(QUrl("metrics.md"))
    assert window.list.currentItem().text() == title_of("metrics.md")
