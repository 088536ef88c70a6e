"""Broken inputs for every reader: good files of every kind, changed at random from a seed.

`doors` gives one door per way that something from outside comes in; `tried` changes a file of it and
reads that. A reader holds if it answers or raises Unusable, in one line and in time, for all of them.
"""

import io
import json
import random
import re
import sqlite3
import struct
import tempfile
import zlib
from collections.abc import Callable, Mapping
from contextlib import redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from gguf_file import TINY, gguf
from tiny_project import SPACE, failed, timed

from core.__main__ import main
from core.analysis.contents import read_contents
from core.errors import Unusable
from core.formats.configs.config_formats import config_formats, read_shape
from core.formats.configs.gguf import read_gguf
from core.formats.configs.hf import read_config, write_config
from core.formats.configs.safetensors import read_stored
from core.formats.configs.writing import ExportContext
from core.formats.detect import what_file
from core.formats.own import raw_json, table_csv, table_json, training_plan
from core.formats.own.selection import Row, Value
from core.formats.results.reading import read_results
from core.formats.runs.reading import load, open_runs, preview
from core.measure.backends.folder import read_folder
from core.model.architecture import Architecture
from core.model.workload import Runtime, Workload
from core.pareto.limits import parse_limit
from core.project.choices import Choices, choices_to_dict
from core.project.project import Project
from core.project.scenes import scene_parts, scene_text
from core.records.imported import Estimate, ImportedPoint
from core.resources import resource
from core.space.space_file import parse_space, read_space
from core.units import number, parse_quantity

FIXTURES = Path(__file__).parent.parent / "fixtures"
# of files that are made when they are read: only what to change hangs on these bytes
SEED = bytes(range(256))
MOST_MESSAGE = 2000
LONG = "9" * 5000
DEEP = "[" * 3000
# what stands in for a value, as text: of every wrong type, too large, too long, too deep
TEXTS = (
    *("", "null", "true", "[]", "{}", "[[1]]", "[{}]", '{"a": 1}', '"x"', '""', "[1, null]", "x"),
    *("0", "-1", "-0.0", "1", "3", "4.5", "1e400", "-1e400", "1e308", "NaN", "Infinity", "nan"),
    *("1" + "0" * 400, LONG, "1e999999999", "9223372036854775808", "1e18", "²", "٣", "0x10", "1_0"),
    *(
        DEEP,
        '{"a":' * 3000,
        "2001-99-99",
        "2001-02-30",
        "&a [*a]",
        "=1+1",
        "\x00",
        "\ud7ff",
        "\x1b",
    ),
    *(
        "é" * 300,
        "../" * 5,
        "/dev/null",
        ",",
        ";",
        '"',
        "\n",
        "\r\n",
        "\r",
        "#",
        "'",
        ":",
        "-",
        "---",
    ),
)
VALUES = (
    *(
        None,
        True,
        False,
        0,
        -1,
        1,
        3,
        2.5,
        1e308,
        10**18,
        2**63,
        10**400,
        float("inf"),
        float("nan"),
    ),
    *(
        "",
        "x",
        "1",
        "-",
        "1e400",
        "²",
        LONG,
        "é" * 300,
        "\x00",
        "a/b",
        "../x",
        [],
        {},
        [[]],
        [{}],
        [1],
    ),
    *([None], {"a": 1}, {"": None}, [1, "x", None], {"value": 1}, [[1, 2], [3]], [float("inf")]),
)
WORD = re.compile(rb"[A-Za-z_][\w.]*|[-+]?\d[\d.eE+]*|\"[^\"]*\"|[\[\]{},:=]")


@dataclass(frozen=True)
class Door:
    """A way in: the good files, by name, and what reads one from a path."""

    name: str
    files: Mapping[str, bytes]
    read: Callable[[Path], object]


