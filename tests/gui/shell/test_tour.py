import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QRegion
from PySide6.QtTest import QTest
from showing import window  # noqa: F401

from gui.shell.tour import STOPS, Tour


@pytest.fixture
def tour(window):  # noqa: F811
    made = Tour(window.shell)
    made.begin()
    return made


@pytest.mark.parametrize("size", [(1280, 800), (1920, 1080), (900, 600)])
def test_six_steps_each_lights_a_part_and_hides_nothing_of_it(qtbot, window, tour, size):  # noqa: F811
    window.resize(*size)
    qtbot.wait(30)
    assert len(STOPS) == 6
    for at in range(6):
        tour.go(at)
        lit, bubble = tour.lit, tour.bubble.geometry()
        assert lit.width() > 50 and lit.height() > 20
        assert tour.rect().contains(bubble)
        covered = lit.intersected(bubble)
        share = covered.width() * covered.height() / (lit.width() * lit.height())
        assert share < 0.35, STOPS[at].title
        # the lit part can be used, what lies around it cannot
        free = (
            lit.center() if not bubble.contains(lit.center()) else lit.bottomLeft() + QPoint(5, -5)
        )
        assert not tour.mask().contains(free)
        assert tour.mask().contains(bubble.center())
        assert tour.count.text() == f"{at + 1} of 6"


def test_the_lit_part_follows_what_comes_and_goes_above_it(qtbot, window, tour):  # noqa: F811
    for at in (0, 3):
        tour.go(at)
        for there in (True, False, True):
            window.store.notify("something went wrong" if there else "")
            qtbot.waitUntil(lambda: tour.mask() == hole_of(tour), timeout=2000)
            part = window.shell.parts()[STOPS[at].parts[0]]
            assert tour.lit.contains(part.mapTo(window, part.rect().center()))


def hole_of(tour):
    """The mask that leaves out what is lit now."""
    dark = QRegion(tour.rect()).subtracted(QRegion(tour.lit))
    return dark.united(tour.bubble.geometry())


def test_every_step_is_one_sentence():
    for stop in STOPS[:-1]:
        assert stop.text.count(". ") <= 1 and len(stop.text) < 200
        assert stop.text.endswith(".")


def test_keys_lead_through_and_the_end_is_remembered(window, tour):  # noqa: F811
    assert window.settings["toured"] is False
    for key in (Qt.Key.Key_Right, Qt.Key.Key_Return, Qt.Key.Key_Left, Qt.Key.Key_Right):
        QTest.keyClick(tour, key)
    assert tour.at == 2
    tour.go(5)
    assert tour.next.text() == "Done"
    QTest.mouseClick(tour.next, Qt.MouseButton.LeftButton)
    assert window.settings["toured"] is True
    assert not tour.isVisible()


@pytest.mark.parametrize("way", ["button", "key"])
def test_it_can_be_skipped_and_does_not_start_again(window, tour, way):  # noqa: F811
    if way == "button":
        QTest.mouseClick(tour.skip, Qt.MouseButton.LeftButton)
    else:
        QTest.keyClick(tour, Qt.Key.Key_Escape)
    assert window.settings["toured"] is True
    window.share_actions.first_start()
    window.store.choose(y="params_total")
    assert window.findChild(Tour) is None or not window.findChild(Tour).isVisible()


def test_it_begins_by_itself_on_the_first_start(qtbot, window):  # noqa: F811
    window.share_actions.first_start()
    window.store.choose(y="params_total")
    qtbot.waitUntil(lambda: any(t.isVisible() for t in window.findChildren(Tour)))


def test_the_veil_lets_the_lit_part_through(window, tour):  # noqa: F811
    tour.go(3)
    whole = QRegion(tour.rect())
    assert not whole.subtracted(tour.mask()).isEmpty()
    at = window.inspector.mapTo(window, window.inspector.rect().center())
    assert window.childAt(at) is not tour
