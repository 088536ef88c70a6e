import json

import numpy as np
import pytest

from core.__main__ import main
from core.errors import Unusable
from core.formats.runs.reading import read_runs
from core.formats.runs.suites import MORPH_SOURCE, SUITES, bundled_suites, landmarks, suite
from core.model.architecture import Architecture
from core.resources import resource

ROWS = {"morph": 76, "gemstones": 199, "overtraining": 104}


def test_the_bundled_suites_are_the_three_published_tables():
    assert bundled_suites() == ("morph", "gemstones", "overtraining")


@pytest.mark.parametrize("name", bundled_suites())
def test_a_suite_has_every_row_and_says_where_it_comes_from(name):
    runs = suite(name)
    assert len(runs) == ROWS[name] == len(set(runs.names)) or name == "gemstones"
    assert runs.suite == name and runs.licence == "MIT" and "/" in runs.source
    for column in ("tokens", "loss", "n_layers", "d_model", "params_total", "params_non_embedding"):
        assert np.all(np.isfinite(runs.columns[column]))
        assert np.all(runs.columns[column] > 0)
    assert np.all(runs.columns["params_non_embedding"] < runs.columns["params_total"])


def test_each_suite_says_what_its_loss_is():
    assert suite("morph").loss_meaning == "train average"
    assert suite("gemstones").loss_meaning == "validation"
    assert suite("overtraining").loss_meaning == "validation"


@pytest.mark.parametrize("name", bundled_suites())
def test_a_bundled_table_opened_as_a_file_is_the_suite(name, tmp_path):
    # under another name and in another folder: what it means travels in the file
    path = tmp_path / "copy.csv"
    path.write_bytes(resource(f"runs/{SUITES[name]}").read_bytes())
    copy, runs = read_runs(path), suite(name)
    assert copy.names == runs.names and copy.labels == runs.labels
    assert set(copy.columns) == set(runs.columns)
    for column, values in runs.columns.items():
        assert np.array_equal(values, copy.columns[column], equal_nan=True)
    for part in ("suite", "loss_meaning", "loss_unit", "source", "licence"):
        assert getattr(copy, part) == getattr(runs, part)


@pytest.mark.parametrize("name", bundled_suites())
def test_a_bundled_table_opened_as_a_file_gives_the_same_fit(name, capsys):
    def answer(runs):
        assert main(["fit", runs, "--law", "chinchilla", "--tied", "--json"]) == 0
        return json.loads(capsys.readouterr().out.splitlines()[-1])

    assert answer(name) == answer(str(resource(f"runs/{SUITES[name]}")))


def test_the_source_of_the_published_models_is_that_of_their_runs():
    assert suite("morph").source == MORPH_SOURCE


def test_a_bundled_table_is_not_counted_twice(capsys):
    words = ["fit", "morph", str(resource("runs/morph_runs.csv")), "--together"]
    assert main([*words, "--law", "chinchilla"]) != 0
    assert "given twice" in capsys.readouterr().err


def test_the_fit_set_of_the_paper_is_marked():
    marks = suite("morph").labels["published_fit_set"]
    assert marks.count("20N+160N") == 27


def test_both_losses_of_the_overtraining_table_are_kept():
    runs = suite("overtraining")
    i = runs.names.index("rpj-open_lm_7b-1.0")
    assert (
        runs.columns["loss"][i] == runs.columns["loss_c4"][i] == pytest.approx(2.4249930993686893)
    )
    assert runs.columns["loss_openlm"][i] == pytest.approx(1.9000686158736546)
    assert runs.columns["error_17_tasks"][i] == pytest.approx(0.471637)
    assert set(runs.labels["train_dataset"]) == {"c4_original", "rpj", "rw_original"}


def test_non_embedding_counts_of_open_lm_shapes_follow_from_the_shape():
    runs = suite("overtraining")
    i = runs.names.index("rpj-open_lm_1b-1.0")
    # the 24x2048 shape is in the morph table too, where the count is given
    morph = suite("morph")
    j = morph.names.index("1B_v1@20N")
    assert runs.columns["params_total"][i] == morph.columns["params_total"][j]
    assert runs.columns["params_non_embedding"][i] == morph.columns["params_non_embedding"][j]


@pytest.mark.parametrize(
    ("name", "groups", "ffn"),
    [("morph", (1, 1), (8 / 3, 3)), ("gemstones", (2, 3), (4, 4)), ("overtraining", (1, 1), (8 / 3, 3))],
)  # fmt: skip
def test_a_suite_states_the_shapes_whose_counts_it_reproduces(name, groups, ffn):
    columns = suite(name).columns
    for i in range(ROWS[name]):
        n_layers, d_model, n_heads, n_kv_heads, d_ff, vocab_size = (
            int(columns[k][i])
            for k in ("n_layers", "d_model", "n_heads", "n_kv_heads", "d_ff", "vocab_size")
        )
        shape = Architecture(
            n_layers, d_model, n_heads, n_kv_heads, d_model // n_heads, d_ff, vocab_size
        )
        assert shape.params_total == columns["params_total"][i]
        assert shape.params_non_embedding == columns["params_non_embedding"][i]
        assert columns["ffn_to_attention"][i] == shape.ffn_to_attention
    assert (columns["tied_embeddings"] == 0).all() and (columns["gated_ffn"] == 1).all()
    group, ratio = columns["n_heads"] / columns["n_kv_heads"], columns["d_ff"] / columns["d_model"]
    assert (group.min(), group.max()) == groups
    assert (ratio.min(), ratio.max()) == pytest.approx(ffn)


def test_an_unknown_suite_is_named_with_the_known_ones():
    with pytest.raises(Unusable, match=r"'moprh'.*morph, gemstones, overtraining"):
        suite("moprh")


def test_the_published_models_carry_their_latencies_and_the_runs_behind_them():
    marks = {mark.name: mark for mark in landmarks()}
    assert len(marks) == 8
    morph = marks["Morph-1B"]
    assert (morph.n_layers, morph.d_model, morph.latency_s) == (12, 3072, 1.96)
    assert morph.architecture is not None and morph.architecture.params_total == 1_668_885_504
    assert morph.loss == 2.9198 and morph.tokens == 28_991_029_248
    assert marks["Morph-1B-v2"].loss == 2.9090 and marks["Morph-1B-v1"].loss == 2.8960
    assert marks["OPT-1.3B"].architecture is None and marks["OPT-1.3B"].loss is None
    assert morph.workload.label == "batch 1, 128 in, 256 out" and "A100" in morph.device
