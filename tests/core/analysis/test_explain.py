import re
from dataclasses import replace

import numpy as np
import pytest
from measured import measured

from core.analysis import explain
from core.analysis.contents import Contents
from core.analysis.explain import (
    alone_sentence,
    apart,
    difference_half_width,
    gain_text,
    knee,
    same_size_reference,
    sentences,
)
from core.analysis.frame import make_frame
from core.analysis.pipeline import make_laws, make_table
from core.analysis.values_in_words import change_text
from core.pareto.limits import parse_limit
from core.project.choices import Choices
from core.resources import resource
from core.space.space_file import read_space
from core.table.ratio_interval import log_ratio


@pytest.fixture(scope="module")
def table():
    space = read_space(resource("spaces/small.toml"))
    contents = Contents(
        "t",
        space,
        tuple(measured(p.architecture, p.workload, p.runtime) for p in space.measurement_points()),
        (),
    )
    return make_table(contents, make_laws(contents, Choices()), Choices())


def test_the_choice_is_told_against_its_own_size(table):
    choices = Choices(limits=(parse_limit("tpot<=15ms"),))
    frame = make_frame(table, choices)
    other = same_size_reference(table, frame, frame.selected)
    first = sentences(table, frame, choices)[0]
    ratio = table.column("tpot_s")[other] / table.column("tpot_s")[frame.selected]
    percent = 100 * (table.column("loss")[frame.selected] / table.column("loss")[other] - 1)
    said = re.search(r"is ([\d.]+)x faster.* loss ([\d.]+) % higher \(± ([\d.]+) %\)", first)
    assert float(said[1]) == pytest.approx(ratio, abs=0.006)
    assert float(said[2]) == pytest.approx(percent, abs=0.06)
    assert float(said[3]) > 0
    params = table.column("params_total")
    assert params[other] == pytest.approx(params[frame.selected], rel=0.06)


def test_a_baseline_takes_the_place_of_the_same_size(table):
    frame = make_frame(table, Choices())
    baseline = int(frame.front[0])
    choices = Choices(baseline=table.id_of(baseline), limits=())
    assert f"the baseline {table.label(baseline)}" in sentences(table, frame, choices)[0]


def test_differences_of_one_law_are_surer_than_their_parts(table):
    frame = make_frame(table, Choices())
    a, b = int(frame.front[-1]), int(frame.front[-2])
    e = table.estimates("loss")
    apart_alone = 100 * np.hypot(*(np.log(e.high[i] / e.low[i]) / 2 for i in (a, b)))
    assert difference_half_width(table, "loss", a, b) < apart_alone


def test_a_candidate_cannot_be_told_apart_from_itself(table):
    assert not apart(table, "tpot_s", 5, 5)


def test_an_interval_wider_than_the_value_is_no_number(table, monkeypatch):
    known = log_ratio(table, "loss", 3, 5)
    wild = replace(known, low=-4.7, high=4.76)
    monkeypatch.setattr(explain, "log_ratio", lambda *_: wild)
    said = explain.compare_value(table, "loss", 3, 5)
    assert "cannot be told apart" in said and "%" not in said
    assert explain.judged(table, "loss", 3, 5).endswith("their difference is not known)")
    monkeypatch.setattr(explain, "log_ratio", lambda *_: replace(known, low=1.0, high=9.0))
    assert "(interval unknown)" in explain.compare_value(table, "loss", 3, 5)


def test_loosening_tells_the_gain_that_recomputing_finds(table):
    choices = Choices(limits=(parse_limit("tpot<=15ms"),))
    frame = make_frame(table, choices)
    looser = make_frame(table, Choices(limits=(parse_limit("tpot<=16.5ms"),)))
    loss = table.column("loss")
    gain = loss[frame.best] - loss[looser.best]
    said = next(s for s in sentences(table, frame, choices) if s.startswith("Loosening"))
    assert gain > 0
    told = re.search(r"bring ([\d.]+) ± ([\d.]+) nats/token lower loss", said)
    assert float(told[1]) == pytest.approx(gain, abs=6e-4)
    ratio = log_ratio(table, "loss", looser.best, frame.best)
    half = loss[frame.best] * (np.exp(ratio.high) - np.exp(ratio.low)) / 2
    assert float(told[2]) == pytest.approx(half, rel=0.05)
    assert ("told from none" in said) == (ratio.low < 0 < ratio.high)


def test_a_gain_within_its_interval_cannot_be_told_from_none(table):
    loss = table.column("loss")
    best = int(np.nanargmin(loss))
    near = int(np.nanargmin(np.where(loss > 1.0001 * loss[best], loss, np.nan)))
    text, apart = change_text(table, "loss", best, near)
    assert " ± " in text and text.endswith(" nats/token") and not apart
    assert gain_text("loss", text, apart).endswith("lower loss, which cannot be told from none")
    text, apart = change_text(table, "loss", best, int(np.nanargmax(loss)))
    assert apart and gain_text("loss", text, apart).endswith("lower loss")
    # what is counted has no interval
    assert "±" not in change_text(table, "params_total", best, int(np.nanargmax(loss)))[0]


def test_a_loss_told_alone_has_its_prediction_interval(table):
    frame = make_frame(table, Choices())
    row = frame.best
    said = alone_sentence(table, frame, row)
    e = table.estimates("loss")
    assert (
        f"loss {e.value[row]:.3f} nats/token (95 %: {e.low[row]:.3f} – {e.high[row]:.3f})" in said
    )
    counted = replace(frame, x="params_total")
    assert "(95 %" not in alone_sentence(table, counted, row).split(", loss")[0]


def test_no_feasible_candidate_names_the_limit_to_blame(table):
    choices = Choices(limits=(parse_limit("tpot<=1ns"), parse_limit("params<=1B")))
    (said,) = sentences(table, make_frame(table, choices), choices)
    assert "Time per output token" in said
    assert "1.00B" not in said


def test_an_axis_without_values_says_what_is_missing(table):
    choices = Choices(x="energy_j_per_token")
    (said,) = sentences(table, make_frame(table, choices), choices)
    assert "energy" in said
    assert "not measured" in said


def test_the_knee_is_where_the_front_bends(table):
    frame = make_frame(table, Choices())
    found = knee(table, frame)
    assert 0 < found.bend < 1
    assert found.row in frame.front[1:-1]


def test_the_next_step_is_never_to_the_same_place(table):
    frame = make_frame(table, Choices())
    tpot, loss = table.column("tpot_s"), table.column("loss")
    told = 0
    for row in frame.front[:-1]:
        words = sentences(table, replace(frame, selected=int(row)), Choices())
        step = next((s for s in words if s.startswith("The next step")), None)
        if step is None:
            assert (tpot[frame.front[-1]], loss[frame.front[-1]]) == (tpot[row], loss[row])
            continue
        told += 1
        assert " 0 s " not in step
        assert " 0 nats" not in step
    assert told > 10


def test_costs_that_are_counted_are_fewer(table):
    choices = Choices(x="params_total", limits=(parse_limit("tpot<=15ms"),))
    frame = make_frame(table, choices)
    baseline = int(frame.front[0])
    small = table.id_of(baseline)
    said = sentences(table, frame, choices.changed(baseline=small))[0]
    ratio = table.column("params_total")[frame.selected] / table.column("params_total")[baseline]
    assert f"has {ratio:.2f}x more parameters than" in said
    turned = replace(frame, selected=baseline)
    big = table.id_of(frame.selected)
    said = sentences(table, turned, choices.changed(baseline=big))[0]
    assert f"has {ratio:.2f}x fewer parameters than" in said
