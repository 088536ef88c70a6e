import contextlib
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import Unusable
from core.fit.row_filter import mask
from core.formats.runs.columns import SURE, guess_mapping
from core.formats.runs.reading import load, open_runs, preview, read_runs
from core.resources import resource

HEADER = "name,n_layers,d_model,params_total,tokens,loss"


def write(folder, text, name="runs.csv"):
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def rows(count, start=0):
    """Runs on a smooth loss surface, every value distinct."""
    made = []
    for i in range(start, start + count):
        n, d = 1e8 * (1 + i % 5), 2e9 * (1 + i // 5)
        loss = 1.7 + 400 / n**0.34 + 410 / d**0.28
        made.append(f"r{i},{6 + i % 5},{512 + 64 * (i % 5)},{n:.0f},{d:.0f},{loss:.6f}")
    return made


# --- the bundled tables read as any user's file would


@pytest.mark.parametrize(
    ("file", "count"),
    [("morph_runs", 76), ("gemstones_cooldown_runs", 199), ("overtraining_runs", 104)],
)
def test_published_tables_read_without_a_mapping(file, count):
    reading = load(resource(f"runs/{file}.csv"))
    assert len(reading.runs) == count == reading.counts["read"]
    assert reading.errors == ()


def test_where_keeps_the_rows_of_the_published_fit():
    runs = read_runs(resource("runs/morph_runs.csv"), where=["published_fit_set=20N+160N"])
    assert len(runs) == 27
    both = {"published_fit_set": "20N+160N", "n_layers": "8"}
    assert set(read_runs(resource("runs/morph_runs.csv"), where=both).columns["n_layers"]) == {8.0}


def test_where_takes_patterns():
    path = resource("runs/morph_runs.csv")
    assert len(read_runs(path, where=["name=1B_*"])) == 4
    assert len(read_runs(path, where=["name=*@160N", "n_layers=8"])) == 3


def test_where_says_what_there_is_when_nothing_matches():
    path = resource("runs/morph_runs.csv")
    with pytest.raises(Unusable, match=r"published_fit_set=27 \(there are: 20N\+160N, \(empty\)\)"):
        read_runs(path, where=["published_fit_set=27"])
    with pytest.raises(Unusable, match=r"no column 'fit_set'.*published_fit_set"):
        read_runs(path, where=["fit_set=1"])
    with pytest.raises(Unusable, match="write COLUMN=VALUE"):
        read_runs(path, where=["tokens>5"])
    with pytest.raises(Unusable, match="tokens holds numbers"):
        mask(read_runs(path), ["tokens=many"])


# --- good rows survive bad ones


def test_bad_rows_are_named_and_left_out_and_the_good_ones_read(tmp_path):
    lines = [HEADER, *rows(10)]
    lines[3] = "r2,8,640,3e8,-3,3.1"  # row 3, line 4
    lines[5] = "r4,10,768,5e8,nan,3.0"
    lines[7] = "r6,7,576,2e8,4e9,diverged"
    lines[8] = "r7,8,640,3e8"
    reading = load(write(tmp_path, "\n".join(lines)))
    assert len(reading.runs) == 6
    assert reading.errors == (
        "row 3 (line 4): tokens is -3; left out",
        "row 5 (line 6): tokens is missing; left out",
        "row 7 (line 8): loss is 'diverged', not a number; left out",
        "row 8 (line 9): 4 cells where the header has 6; left out",
    )
    assert reading.counts["errors"] == 4 and reading.counts["missing"] == 1
    assert reading.runs.names == ("r0", "r1", "r3", "r5", "r8", "r9")


def test_comments_above_the_header_keep_line_numbers_right(tmp_path):
    text = "\n".join(["# made by me", "", HEADER, *rows(3), "r3,6,512,1e8,0,3"])
    reading = load(write(tmp_path, text))
    assert len(reading.runs) == 3
    assert reading.errors == ("row 4 (line 7): tokens is 0; left out",)


def test_infinite_and_zero_values_are_row_errors(tmp_path):
    text = "\n".join(
        [HEADER, *rows(3), "a,6,512,1e8,2e9,inf", "b,6,512,0,2e9,3", "c,6.5,512,1e8,2e9,3"]
    )
    errors = load(write(tmp_path, text)).errors
    assert [e.split(": ", 1)[1] for e in errors] == [
        "loss is inf; left out",
        "params_total is 0; left out",
        "n_layers is 6.5, not a whole number; left out",
    ]


def test_only_bad_rows_is_unusable_and_says_the_first_reason(tmp_path):
    path = write(tmp_path, f"{HEADER}\na,6,512,1e8,-1,3\nb,6,512,1e8,-2,3\n")
    with pytest.raises(
        Unusable, match=r"none of 2 rows can be used; row 1 \(line 2\): tokens is -1"
    ):
        read_runs(path)


def test_rows_repeated_in_full_are_dropped_and_other_seeds_kept(tmp_path):
    body = rows(5)
    other_seed = body[1].replace("r1,", "r1b,")
    reading = load(write(tmp_path, "\n".join([HEADER, *body, body[0], other_seed])))
    assert len(reading.runs) == 6 and reading.counts["duplicates"] == 1
    assert "repeats row 1 in every column" in reading.errors[0]
    assert reading.counts["repeats"] == 1 and "same size and tokens as row 2" in reading.warnings[0]


def test_an_outlier_is_reported_and_kept(tmp_path):
    body = rows(40)
    cells = body[17].split(",")
    body[17] = ",".join([*cells[:-1], str(2 * float(cells[-1]))])
    reading = load(write(tmp_path, "\n".join([HEADER, *body])))
    assert len(reading.runs) == 40 and reading.counts["outliers"] == 1
    assert (
        reading.warnings[0].startswith("row 18 (line 19): loss") and "kept" in reading.warnings[0]
    )


def test_a_smooth_table_has_no_outliers(tmp_path):
    assert load(write(tmp_path, "\n".join([HEADER, *rows(40)]))).counts["outliers"] == 0


# --- guessing


def test_units_in_names_are_applied(tmp_path):
    text = "Model,Params (M),Tokens (B),Val Loss\n"
    text += "a,124.5,2.1,3.4\nb,350,7,3.1\nc,774,15,2.9\n"
    runs = read_runs(write(tmp_path, text))
    assert runs.columns["params_total"].tolist() == [124_500_000, 350_000_000, 774_000_000]
    assert runs.columns["tokens"].tolist() == [2.1e9, 7e9, 15e9]
    assert runs.loss_meaning == "validation" and runs.names == ("a", "b", "c")


def test_small_counts_without_a_unit_are_read_by_their_range_and_said(tmp_path):
    reading = load(write(tmp_path, "params,tokens,loss\n70,300,1.9\n400,1400,1.8\n1000,200,2.0\n"))
    assert reading.runs.columns["params_total"][0] == 70e6
    assert reading.runs.columns["tokens"][1] == 1400e9
    assert any("read as billions" in note for note in reading.notes)
    assert any("read as millions" in note for note in reading.notes)


def test_a_column_chosen_by_hand_keeps_the_unit_of_its_name_or_range(tmp_path):
    path = write(tmp_path, "n,seen in billions,seen,score\n1e8,2.5,2.5,3.3\n2e8,4,4,3.1\n")
    for column in ("seen in billions", "seen"):
        reading = load(path, {"tokens": column, "loss": "score"})
        assert reading.runs.columns["tokens"].tolist() == [2.5e9, 4e9]
        assert any(column in note and "billion" in note for note in reading.notes)


def test_suffixed_cells_are_read(tmp_path):
    runs = read_runs(
        write(tmp_path, 'params,tokens,loss\n125M,"2,500,000,000",3.3\n1.1B,22B,2.6\n')
    )
    assert runs.columns["params_total"].tolist() == [125e6, 1_100_000_000]
    assert runs.columns["tokens"].tolist() == [2.5e9, 22e9]


def test_names_known_and_unknown_are_guessed_with_a_reason():
    header = ("hidden_size", "num_hidden_layers", "N", "train_tokens", "eval/loss", "colour")
    guess = guess_mapping(
        header, [(512, 8, 1e8, 2e9, 3.1, "red"), (768, 12, 2e8, 4e9, 2.9, "blue")]
    )
    assert [c.field for c in guess.columns] == [
        "d_model", "n_layers", "params_total", "tokens", "loss", "",
    ]  # fmt: skip
    assert all(c.reason and 0 <= c.confidence <= 1 for c in guess.columns)
    assert guess.loss_meaning == "validation"
    letter, word = guess.columns[2], guess.columns[3]
    assert letter.confidence < word.confidence


def test_letters_of_the_papers_are_told_apart_by_case():
    rows = [(1e8, 2e9, 3.1, 512, 8), (2e8, 4e9, 2.9, 768, 12)]
    guess = guess_mapping(("N", "D", "L", "d", "l"), rows)
    fields = [c.field for c in guess.columns]
    assert fields == ["params_total", "tokens", "loss", "d_model", "n_layers"]
    assert set(guess.mapping) == set(fields)


@pytest.mark.parametrize("name", ["0", "5", "²", "\N{KELVIN SIGN}"])
def test_a_column_named_by_a_digit_is_none_of_the_fields(tmp_path, name):
    text = f"params_total,tokens,loss,{name}\n1e8,2e9,3.1,0\n2e8,4e9,2.9,1\n"
    reading = load(write(tmp_path, text))
    assert len(reading.runs) == 2 and list(reading.runs.columns[name]) == [0, 1]


def test_a_name_whose_values_contradict_it_is_believed_less():
    good = guess_mapping(("nll",), [(3.1,), (2.9,)]).columns[0]
    bad = guess_mapping(("nll",), [(3100.0,), (2900.0,)]).columns[0]
    assert bad.confidence < SURE < good.confidence and "outside" in bad.reason


def test_ranges_alone_suggest_but_do_not_decide(tmp_path):
    path = write(tmp_path, "x,y,z\n1e8,2e9,3.5\n3e8,6e9,3.1\n9e8,3e10,2.7\n")
    with pytest.raises(
        Unusable, match="'x' may be params_total, 'y' may be tokens, 'z' may be loss"
    ):
        read_runs(path)
    runs = read_runs(path, {"params_total": "x", "tokens": "y", "loss": "z"})
    assert runs.columns["tokens"].tolist() == [2e9, 6e9, 3e10]


def test_tokens_follow_from_training_flops(tmp_path):
    reading = load(
        write(tmp_path, "Model Size,Training FLOP,loss\n1e8,1.2e18,3.4\n1e9,1.2e20,2.6\n")
    )
    np.testing.assert_allclose(reading.runs.columns["tokens"], [2e9, 2e10])
    assert any("FLOP" in note for note in reading.notes)


def test_perplexity_becomes_a_loss_and_bits_keep_their_unit(tmp_path):
    runs = read_runs(write(tmp_path, "params,tokens,val_ppl\n1e8,2e9,20\n2e8,4e9,15\n"))
    np.testing.assert_allclose(runs.columns["loss"], np.log([20, 15]))
    assert runs.loss_unit == "nats/token"
    bits = read_runs(write(tmp_path, "params,tokens,bpb\n1e8,2e9,0.9\n2e8,4e9,0.8\n"))
    assert bits.loss_unit == "bits/byte"


def test_a_training_loss_is_not_called_validation(tmp_path):
    runs = read_runs(write(tmp_path, "params,tokens,train_loss\n1e8,2e9,3\n2e8,4e9,2.9\n"))
    assert runs.loss_meaning == "unknown"
    runs = read_runs(write(tmp_path, "params,tokens,avg train loss\n1e8,2e9,3\n2e8,4e9,2.9\n"),
                     {"loss": "avg train loss"})  # fmt: skip
    assert runs.loss_meaning == "train average"


# --- formats


def test_every_text_format_gives_the_same_runs(tmp_path):
    records = [
        {
            "name": f"r{i}",
            "params_total": 1e8 * (i + 1),
            "tokens": 2e9 * (i + 1),
            "loss": 3.5 - i / 10,
        }
        for i in range(4)
    ]
    header = ",".join(records[0])
    body = "\n".join(",".join(str(v) for v in r.values()) for r in records)
    files = {
        "a.csv": f"{header}\n{body}\n",
        "b.tsv": f"{header}\n{body}\n".replace(",", "\t"),
        "semicolon.csv": f"{header}\n{body}\n".replace(",", ";").replace(".", ","),
        "c.json": json.dumps(records),
        "d.json": json.dumps({"meta": {"by": "me"}, "runs": records}),
        "e.json": json.dumps({k: [r[k] for r in records] for k in records[0]}),
        "f.jsonl": "\n".join(json.dumps(r) for r in records),
        "g.json": "\n".join(json.dumps(r) for r in records),
        "nested.json": json.dumps(
            [{"name": r["name"], "config": {"params_total": r["params_total"], "tokens": r["tokens"]},
              "summary": {"loss": r["loss"]}} for r in records]),
        "bom.csv": f"\ufeff{header}\r\n{body}\r\n".replace("\n", "\r\n").replace("\r\r", "\r"),
    }  # fmt: skip
    for name, text in files.items():
        runs = read_runs(write(tmp_path, text, name))
        assert runs.names == ("r0", "r1", "r2", "r3"), name
        np.testing.assert_array_equal(runs.columns["tokens"], [2e9, 4e9, 6e9, 8e9], err_msg=name)
        np.testing.assert_allclose(runs.columns["loss"], [3.5, 3.4, 3.3, 3.2], err_msg=name)


def test_parquet_reads_or_says_what_is_missing(tmp_path):
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        with pytest.raises(Unusable, match="needs pyarrow"):
            read_runs(write(tmp_path, "PAR1", "runs.parquet"))
        return
    pq.write_table(
        pa.table({"params_total": [1e8, 2e8], "tokens": [2e9, 4e9], "loss": [3.1, 2.9]}),
        tmp_path / "runs.parquet",
    )
    assert read_runs(tmp_path / "runs.parquet").columns["loss"].tolist() == [3.1, 2.9]


def test_parquet_without_pyarrow_names_it(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(Unusable, match=r"needs pyarrow.*pip install pyarrow"):
        read_runs(write(tmp_path, "PAR1", "runs.parquet"))


def test_a_wandb_table_of_runs_leaves_unfinished_runs_out(tmp_path):
    text = '"Name","State","Created","Runtime","config.n_layers","n_params","tokens","val/loss"\n'
    text += '"a","finished","2026-01-01","100","8","1e8","2e9","3.2"\n'
    text += '"b","crashed","2026-01-01","50","8","1e8","4e9","5.1"\n'
    reading = load(write(tmp_path, text))
    assert reading.runs.names == ("a",) and reading.counts["unfinished"] == 1
    assert reading.errors == ("row 2 (line 3): the run is crashed; left out",)
    assert reading.runs.columns["n_layers"][0] == 8


def test_a_wandb_chart_gives_the_last_point_of_each_run(tmp_path):
    text = '"tokens","small - val/loss","small - val/loss__MIN","small - val/loss__MAX",'
    text += '"big - val/loss","big - val/loss__MIN","big - val/loss__MAX"\n'
    text += "1e9,3.9,3.9,3.9,3.7,3.7,3.7\n2e9,3.5,3.5,3.5,,,\n4e9,,,,3.1,3.1,3.1\n"
    shown = preview(open_runs(write(tmp_path, text)))
    assert shown.kind == "W&B chart"
    assert shown.rows == (("small", "2e9", "3.5"), ("big", "4e9", "3.1"))
    # a chart knows no sizes, and the message says so
    assert "a size" in shown.problem and shown.reading is None


def test_mlflow_folders_give_the_last_step_of_each_metric(tmp_path):
    for i, (state, deleted) in enumerate(((3, ""), (4, ""), (3, "deleted"))):
        run = tmp_path / "mlruns" / "1" / f"{i:032x}"
        for part in ("params", "metrics/val", "tags"):
            (run / part).mkdir(parents=True)
        (run / "meta.yaml").write_text(
            f"run_name: run-{i}\nstatus: {state}\nlifecycle_stage: {deleted or 'active'}\n"
        )
        (run / "params/params_total").write_text("1.2e8")
        (run / "params/tokens").write_text("2400000000")
        (run / "metrics/val/loss").write_text("1700 4.5 10\n1900 3.25 30\n1800 3.9 20\n")
    reading = load(tmp_path / "mlruns")
    assert reading.runs.names == ("run-0",)
    assert reading.runs.columns["loss"].tolist() == [3.25]
    assert reading.runs.loss_meaning == "validation"
    assert reading.errors == ("row 2: the run is failed; left out",)


# --- messages for files that are no tables


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "the file is empty"),
        (b"  \n \n", "the file is empty"),
        (b"name,tokens,loss\n", "no row under it"),
        (b"# from somewhere\n\n", "only comments"),
        (b"1e8,2e9,3.1\n2e8,4e9,2.9\n", "only numbers; write a line of column names"),
        (b"PK\x03\x04\x00\x00\x00", "zip archive or spreadsheet"),
        (b"\x7fELF\x00\x01", "a binary file, not text"),
        (
            "name,größe\na,1\n".encode("latin-1"),
            "line 1 is not valid UTF-8 .*save the file as UTF-8",
        ),
        (b"colour,shape\nred,round\n", "no column for training tokens .* and a loss .* and a size"),
        (b"params,loss\n1e8,3\n", r"no column for training tokens .*; found params, loss"),
    ],
)
def test_unusable_files_say_what_they_are(tmp_path, data, message):
    path = tmp_path / "runs.csv"
    path.write_bytes(data)
    with pytest.raises(Unusable, match=message) as raised:
        read_runs(path)
    assert "\n" not in str(raised.value) and "runs.csv" in str(raised.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[{"tokens": 1,}]', "not valid JSON at line 1"),
        ("[1, 2, 3]", "no runs found"),
        ('{"a": 1}', "no runs found"),
        ("[]", "no runs found"),
        ("[{}]", "no fields"),
        ("[" * 100_000, "not JSON that can be read"),
        ('[{"loss": 1' + "0" * 400 + ', "tokens": 1, "params": 1}]', "a number of 401 digits"),
        ('[{"loss": 1e400, "tokens": 1, "params": 1}]', "loss is inf"),
    ],
)
def test_unusable_json_says_what_is_wrong(tmp_path, text, message):
    with pytest.raises(Unusable, match=message):
        read_runs(write(tmp_path, text, "runs.json"))


