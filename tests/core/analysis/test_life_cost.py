"""The cheapest model over a life, in the table's own metrics: never dearer than the candidate itself."""

from dataclasses import replace

import numpy as np
import pytest
from tiny_project import SPACE, timed

from core.analysis.contents import Contents
from core.analysis.life_cost import PLACED, cheapest_life
from core.analysis.pipeline import make_laws, make_table
from core.project.choices import Choices, WhatIf
from core.records.metrics import METRICS
from core.space.space_file import parse_space


@pytest.fixture(scope="module")
def made():
    space = parse_space(SPACE)
    contents = Contents("t", space, tuple(timed(p) for p in space.measurement_points()), ())
    choices = Choices(what_if=WhatIf(served_tokens=1e12))
    laws = make_laws(contents, choices)
    return contents, choices, laws, make_table(contents, laws, choices)


def test_every_candidate_costs_at_least_the_optimum_at_its_loss(made):
    _, _, laws, table = made
    for row in range(0, table.described, 7):
        life = cheapest_life(laws.loss, table, row, intervals=False)
        assert set(life.values) == set(PLACED) <= set(METRICS)
        assert life.values["loss"] == table.column("loss")[row]
        cost = float(table.column("lifetime_flops")[row])
        assert life.values["lifetime_flops"] == pytest.approx(cost * (1 - life.saved))
        assert life.saved >= -1e-9 and life.saved_on_training_optimum >= -1e-9
        # FLOPs as the table counts them for a shape: training is what remains without serving
        served = life.values["lifetime_flops"] - life.values["train_flops"]
        per_parameter = served / life.found.params
        own = cost - float(table.column("train_flops")[row])
        assert per_parameter == pytest.approx(own / float(table.column("params_total")[row]))


def test_the_sentence_has_the_size_its_interval_and_the_saving(made):
    _, _, laws, table = made
    life = cheapest_life(laws.loss, table, 0)
    assert life.params_interval[0] <= life.values["params_total"] <= life.params_interval[1]
    count = METRICS["params_total"].format
    for part in (count(1e12), count(life.values["params_total"]), f"{100 * life.saved:.0f} %"):
        assert part in life.text
    assert count(life.params_interval[0]) in life.text and life.caution in life.text
    assert count(life.values["params_total"]) in life.mark
    assert life.to_json()["metrics"] == life.values


def test_more_served_tokens_ask_for_a_smaller_model_trained_longer(made):
    contents, choices, laws, table = made
    more = replace(choices.what_if, served_tokens=1e14)
    longer = make_table(contents, laws, choices.changed(what_if=more))
    few, many = (cheapest_life(laws.loss, t, 0, False) for t in (table, longer))
    assert many.found.params < few.found.params and many.found.tokens > few.found.tokens


def test_nothing_where_nothing_is_served_or_no_loss_is_predicted(made):
    contents, choices, laws, table = made
    plain = make_table(contents, laws, choices.changed(what_if=WhatIf()))
    assert cheapest_life(laws.loss, plain, 0) is None
    assert cheapest_life(laws.loss, table, None) is None
    assert cheapest_life(None, table, 0) is None
    lawless = make_table(contents, replace(laws, loss=None), choices)
    assert np.isnan(lawless.column("loss")).all()
    assert cheapest_life(laws.loss, lawless, 0) is None
