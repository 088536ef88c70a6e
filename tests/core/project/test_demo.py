"""The demonstration's winner can be defended: its space stays within what its runs know."""

import numpy as np
import pytest

from core.analysis.contents import read_contents
from core.analysis.frame import make_frame
from core.analysis.pipeline import Laws, fit_loss, make_table, refitted
from core.project.demo import demo_in_memory


@pytest.fixture(scope="module")
def shown():
    with demo_in_memory() as project:
        contents, choices = read_contents(project), project.choices()
    laws = refitted(Laws(fit_loss(contents, choices), "", (), ()), contents)
    table = make_table(contents, laws, choices)
    return table, make_frame(table, choices), choices


def test_no_candidate_lies_outside_the_runs_in_any_column(shown):
    table, frame, _ = shown
    assert not table.reach.outside and table.reach.constant == ()
    assert frame.eligible is None and (frame.counted == frame.feasible).all()


def test_its_times_are_within_what_was_measured(shown):
    table, _, _ = shown
    assert not table.estimates("tpot_s").outside[: table.described].any()
    assert not table.estimates("ttft_s").outside[: table.described].any()


def test_its_limit_leaves_a_choice(shown):
    table, frame, choices = shown
    assert len(choices.limits) == 1 and len(frame.front) > 20
    designs = np.flatnonzero(np.isfinite(table.column("loss")))
    kept = frame.feasible[designs].mean()
    assert 0.1 < kept < 0.5
    assert frame.hidden[0] > 0 and not choices.outside_counts
