"""What a change touches is made again, and nothing else."""

from dataclasses import replace

import pytest
from tiny_project import SPACE, timed

from core.analysis.contents import Contents
from core.analysis.derivation import Inputs, derive, latency_stale, loss_stale, reframed, stale
from core.pareto.limits import parse_limit
from core.project.choices import Choices, LossChoice, WhatIf
from core.records.imported import Estimate, ImportedPoint
from core.records.progress import outcome
from core.space.space_file import parse_space


@pytest.fixture(scope="module")
def made():
    space = parse_space(SPACE)
    contents = Contents("tiny", space, tuple(map(timed, space.measurement_points())), ())
    return outcome(derive(Inputs(contents, Choices()), None))


@pytest.mark.parametrize(
    "loss",
    [
        LossChoice(suite="other"),
        LossChoice(law="chinchilla"),
        LossChoice(tied="free"),
        LossChoice(where=("seed=1",)),
        LossChoice(params="non-embedding"),
        LossChoice(method="huber"),
        LossChoice(insist=True),
    ],
    ids=str,
)
def test_every_part_of_the_choice_of_a_loss_law_asks_for_another_fit(made, loss):
    now = replace(made.inputs, choices=made.inputs.choices.changed(loss=loss))
    assert loss_stale(made.inputs, now) and not latency_stale(made.inputs, now)


def test_an_equal_choice_of_a_loss_law_asks_for_nothing(made):
    choices = made.inputs.choices
    again = choices.changed(
        loss=replace(choices.loss), x="ttft_s", limits=(parse_limit("tpot<=3ms"),)
    )
    now = outcome(derive(replace(made.inputs, choices=again), made))
    assert now.laws is made.laws and now.table is made.table
    assert now.frame.x == "ttft_s" and len(now.frame.limits) == 1


def test_a_what_if_makes_the_table_again_with_the_same_laws(made):
    tried = made.inputs.choices.changed(what_if=WhatIf(batch=4))
    now = outcome(derive(replace(made.inputs, choices=tried), made))
    assert now.laws is made.laws and now.table is not made.table


def test_a_measurement_refits_latency_and_keeps_the_loss_law(made):
    contents = made.inputs.contents
    fewer = replace(contents, measurements=contents.measurements[:-1])
    now = outcome(derive(replace(made.inputs, contents=fewer), made))
    assert now.laws.loss is made.laws.loss
    counts = [sum(fit.n for fit in d.laws.latency if fit.metric == "tpot") for d in (made, now)]
    assert counts[1] == counts[0] - 1


def test_imported_results_make_nothing_again(made):
    point = ImportedPoint("m", None, None, "", {"tpot_s": Estimate(0.01)}, "m.json", "tool")
    contents = replace(made.inputs.contents, imported=(point,))
    now = Inputs(contents, made.inputs.choices)
    assert not stale(made.inputs, now)
    again = outcome(derive(now, made))
    assert again.table is made.table and again.laws is made.laws


def test_another_chosen_row_changes_the_frame_alone(made):
    row = int(made.frame.front[0])
    chosen = reframed(made, made.inputs.choices.changed(selected=made.table.id_of(row)))
    assert chosen.frame.selected == row and chosen.frame.front is made.frame.front
    lost = reframed(chosen, made.inputs.choices.changed(selected="L1-gone"))
    assert lost.frame.selected == made.frame.best
