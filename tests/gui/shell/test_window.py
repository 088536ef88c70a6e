import pytest
from PySide6.QtCore import QMimeData, QPoint, QPointF, Qt, QUrl
from PySide6.QtGui import QDropEvent
from PySide6.QtWidgets import QMessageBox
from tiny_project import DEVICE, SPACE, timed

from core.pareto.limits import parse_limit
from core.records.measurement import Device
from core.records.metrics import METRICS
from core.records.progress import Progress
from core.space.space_file import parse_space
from gui.app import theme
from gui.app.settings import Settings
from gui.panels.table import PANELS
from gui.shell.window import Window


@pytest.fixture
def window(qtbot, opened, tmp_path):
    window = Window(opened, Settings(tmp_path / "settings.json"))
    qtbot.addWidget(window)
    window.resize(1280, 800)
    window.show()
    window.fill()
    window.on_changed(opened.state, None)
    qtbot.waitExposed(window)
    return window


def settle(qtbot, store):
    qtbot.waitUntil(lambda: store.settled and not store.state.busy, timeout=120_000)


def test_it_shows_counts_title_and_sentence(window, opened):
    frame = opened.state.frame
    assert window.windowTitle().startswith("tiny")
    assert f"{len(frame.front):,} on the front" in window.counts.text()
    assert window.plot_view.sentence.first.text()
    assert window.plot_view.plot.scene.x is opened.state.table.column("tpot_s")
    assert len(window.plot_view.plot.front) == len(frame.front)


@pytest.mark.parametrize("row", PANELS, ids=lambda row: row.name)
def test_every_panel_of_the_table_opens_and_follows(qtbot, window, opened, row):
    panel = window.show_panel(row.name)
    assert panel.isVisible()
    opened.choose(x="memory_bytes")
    opened.set_limit(parse_limit("memory<=60MB"))
    opened.undo()
    opened.undo()
    settle(qtbot, opened)


def test_axes_are_chosen_with_the_scale_that_suits_them(qtbot, window, opened):
    box = window.plot_view.axis_boxes["y"]
    index = box.findData("params_total")
    box.setCurrentIndex(index)
    box.activated.emit(index)
    assert opened.state.choices.y == "params_total"
    assert opened.state.choices.y_log is METRICS["params_total"].log
    opened.undo()
    assert opened.state.choices.y == "loss"
    assert box.currentData() == "loss"


def test_a_limit_let_go_in_the_plot_is_kept_and_past_the_data_taken_away(window, opened):
    plot = window.plot_view.plot
    key = ("tpot_s", "p50", "<=")
    plot.preview_limit(key, 0.003)
    plot.limit_dragged.emit(key, "<=", 0.003)
    assert opened.state.choices.limits == ()
    plot.limit_released.emit(key, "<=", 0.003)
    assert opened.state.choices.limits == (parse_limit("tpot<=3ms"),)
    assert list(plot.front) == list(opened.state.frame.front)
    plot.limit_released.emit(key, "<=", None)
    assert opened.state.choices.limits == ()


def test_words_follow_the_hand_and_come_back(qtbot, window, opened):
    plot, sentence = window.plot_view.plot, window.plot_view.sentence.first
    before = sentence.text()
    counted = window.counts.text()
    with qtbot.waitSignal(window.plot_view.live_best):
        plot.preview_limit(("tpot_s", "p50", "<="), 0.003)
    assert sentence.text() != before
    assert window.counts.text() != counted
    assert window.inspector.standing.text() == "best under the limit in hand"
    plot.limit_released.emit(("tpot_s", "p50", "<="), "<=", None)
    assert sentence.text() == before
    assert window.counts.text() == counted
    assert window.inspector.standing.text() == "on the front"


def test_a_chip_shows_what_is_hidden_and_removes_its_limit(window, opened):
    opened.set_limit(parse_limit("tpot<=3ms"))
    hidden = opened.state.frame.hidden[0]
    chip = window.plot_view.chip_row.itemAt(0).widget()
    assert f"hides {hidden:,}" in chip.findChildren(type(window.counts))[0].text()
    chip.layout().itemAt(1).widget().click()
    assert opened.state.choices.limits == ()
    assert not window.plot_view.chips.isVisible()


