"""The read-only table of numbers: what is copied out of it."""

from gui.panels.numbers_table import Cell, NumbersTable


def test_a_copied_table_holds_no_formula_and_no_stray_tab(qtbot):
    table = NumbersTable("numbers")
    qtbot.addWidget(table)
    table.show_rows([Cell("Model"), Cell("Speed")], [[Cell("=1+1\tx"), Cell("+3.1 %")]])
    assert table.text() == "Model\tSpeed\n'=1+1\\x09x\t+3.1 %"