def test_a_broken_line_of_json_lines_is_a_row_error(tmp_path):
    good = '{"params": 1e8, "tokens": 2e9, "loss": 3.1}'
    reading = load(write(tmp_path, f"{good}\n{{oops\n{good.replace('3.1', '3.2')}\n", "r.jsonl"))
    assert len(reading.runs) == 2 and reading.errors[0].startswith("row 2: not valid JSON")


def test_folders_and_absent_files_are_told_apart(tmp_path):
    with pytest.raises(Unusable, match="folder without MLflow runs"):
        read_runs(tmp_path)
    with pytest.raises(Unusable, match="there is no such file"):
        read_runs(tmp_path / "nothing.csv")


def test_a_mapping_to_an_absent_column_lists_the_columns(tmp_path):
    path = write(tmp_path, "\n".join([HEADER, *rows(3)]))
    with pytest.raises(
        Unusable, match=r"no column 'val' .given for loss.; there are name, n_layers"
    ):
        read_runs(path, {"loss": "val"})


# --- invariants


@given(st.lists(st.sampled_from(["good", "minus", "text", "short"]), min_size=1, max_size=30))
def test_every_row_is_either_read_or_named(tmp_path_factory, kinds):
    bad = {"minus": "x,6,512,1e8,-5,3.0", "text": "x,6,512,1e8,2e9,?", "short": "x,6"}
    body = [
        f"r{i},6,512,1e8,{2e9 + i:.0f},3.0" if k == "good" else bad[k].replace("x", f"r{i}")
        for i, k in enumerate(kinds)
    ]
    path = write(tmp_path_factory.mktemp("runs"), "\n".join([HEADER, *body]))
    if "good" not in kinds:
        with pytest.raises(Unusable, match=r"none of|no complete row"):
            read_runs(path)
        return
    reading = load(path)
    assert len(reading.runs) == kinds.count("good")
    assert len(reading.errors) == len(kinds) - kinds.count("good")
    assert reading.runs.names == tuple(f"r{i}" for i, k in enumerate(kinds) if k == "good")


