"""What counts as one size, and that only tables with shapes are said to rank any."""

from dataclasses import replace

import numpy as np
import pytest

from core.fit.groups import contests, levels_of, sizes_of
from core.fit.one_size import ALWAYS_ONE, size_factor
from core.fit.solve import fit
from core.fit.validate import judge_largest, trust, validate
from core.formats.runs.suites import suite
from core.paper.published import published
from core.records.training_runs import TrainingRuns


def test_a_chain_of_close_sizes_is_not_one_size():
    sizes = np.geomspace(425e6, 2.98e9, 40)
    classes = sizes_of(sizes)
    widths = [np.ptp(np.log(sizes[classes == k])) for k in np.unique(classes)]
    assert classes.max() >= 9 and max(widths) <= np.log(1.22) + 1e-9
    # smallest first, and every size in one class
    assert (np.diff(classes) >= 0).all() and set(np.diff(classes)) == {0, 1}


def test_close_values_stay_together_and_order_does_not_matter():
    values = np.array([123.0, 100, 125, 121])
    assert levels_of(values, 1.22).tolist() == [1, 0, 1, 1]
    assert levels_of(np.array([100.0, 122.0]), 1.22).tolist() == [0, 0]
    assert levels_of(np.zeros(0), 1.22).size == 0


def test_one_size_is_what_the_laws_error_cannot_tell_apart():
    runs = suite("morph")
    shape, plain = (fit(runs, law, tied=True) for law in ("inference-aware", "chinchilla"))
    good, bad = size_factor(shape, runs), size_factor(plain, runs)
    assert ALWAYS_ONE < good < bad < 1.22
    # a step of that factor, shape and tokens kept, moves the prediction by about the law's error
    grown = dict(runs.columns)
    for name, share in (("params_total", 1.0), ("d_model", 1 / 3), ("n_layers", 1 / 3)):
        grown[name] = grown[name] * good**share
    move = np.log(shape.predict(runs.columns) / shape.predict(grown))
    assert np.median(move) == pytest.approx(shape.scatter, rel=0.05)
    assert size_factor(replace(plain, scatter=1e-6), runs) == pytest.approx(ALWAYS_ONE)
    assert size_factor(replace(plain, scatter=1.0), runs) == pytest.approx(1.22)
    assert size_factor(published("hoffmann"), runs) == pytest.approx(1.22)


def without_shapes(runs):
    columns = {k: v for k, v in runs.columns.items() if k not in ("d_model", "n_layers")}
    return replace(runs, columns=columns)


def test_a_table_without_shapes_is_not_said_to_rank_any():
    """Many sizes and budgets, no widths and depths: the trend with size is no rank of shapes."""
    rng = np.random.default_rng(0)
    size = np.repeat(np.geomspace(4e7, 1e10, 40), 3)
    columns = {"params_total": size, "tokens": size * np.tile([5.0, 20.0, 80.0], 40)}
    loss = published("hoffmann").predict(columns) * np.exp(rng.normal(0, 0.003, size.size))
    runs = TrainingRuns("made", tuple(map(str, range(120))), columns | {"loss": loss})
    assert contests(runs, size) == []
    judged = validate(fit(runs, "chinchilla"), runs)
    assert not {"pairs", "pairs_right", "rank", "largest_rank"} & set(judged.heldout)
    sentence, _ = trust(judged)
    assert "ranks" not in sentence and "sizes it has not seen" in sentence
    assert judge_largest(judged, runs)["rank_correlation"] is None


def test_only_runs_whose_shape_is_known_are_ranked():
    morph = suite("morph")
    size = morph.columns["params_total"]
    assert contests(without_shapes(morph), size) == []
    hidden = dict(morph.columns)
    hidden["d_model"] = np.where(size > 3e8, np.nan, hidden["d_model"])
    left = contests(replace(morph, columns=hidden), size)
    assert left and all(size[here].max() < 3e8 for here in left)


def test_shapes_are_ranked_among_sizes_the_law_cannot_tell_apart():
    morph = suite("morph")
    found = fit(morph, "inference-aware", tied=True)
    judged = validate(found, morph)
    sets = contests(morph, morph.columns["params_total"], size_factor(found, morph))
    pairs = sum(here.size * (here.size - 1) // 2 for here in sets)
    # one pair of equal losses has no right order
    assert 0 <= pairs - judged.heldout["pairs"] <= 2 and pairs < 120
    assert "ranks shapes of equal size" in trust(judged)[0]
