"""What a table says of itself above its header."""

import pytest

from core.formats.runs.reading import load, open_runs, preview

ROWS = "params,tokens,first,val_ppl\n1e8,2e9,3.5,30\n2e8,4e9,3.2,24\n3e8,9e9,3.0,20\n"


def written(folder, *lines):
    path = folder / "mine.csv"
    path.write_text("".join(f"{line}\n" for line in lines) + ROWS)
    return path


def test_a_table_says_what_its_loss_is_and_where_it_comes_from(tmp_path):
    reading = load(
        written(
            tmp_path,
            "# Suite: ours",
            "# loss column: first",
            "#loss meaning: train average",
            "# loss unit: bits/byte",
            "# source: a paper: its second table",
            "# license: CC-BY-4.0",
            "# and a word on how it was made",
        )
    )
    runs = reading.runs
    assert runs.columns["loss"].tolist() == runs.columns["first"].tolist() == [3.5, 3.2, 3.0]
    assert (runs.suite, runs.loss_meaning, runs.loss_unit) == ("ours", "train average", "bits/byte")
    assert (runs.source, runs.licence) == ("a paper: its second table", "CC-BY-4.0")
    # what the file names is not guessed
    assert set(reading.report.guessed) == {"params_total"}


def test_without_such_lines_the_file_is_the_source(tmp_path):
    runs = load(written(tmp_path, "# made by me")).runs
    assert (runs.suite, runs.source, runs.licence) == ("mine", "mine.csv", "")
    assert runs.loss_meaning == "validation"


def test_another_loss_chosen_by_hand_takes_its_own_meaning(tmp_path):
    path = written(tmp_path, "# loss column: first", "# loss meaning: train average")
    assert load(path).runs.loss_meaning == "train average"
    assert load(path, {"loss": "val_ppl"}).runs.loss_meaning == "validation"


def test_a_perplexity_that_is_named_is_still_turned_into_a_loss(tmp_path):
    runs = load(written(tmp_path, "# loss column: val_ppl")).runs
    assert runs.columns["loss"][0] == pytest.approx(3.4012, abs=1e-4)
    assert "val_ppl" not in runs.columns


@pytest.mark.parametrize(
    "line", ["# loss meaning: guesswork", "# loss unit: dB", "# loss column: final"]
)
def test_a_line_that_cannot_be_used_is_told(tmp_path, line):
    reading = load(written(tmp_path, line))
    assert reading.runs.loss_unit == "nats/token"
    assert reading.report.warnings[0].startswith(
        f"the line '{line}' is not used; it must be one of"
    )
    assert preview(open_runs(written(tmp_path, line))).warnings == reading.warnings


def test_commas_that_a_spreadsheet_put_behind_a_line_are_no_part_of_it(tmp_path):
    assert load(written(tmp_path, "# loss unit: bits/token,,,")).runs.loss_unit == "bits/token"


def test_shapes_that_are_not_those_of_open_lm_get_no_columns(tmp_path):
    reading = load(written(tmp_path, "# shapes: open_lm"))
    assert reading.report.derived == () and "d_ff" not in reading.runs.columns


def test_a_shape_too_large_for_a_number_gets_no_columns(tmp_path):
    path = tmp_path / "runs.csv"
    head = "# shapes: open_lm\nn_layers,d_model,params_total,tokens,loss\n"
    path.write_text(head + "2,1e308,1e9,2e9,3.1\n4,1e307,1e9,4e9,2.9\n")
    assert "d_ff" not in load(path).runs.columns
