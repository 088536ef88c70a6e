"""Losses of models on unlike texts share no axis; the hash of the text decides."""

from dataclasses import replace

import numpy as np
import pytest
from measured import measured, shape

from core.analysis.contents import Contents
from core.analysis.frame import make_frame
from core.analysis.overlays import Other, imported_layers, other_layer
from core.analysis.pipeline import make_laws, make_table, mixed_meanings
from core.project.choices import Choices
from core.records.imported import Estimate, ImportedPoint
from core.report.svg import front_svg
from core.samples.repetitions import together
from core.table.scored_texts import UNRECORDED
from core.table.table import Table

A, B = "a" * 64, "b" * 64


def model(name, loss, text="", digest="", width=64, at="2026-11-21T08:00:00+00:00", **more):
    """A real model scored on a text; the wider, the slower."""
    quality = {"loss": loss, "bits_per_byte": loss / 3, "tokens": 900.0, "context": 512.0, **more}
    environment = {"text": text or "old.txt", "scored_in": "fp32"}
    if digest:
        environment["text_sha256"] = digest
    return measured(
        shape(2, width), model=name, quality=quality, environment=environment, started_at=at
    )


def names_with(table, key):
    return {name for row, name in table.names.items() if np.isfinite(table.column(key)[row])}


def row_of(table, name):
    return next(row for row, other in table.names.items() if other == name)


TWO = (
    model("one", 2.0, "news.txt", A),
    model("two", 1.9, "news.txt", A, width=128),
    # by its own text the best and the fastest: it would have the front alone
    model("stranger", 1.0, "easy.txt", B, width=32),
)


@pytest.mark.parametrize("key", ["loss", "bits_per_byte"])
def test_two_texts_share_no_axis_and_no_front(key):
    table = Table(None, measurements=TWO)
    assert names_with(table, key) == {"one", "two"}
    frame = make_frame(table, Choices(x="tpot_s", y=key))
    assert {table.label(int(row)) for row in frame.front} == {"one", "two"}
    left = table.source(key, row_of(table, "stranger"))
    assert left.kind == "unknown"
    assert (
        left.text == "it was scored on easy.txt (bbbbbbb); shown are losses on news.txt (aaaaaaa)"
    )
    # its speed is as good as any other's
    assert names_with(table, "tpot_s") == {"one", "two", "stranger"}


def test_the_axis_and_a_note_say_which_text_it_is():
    table = Table(None, measurements=TWO)
    assert table.axis_label("loss") == "Loss on news.txt (aaaaaaa)"
    assert table.axis_label("tpot_s") == "Time per output token"
    notes = mixed_meanings(Contents("t", None, TWO, ()), table)
    assert any(
        "shown are those on news.txt (aaaaaaa), not stranger on easy.txt (bbbbbbb)" in note
        for note in notes
    )
    choices = Choices(x="tpot_s", y="loss")
    assert "Loss on news.txt (aaaaaaa)" in front_svg(table, make_frame(table, choices), choices)


def test_the_hash_decides_and_not_the_name():
    same = replace(TWO[1], environment={**TWO[1].environment, "text": "copy.txt"})
    assert names_with(Table(None, measurements=(TWO[0], same)), "loss") == {"one", "two"}
    other = replace(TWO[1], environment={**TWO[1].environment, "text_sha256": B})
    assert len(names_with(Table(None, measurements=(TWO[0], other)), "loss")) == 1


def test_scores_of_old_projects_are_a_group_of_their_own():
    old = tuple(model(name, loss) for name, loss in (("x", 2.0), ("y", 2.1)))
    assert names_with(Table(None, measurements=old), "loss") == {"x", "y"}
    table = Table(None, measurements=(*old, TWO[0]))
    assert names_with(table, "loss") == {"x", "y"}
    assert table.axis_label("loss") == f"Loss on {UNRECORDED}"
    # of as many, the known text
    assert names_with(Table(None, measurements=(old[0], TWO[0])), "loss") == {"one"}


def test_of_texts_with_as_many_models_the_latest_counts():
    later = model("later", 3.0, "new.txt", B, at="2026-11-22T08:00:00+00:00")
    assert names_with(Table(None, measurements=(TWO[0], later)), "loss") == {"later"}
    assert names_with(Table(None, measurements=(later, TWO[0])), "loss") == {"later"}


def test_windows_of_unlike_length_are_noted():
    short = model("short", 2.5, "news.txt", A, context=256.0)
    table = Table(None, measurements=(TWO[0], short))
    assert names_with(table, "loss") == {"one", "short"}
    assert any(
        "windows of 256 and 512 tokens" in note for note in table.scored["loss"].notes(table.names)
    )
    assert Table(None, measurements=TWO[:2]).scored["loss"].notes({}) == []


def test_a_score_keeps_its_text_when_the_model_is_timed_again():
    again = replace(TWO[0], quality={}, environment={"torch": "2.13.0"})
    first = replace(TWO[0], environment={**TWO[0].environment, "torch": "2.13.0"})
    (both,) = together([first, again])
    assert both.quality["loss"] == 2.0
    assert both.environment["text_sha256"] == A and both.environment["text"] == "news.txt"
    # and it has the text of the score that counts, not of the one before
    later = replace(
        first, quality={"loss": 9.0}, environment={**first.environment, "text_sha256": B}
    )
    (both,) = together([first, later, again])
    assert (both.quality["loss"], both.environment["text_sha256"]) == (9.0, B)


def disjoint(m, value, digest=A):
    quality = {"loss_disjoint": 3 * value, "bits_per_byte_disjoint": value, "context": 512.0}
    return replace(m, quality=quality, environment={**m.environment, "text_sha256": digest})


def test_overlapping_and_disjoint_windows_give_two_metrics():
    table = Table(None, measurements=(*TWO[:2], disjoint(TWO[2], 0.5)))
    assert names_with(table, "bits_per_byte") == {"one", "two"}
    assert names_with(table, "bits_per_byte_disjoint") == {"stranger"}
    assert table.source("bits_per_byte", row_of(table, "stranger")).kind == "unknown"
    # each metric has its own text
    other = disjoint(TWO[2], 0.5, B)
    assert names_with(Table(None, measurements=(*TWO[:2], other)), "loss_disjoint") == {"stranger"}


def test_a_model_scored_in_both_ways_on_one_text_keeps_both():
    (both,) = together([TWO[0], disjoint(TWO[0], 0.9)])
    assert (both.quality["loss"], both.quality["bits_per_byte_disjoint"]) == (2.0, 0.9)
    (latest,) = together([TWO[0], disjoint(TWO[0], 0.9, B)])
    assert "loss" not in latest.quality


def test_imported_losses_and_other_projects_are_cautioned():
    table = Table(None, measurements=TWO[:2])
    work, run = TWO[0].workload, TWO[0].runtime
    values = {"tpot_s": Estimate(0.01), "bits_per_byte": Estimate(0.9)}
    point = ImportedPoint("else", work, run, "gpu", values, "f.json", "lm-eval")
    (layer,) = imported_layers([point], table, "tpot_s", "bits_per_byte")
    assert layer.caution == "its loss is on another text"
    assert "bits_per_byte" not in layer.known[0]
    for measurements, caution in (
        (TWO[:2], ""),
        (TWO[2:], "its models were scored on another text (easy.txt (bbbbbbb))"),
    ):
        contents = Contents("theirs", None, measurements, ())
        theirs = make_table(contents, make_laws(contents, Choices()), Choices())
        layer = other_layer(
            Other("p", "theirs", theirs, Choices()), table, Choices(), "tpot_s", "bits_per_byte"
        )
        assert layer.caution == caution
