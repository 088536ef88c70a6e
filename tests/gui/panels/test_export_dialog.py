"""What the export dialog writes is what is on screen."""

import json

import pytest
from pictured import SPACE
from PySide6.QtCore import Qt

from core.analysis.contents import Contents
from core.analysis.frame import make_frame, rows_of
from core.analysis.pipeline import Laws
from core.errors import Unusable
from core.export.export import ExportOrder, export
from core.formats.own.table_json import read as read_json
from core.pareto.limits import parse_limit
from core.project.choices import Choices
from core.project.project import Project
from core.space.space_file import parse_space
from core.table.table import Table
from gui.app.settings import Settings
from gui.panels.export import KEY, ExportDialog, What, problem_of
from gui.state.state import State


def pick(dialog, what, key):
    texts = [dialog.what.itemText(i) for i in range(dialog.what.count())]
    dialog.what.setCurrentIndex(next(i for i, t in enumerate(texts) if t.startswith(what)))
    keys = [dialog.formats.item(i).data(KEY) for i in range(dialog.formats.count())]
    dialog.formats.setCurrentRow(keys.index(key))
    dialog.what.activated.emit(dialog.what.currentIndex())


def test_the_front_of_a_project_opened_read_only_is_the_one_on_screen(
    qtbot, store, project_path, tmp_path
):
    store.load(lambda: Project.open(project_path, read_only=True))
    qtbot.waitUntil(lambda: store.state.frame is not None and store.settled, timeout=120_000)
    stored = store.state.choices
    fastest = float(store.state.table.column("tpot_s").min())
    store.choose(y="params_total", limits=(parse_limit(f"tpot<={3 * fastest}"),))
    qtbot.waitUntil(lambda: store.settled, timeout=120_000)
    state = store.state
    shown = [state.table.id_of(row) for row in rows_of(state.frame)]
    of_file = make_frame(state.table, stored)
    assert shown != [state.table.id_of(row) for row in rows_of(of_file)]

    dialog = ExportDialog(store, Settings(None))
    dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose, False)
    qtbot.addWidget(dialog)
    pick(dialog, "the front", "json")
    out = tmp_path / "front.json"
    with qtbot.waitSignal(dialog.exported, timeout=60_000):
        dialog.write(out)
    assert [row.identity for row in read_json(out.read_text())] == shown
    provenance = json.loads(out.read_text())["provenance"]
    assert provenance["limits"] == [limit.text for limit in state.frame.limits]
    with Project.open(project_path, read_only=True) as project:
        assert project.choices() == stored
    # the command line would write the stored front
    assert "choices stored in the file" in dialog.command.text()


def test_raw_measurements_of_the_front_are_all_there_are_and_the_dialog_states_it(qtbot, opened):
    dialog = ExportDialog(opened, Settings(None))
    dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose, False)
    qtbot.addWidget(dialog)
    count = len(opened.state.contents.measurements)
    pick(dialog, "the front", "raw")
    assert f"All {count} measurements" in dialog.about.text()
    pick(dialog, "the chosen", "raw")
    assert "measurements of the project" not in dialog.about.text()


@pytest.mark.parametrize("cache", ["fp8", "int8"])
@pytest.mark.parametrize("key", ["vllm", "sglang", "hf"])
def test_a_shape_is_offered_exactly_where_it_can_be_written(key, cache, tmp_path):
    """With the precisions of the candidate: no server supports an int8 cache."""
    run = f'[run]\nweights = ["fp32"]\ncache = "{cache}"\n[train]'
    table = Table(parse_space(SPACE.replace("[train]", run)).candidates())
    choices = Choices(x="params_total", y="cache_bytes")
    frame = make_frame(table, choices)
    laws, contents = Laws(None, "", (), ()), Contents("drawn", None, (), ())
    state = State("", contents, choices, laws, table, frame)
    what = What("the chosen candidate", (table.id_of(0),))
    order = ExportOrder(key, tmp_path / "out", what.identities)
    problem = problem_of(state, key, what)
    if cache == "int8" and key != "hf":
        assert problem.startswith("An int8 cache is not supported by")
        with pytest.raises(Unusable) as refused:
            export(contents, laws, table, frame, order)
        assert problem.lower() == f"{refused.value}.".lower()
    else:
        assert problem == ""
        assert export(contents, laws, table, frame, order).rows == 1
