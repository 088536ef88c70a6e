"""What-if: every control writes one undoable choice, the picture follows, one press takes all of it back."""

import numpy as np
import pytest

from core.project.choices import WhatIf as Tried
from core.records.metrics import METRICS
from gui.panels.plot_view import PlotView, empty_text
from gui.panels.tried_value import doublings, round_steps
from gui.panels.what_if import WhatIf


@pytest.fixture
def panel(qtbot, opened):
    panel = WhatIf(opened)
    qtbot.addWidget(panel)
    panel.resize(900, 320)
    opened.changed.connect(panel.refresh)
    panel.refresh(opened.state, None)
    panel.show()
    return panel


def settle(qtbot, store, panel):
    qtbot.waitUntil(lambda: store.settled and not panel.busy, timeout=120_000)


def cells(panel):
    """Row title -> texts of its cells."""
    found = {}
    for row in range(panel.table.rowCount()):
        texts = [panel.table.item(row, c).text() for c in range(4)]
        found[texts[0]] = texts[1:]
    return found


def test_untouched_nothing_is_changed(panel, opened):
    assert opened.state.choices.what_if == Tried()
    assert not panel.reset.isEnabled()
    assert cells(panel)["Parameters"][2] == "same"
    loss, best = opened.state.table.estimates("loss"), opened.state.frame.best
    ends = METRICS["loss"].format_range(loss.value[best], loss.low[best], loss.high[best])
    assert cells(panel)["Loss, 95 %"] == [ends, ends, ""]
    assert panel.values["batch"].field.placeholderText() == "1 (as is)"
    assert panel.values["prompt_tokens"].slider.value() == 1  # 2^5 = 32


def test_a_slider_changes_the_picture_as_one_step(panel, opened, qtbot):
    slider = panel.values["batch"].slider
    before = opened.state.frame
    described = cells(panel)["Throughput"][0]
    for place in (1, 2, 3):
        slider.setValue(place)
    panel.values["batch"].released.emit()
    assert opened.state.choices.what_if.batch == 8
    settle(qtbot, opened, panel)
    assert opened.state.frame is not before
    c = opened.state.table.candidates
    assert set(c.batch[: opened.state.table.described]) == {8}
    now = cells(panel)
    assert now["Throughput"][0] == described
    opened.undo()
    assert opened.state.choices.what_if == Tried()


def test_typed_values_take_units_and_refuse_nonsense(panel, opened, qtbot):
    field = panel.values["train_tokens"].field
    field.setText("30B")
    field.editingFinished.emit()
    assert opened.state.choices.what_if.train_tokens == 30e9
    settle(qtbot, opened, panel)
    field.setText("-3")
    field.editingFinished.emit()
    assert opened.state.choices.what_if.train_tokens == 30e9
    field.setText("")
    field.editingFinished.emit()
    assert opened.state.choices.what_if.train_tokens is None
    settle(qtbot, opened, panel)


def test_serving_adds_its_cost(panel, opened, qtbot):
    panel._try("served_tokens", 1e12)
    settle(qtbot, opened, panel)
    row = opened.state.frame.best
    table = opened.state.table
    extra = table.column("lifetime_flops")[row] - table.column("train_flops")[row]
    assert extra > 0
    assert "Train and serve cost" in cells(panel)


def test_the_described_best_is_found_even_when_the_panel_opens_on_a_what_if(qtbot, opened):
    best = opened.state.table.label(opened.state.frame.best)
    opened.choose(what_if=Tried(train_tokens=5e9))
    panel = WhatIf(opened)
    qtbot.addWidget(panel)
    opened.changed.connect(panel.refresh)
    qtbot.waitUntil(lambda: opened.settled, timeout=120_000)
    panel.refresh(opened.state, None)
    panel.show()
    settle(qtbot, opened, panel)
    assert cells(panel)["Shape"][0] == best


def test_an_unmeasured_precision_shows_why_nothing_is_known(panel, opened, qtbot):
    panel.weights.setCurrentIndex(panel.weights.findData("bf16"))
    panel.weights.activated.emit(panel.weights.currentIndex())
    assert opened.state.choices.what_if.weights == "bf16"
    settle(qtbot, opened, panel)
    assert opened.state.frame.best is None
    assert cells(panel)["Shape"][1] == "none"
    assert "nothing measured yet with eager, bf16" in panel.speculated.text()


