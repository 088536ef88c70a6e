"""Choices come back as they were stored, by this version and by earlier ones."""

import json

import pytest

from core.errors import Unusable
from core.pareto.limits import parse_limit
from core.project.choices import (
    Choices,
    LossChoice,
    WhatIf,
    choices_from_dict,
    choices_to_dict,
)
from core.project.project import Project

# as version 1 of the file wrote them: the loss law's keys beside the axes, a scene as text
FLAT = """
{"x": "ttft_s", "y": "loss", "x_log": true, "y_log": false,
 "limits": [{"metric": "tpot_s", "side": "<=", "value": 0.008, "statistic": "p50"}],
 "loss_suite": "mine", "loss_law": "u-shaped", "loss_tied": "free",
 "loss_where": ["vocab=50k", "seed=1"], "loss_params": "non-embedding", "loss_method": "huber",
 "insist": true, "device_key": "", "feasible_shown": "shown", "front_shown": "shown",
 "dominated_shown": "faded", "chance_shown": true, "selected": "", "pins": ["a", "b"],
 "baseline": "", "what_if": {"batch": 4, "prompt_tokens": null, "output_tokens": null,
 "train_tokens": null, "served_tokens": 0.0, "weights": null, "acceptance": null, "draft": "",
 "draft_tokens": 4}, "parallel_axes": ["tpot_s", "loss"], "inverted_axes": [],
 "scenes": [["Loss against time", "{\\"x\\": \\"tpot_s\\", \\"loss_law\\": \\"chinchilla\\"}"]]}
"""
LOSS = LossChoice(
    "mine", "u-shaped", "free", ("vocab=50k", "seed=1"), "non-embedding", "huber", insist=True
)


def test_every_choice_comes_back():
    choices = Choices(
        x="ttft_s",
        limits=(parse_limit("tpot<=8ms"),),
        loss=LOSS,
        pins=("a",),
        what_if=WhatIf(batch=4, train_tokens=1e9),
        scenes=(("one", "{}"),),
    )
    assert choices_from_dict(json.loads(json.dumps(choices_to_dict(choices)))) == choices


def test_choices_with_the_loss_laws_keys_beside_the_axes_still_open(tmp_path):
    with Project.create(tmp_path / "a.paretoscope") as project:
        project.put_text("choices", FLAT)
        found = project.choices()
        project.put_choices(found)
        assert project.choices() == found
    assert found.loss == LOSS
    assert found.x == "ttft_s" and found.pins == ("a", "b") and found.what_if.batch == 4
    assert found.limits == (parse_limit("tpot<=8ms"),)
    # a scene is choices of its own
    scene = choices_from_dict(json.loads(found.scenes[0][1]))
    assert scene.x == "tpot_s" and scene.loss == LossChoice(law="chinchilla")


def test_some_of_the_earlier_keys_leave_the_rest_at_their_defaults():
    assert choices_from_dict({"insist": True}).loss == LossChoice(insist=True)
    assert choices_from_dict({}) == Choices()


@pytest.mark.parametrize(
    ("data", "named"),
    [
        ({"sparkle": 1}, "sparkle"),
        ({"loss": {"sparkle": 1}}, "loss has no field 'sparkle'"),
        ({"x_log": "yes"}, "x_log must be true or false"),
        ({"loss_law": 3}, "loss.law must be a text"),
        ({"y": "beauty"}, "y axis is 'beauty'"),
    ],
)
def test_what_is_not_understood_is_refused_by_name(data, named):
    with pytest.raises(Unusable, match=named):
        choices_from_dict(data)
