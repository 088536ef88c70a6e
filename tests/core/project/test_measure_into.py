"""Sweeps into a project: what it holds counts, what failed may be tried again, results are stored."""

from dataclasses import replace

import pytest
from measured import DEVICE, measured, shape

import core.measure.sweeps.sweep
from core.measure.sweeps.sweep import Swept
from core.project.measure_into import adapt_into, sweep_into
from core.project.project import Project
from core.records.measurement import Point
from core.records.progress import outcome


@pytest.fixture
def asked(monkeypatch):
    """What the engine's sweep is asked for; it stores a result for each point that is not known."""
    seen = []

    def sweep(points, *, device, store, already, **how):
        seen.append({"device": device, "already": dict(already), **how})
        count = 0
        for point in points:
            m = measured(point.architecture, point.workload, point.runtime)
            if m.key not in already:
                count += 1
                yield store(m)
        return Swept(count, 0, 0, DEVICE, 1.0)

    monkeypatch.setattr(core.measure.sweeps.sweep, "sweep", sweep)
    return seen


@pytest.fixture
def project(tmp_path):
    with Project.create(tmp_path / "p.paretoscope") as project:
        yield project


POINTS = [Point(shape(layers, width)) for layers in (2, 4, 6) for width in (64, 128, 192)]


def test_what_the_project_holds_counts_unless_all_is_measured_again(asked, project):
    assert outcome(sweep_into(project, POINTS[:2], DEVICE, repetitions=2)).measured == 2
    assert len(project.measurements()) == 2 and asked[0]["repetitions"] == 2
    assert outcome(sweep_into(project, POINTS[:3], DEVICE)).measured == 1
    assert outcome(sweep_into(project, POINTS[:3], "cpu", again=True)).measured == 3
    assert asked[2]["device"] == "cpu" and not asked[2]["already"]


def test_what_failed_for_good_is_tried_again_only_where_asked(asked, project):
    m = measured(POINTS[0].architecture, POINTS[0].workload, POINTS[0].runtime)
    project.add_measurement(replace(m, samples={}, flags=("oom",)))
    assert outcome(sweep_into(project, POINTS[:1], DEVICE)).measured == 0
    assert outcome(sweep_into(project, POINTS[:1], DEVICE, retry_failed=True)).measured == 1


def test_alike_devices_share_the_points(asked, project):
    other = replace(DEVICE, index=1)
    swept = outcome(sweep_into(project, POINTS[:4], DEVICE, others=(other,)))
    assert swept.measured == 4 and {a["device"].index for a in asked} == {0, 1}
    with pytest.raises(ValueError, match="not by name"):
        outcome(sweep_into(project, POINTS[:4], "cuda:0", others=(other,)))


def test_the_points_that_teach_most_end_with_the_laws(asked, project):
    adapted = outcome(adapt_into(project, POINTS, DEVICE, target_error=0.5, interleave=3))
    assert adapted.reason == "target" and adapted.measured <= len(POINTS)
    assert len(project.measurements()) == adapted.measured and asked[0]["interleave"] == 3
