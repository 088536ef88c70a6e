"""Repeats beside the law's error: a wrong law is called wrong, a right one is not."""

from dataclasses import replace

import numpy as np
import pytest

from core.fit.compare import comparison
from core.fit.fit import predicted
from core.fit.lack_of_fit import lack_of_fit
from core.fit.repeats import conditions_of
from core.fit.solve import fit
from core.fit.validate import trust, validate
from core.formats.runs.suites import suite
from core.records.progress import outcome


def test_the_test_is_the_textbook_one():
    """A straight line through replicated points, every sum by hand."""
    x = np.repeat([1.0, 2.0, 3.0, 4.0], 2)
    y = np.array([1.0, 1.2, 2.1, 1.9, 3.5, 3.7, 3.9, 4.1])
    line = np.polynomial.Polynomial.fit(x, y, 1)(x)
    found = lack_of_fit(y - line, np.repeat(np.arange(4), 2), 2)
    pure = 4 * 2 * 0.1**2
    whole = ((y - line) ** 2).sum()
    assert found.f == pytest.approx(((whole - pure) / 2) / (pure / 4))
    assert found.pure_error == pytest.approx(np.sqrt(pure / 4))
    assert found.law_error == pytest.approx(np.sqrt(whole / 6))
    assert found.repeats == 8
    from scipy.stats import f

    assert found.p == pytest.approx(f.sf(found.f, 2, 4))


def test_without_repeats_there_is_no_test():
    assert lack_of_fit(np.ones(5), np.arange(5), 2) is None
    assert lack_of_fit(np.arange(6.0), np.repeat([0, 1], 3), 2) is None
    found = validate(fit(suite("morph"), "chinchilla", tied=True), suite("morph"))
    assert found.lack_of_fit is None


def repeated(law, noise, seed=0):
    """The shapes of a suite, each trained twice, with losses by this law and normal scatter."""
    morph = suite("morph")
    truth = predicted(fit(morph, law, method="huber"), morph)
    twice = morph.take(np.repeat(np.arange(len(morph)), 2))
    scatter = np.exp(np.random.default_rng(seed).normal(0, noise, len(twice)))
    losses = np.repeat(truth, 2) * scatter
    names = tuple(f"run{i}" for i in range(len(twice)))
    return replace(twice, names=names, columns={**twice.columns, "loss": losses})


def test_a_wrong_law_is_told_from_scattered_data():
    runs = repeated("u-shaped", 0.001)
    wrong = validate(fit(runs, "chinchilla", method="huber"), runs)
    assert wrong.lack_of_fit.wrong and wrong.lack_of_fit.repeats == 152
    assert wrong.lack_of_fit.pure_error == pytest.approx(0.001, rel=0.2)
    assert "the law is wrong, not the data" in trust(wrong)[0]
    right = validate(fit(runs, "u-shaped", method="huber"), runs)
    assert not right.lack_of_fit.wrong and right.lack_of_fit.p > 0.01
    assert "the law is wrong" not in trust(right)[0]
    rows = {
        r["law"]: r for r in outcome(comparison(runs, "huber", ("u-shaped",), ("total",))).rows()
    }
    lack = rows["u-shaped"]["lack_of_fit"]
    assert set(lack) == {"repeats", "pure_error", "law_error", "F", "p"} and lack["repeats"] == 152


def test_runs_of_other_settings_are_no_repeats():
    runs = repeated("chinchilla", 0.01)
    rates = np.tile([1e-3, 2e-3], len(runs) // 2)
    assert np.bincount(conditions_of(runs)).max() == 2
    swept = replace(runs, columns={**runs.columns, "learning_rate": rates})
    assert np.bincount(conditions_of(swept)).max() == 1
    seeds = replace(runs, columns={**runs.columns, "seed": np.tile([1.0, 2.0], len(runs) // 2)})
    assert np.bincount(conditions_of(seeds)).max() == 2
