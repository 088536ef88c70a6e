"""Sweeps of a setting and checkpoints of one run are told from finished runs, and thinned as asked."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from core.__main__ import main
from core.fit.groups import groups_of
from core.fit.mixing import mixed
from core.fit.repeats import Keep, checkpoints_of, keep_rows, setting_of, sweep_of
from core.fit.solve import fit
from core.formats.runs.reading import load, read_runs
from core.formats.runs.suites import bundled_suites, suite
from core.records.training_runs import TrainingRuns

RUNS = Path(__file__).parents[2] / "fixtures" / "runs"
BEST, LAST = Keep(best_of_repeats=True), Keep(last_of_run=True)


def runs_of(names=None, labels=None, **columns):
    arrays = {k: np.array(v, dtype=np.float64) for k, v in columns.items()}
    count = len(arrays["loss"])
    names = names or tuple(f"row {i}" for i in range(1, count + 1))
    return TrainingRuns("made", tuple(names), arrays, labels or {})


def answer(capsys, *words):
    code = main([*words, "--json"])
    captured = capsys.readouterr()
    assert code == 0, captured.err
    return json.loads(captured.out.splitlines()[-1])


# --- sweeps ---------------------------------------------------------------------------------------


def test_a_sweep_of_learning_rates_is_not_fitted_as_finished_runs(capsys):
    got = answer(capsys, "fit", str(RUNS / "lr_sweep.csv"), "--law", "chinchilla", "--tied")
    assert got["theta"] == {} and not got["converged"]
    assert "3 learning rates (lr) for each N and D" in got["withheld"]
    assert got["withheld"] == got["message"] and got["withheld"] in got["reading"]["warnings"]
    words = ("compare", str(RUNS / "lr_sweep.csv"), "--law", "chinchilla", "--params", "total")
    rows = answer(capsys, *words)["laws"]
    assert all("3 learning rates" in row["message"] for row in rows)
    insisted = answer(
        capsys, "fit", str(RUNS / "lr_sweep.csv"), "--law", "chinchilla", "--tied", "--insist"
    )
    assert insisted["theta"] and "because you insisted" in insisted["warnings"][0]
    assert main(["doubt", str(RUNS / "lr_sweep.csv"), "--law", "chinchilla"]) != 0
    assert "3 learning rates" in capsys.readouterr().err


def test_the_best_of_each_size_and_tokens_is_kept_when_asked(capsys):
    words = ("fit", str(RUNS / "lr_sweep.csv"), "--law", "chinchilla", "--tied")
    # four runs of two sizes fix no law, which is another matter
    got = answer(capsys, *words, "--best-of-repeats", "--insist")
    assert got["n"] == 4 and got["theta"] and got["withheld"] is None
    assert got["reading"]["rows"] == 12 and len(got["reading"]["dropped"]) == 8
    assert got["reading"]["dropped"][0] == (
        "row 1 (line 2): loss 3.6 (lr 0.0001); the best at this size and these tokens is 3.4"
        " (lr 0.001)"
    )
    assert got["reading"]["warnings"] == []
    kept = load(RUNS / "lr_sweep.csv", keep=BEST).runs
    assert kept.columns["loss"].tolist() == [3.4, 3.1, 3.2, 2.9]
    assert set(kept.columns["lr"]) == {1e-3}
    # one learning rate chosen by hand is no sweep either
    by_hand = answer(capsys, *words, "--where", "lr=1e-3", "--insist")
    assert by_hand["theta"] == got["theta"]


@pytest.mark.parametrize("name", bundled_suites())
def test_a_bundled_suite_is_neither_a_sweep_nor_checkpoints(name):
    runs = suite(name)
    assert sweep_of(runs) is None and checkpoints_of(runs, "name") is None
    assert keep_rows(runs, BEST).rows.all()


def test_seeds_are_repeats_and_stay():
    runs = runs_of(
        params_total=[1e8] * 4, tokens=[2e9] * 4, loss=[3.0, 3.1, 3.2, 3.3], seed=[1, 2, 3, 4]
    )
    assert sweep_of(runs) is None
    # rows that differ in nothing that is known stay too
    assert sweep_of(runs_of(params_total=[1e8] * 2, tokens=[2e9] * 2, loss=[3.0, 3.1])) is None


def test_the_best_setting_keeps_all_of_its_seeds():
    runs = runs_of(
        params_total=[1e8] * 4,
        tokens=[2e9] * 4,
        lr=[1e-3, 1e-3, 1e-2, 1e-2],
        seed=[1, 2, 1, 2],
        loss=[3.0, 3.1, 2.9, 3.6],  # the lowest loss of all is of the worse setting
    )
    found = sweep_of(runs)
    assert found is not None and found.refused and "2 learning rates (lr)" in found.text
    assert keep_rows(runs, BEST).rows.tolist() == [True, True, False, False]


def test_repeats_without_a_known_setting_are_thinned_when_asked():
    runs = runs_of(params_total=[1e8, 1e8, 2e8], tokens=[2e9, 2.004e9, 2e9], loss=[3.1, 3.0, 2.9])
    assert keep_rows(runs, BEST).rows.tolist() == [False, True, True]


def test_another_shape_training_set_or_budget_is_no_repeat():
    columns = {"tokens": [2e9] * 2, "lr": [1e-3, 2e-3], "loss": [3.0, 3.1]}
    shapes = runs_of(params_total=[1e8] * 2, n_layers=[8, 12], d_model=[768, 512], **columns)
    sets = runs_of(params_total=[1e8] * 2, labels={"train_dataset": ("c4", "rpj")}, **columns)
    budgets = runs_of(params_total=[1e8] * 2, **(columns | {"tokens": [2e9, 2.1e9]}))
    for runs in (shapes, sets, budgets):
        assert sweep_of(runs) is None and keep_rows(runs, BEST).rows.all()


def test_a_run_or_two_done_again_are_told_and_fitted():
    count = 40
    n = np.geomspace(1e8, 1e9, count)
    d, lr = 20 * n[::-1], np.full(count, 1e-3)
    n[1], d[1], lr[1] = n[0], d[0], 2e-3
    loss = 1.7 + 400 / n**0.34 + 410 / d**0.28
    found = sweep_of(runs := runs_of(params_total=n, tokens=d, lr=lr, loss=loss))
    assert found is not None and not found.refused
    assert "2 learning rates (lr) for 1 of 39 pairs of N and D" in found.text
    assert fit(runs, "chinchilla", tied=True, method="huber").theta


@pytest.mark.parametrize(
    ("column", "title"),
    [
        ("lr", "learning rates"),
        ("config.learning_rate", "learning rates"),
        ("peakLearningRate", "learning rates"),
        ("global_batch_size", "batch sizes"),
        ("weight_decay", "weight decays"),
        ("optimizer", "optimizers"),
        ("seconds_per_batch", ""),
        ("batch_time", ""),
        ("seed", ""),
        ("tokens", ""),
        ("color", ""),
    ],
)
def test_settings_are_known_by_their_names(column, title):
    assert setting_of(column) == title


def test_a_setting_in_words_counts_too():
    runs = runs_of(
        params_total=[1e8] * 2,
        tokens=[2e9] * 2,
        loss=[3.0, 3.1],
        labels={"optimizer": ("adam", "muon")},
    )
    found = sweep_of(runs)
    assert found is not None and "2 optimizers (optimizer)" in found.text
    assert list(keep_rows(runs, BEST).why) == [1]


# --- checkpoints ----------------------------------------------------------------------------------


def test_checkpoints_are_told_and_resampled_by_run(capsys):
    words = ("bootstrap", str(RUNS / "trajectory.csv"), "--law", "chinchilla", "--tied")
    got = answer(capsys, *words, "--method", "huber", "--resamples", "10")
    assert got["n"] == 12
    (warning,) = got["reading"]["warnings"]
    assert warning.startswith("12 rows look like checkpoints of 3 runs ('step' grows")
    runs = read_runs(RUNS / "trajectory.csv")
    for unit in ("shape", "run"):
        assert groups_of(runs, unit).tolist() == [0] * 4 + [1] * 4 + [2] * 4


def test_the_last_row_of_each_run_is_kept_when_asked(capsys):
    reading = load(RUNS / "trajectory.csv", keep=LAST)
    assert reading.runs.names == ("a", "b", "c")
    assert reading.runs.columns["loss"].tolist() == [3.8, 3.4, 3.1]
    assert len(reading.report.dropped) == 9 and reading.report.warnings == ()
    assert (
        reading.report.dropped[0] == "row 1 (line 2): an earlier checkpoint of a, at 1e+08 tokens"
    )
    words = ("fit", str(RUNS / "trajectory.csv"), "--law", "chinchilla", "--last-of-run")
    assert answer(capsys, *words)["n"] == 3


def test_runs_without_names_are_told_by_shape_and_step(tmp_path):
    lines = (RUNS / "trajectory.csv").read_text().splitlines()
    path = tmp_path / "nameless.csv"
    path.write_text("\n".join(line.partition(",")[2] for line in lines))
    runs = read_runs(path)
    assert groups_of(runs, "run").tolist() == [0] * 4 + [1] * 4 + [2] * 4
    assert load(path, keep=LAST).runs.columns["loss"].tolist() == [3.8, 3.4, 3.1]


def test_a_models_name_on_many_finished_runs_is_no_sign_of_checkpoints(tmp_path):
    # gemstones has one name on eleven runs, each with its learning rate cooled down
    columns = {"params_total": [1e8] * 3, "tokens": [1e9, 2e9, 4e9], "loss": [3.3, 3.1, 3.0]}
    runs = runs_of(names=("m",) * 3, **columns)
    assert checkpoints_of(runs, "model") is None
    found = checkpoints_of(runs, "run id")
    assert found is not None and (found.rows, found.runs) == (3, 1)
    other = runs_of(names=("m",) * 3, **(columns | {"params_total": [1e8, 2e8, 3e8]}))
    assert checkpoints_of(other, "run id") is None


def test_checkpoints_of_a_sweep_are_runs_of_their_own():
    runs = runs_of(
        names=("m",) * 4,
        params_total=[1e8] * 4,
        step=[1, 2, 1, 2],
        lr=[1e-3, 1e-3, 1e-2, 1e-2],
        tokens=[1e9, 2e9, 1e9, 2e9],
        loss=[3.3, 3.1, 3.6, 3.5],
    )
    assert keep_rows(runs, LAST).rows.tolist() == [False, True, False, True]
    both = keep_rows(runs, Keep(best_of_repeats=True, last_of_run=True))
    assert both.rows.tolist() == [False, True, False, False]


def test_a_learning_rate_logged_at_each_checkpoint_does_not_part_a_run():
    runs = runs_of(
        names=("a", "a", "b", "b"),
        params_total=[1e8, 1e8, 2e8, 2e8],
        step=[1, 2, 1, 2],
        lr=[1e-3, 1e-4, 1e-3, 1e-4],
        tokens=[1e9, 2e9, 1e9, 2e9],
        loss=[3.3, 3.1, 3.2, 3.0],
    )
    assert sweep_of(runs) is None
    assert keep_rows(runs, LAST).rows.tolist() == [False, True, False, True]


def test_a_dense_log_with_its_learning_rate_is_no_sweep():
    steps = np.arange(1, 601, dtype=np.float64)
    runs = runs_of(
        names=("a",) * 600,
        params_total=np.full(600, 1e8),
        step=steps,
        lr=1e-3 * (1 - steps / 601),
        tokens=1e7 * steps,
        loss=2 + 100 / np.sqrt(steps + 1000),
    )
    assert sweep_of(runs) is None
    assert keep_rows(runs, BEST).rows.all() and keep_rows(runs, LAST).rows.sum() == 1


def test_rows_of_two_tables_without_names_are_no_checkpoints_of_each_other():
    first = runs_of(params_total=[1e8, 2e8], tokens=[2e9, 4e9], loss=[3.0, 2.9])
    both = mixed([first, replace(first, suite="other")])
    assert len(set(groups_of(both, "run").tolist())) == 4


def test_what_is_asked_and_changes_nothing_is_told():
    reading = load(RUNS / "one_size.csv", keep=Keep(best_of_repeats=True, last_of_run=True))
    assert len(reading.runs) == 7
    assert [w.partition(": keeping")[0] for w in reading.report.warnings] == [
        "no two rows are of one run",
        "no two rows have one shape and number of tokens",
    ]


def test_it_holds_for_each_of_several_tables_and_for_a_bundled_one(capsys):
    paths = [str(RUNS / f"{name}.csv") for name in ("trajectory", "one_size")]
    words = ("--together", "--law", "chinchilla", "--tied", "--last-of-run")
    got = answer(capsys, "fit", *paths, *words)
    assert got["n"] == 10 and got["reading"]["rows"] == 19
    gemstones = answer(capsys, "fit", "gemstones", "--law", "chinchilla", "--last-of-run")
    assert gemstones["n"] == 20 and len(gemstones["reading"]["dropped"]) == 179