def tried(door: Door, folder: Path, dice: random.Random) -> tuple[str, bytes, BaseException | None]:
    """A changed file of the door, read: its name, its content, and the error other than Unusable."""
    name = dice.choice(sorted(door.files))
    content = broken(door.files[name], dice)
    path = folder / name
    path.write_bytes(content)
    try:
        door.read(path)
    except Unusable as error:
        if len(str(error)) > MOST_MESSAGE:
            return (
                name,
                content,
                AssertionError(f"a message of {len(str(error))} characters: {error}"),
            )
    except Exception as error:
        return name, content, error
    finally:
        path.unlink(missing_ok=True)
    return name, content, None


# --- changes


def broken(data: bytes, dice: random.Random) -> bytes:
    """The content changed one to three times, or a last time as a whole."""
    for _ in range(dice.choice((1, 1, 1, 2, 3))):
        change = dice.choice((_value, _value, _value, _token, _token, _bytes, _lines))
        data = change(data, dice)
    if dice.random() < 0.06:
        data = dice.choice((_bom, _windows, _utf16, _nulls, _cut, _twice))(data, dice)
    return data


def _value(data: bytes, dice: random.Random) -> bytes:
    """JSON with one value replaced, dropped, repeated or renamed."""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return _token(data, dice)
    return json.dumps(broken_value(value, dice), ensure_ascii=False).encode("utf-8", "replace")


def broken_value(value: object, dice: random.Random) -> object:
    """A JSON value with one of the values in it changed."""
    at, key, inner = None, None, value
    # deep places are as likely as those above them
    while isinstance(inner, (dict, list)) and inner and (at is None or dice.random() < 0.8):
        at = inner
        key = dice.choice(list(inner)) if isinstance(inner, dict) else dice.randrange(len(inner))
        inner = inner[key]
    if at is None:
        return dice.choice(VALUES)
    kind = dice.random()
    if kind < 0.7:
        at[key] = dice.choice(VALUES)
    elif kind < 0.85:
        del at[key]
    elif isinstance(at, dict):
        at[dice.choice(("", "x", str(key) + "2", "0", "loss"))] = at.pop(key)
    else:
        at.insert(0, inner)
    return value


def _token(data: bytes, dice: random.Random) -> bytes:
    """One word, number, text or sign replaced, dropped or doubled."""
    found = list(WORD.finditer(data[:20000]))
    if not found:
        return _bytes(data, dice)
    one = dice.choice(found)
    new = dice.choice((*TEXTS, one[0].decode("latin-1") * 2, "5"))
    return data[: one.start()] + new.encode("utf-8", "surrogatepass") + data[one.end() :]


def _bytes(data: bytes, dice: random.Random) -> bytes:
    at = dice.randrange(len(data) + 1)
    length = dice.choice((0, 1, 2, 8, 100))
    new = bytes(dice.randrange(256) for _ in range(dice.choice((0, 1, 1, 4, 8))))
    return data[:at] + new + data[at + length :]


def _lines(data: bytes, dice: random.Random) -> bytes:
    lines = data.split(b"\n")
    at, other = dice.randrange(len(lines)), dice.randrange(len(lines))
    lines[at : at + dice.choice((0, 1))] = [lines[other]] * dice.choice((0, 1, 2))
    return b"\n".join(lines)


def _bom(data: bytes, dice: random.Random) -> bytes:
    return b"\xef\xbb\xbf" + data


def _windows(data: bytes, dice: random.Random) -> bytes:
    return data.replace(b"\n", dice.choice((b"\r\n", b"\r")))


def _utf16(data: bytes, dice: random.Random) -> bytes:
    return data.decode("latin-1").encode(dice.choice(("utf-16", "utf-16-le", "utf-32")))


def _nulls(data: bytes, dice: random.Random) -> bytes:
    return dice.choice((b"\0" * 100, b"", b"\n\n", b"\xff\xfe", b"\xef\xbb\xbf", b"{", b"[", b"#"))


def _cut(data: bytes, dice: random.Random) -> bytes:
    return data[: dice.randrange(len(data) + 1)]


def _twice(data: bytes, dice: random.Random) -> bytes:
    return data + data


# --- good files


