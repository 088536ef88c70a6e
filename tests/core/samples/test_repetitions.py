"""Repetitions of one point: pooled so that the interval is the one between them."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.fit.latency import fit_latency
from core.model.architecture import Architecture
from core.model.workload import Runtime, Workload
from core.records.measurement import Device, Measurement, Timing
from core.samples.repetitions import MOST, repetitions_made, together
from core.samples.statistics import estimate

CPU = Device("cpu", "test processor", 2**34)
SHAPE = Architecture(4, 256, 4, 4, 64, 704, 4096)
WORK = Workload(1, 16, 5)


def repetition(level, flags=(), blocks=6, day=1, torch="2", **timing):
    """One whose blocks agree to a thousandth, four tokens a request and two requests a block."""
    rng = np.random.default_rng(round(level * 1e6) + day)
    tpot = tuple(tuple(level * (1 + 1e-3 * rng.standard_normal(8))) for _ in range(blocks))
    return Measurement(
        SHAPE,
        WORK,
        Runtime(),
        CPU,
        {"tpot": tpot, "ttft": tuple((3 * level,) for _ in range(blocks))},
        flags=flags,
        memory_bytes={"process": int(level * 1e9)},
        timing=Timing(**timing),
        environment={"torch": torch},
        started_at=f"2026-01-0{day}T00:00:00",
        id=day,
    )


def test_one_visit_is_itself():
    m = repetition(0.01)
    assert together([m]) == (m,) and together([m])[0] is m


@pytest.mark.parametrize("library", ["transformers", "onnxruntime", "a-new-one"])
def test_versions_of_a_backends_library_are_not_combined(library):
    old, new = (
        replace(
            repetition(0.01 * day, day=day),
            environment={"torch": "2", "software": {library: str(day)}},
        )
        for day in (1, 2)
    )
    assert together([old, new]) == (new,)
    again = replace(new, started_at="2026-01-03T00:00:00", id=3)
    assert together([old, new, again])[0].timing.repetitions == 2


@pytest.mark.parametrize("library", ["transformers", "onnxruntime"])
def test_versions_in_records_of_before_count_alike(library):
    """They lay beside torch, not under 'software'."""
    first, second, other = (
        replace(repetition(0.01 * day, day=day), environment=environment)
        for day, environment in (
            (1, {"torch": "2", library: "5"}),
            (2, {"torch": "2", "software": {library: "5"}}),
            (3, {"torch": "2", library: "6"}),
        )
    )
    assert together([first, second])[0].timing.repetitions == 2
    assert together([first, other]) == (other,)


def test_three_visits_have_the_interval_between_them():
    levels = (0.010, 0.012, 0.014)
    rows = [repetition(v, day=i + 1) for i, v in enumerate(levels)]
    (one,) = together(rows)
    found = estimate(one, "tpot")
    assert found.value == pytest.approx(0.012, rel=2e-3)
    # Student's t with two degrees of freedom on a standard deviation of 2 ms
    assert found.high - found.value == pytest.approx(4.303 * 0.002 / 3**0.5, rel=0.02)
    assert estimate(rows[0], "tpot").half_width < 2e-3
    assert found.n == sum(estimate(m, "tpot").n for m in rows)
    assert one.timing.repetitions == 3 and one.id == 3
    assert one.started_at == rows[0].started_at
    assert one.memory_bytes == {"process": 14_000_000}


def test_two_visits_lie_side_by_side():
    rows = [repetition(0.010), repetition(0.011, day=2)]
    (one,) = together(rows)
    assert one.samples["tpot"] == rows[0].samples["tpot"] + rows[1].samples["tpot"]
    low, high = estimate(one, "tpot").low, estimate(one, "tpot").high
    assert low < 0.0101 and high > 0.0109


def test_a_visit_cut_short_counts_and_does_not_speak_for_the_others():
    rows = [repetition(0.01 + 0.001 * d, day=d) for d in (1, 2, 3)]
    short = replace(
        repetition(0.014, day=4, ended_early=True), message="timed until it ended early"
    )
    (one,) = together([*rows, short])
    assert one.timing.repetitions == 4 and len(one.samples["tpot"]) == 4
    assert not one.message and not one.timing.ended_early
    # of software that nothing else ran under it is all there is
    newer = replace(short, environment={"torch": "3"})
    assert together([*rows, newer]) == (newer,)


def test_only_the_latest_software_counts():
    old = [repetition(0.02, torch="1"), repetition(0.02, torch="1", day=2)]
    new = repetition(0.01, day=3)
    assert together([*old, new]) == (new,)


def test_runs_against_a_server_are_not_pooled():
    rows = [replace(repetition(0.01 * d, day=d), runtime=Runtime("served")) for d in (1, 2, 3)]
    assert together(rows) == (rows[-1],)


def test_a_calm_visit_overrules_disturbed_ones():
    calm = repetition(0.01)
    assert together([calm, repetition(0.02, flags=("busy",), day=2)]) == (calm,)
    (both,) = together(
        [repetition(0.01, flags=("busy",)), repetition(0.02, flags=("busy",), day=2)]
    )
    assert both.timing.repetitions == 2 and both.flags == ("busy",)


def test_a_flag_stays_when_most_raise_it_and_drift_is_answered():
    rows = [repetition(0.01, flags=("noisy", "drift"), day=d) for d in (1, 2)] + [
        repetition(0.01, day=3)
    ]
    assert together(rows)[0].flags == ("noisy",)
    assert together([*rows[1:], repetition(0.01, day=4)])[0].flags == ()


def test_failures_count_only_without_a_success():
    failed = replace(repetition(0.01, day=2), samples={}, flags=("crashed",), message="gone")
    ok = repetition(0.01)
    assert together([ok, failed]) == (ok,)
    assert together([failed, replace(failed, message="again")])[0].message == "again"


@given(st.permutations(range(5)))
def test_the_order_of_points_does_not_matter_to_their_values(order):
    shapes = [replace(SHAPE, n_layers=n + 1) for n in range(5)]
    rows = [replace(repetition(0.01 * (n + 1) * f), architecture=shapes[n])
            for n in order for f in (1.0, 1.1, 0.9)]  # fmt: skip
    found = together(rows)
    assert [m.architecture for m in found] == [shapes[n] for n in order]
    for m in found:
        assert estimate(m, "tpot").value == pytest.approx(0.01 * m.architecture.n_layers, rel=2e-3)


def test_visits_are_counted_and_what_cannot_be_is_done_with():
    pooled = together([repetition(0.01), repetition(0.01, day=2), repetition(0.01, day=3)])[0]
    assert repetitions_made([repetition(0.01)])[repetition(0.01).key] == 1
    assert repetitions_made([pooled, repetition(0.01, day=4)])[pooled.key] == 4
    oom = replace(repetition(0.01), samples={}, flags=("oom",))
    crashed = replace(repetition(0.01), samples={}, flags=("crashed",))
    assert repetitions_made([oom])[oom.key] == MOST and not repetitions_made([crashed])


def test_a_law_takes_visits_of_a_point_as_one():
    shapes = [Architecture(n, d, d // 64, d // 64, 64, 2 * d, 4096)
              for n in (2, 4, 8, 16) for d in (128, 256, 512)]  # fmt: skip
    rows = []
    for day, level in enumerate((1.0, 1.2, 0.9), 1):
        for a in shapes:
            seconds = level * (1e-5 * a.n_layers + a.params_read_per_step * 1e-10)
            rows.append(replace(repetition(seconds, day=day), architecture=a))
    law = next(f for f in fit_latency(rows) if f.metric == "tpot")
    assert law.n == law.n_shapes == len(shapes)
    truth = 1e-5 * 8 + shapes[7].params_read_per_step * 1e-10
    assert float(law.predict(shapes[7], 1, 16, 5)) == pytest.approx(truth, rel=0.02)


def test_a_flag_goes_when_no_more_than_half_raise_it():
    rows = [repetition(0.01, flags=("noisy",), day=d) for d in (1, 2)]
    calm = [repetition(0.01, day=d) for d in (3, 4)]
    assert together([*rows, *calm])[0].flags == ()
    assert together([*rows, calm[0]])[0].flags == ("noisy",)
    # two repetitions do not answer a drift
    drifting = [repetition(0.01, flags=("drift",), day=d) for d in (1, 2, 3)]
    assert together(drifting[:2])[0].flags == ("drift",)
    assert together(drifting)[0].flags == ()


def test_of_failures_alone_the_latest_is_given():
    gone = [replace(repetition(0.01, day=d), samples={}, flags=("crashed",)) for d in (1, 2, 3)]
    assert together(gone) == (gone[2],)


def test_what_one_repetition_alone_knows_is_kept():
    first, second, third = (repetition(0.01 * d, day=d) for d in (3, 1, 2))
    first = replace(
        first, memory_bytes={"process": 5, "device": 7}, energy={"joules_per_token": 1.0}
    )
    second = replace(second, quality={"loss": 3.0}, energy={"joules_per_token": 2.0})
    (one,) = together([first, second, third])
    assert one.memory_bytes == {"process": 20_000_000, "device": 7}
    # of several the latest
    assert one.energy == {"joules_per_token": 2.0} and one.quality == {"loss": 3.0}
    assert one.started_at == "2026-01-01T00:00:00"


def test_repetitions_of_repetitions_add_up_and_are_corrected_once():
    factors = {"ttft": (2.0,) * 6}
    rows = [repetition(0.01, day=d, repetitions=d, drift_factors=factors) for d in (1, 2, 3)]
    (one,) = together(rows)
    assert one.timing.repetitions == 6 and one.timing.drift_factors == {}
    assert one.samples["ttft"] == ((pytest.approx(0.015),) * 6,) * 3


def test_threads_and_driver_must_be_alike():
    rows = [repetition(0.01, day=d) for d in (1, 2)]
    for name in ("threads", "driver", "kernels"):
        other = replace(rows[1], environment={**rows[1].environment, name: "8"})
        assert together([rows[0], other]) == (other,)


def test_a_failure_that_is_final_counts_beside_what_was_made():
    made = [repetition(0.01), replace(repetition(0.01, day=2), samples={}, flags=("unsupported",))]
    assert repetitions_made(made)[made[0].key] == MOST + 1
