"""The doubt in words: coverage, laws that predict better, few shapes."""

from dataclasses import replace

import pytest

from core.fit.doubt import Doubt
from core.fit.doubt_facts import coverage_words, doubt_facts, doubt_plain, shapes_words
from core.fit.fit import Fit
from core.fit.validate import trust

GOOD = {"shape_rms": 0.002, "coverage95_shape": 0.92, "coverage95_runs": 71.0}


def made(weights=(0.3, 0.1), heldout=GOOD, clusters=35):
    """A judged fit beside two other laws."""

    def one(law):
        return Fit(law, "total", "free", "huber", n=76, theta={"E": 1.0}, converged=True)

    others = (one("u-shaped"), one("chinchilla"))
    doubt = Doubt(others, weights, 0.001, 0.002, {"N": 0.01, "D": 0.02}, clusters)
    ranges = {"R": (10.0, 100.0)}
    return replace(
        one("width-depth"), heldout=heldout, doubt=doubt, clusters=clusters, ranges=ranges
    )


def test_coverage_stands_beside_the_error():
    told, warn = trust(made())
    assert "to ± 0.20 %" in told and not warn
    assert "95 % prediction intervals held 92 % of 71 losses of shapes left out." in told
    told, warn = trust(made(heldout=GOOD | {"coverage95_shape": 0.84}))
    assert "held 84 %" in told and warn
    told, warn = trust(made(heldout=GOOD | {"shape_rms": 115.51}))
    assert "Does not predict" in told and "11551" not in told and warn
    assert coverage_words({}) == ("", False)


def test_a_law_that_others_outdo_names_the_best_of_them():
    told, warn = trust(made((0.15, 0.8)))
    assert warn and "Other laws predict the runs left out better, Chinchilla" in told
    assert "weight 0.80 against 0.05" in told
    assert "Other laws" not in trust(made((0.15, 0.7)))[0]


def test_every_part_of_the_doubt_is_told_with_its_formula():
    facts = {fact.name: fact for fact in doubt_facts(made())}
    assert facts["Shapes"].text == "35" and not facts["Shapes"].warn
    # the most believed comes first
    assert facts["Laws"].text.startswith("this one 60 %, U-shaped")
    assert facts["Laws"].text.index("30 %") < facts["Laws"].text.index("10 %")
    assert facts["Own effect of a shape"].text == "±0.1 %"
    assert facts["Scatter of runs"].text == "±0.2 %"
    # one doubling is 0.69 units of the logarithm
    assert facts["Per doubling outside"].text == "N ±0.69 %, D ±1.4 %"
    assert "shape² + run²" in facts["Scatter of runs"].tip
    assert doubt_facts(replace(made(), doubt=None)) == ()


def test_few_shapes_are_a_plain_warning():
    assert shapes_words(35) == ("35 shapes", False)
    text, few = shapes_words(5)
    assert few and text.startswith("5 shapes, too few")
    assert shapes_words(1, "run")[0].startswith("1 run,") and shapes_words(0) == ("", False)
    assert doubt_facts(made(clusters=9))[0].warn and not doubt_facts(made(clusters=10))[0].warn


def test_plain_values_hold_all_of_it():
    plain = doubt_plain(made())
    assert plain["own_weight"] == pytest.approx(0.6) and plain["shapes"] == 35
    assert [(law["law"], law["weight"]) for law in plain["laws"]] == [
        ("u-shaped", 0.3),
        ("chinchilla", 0.1),
    ]
    assert doubt_plain(replace(made(), doubt=None)) is None
