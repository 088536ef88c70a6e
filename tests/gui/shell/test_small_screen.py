"""A full screen at twice the scale leaves 960x540; no number or name may be cut there."""

import pytest
from PySide6.QtWidgets import QLabel, QStyle, QStyleOptionFrame, QToolButton

from core.pareto.limits import parse_limit
from core.records.metrics import METRICS
from gui.app import theme
from gui.app.settings import Settings
from gui.shell.window import Window


@pytest.fixture
def window(qtbot, qapp, opened, tmp_path):
    before, font = qapp.styleSheet(), qapp.font()
    theme.use_own_font(qapp)
    theme.apply(qapp, theme.LIGHT)
    window = Window(opened, Settings(tmp_path / "settings.json"))
    qtbot.addWidget(window)
    window.resize(960, 540)
    window.show()
    window.fill()
    window.on_changed(opened.state, None)
    qtbot.waitExposed(window)
    yield window
    qapp.setStyleSheet(before)
    qapp.setFont(font)


def room(field):
    """The width a line of text has within its field."""
    option = QStyleOptionFrame()
    field.initStyleOption(option)
    inside = QStyle.SubElement.SE_LineEditContents
    # the field keeps two pixels free on either side of the text
    return field.style().subElementRect(inside, option, field).width() - 4


def test_the_number_of_a_limit_is_never_cut(window, opened, qtbot):
    for text in ("tpot<=1.23ms", "loss<=4.567", "throughput>=123", "params<=12.3M"):
        opened.set_limit(parse_limit(text))
    assert len(window.limits._rows) == 4

    def rows():
        return window.limits._rows.values()

    view = window.limits.body.parentWidget()
    qtbot.waitUntil(lambda: all(0 < r.width() <= view.width() for r in rows()))
    for row in rows():
        metric = METRICS[row.limit.metric]
        column = opened.state.table.column(metric.key)
        wide = row.number.fontMetrics()
        for value in (row.limit.value, *column[:: max(1, len(column) // 40)].tolist()):
            row.follow(value)
            assert row.number.text() == metric.format(value)
            assert wide.horizontalAdvance(row.number.text()) <= room(row.number)
        # and the words beside it are whole
        qtbot.waitUntil(
            lambda row=row: all(
                label.heightForWidth(label.width()) <= label.height()
                for label in row.findChildren(QLabel)
            )
        )


def test_the_chosen_axes_can_be_read(window, opened):
    for box in window.plot_view.axis_boxes.values():
        needed = box.fontMetrics().horizontalAdvance(box.currentText())
        assert box.width() > needed
    assert window.minimumSizeHint().width() <= 960
    # not even the longest names widen the window
    opened.choose(x="tokens_per_s_user", y="params_non_embedding")
    assert window.minimumSizeHint().width() <= 960


def test_the_words_for_the_shape_are_whole(window, qtbot):
    shape = window.inspector.shape
    assert not window.inspector.picture.isVisible()
    assert shape.heightForWidth(shape.width()) <= shape.height()
    window.resize(1280, 900)
    qtbot.waitUntil(lambda: window.inspector.picture.isVisible())


def test_the_arrows_beside_the_tabs_are_drawn(window, qtbot):
    bar = window.tabs.tabBar()
    arrows = [b for b in bar.findChildren(QToolButton) if b.isVisible()]
    assert len(arrows) == 2
    picture = arrows[1].grab().toImage()
    inner = {
        picture.pixel(x, y)
        for x in range(4, picture.width() - 4)
        for y in range(4, picture.height() - 4)
    }
    assert len(inner) > 1
