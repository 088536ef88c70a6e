from PySide6.QtWidgets import QComboBox

from gui.panels.which_runs import WhichRuns


def test_long_entries_do_not_make_the_row_wider_than_a_small_window_has_room_for(qtbot):
    row = WhichRuns()
    qtbot.addWidget(row)
    boxes = row.findChildren(QComboBox)
    for box in boxes:
        box.addItem("a suite of runs whose name is a good deal longer than most")
    assert row.sizeHint().width() > 600
    assert row.minimumSizeHint().width() < 100 * len(boxes)