@given(st.binary(max_size=300))
def test_no_bytes_do_anything_but_read_or_be_refused(tmp_path_factory, data):
    for name in ("x.csv", "x.json", "x.jsonl", "x.txt"):
        path = tmp_path_factory.getbasetemp() / name
        path.write_bytes(data)
        with contextlib.suppress(Unusable):
            preview(open_runs(path))


@given(
    st.lists(
        st.lists(st.text("0123456789.,;eE-+naNBk \t\"'{}[]:", max_size=8), max_size=6), max_size=8
    )
)
def test_no_text_does_anything_but_read_or_be_refused(tmp_path_factory, lines):
    path = tmp_path_factory.getbasetemp() / "text.csv"
    body = "\n".join(",".join(cells) for cells in lines)
    path.write_text(f"params,tokens,loss\n{body}", encoding="utf-8")
    with contextlib.suppress(Unusable):
        runs = read_runs(path)
        assert np.all(runs.columns["loss"] > 0) and np.all(runs.columns["tokens"] > 0)


def test_values_that_should_be_one_and_are_an_object_or_a_list_are_kept_as_text(tmp_path):
    nested = [{"n": 1e8, "tokens": 2e9, "loss": 3.1, "config": {"lr": {"value": {"a": [1, {}]}}}}]
    path = write(tmp_path, json.dumps(nested), "runs.json")
    assert load(path).runs.labels["config.lr.a"] == ("[1, {}]",)
    run = {
        "name": ["a"],
        "hyperparameters": {"tokens": 2e9, "params": 1e8},
        "results": [{"loss": 3.1}],
        "dataset_name": {"a": 1},
    }
    path = write(tmp_path, json.dumps(run), "run.json")
    assert load(path).runs.columns["dataset.a"] == [1]
