import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import Unusable
from core.fit.solve import fit as fit_loss
from core.formats.runs.suites import suite
from core.laws.downstream import (
    ERROR_LAWS,
    fit_error_law,
    fit_sigmoid,
    sigmoid_accuracy,
)

# RedPajama runs as printed: N, M = D/N, loss on C4, mean error over 17 tasks
PRINTED = np.array(
    [
        (10569312, 20, 5.387, 0.8135),
        (78914048, 20, 3.8999, 0.725),
        (153677376, 20, 3.5311, 0.671),
        (411616256, 20, 3.1498, 0.6366),
        (10569312, 320, 4.5723, 0.7671),
        (1439795200, 20, 2.7688, 0.5473),
    ]
)
# the two held-out runs: N, M, loss and error observed, then predicted, then relative errors in %
HELD_OUT = [
    (1439795200, 640, 2.5021, 0.4752, 2.5198, 0.4925, 0.7103, 3.6365),
    (6889410560, 20, 2.4250, 0.4716, 2.4427, 0.4719, 0.7320, 0.0464),
]


def test_the_six_point_fit_of_gadre_is_recovered():
    error = fit_error_law(PRINTED[:, 2], PRINTED[:, 3])
    assert error.k == pytest.approx(2.20653, abs=5e-6)
    assert error.gamma == pytest.approx(0.714575, abs=5e-7)
    assert error.eps == pytest.approx(0.857000, abs=5e-7)


def full_precision_runs():
    """The same six runs, and the two held out, from the bundled table at every digit."""
    runs = suite("overtraining")
    rpj = np.array([d == "rpj" for d in runs.labels["train_dataset"]])
    runs = runs.take(rpj)
    n, d = runs.columns["params_total"], runs.columns["tokens"]

    def at(size, ratio):
        (found,) = np.flatnonzero((n == size) & (np.abs(d / n / ratio - 1) < 0.01))
        return found

    fit = [at(int(size), ratio) for size, ratio in PRINTED[:, :2]]
    return runs, np.array(fit), [at(row[0], row[1]) for row in HELD_OUT]


def test_the_bundled_table_gives_the_published_predictions():
    runs, fit, held = full_precision_runs()
    n, d, loss = (runs.columns[k] for k in ("params_total", "tokens", "loss"))
    error17 = runs.columns["error_17_tasks"]
    over = fit_loss(runs.take(fit[:5]), "over-training")
    errors = fit_error_law(loss[fit], error17[fit])
    for i, row in zip(held, HELD_OUT, strict=True):
        predicted = float(over.predict({"params_total": n[[i]], "tokens": d[[i]]})[0])
        scored = errors.error(predicted)
        assert predicted == pytest.approx(row[4], abs=5e-5)
        assert scored == pytest.approx(row[5], abs=5e-5)
        assert 100 * abs(predicted / loss[i] - 1) == pytest.approx(row[6], abs=5e-5)
        assert 100 * abs(scored / error17[i] - 1) == pytest.approx(row[7], abs=5e-5)


# k, gamma, eps on 46 and on 17 tasks, as published
PUBLISHED = {
    "C4": (1.2885, 0.9722, 0.7589, 2.0789, 0.7561, 0.8497),
    "RedPajama": (1.3229, 0.8907, 0.7608, 2.2065, 0.7146, 0.8570),
    "RefinedWeb": (1.1281, 0.8215, 0.7677, 2.2148, 0.7070, 0.8653),
}


@pytest.mark.parametrize("data", PUBLISHED)
def test_every_published_constant_is_recovered_from_the_bundled_table(data):
    column = {"C4": "c4_original", "RedPajama": "rpj", "RefinedWeb": "rw_original"}[data]
    runs = suite("overtraining")
    runs = runs.take(np.array([d == column for d in runs.labels["train_dataset"]]))
    n, d, loss = (runs.columns[k] for k in ("params_total", "tokens", "loss"))
    ratio = np.round(d / n)
    rows = [int(np.flatnonzero((n == int(size)) & (ratio == m))[0]) for size, m in PRINTED[:, :2]]
    found, kept = [], []
    for tasks in ("46 tasks", "17 tasks"):
        law = fit_error_law(loss[rows], runs.columns[f"error_{tasks[:2]}_tasks"][rows])
        found += [law.k, law.gamma, law.eps]
        table = next(c for c in ERROR_LAWS if (c.data, c.tasks) == (data, tasks))
        kept += [table.k, table.gamma, table.eps]
    # the published fits stop up to 1e-4 short of the optimum in k
    np.testing.assert_allclose(found, PUBLISHED[data], rtol=0, atol=1.1e-4)
    np.testing.assert_allclose(found, kept, rtol=1e-6)


@settings(max_examples=25, deadline=None)
@given(st.floats(0.5, 3), st.floats(0.3, 1.5), st.floats(0.6, 0.9))
def test_an_error_law_is_recovered(k, gamma, eps):
    loss = np.linspace(2.2, 5.5, 9)
    law = fit_error_law(loss, eps - k * np.exp(-gamma * loss))
    assert law.eps == pytest.approx(eps, rel=1e-4)
    assert law.gamma == pytest.approx(gamma, rel=1e-3)
    np.testing.assert_allclose(law.error(loss), eps - k * np.exp(-gamma * loss), rtol=1e-6)


def test_an_error_that_rises_as_loss_falls_is_refused():
    loss = np.linspace(2, 5, 8)
    with pytest.raises(Unusable, match="does not fall"):
        fit_error_law(loss, 0.9 - 0.1 * loss)


# --- OLMo ladder

# a, x0, k, b as published (four decimals)
MMLU = {"a": -0.7421, "x0": 0.6160, "k": 4.8334, "b": 1.0}
HELLASWAG = {"a": -0.7301, "x0": 0.7667, "k": 12.7417, "b": 0.9921}


def test_the_ladder_gives_the_7b_model_its_published_accuracies():
    assert sigmoid_accuracy(0.7869, **MMLU) == pytest.approx(0.4838, abs=2e-4)
    assert sigmoid_accuracy(0.6713, **HELLASWAG) == pytest.approx(0.8252, abs=3e-4)


def test_a_sigmoid_is_recovered_from_its_own_points():
    bpb = np.linspace(0.5, 1.4, 40)
    truth = {"a": -0.73, "x0": 0.77, "k": 12.7, "b": 0.99}
    fitted = fit_sigmoid(bpb, sigmoid_accuracy(bpb, **truth))
    for name, value in truth.items():
        assert fitted[name] == pytest.approx(value, rel=0.05), name


def test_percentages_are_refused():
    with pytest.raises(Unusable, match="between 0 and 1"):
        fit_sigmoid(np.linspace(0.5, 1, 8), np.linspace(80, 30, 8))


@given(st.floats(-50, 50))
def test_accuracy_stays_between_guessing_and_best(bpb):
    value = sigmoid_accuracy(bpb, **HELLASWAG)
    low, high = HELLASWAG["a"] + HELLASWAG["b"], HELLASWAG["b"]
    assert low - 1e-12 <= value <= high + 1e-12
