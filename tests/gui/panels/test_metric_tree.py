"""The metrics of a candidate read the same while a limit is dragged and when it is chosen."""

from gui.panels.metric_tree import MetricTree


def texts(tree):
    lines = [tree.topLevelItem(i) for i in range(tree.topLevelItemCount())]
    return [[line.text(column) for column in range(3)] for line in lines]


def test_during_a_drag_it_reads_as_when_chosen(qtbot, opened):
    table = opened.state.table
    passing, chosen = MetricTree(), MetricTree()
    qtbot.addWidget(passing)
    qtbot.addWidget(chosen)
    passing.show_candidate(table, 0, live=False)
    first = passing.topLevelItem(1)
    measured = next(iter(table.measured_rows))
    rows = (len(table) - 1, measured, 1)
    for row in rows:
        passing.show_candidate(table, row, live=True)
        chosen.show_candidate(table, row, live=False)
        assert texts(passing) == texts(chosen)
    # the lines were kept, which is what makes it quick
    assert passing.topLevelItem(1) is first
    passing.show_candidate(table, measured, live=False)
    at = texts(passing).index(next(t for t in texts(passing) if "●" in t[1]))
    assert "measured" in passing.topLevelItem(at).toolTip(0)
    passing.show_nothing()
    assert texts(passing) == []


def test_the_interval_of_a_loss_says_what_it_holds(qtbot, opened):
    tree = MetricTree()
    qtbot.addWidget(tree)
    tree.show_candidate(opened.state.table, 0, live=False)
    tips = {line[0]: tree.topLevelItem(i).toolTip(2) for i, line in enumerate(texts(tree))}
    assert "its loss would lie in here 19 times in 20" in tips["Loss"]
    assert "19 times" not in tips["Time per output token"]