def test_clicking_a_point_chooses_it_everywhere(qtbot, window, opened):
    row = int(opened.state.frame.front[0])
    window.plot_view.plot.point_clicked.emit(row)
    assert opened.state.frame.selected == row
    assert window.inspector.title.text() == opened.state.table.label(row)
    table = window.panel("front_table")
    assert table.view.currentIndex().row() == table.model.position(row)


def test_a_click_in_the_table_chooses_the_row(qtbot, window, opened):
    table = window.show_panel("front_table")
    index = table.model.index(2, 0)
    qtbot.mouseClick(
        table.view.viewport(),
        Qt.MouseButton.LeftButton,
        pos=table.view.visualRect(index).center(),
    )
    assert opened.state.frame.selected == table.model.row_at(2)
    qtbot.keyClick(table.view, Qt.Key.Key_Down)
    assert opened.state.frame.selected == table.model.row_at(3)
    opened.undo()
    assert opened.state.choices.selected == ""


def test_the_table_sorts_by_value(window, opened):
    model = window.show_panel("front_table").model
    column = 1 + model.keys.index("memory_bytes")
    model.sort(column, Qt.SortOrder.DescendingOrder)
    values = opened.state.table.column("memory_bytes")[model._rows]
    assert list(values) == sorted(values, reverse=True)


def test_limit_rows_drag_type_and_remove(qtbot, window, opened):
    panel = window.limits
    panel.typed.setText("memory<=80MB")
    qtbot.keyClick(panel.typed, Qt.Key.Key_Return)
    assert opened.state.choices.limits == (parse_limit("memory<=80MB"),)
    row = next(iter(panel._rows.values()))
    histogram = row.histogram
    undo_before = opened.state.can_undo
    area = histogram._area()
    at = QPoint(int(area.left() + area.width() * 0.5), 10)
    qtbot.mousePress(histogram, Qt.MouseButton.LeftButton, pos=at)
    qtbot.mouseMove(histogram, QPoint(int(area.left() + area.width() * 0.4), 10))
    qtbot.mouseRelease(
        histogram, Qt.MouseButton.LeftButton, pos=QPoint(int(area.left() + area.width() * 0.4), 10)
    )
    dragged = opened.state.choices.limits[0].value
    assert dragged != parse_limit("memory<=80MB").value
    assert undo_before
    opened.undo()
    assert opened.state.choices.limits == (parse_limit("memory<=80MB"),)
    row = next(iter(panel._rows.values()))
    row.number.selectAll()
    qtbot.keyClicks(row.number, "50MB")
    qtbot.keyClick(row.number, Qt.Key.Key_Return)
    assert opened.state.choices.limits[0].value == 50e6
    row.histogram.setFocus()
    qtbot.keyClick(row.histogram, Qt.Key.Key_Delete)
    assert opened.state.choices.limits == ()


def test_a_wrong_limit_shows_what_is_allowed(qtbot, window, opened):
    window.limits.typed.setText("speed<=3")
    qtbot.keyClick(window.limits.typed, Qt.Key.Key_Return)
    assert "'speed' is not a metric" in window.limits.error.text()
    assert opened.state.choices.limits == ()


def test_a_limit_added_from_the_box_hides_nothing_yet(window, opened):
    window.limits.on_add("ttft_s")
    (limit,) = opened.state.choices.limits
    assert limit.metric == "ttft_s"
    assert opened.state.frame.hidden == (0,)


def test_inspector_names_source_and_parts(window, opened):
    inspector = window.inspector
    texts = [
        inspector.metrics.topLevelItem(i).text(0)
        for i in range(inspector.metrics.topLevelItemCount())
    ]
    at = texts.index("Time per output token")
    value = inspector.metrics.topLevelItem(at)
    kind = opened.state.table.source("tpot_s", opened.state.frame.selected).kind
    assert value.text(1)[-1] == {"measured": "●", "predicted": "○"}[kind]
    assert f"{kind}" in value.toolTip(1)
    assert "Embedding and head" in texts
    shape = opened.state.table.point(opened.state.frame.selected).architecture
    from gui.panels.metric_tree import parameter_parts

    assert sum(parameter_parts(shape).values()) == shape.params_total