def doors() -> tuple[Door, ...]:
    """Every door with its good files."""
    tables = _files(FIXTURES / "runs") | {
        name: b"\n".join(resource(f"runs/{name}").read_bytes().split(b"\n")[:30])
        for name in ("morph_runs.csv", "gemstones_cooldown_runs.csv", "overtraining_runs.csv")
    }
    tables |= {
        "digit.csv": b"params_total,tokens,loss,0\n1e8,2e9,3.1,4\n2e8,4e9,2.9,4\n",
        "runs.json": b'[{"n": 1e8, "tokens": 2e9, "loss": 3.1, "config": {"lr": {"value": 1}}}]',
        "columns.json": b'{"n_params": [1e8, 2e8], "tokens": [2e9, 4e9], "loss": [3.1, 2.9]}',
        "runs.jsonl": b'{"n": 1e8, "tokens": 2e9, "loss": 3.1}\n{"n": 2e8, "tokens": 4e9, "loss": 3}\n',
        "runs.yaml": b"runs:\n- {n: 1e8, tokens: 2.0e9, loss: 3.1}\n- {n: 2e8, tokens: 4.0e9, loss: 3}\n",
        "wandb.csv": b"Step,a - loss,a - loss__MIN,a - loss__MAX\n1,3.1,3,4\n2,3.0,3,4\n",
    }
    return (
        Door("runs", tables, lambda path: (load(path), preview(open_runs(path)))),
        Door("results", _files(FIXTURES / "formats") | _own_tables(), read_results),
        Door("what a file is", _files(FIXTURES / "formats") | tables, what_file),
        Door("space", _spaces(), _use_space),
        Door("shape", _shapes(), read_shape),
        Door("config", _configs(), read_config),
        Door(
            "model folder", {"config.json": SEED, "model.safetensors": SEED} | _index(), _use_folder
        ),
        Door("gguf", {"x.gguf": gguf(TINY), "y.gguf": gguf(TINY, "qwen2")}, read_gguf),
        Door("own files", _own(), _use_own),
        Door("project", {"p.paretoscope": SEED}, _use_project),
        Door("words", {"words.json": json.dumps(_words()).encode()}, _use_words),
    )


