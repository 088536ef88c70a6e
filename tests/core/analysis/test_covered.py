"""The hypervolume of a front as a share of its box: known areas, limits, directions and scales."""

import moocore
import numpy as np
import pytest

from core.analysis.covered import covered
from core.analysis.frame import make_frame
from core.pareto.limits import Limit
from core.project.choices import Choices


class Columns:
    """Columns by metric, as much of a table as a frame needs."""

    like_runs = None

    def __init__(self, **columns):
        self.columns = {k: np.asarray(v, dtype=float) for k, v in columns.items()}

    def column(self, key, statistic="p50"):
        return self.columns[key]

    def find(self, _):
        return None

    def __len__(self):
        return len(next(iter(self.columns.values())))


def frame_of(table, x, y, limits=()):
    return make_frame(table, Choices(x=x, y=y, limits=limits))


def test_the_share_is_the_dominated_part_of_the_box():
    # decades of time against loss: corners (1, 3), (10, 2) and the worst point (100, 4)
    table = Columns(tpot_s=[1.0, 10.0, 100.0], loss=[3.0, 2.0, 4.0])
    found = covered(table, frame_of(table, "tpot_s", "loss"))
    # box 2 decades x 2 nats; (1, 3) covers 2 x 1, (10, 2) adds 1 x 1
    assert found.share == pytest.approx(3 / 4)
    assert (found.x.best, found.x.reference, found.x.limited) == (1.0, 100.0, False)
    assert found.value == pytest.approx(99 * 1 + 90 * 1)
    assert "75 %" in found.text and "worst" in found.text and "limit" not in found.text
    assert "logarithmic" in found.explanation and "linear" in found.explanation


def test_the_limit_of_an_axis_is_its_reference():
    table = Columns(tpot_s=[1.0, 10.0, 100.0], loss=[3.0, 2.0, 1.0])
    limit = Limit("tpot_s", "<=", 100.0 / np.sqrt(10.0))
    found = covered(table, frame_of(table, "tpot_s", "loss", (limit,)))
    assert found.x.limited and found.x.reference == limit.value and not found.y.limited
    # (1, 3) is at the worst loss and adds nothing; (10, 2) covers a third of the width, all of the height
    assert found.share == pytest.approx(1 / 3)
    # a bound on the wrong side, on another statistic or another metric is no reference
    others = (Limit("tpot_s", ">=", 0.5), Limit("loss", "<=", 9.0, "high"))
    found = covered(table, frame_of(table, "tpot_s", "loss", others))
    assert not found.x.limited and not found.y.limited


def test_more_is_better_turns_the_axis():
    table = Columns(tpot_s=[1.0, 10.0, 100.0], accuracy=[0.2, 0.6, 0.1])
    found = covered(table, frame_of(table, "tpot_s", "accuracy"))
    assert (found.y.best, found.y.reference) == (0.6, 0.1)
    assert found.share == pytest.approx((2 * 0.1 + 1 * 0.4) / (2 * 0.5))
    assert found.value == pytest.approx(99 * 0.1 + 90 * 0.4)


def test_one_candidate_that_is_best_in_both_covers_all_and_a_single_one_has_no_box():
    table = Columns(tpot_s=[1.0, 10.0], loss=[2.0, 3.0])
    assert covered(table, frame_of(table, "tpot_s", "loss")).share == pytest.approx(1.0)
    alone = Columns(tpot_s=[1.0], loss=[2.0])
    assert covered(alone, frame_of(alone, "tpot_s", "loss")) is None
    unknown = Columns(tpot_s=[np.nan], loss=[2.0])
    assert covered(unknown, frame_of(unknown, "tpot_s", "loss")) is None
    # layers describe a candidate; no number of them is better
    shaped = Columns(n_layers=[4.0, 8.0, 9.0], loss=[2.0, 1.0, 3.0])
    assert covered(shaped, frame_of(shaped, "n_layers", "loss")) is None


def test_rows_that_lack_a_value_or_break_a_limit_do_not_stretch_the_box():
    table = Columns(
        tpot_s=[1.0, 10.0, 100.0, 1e6, 1e-6],
        loss=[3.0, 2.0, 4.0, np.nan, 1.0],
        memory_bytes=[1, 1, 1, 1, 9],
    )
    limit = Limit("memory_bytes", "<=", 2.0)
    found = covered(table, frame_of(table, "tpot_s", "loss", (limit,)))
    assert found.share == pytest.approx(3 / 4)
    assert found.to_json()["x"] == {
        "metric": "tpot_s",
        "best": 1.0,
        "reference": 100.0,
        "reference_is": "worst",
        "scale": "log",
    }


def test_it_agrees_with_moocore_on_a_cloud():
    random = np.random.default_rng(3)
    table = Columns(tpot_s=10 ** random.uniform(-3, 0, 500), loss=random.uniform(2, 4, 500))
    found = covered(table, frame_of(table, "tpot_s", "loss"))
    unit = [
        (v - v.min()) / np.ptp(v) for v in (np.log(table.column("tpot_s")), table.column("loss"))
    ]
    expected = moocore.hypervolume(np.column_stack(unit), ref=np.ones(2))
    assert found.share == pytest.approx(expected, rel=1e-12)
