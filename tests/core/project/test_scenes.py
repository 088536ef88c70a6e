"""A scene holds what makes a picture and leaves the rest of the choices alone."""

import pytest

from core.errors import Unusable
from core.pareto.limits import parse_limit
from core.project.choices import Choices, LossChoice
from core.project.scenes import SCENE_PARTS, scene_parts, scene_text, scene_title


def test_a_scene_reads_back_to_the_choices_it_was_saved_from():
    choices = Choices(limits=(parse_limit("tpot<=3ms"),), y="params_total", pins=("a",))
    parts = scene_parts(scene_text(choices))
    assert set(parts) == set(SCENE_PARTS)
    assert Choices().changed(**parts) == choices.changed(pins=())
    assert scene_title(choices).startswith("Parameters against time per output token; ")


def test_two_limits_are_counted_in_the_title():
    limits = (parse_limit("tpot<=3ms"), parse_limit("memory<=24GB"))
    assert scene_title(Choices(limits=limits)).endswith("; 2 limits")


def test_a_scene_saved_as_whole_choices_by_an_earlier_version_changes_no_law():
    parts = scene_parts('{"x": "ttft_s", "loss_law": "chinchilla", "insist": true}')
    assert parts == {"x": "ttft_s"}
    kept = LossChoice(law="u-shaped")
    assert Choices(loss=kept).changed(**parts).loss is kept


@pytest.mark.parametrize("text", ["{", "[]", "3", '{"x": "speed"}', '{"limits": [{}]}'])
def test_a_damaged_scene_is_refused(text):
    with pytest.raises(Unusable):
        scene_parts(text)
