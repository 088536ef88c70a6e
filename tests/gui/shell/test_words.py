"""The window's texts where there is little to show, and about overlays."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from showing import window  # noqa: F401

from core.analysis.overlays import limits_text
from core.pareto.limits import Limit
from core.project.choices import Choices
from core.records.measurement import Device
from core.records.metrics import METRICS
from gui.panels.devices import flops_text
from gui.panels.picture_scene import overlay_card
from gui.panels.plot_view import empty_text, sign
from gui.plot.scene import Overlay
from gui.state.machine import device_text
from gui.state.state import State

FIXTURES = Path(__file__).parents[2] / "fixtures" / "formats"


def test_an_interval_has_the_unit_of_its_value():
    tpot, speed = METRICS["tpot_s"], METRICS["tokens_per_s"]
    assert tpot.format_range(1.02e-3, 958e-6, 1.14e-3) == "0.958 – 1.14"
    assert speed.format_range(940.0, 838.0, 1050.0) == "838 – 1,050"
    assert METRICS["loss"].format_range(3.563, 3.552, 3.58) == "3.552 – 3.580"
    assert METRICS["params_total"].format_range(1e9, 9.99e8, 1.02e9) == "999M – 1.02B"


def test_a_difference_has_three_digits():
    assert METRICS["loss"].format_change(0.05419) == "0.0542 nats/token"
    assert METRICS["tpot_s"].format_change(0.0012345) == "1.23 ms"


def test_makers_words_are_left_out_of_a_device_and_rates_read_well():
    device = Device("cpu", "Intel(R) Xeon(R) Processor (2 cores)", 25 * 10**9)
    assert device_text(device) == "Intel Xeon (2 cores), 25 GB"
    assert device_text(replace(device, name="NVIDIA H200")) == "NVIDIA H200, 25 GB"
    assert flops_text(2.37e9) == "2.37 GFLOP/s" and flops_text(9.89e14) == "989 TFLOP/s"


def test_the_plot_states_why_it_is_empty_instead_of_made_up_numbers(window):  # noqa: F811
    state = window.store.state
    assert empty_text(state) == ""
    assert "preset" in empty_text(State("p", replace(state.contents, space=None), state.choices))
    table, frame = state.table, state.frame
    missing = next(k for k in ("accuracy", "energy_j_per_token") if not table.known(k))
    nothing = replace(state, frame=replace(frame, x=missing))
    text = empty_text(nothing)
    assert METRICS[missing].label.lower() in text and "hoose another axis" in text
    # an overlay may have values on the axes
    assert empty_text(replace(nothing, contents=replace(state.contents, imported=({},)))) == ""


def test_the_legend_explains_every_shape_of_mark(window):  # noqa: F811
    text = window.plot_view.measured.toolTip()
    assert "orange dot was measured" in text and "Triangles are real models" in text
    # the layer of overlays draws squares, whatever they came from
    assert "Squares are laid over from elsewhere" in text
    assert "other projects and other devices" in text


def test_the_list_of_the_front_states_why_it_is_empty(qtbot, window):  # noqa: F811
    front = window.show_panel("front_table")
    assert front.view.isVisible() and not front.empty.isVisible()
    window.store.set_limit(Limit("params_total", "<=", 1.0))
    qtbot.waitUntil(lambda: front.empty.isVisible(), timeout=20_000)
    assert "No candidate keeps every limit" in front.empty.text() and not front.view.isVisible()
    window.store.undo()
    qtbot.waitUntil(lambda: front.view.isVisible(), timeout=20_000)


def test_columns_of_the_front_make_room_for_longer_words(window):  # noqa: F811
    front = window.show_panel("front_table")
    front.view.setColumnWidth(0, 20)
    front.view.setColumnWidth(1, 400)
    front._widen()
    assert front.view.columnWidth(0) >= front.view.sizeHintForColumn(0)
    assert front.view.columnWidth(1) == 400


def test_the_legend_has_the_colours_of_the_dots(qapp):
    dots = {
        s: sign("#ff0000", s, 1.0).pixmap(12, 12).toImage() for s in ("shown", "faded", "hidden")
    }
    assert (
        dots["shown"].pixelColor(6, 6).red() == 255
        and dots["shown"].pixelColor(6, 6).alpha() == 255
    )
    assert dots["hidden"].pixelColor(6, 6).alpha() == 0
    assert dots["faded"].pixelColor(6, 2).alpha() == 0 < dots["shown"].pixelColor(6, 2).alpha()


def test_overlays_are_compared_with_the_limits_they_have_a_value_for():
    fast, small = Limit("tpot_s", "<=", 0.008), Limit("memory_bytes", "<=", 1e9)
    assert limits_text((), {"tpot_s": 0.004}) == ""
    assert limits_text((fast,), {"tpot_s": 0.004}) == "keeps Time per output token ≤ 8.00 ms"
    assert limits_text((fast,), {"tpot_s": 0.009}) == "breaks Time per output token ≤ 8.00 ms"
    both = limits_text((fast, small), {"tpot_s": 0.004})
    assert both.startswith("keeps") and "not checked against the other limits" in both
    assert limits_text((small,), {"tpot_s": 0.004}).startswith("not checked against the limits")
    # the axes do not matter: other values that are known are compared with the limits too
    overlay = Overlay("x", np.ones(1), np.ones(1), names=("m",), known=({"memory_bytes": 2e9},))
    text = overlay_card(overlay, 0, Choices(limits=(small,)), "tpot_s", "loss")
    assert "breaks Peak memory" in text


def test_the_card_of_an_overlaid_point_has_its_name_source_and_limits(window):  # noqa: F811
    overlay = Overlay(
        "vLLM (x.json)",
        np.array([0.009]),
        np.array([0.1]),
        False,
        "its workload is batch 2",
        ("m",),
    )
    choices = window.store.state.choices.changed(limits=(Limit("tpot_s", "<=", 0.008),))
    text = overlay_card(overlay, 0, choices, "tpot_s", "ttft_s")
    for part in ("<b>m</b>", "9.00 ms", "breaks Time per output token", "not on the front",
                 "vLLM (x.json)", "not comparable: its workload is batch 2"):  # fmt: skip
        assert part in text


def test_imported_points_are_found_under_the_mouse(qtbot, window):  # noqa: F811
    window.share_actions.dropped_files.take([FIXTURES / "vllm_serve.json"])
    store = window.store
    qtbot.waitUntil(lambda: "laid over" in store.state.message, timeout=20_000)
    assert (
        "1 point of" in store.state.message and "None is drawn on these axes" in store.state.message
    )
    store.choose(y="ttft_s", y_log=True)
    plot = window.plot_view.plot
    qtbot.waitUntil(lambda: plot.scene.y_axis.key == "ttft_s", timeout=20_000)
    plot.fit_view()
    qtbot.wait(50)
    (overlay,) = plot.scene.overlays
    from gui.plot.plane import plane_of, view_coordinates

    plane = plane_of(plot.view)
    at = (
        float(plane.px(view_coordinates(overlay.x, plot.scene.x_axis))[0]),
        float(plane.py(view_coordinates(overlay.y, plot.scene.y_axis))[0]),
    )
    from gui.plot.picking import nearest_laid_over

    assert nearest_laid_over(plot.scene, plane, *at) == (0, 0)
    assert nearest_laid_over(plot.scene, plane, at[0] + 30, at[1]) is None
    assert overlay.names[0] in plot.scene.overlay_card(0, 0)


def test_the_message_bar_warns_only_of_what_went_wrong(window):  # noqa: F811
    bar, store = window.message_bar, window.store
    store.notify("3 points read in", news=True)
    assert (bar.sign.text(), bar.sign.accessibleName()) == ("✓", "Done")
    store.notify("the file is damaged")
    assert (bar.sign.text(), bar.sign.accessibleName()) == ("⚠", "Warning")
    store.notify("")
    assert bar.isHidden()