def test_inspector_shows_what_beats_a_row_and_what_it_breaks(window, opened):
    from gui.panels.inspector import why_text

    table, frame = opened.state.table, opened.state.frame
    beaten = next(i for i in range(len(table)) if i not in set(frame.front.tolist()))
    assert why_text(table, frame, beaten).startswith("Beaten by ")
    opened.set_limit(parse_limit("tpot<=2ms"))
    broken = int((~opened.state.frame.feasible).nonzero()[0][0])
    assert "Time per output token ≤ 2.00 ms" in why_text(table, opened.state.frame, broken)


def test_the_inspector_names_in_what_a_row_lies_outside_the_runs(window, opened):
    from gui.panels.inspector import standing, why_text

    table, frame = opened.state.table, opened.state.frame
    row = next(int(row) for row in frame.front if table.outside_columns("loss", int(row)))
    names = ", ".join(table.outside_columns("loss", row))
    assert why_text(table, frame, row).endswith(f"Outside the loss law's runs in {names}.")
    opened.choose(outside_counts=False)
    frame = opened.state.frame
    assert standing(frame, row) == "not counted"
    assert f"cannot speak for its {names}." in why_text(table, frame, row)


def test_pin_and_baseline(window, opened):
    identity = opened.state.table.id_of(opened.state.frame.selected)
    window.inspector.pin.click()
    window.inspector.baseline.click()
    assert opened.state.choices.pins == (identity,)
    assert opened.state.choices.baseline == identity
    window.actions_table.by_name["pin"].trigger()
    assert opened.state.choices.pins == ()


def test_measure_panel_plans_measures_and_shows_results(qtbot, window, opened):
    opened.set_devices((DEVICE,))
    panel = window.show_panel("measure")
    # each was measured once so far
    assert panel.repetitions.value() == 3 and len(panel.ticked()) > 0
    assert panel.points.topLevelItem(0).text(1) == "1 of 3 repetitions"
    panel.repetitions.setValue(1)
    assert panel.ticked() == ()
    assert panel.points.topLevelItem(0).text(1) == "measured"
    assert panel.results.topLevelItemCount() == len(opened.state.contents.measurements)
    panel.again.click()
    planned = parse_space(SPACE).measurement_points()
    assert panel.ticked() == planned
    asked = {}

    def sweeper(project, points, device, *, pause, **options):
        asked.update(options, points=points)
        yield project.add_measurement(timed(points[0], flags=("noisy",)))
        yield Progress(1, len(points), "next", 90.0)

    opened.measuring.sweeper = sweeper
    panel.budget.setText("10min")
    panel.repetitions.setValue(2)
    panel.interleave.setValue(6)
    panel.again.click()
    panel.again.click()
    assert f"{len(planned)} points to measure, {2 * len(planned)} repetitions" in panel.words.text()
    assert "up to about 4 min" in panel.words.text()
    panel.start.click()
    assert panel.cancel.isEnabled()
    assert not panel.start.isEnabled()
    qtbot.waitUntil(lambda: not opened.state.sweep.running, timeout=120_000)
    settle(qtbot, opened)
    assert asked["budget_s"] == 600
    assert asked["again"] is True
    assert (asked["repetitions"], asked["interleave"]) == (2, 6)
    assert asked["points"] == planned
    assert panel.results.topLevelItem(0).text(6) == "noisy"
    assert "noisy: samples scatter" in panel.results.topLevelItem(0).toolTip(0)
    assert panel.words.text() == "The sweep finished."


