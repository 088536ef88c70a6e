"""Measured marks are drawn many at once, and look as if each were painted by itself."""

import numpy as np
import pytest
from PySide6.QtGui import QColor, QImage, QPainter
from PySide6.QtWidgets import QApplication

from gui.plot.pareto_plot import ParetoPlot
from gui.plot.plane import plane_of
from gui.plot.scene import EXACT, ILLUSTRATED, LIGHT, PREDICTED, Axis, Illustrated, Measured, Scene

X = Axis("tpot_s", "Time per output token", "s", False, "lower")
Y = Axis("loss", "Loss", "nats/token", False, "lower", 4)


@pytest.fixture
def plot(qtbot):
    made = ParetoPlot()
    qtbot.addWidget(made)
    made.resize(900, 600)
    made.show()
    qtbot.waitExposed(made)
    return made


def measured(n=4):
    x, y = np.linspace(1.0, 2.0, n), np.linspace(2.0, 1.0, n)
    return Measured(x, y, np.arange(n), (x - 0.1, x + 0.1), (y - 0.1, y + 0.1))


def scene(marks):
    ends = np.array([0.0, 3.0])
    return Scene(ends, ends, X, Y, measured=marks)


def shown(plot, *, in_file=False):
    """The layer of marks alone, on white."""
    layer = plot.picture.marks
    layer.set_magnify(1.0, in_file=in_file)
    plane = plane_of(plot.view)
    image = QImage(round(plane.width), round(plane.height), QImage.Format.Format_RGB32)
    image.fill(QColor("white"))
    painter = QPainter(image)
    layer.paint(painter)
    painter.end()
    layer.set_magnify(1.0, in_file=False)
    return image


def is_ink(image, x, y):
    return image.pixelColor(round(x), round(y)) == QColor(LIGHT.measured)


def grey(image):
    lines = image.convertToFormat(QImage.Format.Format_Grayscale8)
    data = np.frombuffer(lines.constBits(), np.uint8).reshape(lines.height(), -1)
    return data[:, : lines.width()].astype(float)


def test_a_mark_for_every_measurement_and_none_elsewhere(plot):
    marks = measured()
    plot.refresh(scene(marks))
    image, plane = shown(plot), plane_of(plot.view)
    for x, y in zip(marks.x, marks.y, strict=True):
        assert is_ink(image, plane.px(x), plane.py(y))
        # half way to where the next mark would be
        assert not is_ink(image, plane.px(x + 1 / 6), plane.py(y))


def test_bars_end_where_the_intervals_do(plot):
    marks = measured(3)
    plot.refresh(scene(marks))
    plane = plane_of(plot.view)
    layer = plot.picture.marks
    x, y = plane.px(marks.x), plane.py(marks.y)
    lines = layer.bar_lines(plane, x, y, np.array([True, False, True]))
    # two marks are seen; each has two bars with two end strokes
    assert lines.shape == (12, 4)
    across = [line for line in lines.tolist() if line[1] == line[3] and line[2] - line[0] > 10]
    assert across == [
        pytest.approx([plane.px(marks.x[i] - 0.1), y[i], plane.px(marks.x[i] + 0.1), y[i]])
        for i in (0, 2)
    ]


def test_designs_are_dots_and_real_models_triangles(plot):
    marks = measured(3)
    marks = Measured(
        marks.x,
        marks.y,
        marks.rows,
        real=np.array([False, False, True]),
    )
    plot.refresh(scene(marks))
    image, plane = shown(plot), plane_of(plot.view)
    corners = [
        [
            is_ink(image, plane.px(x) + dx, plane.py(y) + dy)
            for dx in (-3.5, 3.5)
            for dy in (-3.5, 3.5)
        ]
        for x, y in zip(marks.x, marks.y, strict=True)
    ]
    assert corners[0] == corners[1] == [False] * 4
    # nothing beside its tip, all of its middle
    x, y = plane.px(marks.x[2]), plane.py(marks.y[2])
    assert not is_ink(image, x - 4, y - 4) and not is_ink(image, x + 4, y - 4)
    assert all(is_ink(image, x + dx, y + 1) for dx in (-1.5, 0, 1.5))


