import csv
import io
import json
from dataclasses import replace

import pytest
from known_shapes import LLAMA_2_7B

from core.errors import Unusable
from core.formats.own.selection import Row, Value
from core.formats.own.table_csv import read as read_csv
from core.formats.own.table_csv import write as write_csv
from core.formats.own.table_json import read as read_json
from core.formats.own.table_json import write as write_json
from core.formats.own.training_device import TrainingDevice
from core.formats.own.training_plan import read as read_plan
from core.formats.own.training_plan import write as write_plan
from core.model.architecture import Architecture
from core.model.workload import Runtime, Workload


def rows():
    shape = Architecture(2, 64, 4, 2, 16, 96, 97, tied_embeddings=True)
    values = {
        "loss": Value(3.25, 3.1, 3.4, "predicted", 'law "x", on 27 runs\nof two lines'),
        "train_tokens": Value(1e9, source="counted from the shape"),
        "tpot_s": Value(0.1 + 0.2, kind="measured", source="7 samples"),
    }
    first = Row(
        "L2", "a, b", shape, Workload(2, 3, 4), Runtime("graph", "bf16", "fp8", 3), "gpu", values
    )
    second = replace(first, identity="L3", architecture=LLAMA_2_7B, values={"loss": Value(2.5)})
    return first, second


def test_tables_read_back_exactly():
    assert read_json(write_json(rows())) == rows()
    first, second = read_csv(write_csv(rows()))
    assert first == rows()[0]
    # the second row's loss has no source; its columns are there because the first one's has
    assert second == replace(rows()[1], values={"loss": Value(2.5)})
    assert "loss [nats/token],loss_low [nats/token]" in write_csv(rows())
    table = json.loads(write_json(rows(), {"project": "p"}))
    assert table["schema_version"] == 1 and table["provenance"] == {"project": "p"}
    assert table["metrics"]["tpot_s"]["unit"] == "s"


def test_a_name_is_no_formula_in_a_spreadsheet_and_comes_back():
    first, _ = rows()
    evil = replace(first, identity="=cmd|'/c calc'!A1", label="@SUM(1)", device="+x")
    evil.values["loss"] = replace(evil.values["loss"], value=-3.25, source="=1+1")
    text = write_csv([evil])
    cells = next(csv.reader(io.StringIO(text.split("\n", 1)[1])))
    assert [c for c in cells if c.startswith(("=", "+", "@", "-"))] == ["-3.25"]
    assert read_csv(text) == (evil,)


def test_tables_of_another_version_are_refused():
    with pytest.raises(Unusable, match="'schema_version' 2"):
        read_json(write_json(rows()).replace('"schema_version": 1', '"schema_version": 2'))
    with pytest.raises(Unusable, match="'schema_version' '7'"):
        read_csv(write_csv(rows()).replace("\n1,L2", "\n7,L2"))
    with pytest.raises(Unusable, match="column 'n_layers' is missing"):
        read_csv("schema_version,id\n1,x\n")
    with pytest.raises(Unusable, match="'kind'"):
        read_json('{"schema_version": 1, "rows": []}')
    with pytest.raises(Unusable, match="no field 'n_experts'"):
        read_json(write_json(rows()).replace('"n_layers"', '"n_experts"'))


@pytest.mark.parametrize("value", [5, None, {"a": 1}, "x"])
def test_a_table_whose_rows_are_no_list_is_refused(value):
    table = json.loads(write_json(rows())) | {"rows": value}
    with pytest.raises(Unusable, match="'rows' must be a list"):
        read_json(json.dumps(table))


def test_a_training_plan_counts_time_and_cost():
    device = TrainingDevice("A100", 4, 0.5, price_per_hour=2.0)
    text = write_plan(rows()[:1], {"project": "p"}, device)
    plan = json.loads(text)
    shape = rows()[0].architecture
    flops = 6 * (shape.params_total) * 1e9  # tied: the table is the head, read in full
    assert plan["runs"][0]["train_flops"] == flops
    seconds = flops / (4 * 312e12 * 0.5)
    assert plan["total"]["time_s"] == pytest.approx(seconds)
    assert plan["total"]["cost"] == pytest.approx(seconds / 3600 * 4 * 2.0)
    assert read_plan(text) == ((shape, 1e9),)
    with pytest.raises(Unusable, match="no training tokens"):
        write_plan(rows())
    with pytest.raises(Unusable, match="state it"):
        TrainingDevice("Abacus")
    with pytest.raises(Unusable, match="utilisation"):
        TrainingDevice(utilisation=1.5)
    with pytest.raises(Unusable, match="'kind' and 'schema_version'"):
        read_plan("{}")