def test_two_cards_alike_can_work_side_by_side(qtbot, window, opened):
    cards = tuple(Device("cuda", "Card", 80 * 10**9, index) for index in (0, 1))
    other = Device("cuda", "Small card", 8 * 10**9, 2)
    opened.set_devices((DEVICE, *cards, other))
    panel = window.show_panel("measure")
    names = [panel.device.itemText(i) for i in range(panel.device.count())]
    assert names[1:] == [
        "Card (number 0), 80 GB",
        "Card (number 1), 80 GB",
        "Small card, 8 GB",
        "2 × Card, 80 GB, side by side",
    ]
    assert panel.chosen() == cards
    asked = []

    def sweeper(_project, points, device, **options):
        asked.append((points, device, options["others"]))
        yield Progress(1, 1, "done", 0.0)

    opened.measuring.sweeper = sweeper
    panel.start.click()
    qtbot.waitUntil(lambda: bool(asked), timeout=20_000)
    assert asked[0][1:] == (cards[0], (cards[1],)) and len(asked[0][0]) > 1
    qtbot.waitUntil(lambda: not opened.state.sweep.running, timeout=20_000)
    # the choice stays when the devices are found again
    panel.device.setCurrentIndex(1)
    opened.set_devices((DEVICE, *cards, other))
    assert panel.chosen() == (cards[0],)


def test_inspector_proposes_a_point_to_measure(window, opened):
    opened.set_devices((DEVICE,))
    window.inspector.measure.click()
    panel = window.panel("measure")
    point = opened.state.table.point(opened.state.frame.selected)
    assert panel.ticked() == (point,)


def test_space_panel_checks_while_typing_and_applies(qtbot, window, opened):
    panel = window.show_panel("space")
    qtbot.waitUntil(lambda: "candidates" in panel.extent.text(), timeout=60_000)
    panel.text.setPlainText(SPACE.replace("d_model", "d_modell"))
    qtbot.waitUntil(lambda: "d_modell" in panel.problem.text(), timeout=60_000)
    assert not panel.apply.isEnabled()
    panel.text.setPlainText(SPACE.replace("to = 12", "to = 8"))
    qtbot.waitUntil(panel.apply.isEnabled, timeout=60_000)
    before = len(opened.state.table)
    panel.apply.click()
    settle(qtbot, opened)
    assert len(opened.state.table) < before
    assert opened.state.contents.space.text == panel.text.toPlainText()


def test_export_dialog_writes_what_reads_back(qtbot, window, opened, tmp_path):
    from core.formats.configs.config_formats import read_shape
    from gui.panels.export import ExportDialog

    dialog = ExportDialog(opened, Settings(None), window)
    dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose, False)
    qtbot.addWidget(dialog)
    path = tmp_path / "config.json"
    with qtbot.waitSignal(dialog.exported, timeout=60_000):
        dialog.write(path)
    shape, form = read_shape(path)
    assert form.key == "hf"
    assert shape == opened.state.table.point(opened.state.frame.selected).architecture
    keys = [
        dialog.formats.item(i).data(Qt.ItemDataRole.UserRole) for i in range(dialog.formats.count())
    ]
    assert {"open_lm", "csv", "png", "svg"} <= set(keys)
    dialog.plot = window.plot_view
    for name in ("png", "svg"):
        dialog.formats.setCurrentRow(keys.index(name))
        dialog.write(tmp_path / f"front.{name}")
        assert (tmp_path / f"front.{name}").stat().st_size > 1000


def test_export_dialog_refuses_with_the_reason(qtbot, window, opened):
    from gui.panels.export import ExportDialog

    dialog = ExportDialog(opened, Settings(None), window)
    dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose, False)
    qtbot.addWidget(dialog)
    texts = [dialog.what.itemText(i) for i in range(dialog.what.count())]
    dialog.what.setCurrentIndex(next(i for i, t in enumerate(texts) if t.startswith("the front")))
    dialog.what.activated.emit(dialog.what.currentIndex())
    assert not dialog.save.isEnabled()
    assert "one candidate" in dialog.about.text()