def test_stamped_marks_look_as_painted_ones(plot):
    marks = measured(40)
    plot.refresh(scene(marks))
    stamped, painted = grey(shown(plot)), grey(shown(plot, in_file=True))
    assert (painted < 250).sum() > 1000
    # a stamp stands on whole pixels, so only edges may differ
    assert np.abs(stamped - painted).mean() < 0.02 * np.abs(255 - painted).mean() + 0.5
    assert (
        abs(int((stamped < 250).sum()) - int((painted < 250).sum())) < 0.1 * (painted < 250).sum()
    )


def test_marks_are_painted_once_while_a_limit_moves_and_anew_with_the_view(plot):
    plot.refresh(scene(measured()))
    layer = plot.picture.marks
    shown(plot)
    times = []
    draw = layer.draw
    layer.draw = lambda p: (times.append(1), draw(p))
    layer.update()
    for _ in range(3):
        plot.picture.front.update()
        QApplication.processEvents()
    assert len(times) == 1
    plot.view.scaleBy((0.5, 0.5))
    QApplication.processEvents()
    assert len(times) == 2


def test_a_file_has_marks_as_vectors(plot, tmp_path):
    plot.refresh(scene(measured(7)))
    plot.export_svg(tmp_path / "a.svg")
    text = (tmp_path / "a.svg").read_text()
    # the cloud alone is an image; a dot of seven and the front's two are paths or circles
    assert text.count("<image") == 1
    assert text.count("<circle") >= 7
    assert plot.picture.marks.in_file is False


def test_an_illustration_on_the_front_is_a_hollow_triangle(plot):
    x = np.array([1.0, 2.0, 3.0])
    codes = np.array([PREDICTED, ILLUSTRATED, EXACT])
    plot.refresh(Scene(x, x[::-1].copy(), X, Y, source=codes, front=np.arange(3)))
    layer, plane = plot.picture.front, plane_of(plot.view)
    image = QImage(round(plane.width), round(plane.height), QImage.Format.Format_RGB32)
    image.fill(QColor("white"))
    layer.set_magnify(1.0, in_file=True)
    painter = QPainter(image)
    layer.paint(painter)
    painter.end()
    layer.set_magnify(1.0, in_file=False)
    line = QColor(LIGHT.front)

    def ink(x, y):
        """Whether a pixel is nearer to the line's colour than to the background."""
        return image.pixelColor(round(x), round(y)).lightness() < (line.lightness() + 255) / 2

    centres = [(plane.px(a), plane.py(b)) for a, b in zip(x, x[::-1], strict=True)]
    # predicted and illustrated are hollow, exact is full
    assert [ink(a, b) for a, b in centres] == [False, False, True]
    # the triangle reaches further to the upper corners than a circle, and not to the lower ones
    (a, b), (c, d) = centres[1], centres[0]
    assert ink(a - 3.8, b - 2.4) and not ink(a - 3.2, b + 3.2)
    assert not ink(c - 4.4, d - 3.4)


def test_illustrations_off_the_front_are_marked_too_and_go_with_them(plot):
    ends = np.array([0.0, 3.0])
    with_it = Scene(ends, ends, X, Y, illustrated=Illustrated(np.array([1.5]), np.array([1.5])))
    plot.refresh(with_it)
    layer, plane = plot.picture.illustrated, plane_of(plot.view)
    x, y = plane.px(1.5), plane.py(1.5)

    def inked():
        image = QImage(round(plane.width), round(plane.height), QImage.Format.Format_RGB32)
        image.fill(QColor("white"))
        painter = QPainter(image)
        layer.paint(painter)
        painter.end()
        near = grey(image)[round(y) - 8 : round(y) + 8, round(x) - 8 : round(x) + 8]
        return int((near < 200).sum()), int((grey(image) < 200).sum())

    near, all_of_it = inked()
    assert near == all_of_it > 10
    plot.refresh(Scene(ends, ends, X, Y))
    assert layer.is_empty and inked() == (0, 0)
