"""Measured quality: a tiny random model with a tiny tokenizer, against sums done by hand."""

import hashlib
import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_llama import save_tiny_llama

from core.errors import Unusable
from core.measure.backends.folder import read_folder
from core.measure.backends.quality import in_child, measure_quality, summarise, tokenise, windows

transformers = pytest.importorskip("transformers")
torch = pytest.importorskip("torch")

TEXT = "zebras über größe — 🦓 zig zag, " * 12


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A random Llama and a byte-level tokenizer trained on the text itself."""
    return save_tiny_llama(tmp_path_factory.mktemp("models") / "tiny", TEXT)


@pytest.fixture
def text(tmp_path):
    file = tmp_path / "text.txt"
    file.write_text(TEXT, encoding="utf-8")
    return file


def finish(steps):
    while True:
        try:
            next(steps)
        except StopIteration as stop:
            return stop.value


@given(st.integers(2, 300), st.integers(2, 80), st.integers(1, 80))
def test_every_token_but_the_first_is_scored_once_with_enough_context(tokens, context, stride):
    stride = min(stride, context - 1)
    plan = list(windows(tokens, context, stride))
    scored = [i for w in plan for i in range(w.scored, w.stop)]
    assert scored == list(range(1, tokens))
    for w in plan:
        assert w.stop - w.start <= context and w.scored > w.start
        assert w.scored - w.start >= min(w.scored, context - stride)


def test_loss_and_bits_are_those_of_the_whole_text_at_once(folder, text):
    """With a window as long as the text, transformers' own loss is the answer."""
    got = finish(measure_quality(read_folder(folder), text, most_tokens=60, dtype="fp32"))
    ids, ends = tokenise(read_folder(folder), TEXT, 60)
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    rows = torch.from_numpy(ids[None])
    with torch.inference_mode():
        whole = float(model(rows, labels=rows).loss)
    assert got.loss == pytest.approx(whole, rel=1e-5)
    assert got.tokens == 59 and got.windows == 1
    # the first token is not scored, so neither are its bytes
    assert got.text_bytes == ends[-1] - ends[0]
    assert got.bits_per_byte == pytest.approx(whole * 59 / math.log(2) / got.text_bytes)
    assert got.loss_low is None and "loss_low" not in got.columns()


def test_token_ends_are_bytes_of_the_text(folder):
    ids, ends = tokenise(read_folder(folder), TEXT, 10**6)
    assert ends[-1] == len(TEXT.encode())
    assert np.all(np.diff(ends) >= 0)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    for stop in range(1, len(ids)):
        said = tokenizer.decode(ids[:stop])
        if "\ufffd" not in said:
            assert len(said.encode()) == ends[stop - 1]


def test_a_begin_token_makes_the_first_token_count(folder, text, tmp_path):
    begun = tmp_path / "begun"
    begun.mkdir()
    for file in folder.iterdir():
        (begun / file.name).write_bytes(file.read_bytes())
    settings = begun / "tokenizer_config.json"
    first = json.loads((folder / "tokenizer.json").read_text())["model"]["vocab"]["z"]
    settings.write_text(json.dumps({**json.loads(settings.read_text()), "bos_token": "z"}))
    got = finish(measure_quality(read_folder(begun), text))
    assert got.text_sha256 == hashlib.sha256(text.read_bytes()).hexdigest()
    assert "text_sha256" not in got.columns()
    ids, ends = tokenise(read_folder(begun), TEXT, 10**6)
    assert (ids[0], ends[0]) == (first, 0)
    assert got.text_bytes == len(TEXT.encode())
    # but a text of one token is none to measure a loss on: it would be that of any first token
    text.write_text("z", encoding="utf-8")
    with pytest.raises(Unusable, match=r"too short to measure a loss on \(1 token of text\)"):
        finish(measure_quality(read_folder(begun), text))


def test_many_windows_give_an_interval_around_the_loss(folder, text):
    got = finish(measure_quality(read_folder(folder), text, context=16, stride=4, dtype="fp32"))
    assert got.windows > 8
    assert got.loss_low < got.loss < got.loss_high
    assert got.bits_low < got.bits_per_byte < got.bits_high


def test_disjoint_windows_are_another_metric_by_name_and_number(folder, text):
    found = [
        finish(measure_quality(read_folder(folder), text, context=8, dtype="fp32", disjoint=d))
        for d in (False, True)
    ]
    strided, disjoint = (q.columns() for q in found)
    assert {"loss", "bits_per_byte"} <= set(strided) and "loss_disjoint" not in strided
    assert {"loss_disjoint", "loss_disjoint_low", "bits_per_byte_disjoint"} <= set(disjoint)
    assert not {"loss", "bits_per_byte", "loss_low"} & set(disjoint)
    assert found[1].tokens == found[0].tokens and found[1].windows < found[0].windows
    assert disjoint["loss_disjoint"] != strided["loss"]
    # every window but the first begins with the last token of the one before
    plan = list(windows(100, 16, 15))
    assert all(w.scored - w.start == 1 for w in plan[:-1])


def test_intervals_cover_the_truth_of_correlated_windows():
    rng = np.random.default_rng(0)
    inside = []
    for _ in range(200):
        shocks = rng.standard_normal(402)
        losses = 3 + 0.2 * (shocks[:-2] + shocks[1:-1] + shocks[2:])
        tokens = np.full(400, 100.0)
        q = summarise(100 * losses, tokens, 4 * tokens, 128, 64)
        inside.append(q.loss_low <= 3 <= q.loss_high)
    assert 0.88 <= np.mean(inside) <= 0.99


def test_the_child_process_says_the_same(folder, text):
    here = finish(measure_quality(read_folder(folder), text, context=32))
    assert finish(in_child(folder, text, {"context": 32})) == here


def test_what_cannot_be_measured_is_refused_in_a_line(folder, text, tmp_path):
    bare = tmp_path / "bare"
    bare.mkdir()
    for name in ("config.json", "model.safetensors"):
        (bare / name).write_bytes((folder / name).read_bytes())
    with pytest.raises(Unusable, match="no tokenizer"):
        finish(measure_quality(read_folder(bare), text))
    (bare / "tokenizer.json").write_text("{}")
    with pytest.raises(Unusable, match="cannot be loaded"):
        finish(measure_quality(read_folder(bare), text))
    (bare / "model.safetensors").unlink()
    with pytest.raises(Unusable, match="random ones have a speed but no quality"):
        finish(measure_quality(read_folder(bare), text))
    text.write_bytes(b"ok \xff")
    with pytest.raises(Unusable, match=r"not UTF-8 text \(byte 3\)"):
        finish(measure_quality(read_folder(folder), text))
    for short in ("z", "🦓"):
        # one token, and one character of several tokens, whose bytes no token ends
        text.write_text(short, encoding="utf-8")
        with pytest.raises(Unusable, match="too short"):
            finish(measure_quality(read_folder(folder), text))
    with pytest.raises(Unusable, match="not a number"):
        summarise(np.array([np.nan]), np.ones(1), np.ones(1), 8, 8)