def test_theme_is_chosen_remembered_and_reaches_the_plot(window, opened):
    for name in ("dark", "light"):
        window.actions_table.by_name[f"theme_{name}"].trigger()
        assert window.settings["theme"] == name
        assert window.plot_view.plot.scene.colours is theme.theme_of(name).plot
        assert window.actions_table.by_name[f"theme_{name}"].isChecked()


def test_message_bar_shows_and_goes(window, opened):
    opened.notify("the disk is full")
    assert window.message_bar.isVisible()
    assert window.message_bar.label.text() == "the disk is full"
    opened.notify("")
    assert not window.message_bar.isVisible()


def test_a_dropped_project_is_opened(qtbot, window, opened, tmp_path):
    other = tmp_path / "other.paretoscope"
    opened.project.save_copy(other)
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(other))])
    event = QDropEvent(
        QPointF(10, 10),
        Qt.DropAction.CopyAction,
        data,
        Qt.MouseButton.LeftButton,
        Qt.KeyboardModifier.NoModifier,
    )
    window.dropEvent(event)
    qtbot.waitUntil(lambda: opened.state.path == str(other), timeout=120_000)
    settle(qtbot, opened)
    assert window.windowTitle().startswith("other")
    assert window.settings["recent"][0] == str(other)


def test_closing_in_a_sweep_asks(qtbot, window, opened, monkeypatch):
    def endless(project, points, device, *, pause, **options):
        while True:
            yield Progress(0, 1, "measuring")

    opened.measuring.sweeper = endless
    opened.measure(parse_space(SPACE).measurement_points(), DEVICE)
    answers = [QMessageBox.StandardButton.Cancel, QMessageBox.StandardButton.Close]
    monkeypatch.setattr(QMessageBox, "question", lambda *a, **k: answers.pop(0))
    assert not window.close()
    assert opened.state.sweep.running
    assert window.close()
    assert not opened.measuring.lane.job or not opened.measuring.lane.job._thread.is_alive()


def test_every_control_has_a_name_and_a_tooltip(qtbot, window, opened):
    from PySide6.QtWidgets import QAbstractButton, QComboBox, QLineEdit

    for row in PANELS:
        window.show_panel(row.name)
    mine = [window.plot_view, window.limits, window.inspector, window.panel("measure")]
    mine += [window.panel("space"), window.panel("devices")]
    nameless = [
        f"{type(w).__name__} {w.objectName()} {getattr(w, 'text', str)()} in {type(part).__name__}"
        for part in mine
        for kind in (QAbstractButton, QComboBox, QLineEdit)
        for w in part.findChildren(kind)
        if not w.objectName().startswith("qt_")
        and not (w.toolTip() and (w.accessibleName() or getattr(w, "text", str)()))
    ]
    assert not nameless


def test_a_band_comes_after_the_front_and_goes_while_a_limit_is_in_hand(qtbot, window, opened):
    plot = window.plot_view.plot
    qtbot.waitUntil(lambda: plot.scene.band is not None, timeout=60_000)
    first = plot.scene.band
    assert (first.low <= first.high).all()
    key = ("tpot_s", "p50", "<=")
    plot.preview_limit(key, 0.003)
    assert len(plot.picture.band.u) == 0
    plot.limit_released.emit(key, "<=", 0.003)
    qtbot.waitUntil(lambda: plot.scene.band not in (None, first), timeout=60_000)
    assert plot.scene.band.x.max() <= 0.003
    assert len(plot.picture.band.u) == len(plot.scene.band.x)


def test_how_likely_a_candidate_is_on_the_front_is_shown_and_can_be_hidden(qtbot, window, opened):
    plot = window.plot_view.plot
    qtbot.waitUntil(lambda: plot.scene.chance is not None, timeout=60_000)
    chance = plot.scene.chance
    row = opened.state.frame.selected
    assert len(chance) == len(opened.state.table) and 0 < chance[row] <= 1
    assert "% of the draws" in window.inspector.why.text()
    action = window.actions_table.by_name["chance"]
    assert action.isChecked()
    action.trigger()
    assert plot.scene.chance is None and not action.isChecked()
    action.trigger()
    assert plot.scene.chance is chance
