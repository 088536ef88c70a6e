"""The incremental raster always equals one made afresh."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PySide6.QtGui import QColor

from gui.plot.raster import FEASIBLE, OUTSIDE, CloudRaster, View, colour_table

BLUE, GREY = QColor("#0000ff"), QColor("#808080")


def brute(u, v, mask, view):
    """Feasible points per pixel by a plain loop, and all."""
    inside = np.zeros((view.height, view.width), int)
    total = np.zeros_like(inside)
    for a, b, m in zip(u, v, mask, strict=True):
        x = (a - view.left) / (view.right - view.left) * view.width
        y = (view.top - b) / (view.top - view.bottom) * view.height
        if 0 <= x < view.width and 0 <= y < view.height:
            total[int(y), int(x)] += 1
            inside[int(y), int(x)] += m
    return inside, total


@given(seed=st.integers(0, 10_000), width=st.integers(2, 9), moves=st.lists(st.floats(0, 1)))
@settings(max_examples=60, deadline=None)
def test_counts_after_any_moves_equal_brute_force(seed, width, moves):
    random = np.random.default_rng(seed)
    # coarse places, so that points share pixels; some lie off the view, some nowhere
    u, v = random.integers(-1, 8, (2, 60)) * 0.2 + 0.03
    u[:3] = -np.inf
    c = random.integers(0, 6, 60) / 5.0
    view = View(0.0, 1.0, 0.0, 1.0, width, 5)
    raster = CloudRaster()
    raster.place(u, v, view, dot=1)
    order = np.argsort(c)
    raster.follow(order, 30)
    for limit in moves:
        raster.move(int(np.searchsorted(c[order], limit, side="right")))
        inside, total = raster.counts()
        expected = brute(u, v, c <= limit, view)
        assert (inside == expected[0]).all() and (total == expected[1]).all()


def pixels(raster):
    image = raster.image()
    data = np.frombuffer(image.constBits(), np.uint32).reshape(image.height(), -1)
    return data[:, : raster.view.width].copy()


@pytest.mark.parametrize("many", [500, 200_000])
def test_moving_gives_the_same_picture_as_starting_there(many):
    random = np.random.default_rng(1)
    u, v, c = random.random((3, many))
    view = View(0.0, 1.0, 0.0, 1.0, 101, 60)
    moved, fresh = CloudRaster(), CloudRaster()
    order = np.argsort(c)
    for raster in (moved, fresh):
        raster.set_colours(colour_table(BLUE, GREY))
        raster.place(u, v, view)
    moved.follow(order, many // 10)
    for limit in (0.11, 0.8, 0.3, 0.0, 0.55):
        position = int(np.searchsorted(c[order], limit, side="right"))
        moved.move(position)
        fresh.set_feasible(c <= limit)
        assert (pixels(moved) == pixels(fresh)).all()


def test_one_point_one_dot_of_its_colour():
    raster = CloudRaster()
    raster.set_colours(colour_table(BLUE, GREY, faintest=1.0))
    for feasible, colour in ((True, 0xFF0000FF), (False, 0xFF808080)):
        raster.place(np.array([0.5]), np.array([0.5]), View(0, 1, 0, 1, 11, 11), dot=3)
        raster.set_feasible(np.array([feasible]))
        picture = pixels(raster)
        assert (picture[4:7, 4:7] == colour).all()
        assert np.count_nonzero(picture) == 9


def test_feasible_wins_a_shared_pixel_and_hidden_shows_nothing():
    view = View(0, 1, 0, 1, 10, 10)
    at = np.array([0.55, 0.55])
    raster = CloudRaster()
    raster.place(at, at, view, dot=1)
    raster.set_feasible(np.array([False, True]))
    raster.set_colours(colour_table(BLUE, GREY, faintest=1.0))
    assert pixels(raster).max() == 0xFF0000FF
    raster.set_colours(colour_table(BLUE, GREY, feasible_state="hidden"))
    assert not pixels(raster).any()
    raster.set_colours(colour_table(BLUE, GREY, faintest=1.0, feasible_state="faded"))
    assert 0 < pixels(raster).max() >> 24 < 255


def test_outside_points_are_striped():
    random = np.random.default_rng(2)
    u, v = random.random((2, 40_000))
    raster = CloudRaster()
    raster.set_colours(colour_table(BLUE, GREY, faintest=1.0))
    raster.place(u, v, View(0, 1, 0, 1, 80, 80), outside=u > 0.5)
    opacity = pixels(raster) >> 24
    assert (opacity[:, :38] == 255).all()
    right = opacity[:, 44:]
    assert 0.3 < np.mean(right == 255) < 0.7 and right.min() > 0


def test_more_points_are_never_fainter():
    table = colour_table(BLUE, GREY, faintest=0.4) >> 24
    for start in (0, FEASIBLE, OUTSIDE, OUTSIDE + FEASIBLE):
        levels = table[start : start + 64].astype(int)
        assert levels[0] == 0 and (np.diff(levels[1:]) >= 0).all() and levels[1] > 0


def test_widths_that_are_odd_and_change():
    random = np.random.default_rng(3)
    u, v = random.random((2, 300))
    raster = CloudRaster()
    raster.set_colours(colour_table(BLUE, GREY))
    for width, height in ((7, 5), (8, 5), (301, 77), (2, 2)):
        view = View(0, 1, 0, 1, width, height)
        raster.place(u, v, view)
        _, total = raster.counts()
        assert (total == brute(u, v, u > 0, view)[1]).all()
        assert raster.image().height() == height
