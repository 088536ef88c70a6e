import itertools

import numpy as np
import pytest

from core.errors import Unusable
from core.model.architecture import rounded_ffn
from core.resources import resource
from core.space.candidates import join
from core.space.space_file import parse_space, read_space

SMALL = """
[shape]
n_layers = [2, 4]
d_model = { from = 128, to = 256, step = 64 }
d_head = [32, 64]
kv_groups = [1, 2]
"""


def test_every_allowed_combination_once():
    c = parse_space(SMALL).candidates()
    expected = {
        (layers, width, width // head, width // head // group)
        for layers, width, head, group in itertools.product(
            (2, 4), (128, 192, 256), (32, 64), (1, 2)
        )
        if (width // head) % group == 0
    }
    s = c.shapes
    found = list(zip(s.n_layers, s.d_model, s.n_heads, s.n_kv_heads, strict=True))
    assert len(found) == len(set(found))
    assert set(found) == expected
    assert (s.d_ff == [rounded_ffn(int(w)) for w in s.d_model]).all()
    assert np.allclose(c.train_tokens, 20 * np.asarray(s.params_total))


def test_constraints_keep_what_they_say():
    c = parse_space(
        SMALL + "[constraints]\nparams_total = { min = '14M', max = '25M' }\nd_head = { max = 32 }"
    ).candidates()
    assert len(c)
    assert (np.asarray(c.shapes.params_total) >= 14e6).all()
    assert (np.asarray(c.shapes.params_total) <= 25e6).all()
    assert (c.shapes.d_head <= 32).all()


def test_runs_multiply_shapes():
    c = parse_space(
        SMALL + '[run]\nweights = ["fp32", "int8"]\nbatch = [1, 8]\n[train]\ntokens = ["1B", "2B"]'
    ).candidates()
    assert len(c) == 8 * len(parse_space(SMALL).candidates())
    assert {r.label for r in c.runtimes} == {"eager, fp32", "eager, int8 (cache fp32)"}
    assert set(c.train_tokens) == {1e9, 2e9}


def test_identities_are_unique_and_lead_back():
    c = parse_space(SMALL + "[run]\nbatch = [1, 2]").candidates()
    names = [c.id_of(i) for i in range(len(c))]
    assert len(set(names)) == len(c)
    assert [c.find(name) for name in names] == list(range(len(c)))
    assert c.find("L9-d9") is None


def test_joining_keeps_rows_and_runtimes():
    a = parse_space(SMALL).candidates()
    b = parse_space(SMALL + '[run]\nweights = "bf16"').candidates()
    both = join([a, b])
    assert [both.id_of(i) for i in range(len(both))] == [
        *(a.id_of(i) for i in range(len(a))),
        *(b.id_of(i) for i in range(len(b))),
    ]
    assert len(join([a, a]).distinct()) == len(a)


def test_measurement_points_spread_shapes_of_equal_size():
    space = read_space(resource("spaces/small.toml"))
    points = [p for p in space.measurement_points() if p.workload.batch == 1]
    params = np.array([p.architecture.params_total for p in points])
    for level in (40e6, 120e6):
        near = np.abs(params / level - 1) <= 0.1
        depths = [p.architecture.n_layers for p, n in zip(points, near, strict=True) if n]
        assert near.sum() == 6
        assert max(depths) >= 6 * min(depths)
    few = space.measurement_points(most=5)
    assert 2 <= len(few) <= 5
    assert len({round(p.architecture.params_total / 40e6) for p in few}) == 2


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "n_layers is missing"),
        ("[shape", "not valid TOML"),
        ("colour = 3", "'colour' is not a key"),
        ("[shape]\nlayers = 3", "'layers' is not a key"),
        ("[shape]\nn_layers = 0\nd_model = 64", "n_layers must be whole numbers"),
        ("[shape]\nn_layers = [1.5]\nd_model = 64", "n_layers must be whole numbers"),
        ("[shape]\nn_layers = 2\nd_model = {from = 64}", "a range is"),
        ("[shape]\nn_layers = 2\nd_model = {from = 64, to = 32, step = 8}", "'from' must be"),
        (
            "[shape]\nn_layers = 2\nd_model = 64\nd_head = 32\nn_heads = 2",
            "either d_head or n_heads",
        ),
        ("[shape]\nn_layers = 2\nd_model = 100\nd_head = 64", "leave no candidate"),
        ("[shape]\nn_layers = 2\nd_model = 64\n[run]\nweights = 'fp64'", "weights must be one of"),
        ("[shape]\nn_layers = 2\nd_model = 64\n[constraints]\nparams_total = 3", "must be {min"),
        (
            "[shape]\nn_layers = 2\nd_model = 64\n[constraints]\nd_head = {min=9,max=1}",
            "min is larger",
        ),
        ("schema_version = 9\n[shape]\nn_layers = 2\nd_model = 64", "schema_version is 9"),
        ("[shape]\nn_layers = 2\nd_model = '6 apples'", "apples"),
        ("[shape]\nn_layers = []\nd_model = 64", "empty list"),
        ("[shape]\nn_layers = true\nd_model = 64", "must be a number"),
    ],
)
def test_a_wrong_space_says_which_key_and_why(text, part):
    with pytest.raises(Unusable, match=part.replace("[", r"\[").replace("{", r"\{")):
        parse_space(text).candidates()


