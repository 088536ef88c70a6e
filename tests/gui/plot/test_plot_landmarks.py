"""Labels of landmarks never cover each other or a mark."""

from hypothesis import given, settings
from hypothesis import strategies as st
from PySide6.QtCore import QRectF

from gui.plot.landmarks import MARK, placed_labels

ANCHORS = st.lists(st.tuples(st.floats(0, 600), st.floats(0, 400)), max_size=14)


@given(anchors=ANCHORS, wide=st.floats(20, 120))
@settings(max_examples=100, deadline=None)
def test_no_label_covers_anything(anchors, wide):
    taken = [QRectF(100, 100, 80, 40)]
    boxes = placed_labels(anchors, [(wide, 14)] * len(anchors), 600, 400, taken)
    assert len(boxes) == len(anchors)
    shown = [box for box in boxes if box is not None]
    frame = QRectF(0, 0, 600, 400)
    for i, box in enumerate(shown):
        assert frame.contains(box)
        assert not any(box.intersects(other) for other in (*shown[:i], *taken))
        for x, y in anchors:
            assert not box.intersects(QRectF(x - MARK, y - MARK, 2 * MARK, 2 * MARK))


def test_a_lone_label_stands_at_the_right_of_its_mark():
    (box,) = placed_labels([(300, 200)], [(60, 14)], 600, 400)
    assert box.left() > 300 and box.contains(box.left() + 1, 200)


def test_three_close_together_are_all_labelled():
    boxes = placed_labels([(300, 200), (306, 203), (294, 197)], [(60, 14)] * 3, 600, 400)
    assert None not in boxes


def test_no_room_no_label():
    assert placed_labels([(5, 5)], [(60, 14)], 40, 12) == [None]