def test_a_draft_model_is_weighed(panel, opened, qtbot):
    panel.speculate.click()
    assert opened.state.choices.what_if.acceptance == pytest.approx(panel.acceptance.value() / 100)
    settle(qtbot, opened, panel)
    assert "as draft" in panel.speculated.text() and "pays from" in panel.speculated.text()
    before = panel.speculated.text()
    panel.acceptance.setValue(90)
    assert opened.state.choices.what_if.acceptance == 0.9
    settle(qtbot, opened, panel)
    assert panel.speculated.text() != before
    assert panel.draft.count() >= 2
    panel.draft.setCurrentIndex(1)
    panel.draft.activated.emit(1)
    assert opened.state.choices.what_if.draft == panel.draft.itemData(1)
    settle(qtbot, opened, panel)


def test_a_draft_model_moves_the_picture(panel, opened, qtbot):
    alone = opened.state.table
    panel.speculate.click()
    settle(qtbot, opened, panel)
    with_it = opened.state.table
    wanted = opened.state.choices.what_if.draft
    assert wanted and panel.draft.currentData() == wanted
    drafted = with_it.drafted
    assert drafted.any() and not with_it.estimates("tpot_s").measured[drafted].any()
    assert (with_it.column("tpot_s") != alone.column("tpot_s"))[drafted].all()
    then, now, _ = cells(panel)["Time per output token"]
    assert then != now
    # another workload has the same draft
    panel._try("batch", 4.0)
    settle(qtbot, opened, panel)
    assert opened.state.table.drafted.any()
    panel.speculate.click()
    panel._try("batch", None)
    settle(qtbot, opened, panel)
    assert not opened.state.table.drafted.any()
    assert cells(panel)["Time per output token"][2] == "same"


def test_one_press_takes_everything_back(panel, opened, qtbot):
    panel._try("batch", 4.0)
    panel._try("output_tokens", 64.0)
    settle(qtbot, opened, panel)
    panel.reset.click()
    assert opened.state.choices.what_if == Tried()
    settle(qtbot, opened, panel)
    assert cells(panel)["Parameters"][2] == "same"


def test_steps_are_round():
    assert doublings(0, 3) == (1, 2, 4, 8)
    assert round_steps(8, 9) == (1e8, 2e8, 5e8, 1e9)


def test_int8_says_why_its_loss_is_unknown_and_may_be_illustrated(panel, opened, qtbot):
    def choose(box, value):
        box.setCurrentIndex(box.findData(value))
        box.activated.emit(box.currentIndex())
        settle(qtbot, opened, panel)

    opened.choose(x="memory_bytes", y="loss")
    settle(qtbot, opened, panel)
    choose(panel.weights, "int8")
    table = opened.state.table
    assert not np.isfinite(table.column("loss")[: table.described]).any()
    assert "int8 weights cost in loss was not measured" in panel.speculated.text()
    assert any("below 16 bits" in note for note in opened.state.notes)
    # measuring would not tell a loss
    advice = empty_text(opened.state)
    assert "Choose another axis" in advice and "Measure on" not in advice
    view = PlotView(opened)
    qtbot.addWidget(view)
    view.resize(1400, 700)
    view.show()
    view.refresh(opened.state, None)
    assert not view.published.isVisible() and view.measured.isVisible()
    choose(panel.precision, "trained")
    view.refresh(opened.state, None)
    assert view.published.isVisible() and "Published" in view.published.text()
    assert "not measured here" in view.published.toolTip()
    view.resize(880, 700)
    assert view.published.isVisible() and not view.measured.isVisible()
    assert opened.state.choices.what_if == Tried(weights="int8", precision="trained")
    table, frame = opened.state.table, opened.state.frame
    assert table.illustrated[: table.described].all() and len(frame.front)
    assert any("not measured here" in note for note in opened.state.notes)
    for words in ("constants do not transfer", "exp(-bits / g_post)", "N_eff^-alpha"):
        assert words in panel.precision.toolTip()
    panel.reset.click()
    settle(qtbot, opened, panel)
    assert panel.precision.currentData() == "" and not opened.state.table.illustrated.any()