def test_too_many_candidates_are_refused_before_memory_is_gone():
    text = "[shape]\nn_layers = {from=1,to=400,step=1}\nd_model = {from=64,to=25600,step=64}\nd_head=32\n[train]\ntokens_per_parameter = {from=1, to=200, step=1}"
    with pytest.raises(Unusable, match="describes 32,000,000 candidates, more than the"):
        parse_space(text).candidates()


def test_a_missing_file_and_a_binary_one_are_named(tmp_path):
    with pytest.raises(Unusable, match="there is no such file"):
        read_space(tmp_path / "no.toml")
    (tmp_path / "b.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(Unusable, match="not valid UTF-16"):
        read_space(tmp_path / "b.toml")


@pytest.mark.parametrize(
    ("more", "part"),
    [
        (
            "d_model = {from=64,to=64000064,step=64}\nvocab_size = {from=1,to=1000,step=1}",
            "1,000,001,000 combinations .* GiB",
        ),
        (
            "d_model = {from=64,to=640064,step=64}\nvocab_size = {from=1,to=300,step=1}\nn_layers = {from=1,to=300,step=1}",
            "combinations",
        ),
        ("n_layers = [[1]]", "not of lists"),
        ("n_layers = {a = {b = 1}}", "a range is"),
        ("n_layers = 1e18", "from 1 to 1e"),
        ("n_layers = 1" + "0" * 400, "must be a number"),
        ("n_layers = " + "9" * 5000, "not valid TOML"),
        ("n_layers = " + "[" * 5000, "nested more than 100 deep"),
        ("d_model = 1000000000", "parameters"),
        ("d_ff = 1e300", "at most"),
        ("tied_embeddings = []", "true or false"),
        ("d_ff = 64\n[run]\nexecution = []", "execution is an empty list"),
    ],
)
def test_spaces_are_counted_before_they_are_built(more, part):
    given = [line.split(" ")[0] for line in more.split("\n")]
    usual = {"n_layers": "n_layers = 1", "d_model": "d_model = 64"}
    text = "[shape]\n" + "\n".join([v for k, v in usual.items() if k not in given] + [more])
    with pytest.raises(Unusable, match=part):
        parse_space(text).candidates()


def test_more_points_than_anybody_measures_are_refused_unless_some_are_asked_for():
    space = parse_space("[shape]\nn_layers=2\nd_model=64\n[run]\nbatch={from=1,to=1000000,step=1}")
    with pytest.raises(Unusable, match="1,000,000 points to measure, at most 100,000"):
        space.measurement_points()
    assert [p.workload.batch for p in space.measurement_points(3)] == [1, 2, 3]


def test_what_this_machine_cannot_hold_is_refused_with_the_number(monkeypatch):
    monkeypatch.setattr("core.space.space.memory_bytes", lambda: 20_000)
    with pytest.raises(Unusable, match="describes 22 candidates, more than the 16 this machine"):
        parse_space(SMALL.replace("[2, 4]", "[2, 4]")).candidates()


def test_constraints_hold_at_every_depth_however_many_are_looked_at_at_once(monkeypatch):
    text = (
        SMALL.replace("[2, 4]", "{from=1,to=50,step=1}")
        + "[constraints]\naspect_ratio = {max = 40}"
    )
    whole = parse_space(text).candidates().shapes
    monkeypatch.setattr("core.space.space.ROWS_AT_ONCE", 30)
    some = parse_space(text).candidates().shapes
    assert (np.asarray(whole.aspect_ratio) <= 40).all() and len(set(whole.n_layers)) > 40
    assert (whole.n_layers == some.n_layers).all() and (whole.d_model == some.d_model).all()


def test_a_byte_order_mark_and_windows_line_ends_do_not_matter(tmp_path):
    for text in ("\N{BYTE ORDER MARK}" + SMALL, SMALL.replace("\n", "\r\n")):
        (tmp_path / "s.toml").write_bytes(text.encode())
        assert len(read_space(tmp_path / "s.toml").candidates()) == len(
            parse_space(SMALL).candidates()
        )
    (tmp_path / "s.toml").write_bytes(SMALL.encode("utf-16"))
    assert read_space(tmp_path / "s.toml").axes == parse_space(SMALL).axes