def _files(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def _row() -> Row:
    shape = Architecture(2, 64, 4, 2, 16, 96, 97)
    values = {"tpot_s": Value(0.01, 0.009, 0.011), "train_tokens": Value(1e9)}
    return Row("a", "a", shape, Workload(1, 2, 3), Runtime("eager"), "gpu", values)


def _own_tables() -> dict[str, bytes]:
    return {
        "own.csv": table_csv.write((_row(),)).encode(),
        "own.json": table_json.write((_row(),)).encode(),
    }


def _own() -> dict[str, bytes]:
    return _own_tables() | {
        "plan.json": training_plan.write((_row(),)).encode(),
        "raw.json": raw_json.write(_measured()).encode(),
        "raw1.json": (FIXTURES / "raw" / "version-1.json").read_bytes(),
        "scene.json": scene_text(Choices()).encode(),
    }


def _use_own(path: Path) -> None:
    text = path.read_bytes().decode("utf-8", "replace")
    if path.name == "own.csv":
        table_csv.read(text)
    elif path.name == "own.json":
        table_json.read(text)
    elif path.name == "plan.json":
        training_plan.read(text)
    elif path.name == "scene.json":
        scene_parts(text)
    else:
        raw_json.read(text, "raw")


def _measured() -> tuple:
    points = parse_space(SPACE).measurement_points(2)
    return (timed(points[0]), failed(points[1]))


def _spaces() -> dict[str, bytes]:
    shipped = {n: resource(f"spaces/{n}.toml").read_bytes() for n in ("demo", "small", "gpu")}
    return {f"{n}.toml": text for n, text in shipped.items()} | {"tiny.toml": SPACE.encode()}


def _use_space(path: Path) -> None:
    space = read_space(path)
    space.measurement_points(50)
    space.candidates()


def _shapes() -> dict[str, bytes]:
    shape = Architecture(4, 256, 4, 4, 64, 768, 50304)
    return {f"{r.key}-{r.file}": r.write(shape, ExportContext()).encode() for r in config_formats()}


def _configs() -> dict[str, bytes]:
    shape = Architecture(2, 32, 4, 2, 8, 48, 50)
    llama = write_config(shape, family="llama")
    gpt2 = {"model_type": "gpt2", "n_embd": 32, "n_layer": 2, "n_head": 4, "vocab_size": 50}
    gemma = {**llama, "model_type": "gemma3", "text_config": {**llama, "model_type": "gemma3_text"}}
    plain = replace(shape, n_kv_heads=4)
    found = {"llama": llama, "gpt2": gpt2 | {"n_positions": 64}, "gemma": gemma}
    found["neox"] = write_config(
        replace(plain, norm_bias=True, gated_ffn=False, qkv_bias=True, out_bias=True, ffn_bias=True)
    )
    return {f"{name}.json": json.dumps(config).encode() for name, config in found.items()}


def _tensors() -> dict[str, object]:
    rows, at = {}, 0
    for name, shape in (("model.embed_tokens.weight", (50, 32)), ("model.norm.weight", (32,))):
        size = 4 * shape[0] * (shape[1] if len(shape) > 1 else 1)
        rows[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [at, at + size]}
        at += size
    return rows


def _stored(header: bytes) -> bytes:
    return struct.pack("<Q", len(header)) + header + bytes(6528)


def _index() -> dict[str, bytes]:
    weights = {name: "model.safetensors" for name in _tensors()}
    return {"model.safetensors.index.json": json.dumps({"weight_map": weights}).encode()}


def _use_folder(path: Path) -> None:
    """A model folder of which the file at `path` is broken; the others are good."""
    folder = path.parent
    config, header = _configs()["llama.json"], json.dumps(_tensors()).encode()
    given, dice = path.read_bytes(), random.Random(path.read_bytes())
    if path.name == "config.json":
        config = broken(config, dice)
    elif path.name == "model.safetensors":
        header = broken(header, dice) if dice.random() < 0.8 else header
    (folder / "config.json").write_bytes(config)
    weights = _stored(header)
    if path.name == "model.safetensors" and dice.random() < 0.2:
        weights = broken(weights, dice)
    (folder / "model.safetensors").write_bytes(weights)
    index = folder / "model.safetensors.index.json"
    index.unlink(missing_ok=True)
    if path.name == index.name:
        index.write_bytes(given)
    for read in (read_folder, read_stored, what_file):
        _answers(read, folder)


def _answers(read: Callable[[Path], object], path: Path) -> None:
    with suppress(Unusable):
        read(path)


# --- projects: records, texts and the schema, not the bytes of SQLite


@cache
def good_project() -> bytes:
    """A small project with something of every kind in it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "p.paretoscope"
        _make_project(path)
        return path.read_bytes()


def _make_project(path: Path) -> None:
    with Project.create(path) as project:
        for measurement in _measured():
            project.add_measurement(measurement)
        project.put_runs(load(FIXTURES / "runs" / "lr_sweep.csv").runs)
        point = ImportedPoint(
            "a", Workload(), Runtime(), "gpu", {"tpot_s": Estimate(0.01)}, "f.json", "tool"
        )
        project.add_imported("f.json", (point,))
        project.put_text("space", SPACE)
        scenes = (("one", scene_text(Choices())),)
        project.put_choices(Choices(limits=(parse_limit("tpot_s < 8ms"),), scenes=scenes))


def break_project(path: Path, dice: random.Random) -> None:
    """One record, text, column or table of a project changed, as another program could do it."""
    db = sqlite3.connect(path)
    kind = dice.random()
    if kind < 0.55:
        table = dice.choice(("measurement", "measurement", "runs", "imported"))
        row, blob = dice.choice(db.execute(f"SELECT rowid, record FROM {table}").fetchall())
        record = broken_value(json.loads(zlib.decompress(blob)), dice)
        new = zlib.compress(json.dumps(record).encode("utf-8", "replace"))
        if dice.random() < 0.1:
            new = dice.choice((broken(new, dice), zlib.compress(dice.choice(TEXTS).encode()), b""))
        db.execute(f"UPDATE {table} SET record = ? WHERE rowid = ?", (new, row))
    elif kind < 0.75:
        value = broken_value(choices_to_dict(Choices(limits=(parse_limit("loss < 3"),))), dice)
        text = json.dumps(value) if dice.random() < 0.9 else dice.choice(TEXTS)
        db.execute("UPDATE text SET value = ? WHERE name = 'choices'", (text,))
    elif kind < 0.85:
        new = dice.choice((b"\xff\xfe", 5, 1e400, broken(SPACE.encode(), dice), b"\xff" * 9, ""))
        if isinstance(new, bytes) and dice.random() < 0.5:
            new = new.decode("latin-1")
        db.execute(
            "UPDATE text SET value = ? WHERE name = ?", (new, dice.choice(("space", "choices")))
        )
    elif kind < 0.92:
        table, column = dice.choice(
            (("measurement", "record"), ("runs", "record"), ("imported", "record"))
        )
        new = dice.choice(("text", 5, 1.5, b"", b"\0", "\ud7ff"))
        db.execute(f"UPDATE {table} SET {column} = ?", (new,))
    else:
        statement = dice.choice(
            (
                "CREATE VIEW other AS SELECT 1",
                "CREATE TRIGGER t AFTER INSERT ON text BEGIN DELETE FROM runs; END",
                "CREATE TABLE more (a)",
                "DROP TABLE runs",
                "DROP TABLE text",
                "ALTER TABLE measurement RENAME COLUMN record TO other",
                "ALTER TABLE imported ADD COLUMN more TEXT",
                "PRAGMA user_version = 0",
                "PRAGMA user_version = -5",
                "PRAGMA user_version = 1",
                "PRAGMA application_id = 1",
                "DROP TABLE measurement; CREATE VIEW measurement AS WITH RECURSIVE"
                " n(id, record) AS (SELECT 1, x'00' UNION ALL SELECT id + 1, record FROM n LIMIT 9)"
                " SELECT id, '' AS added_at, '' AS label, '' AS flags, record FROM n",
            )
        )
        db.executescript(statement)
    db.commit()
    db.close()


def _use_project(path: Path) -> None:
    data = path.read_bytes()
    dice = random.Random(data)
    path.write_bytes(good_project())
    if dice.random() < 0.1:
        path.write_bytes(_bytes(_bytes(path.read_bytes(), dice), dice))
    else:
        break_project(path, dice)
    for read_only in (True, False):
        with Project.open(path, read_only) as project:
            for read in (
                project.measurements,
                project.runs,
                project.imported,
                project.choices,
                lambda: parse_space(project.text("space")),
                lambda: [scene_parts(text) for _, text in project.choices().scenes],
                lambda: read_contents(project),
            ):
                _answers(lambda _, read=read: read(), path)
            if not read_only:
                project.put_text("space", SPACE)
                project.put_choices(Choices())


# --- words on the command line


def _words() -> dict[str, str]:
    return {
        "shape": "24x2048",
        "quantity": "1.5B",
        "limit": "tpot_s < 8ms",
        "batch": "4",
        "cell": "1,000.5",
    }


def _use_words(path: Path) -> None:
    try:
        words = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        return
    if not isinstance(words, dict):
        return
    texts = {k: v if isinstance(v, str) else json.dumps(v) for k, v in words.items()}
    texts = _words() | texts
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        status = main(["info", texts["shape"], "--batch", texts["batch"], "--json"])
        assert status in (0, 2)
    for read, word in (
        (lambda text: parse_quantity(text, "count"), texts["quantity"]),
        (parse_limit, texts["limit"]),
    ):
        _answers(read, word)
    with suppress(ValueError):
        number(texts["cell"])
