"""Every capability has a door on the command line and one in the window, or a reason why not.

A row names a capability, command lines that must be taken as they are, and its places in the window:
'action:NAME' a row of the menus, 'PANEL.PART' a part of a panel or of the plot's view, the inspector
or the limits. Every command, option, export format, panel and action stands in some row, so that a new
one without a row fails, as does a row whose door is gone.
"""

import argparse
import gc
import importlib
import os
import shlex
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import pytest

from core.__main__ import Parser
from core.commands.names import COMMANDS, module_of
from core.export.formats import formats

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class NoDoor:
    """Why a capability has no door on one side."""

    reason: str


@dataclass(frozen=True)
class Door:
    """A row: what can be done, from the command line and in the window."""

    capability: str
    commands: tuple[str, ...] | NoDoor
    window: tuple[str, ...] | NoDoor


LOOKING = NoDoor("a way of looking at the picture, or of working in the window")
LATER = "planned for the window: "

DOORS = (
    # --- candidates and their picture
    Door(
        "count a shape: parameters, FLOPs, memory",
        (
            "info 16x2048 --heads 16 --kv-heads 4 --ffn 8192 --vocab 50432 --tied --batch 1"
            " --prompt 128 --output 64 --weights bf16 --cache fp8 --tokens 20B",
        ),
        ("inspector.metrics", "inspector.picture", "inspector.shape"),
    ),
    Door(
        "describe a space of candidates",
        ("profile space.toml --project P --plan",),
        ("action:show_space", "space.text", "space.presets", "space.apply", "space.problem"),
    ),
    Door(
        "the front under two axes",
        ("frontier P --x tpot --y loss --top 5 --device cpu --insist",),
        ("action:show_front_table", "front_table.view", "plot_view.plot", "action:swap"),
    ),
    Door("what a front is worth: hypervolume", ("frontier P --json",), ("front_table.worth",)),
    Door(
        "limits",
        ("frontier P --limit tpot<=8ms --limit memory<=24GB",),
        ("limits.add_box", "limits.typed", "plot_view.chips", "action:drop_limits"),
    ),
    Door(
        "candidates outside what the loss law's runs had",
        (
            "frontier P --outside",
            "report P --out R.html --outside",
            "select --project P --max-params 1B --tokens 20B --max-latency-s 2 --outside",
        ),
        ("limits.outside", "action:outside", "inspector.why"),
    ),
    Door(
        "how sure a place on the front is",
        ("frontier P --json",),
        ("action:chance", "inspector.why"),
    ),
    Door(
        "the picture in sentences",
        ("frontier P",),
        ("plot_view.sentence", "action:copy_text", "action:copy_limits", "action:copy_choice"),
    ),
    Door(
        "all metrics side by side",
        ("frontier P --json",),
        ("action:show_parallel", "parallel.axes", "parallel.add"),
    ),
    Door(
        "candidates against a baseline",
        NoDoor("the metrics of each are in frontier --json"),
        (
            "action:show_compare",
            "compare.table",
            "action:pin",
            "inspector.pin",
            "inspector.baseline",
        ),
    ),
    Door(
        "step along the front",
        ("frontier P --top 3",),
        ("action:best", "action:next", "action:previous"),
    ),
    # --- what if
    Door(
        "another workload, precision or training length",
        NoDoor("a space states them; several can stand side by side in it"),
        ("action:show_what_if", "what_if.weights", "what_if.table", "what_if.reset"),
    ),
    Door(
        "a published illustration of the loss below 16 bits",
        ("frontier P --published-precision quantised",),
        ("what_if.precision", "plot_view.sentence"),
    ),
    Door(
        "tokens served over a life, and the cheapest model for them",
        ("frontier P --x lifetime --served-tokens 2T",),
        ("what_if.values.served_tokens", "plot_view.plot", "plot_view.sentence"),
    ),
    Door(
        "speculative decoding",
        NoDoor("a what-if of a picture, until pairs of models are measured"),
        ("what_if.speculate", "what_if.acceptance", "what_if.draft", "what_if.ahead"),
    ),
    # --- measuring
    Door(
        "plan of a sweep: what it would measure and cost",
        ("profile S --project P --plan --points 12 --budget-s 600",),
        ("measure.points", "measure.budget", "measure.words"),
    ),
    Door(
        "sweep of a space on this machine",
        (
            "profile S --project P --device cpu --threads 2 --execution eager --weights fp32"
            " --again --seed 1 --model FOLDER",
        ),
        (
            "action:show_measure",
            "action:measure",
            "measure.start",
            "measure.pause",
            "measure.cancel",
            "measure.device",
            "measure.threads",
            "measure.again",
            "inspector.measure",
        ),
    ),
    Door(
        "repetitions in fresh processes",
        ("profile S --project P --repetitions 3",),
        ("measure.repetitions",),
    ),
    Door(
        "interleaved measuring on a shared machine",
        ("profile S --project P --interleave 8",),
        ("measure.interleave",),
    ),
    Door(
        "a sweep that chooses its own points",
        ("profile S --project P --until-error 5%",),
        NoDoor(LATER + "a sweep that chooses, with its curve of error"),
    ),
    Door(
        "energy",
        ("profile S --project P --energy", "model F --project P --energy"),
        NoDoor(LATER + "an energy pass"),
    ),
    Door(
        "several devices",
        ("profile S --project P --device cuda:0,cuda:1",),
        ("action:show_devices", "devices.tree", "measure.device", "measure.look"),
    ),
    Door(
        "a cluster",
        ("profile S --project P --cluster ssh:one,two",),
        NoDoor("a cluster is reached from a shell; its results open like any project's"),
    ),
    Door(
        "another Python to measure with",
        (
            "profile S --project P --python /usr/bin/python3",
            "model F --project P --python python3",
            "endpoint http://h --model m --project P --python python3",
        ),
        ("devices.python", "devices.check"),
    ),
    Door(
        "a local model: speed, memory, loss on a text",
        (
            "model F --project P --text T --windows disjoint --device cpu --batch 1 --prompt 128 --output 256"
            " --weights bf16 --execution transformers --budget-s 60 --threads 2",
        ),
        ("measure.folder",),
    ),
    Door(
        "a served model",
        (
            "endpoint http://127.0.0.1:8000 --model m --project P --config c.json --batch 4"
            " --prompt 128 --output 64 --requests 12 --device cpu --weights fp16 --timeout-s 60"
            " --key-from KEY",
        ),
        ("measure.endpoint",),
    ),
    Door(
        "what was predicted beside what was measured",
        ("profile S --project P --plan", "compare morph"),
        ("action:show_trust", "trust.chart", "trust.table"),
    ),
    # --- laws of loss
    Door(
        "training runs of one's own",
        (
            "fit runs.csv --column loss=val_loss --law chinchilla",
            "compare runs.csv --column tokens=seen",
            "bootstrap runs.csv --column loss=val_loss --law chinchilla",
            "doubt runs.csv --column loss=val_loss",
        ),
        ("action:import", "laws.runs"),
    ),
    Door(
        "the best of a sweep, the last of each run's checkpoints",
        tuple(
            f"{command} --best-of-repeats --last-of-run"
            for command in (
                "fit runs.csv --law chinchilla",
                "compare runs.csv",
                "bootstrap runs.csv --law chinchilla",
                "doubt runs.csv",
            )
        ),
        ("action:import",),
    ),
    Door(
        "fit a loss law",
        (
            "fit morph --where category=pretrain --law chinchilla --tied --params total"
            " --method huber --delta 1e-3 --insist",
            "fit morph --law inference-aware --own-shape-exponent",
        ),
        ("action:show_laws", "laws.table", "laws.use", "laws.method", "laws.parameters"),
    ),
    Door(
        "fit several suites as one",
        (
            "fit a.csv b.csv --together --law chinchilla",
            "compare a.csv b.csv --together",
            "bootstrap a.csv b.csv --together --law chinchilla",
            "doubt a.csv b.csv --together",
        ),
        ("laws.runs.beside",),
    ),
    Door(
        "compare laws on shapes left out",
        ("compare morph --where category=pretrain --law chinchilla --params total --method huber",),
        ("laws.table", "laws.charts", "laws.proposal", "laws.cuts"),
    ),
    Door(
        "the checklist of a fit",
        ("fit morph --law chinchilla --checklist fit.md --force",),
        ("laws.checklist",),
    ),
    Door(
        "published constants beside one's own",
        ("compare morph --published",),
        ("laws.table",),
    ),
    Door(
        "intervals by resampling",
        (
            "bootstrap morph --where category=pretrain --law chinchilla --tied --params total"
            " --method huber --delta 1e-3 --insist --resamples 100 --unit shape --seed 1 --level 0.9"
            " --predict params_total=1B,tokens=20B",
            "bootstrap morph --law inference-aware --own-shape-exponent",
        ),
        ("laws.parameters", "inspector.metrics"),
    ),
    Door(
        "where two designs cross",
        ("bootstrap morph --law width-depth --cross A --cross B",),
        ("compare.crossings",),
    ),
    Door(
        "the best size and tokens for a training budget",
        ("bootstrap morph --law chinchilla --train-flops 1e21",),
        NoDoor(LATER + "optimal tokens per parameter with its interval"),
    ),
    Door(
        "which conclusions hang on a choice",
        (
            "doubt morph --where category=pretrain --law chinchilla --tied --params total"
            " --method huber --resamples 50",
        ),
        ("laws.sensitivity", "laws.answers"),
    ),
    Door(
        "the published experiment, fitted again",
        ("reproduce",),
        ("action:show_reproduce", "reproduce.start", "reproduce.fits"),
    ),
    Door(
        "select shapes within a size, a token budget and a latency",
        (
            "select --max-params 1.7B --tokens 30B --max-latency-s 2 --top 3 --params total"
            " --include-unmeasured",
            "select --max-params 1.7B --tokens 30B --max-latency-s 2 --project demo"
            " --workload 1x128x256 --device cpu --insist",
        ),
        NoDoor(LATER + "the published method, step by step on the plot"),
    ),
    # --- what others made, and what others get
    Door(
        "results of other tools",
        ("import P a.json b.csv",),
        ("action:import", "plot_view.caution"),
    ),
    Door(
        "other projects and devices over this one",
        ("frontier P --device cpu",),
        ("action:overlay", "action:overlay_devices", "action:drop_overlays"),
    ),
    Door(
        "configurations of one shape",
        tuple(
            f"export P --candidate ID --to {key} --out F --force --name n --max-context 4096"
            for key in (
                "hf",
                "litgpt",
                "megatron",
                "open_lm",
                "sglang",
                "tensorrt_llm",
                "torchtitan",
                "vllm",
            )
        ),
        ("action:export",),
    ),
    Door(
        "tables of candidates, and all that was measured",
        tuple(f"export P --to {key} --out F --top 5" for key in ("csv", "json", "raw")),
        ("action:export",),
    ),
    Door(
        "a training plan with its time and price",
        (
            "export P --to plan --out F --device H100 --devices 8 --utilisation 0.4 --peak 1e15"
            " --price 2",
        ),
        ("action:export",),
    ),
    Door(
        "a report",
        (
            "report P --out r.html --force --title T --top 8 --x tpot --y loss --limit tpot<=8ms"
            " --candidate ID --device cpu",
        ),
        ("action:report",),
    ),
    Door("the picture as an image", ("report P --out r.html",), ("action:copy_picture",)),
    # --- projects and the program
    Door("the demonstration", ("frontier demo",), ("action:demo", "action:tour")),
    Door(
        "projects",
        ("profile S --project P", "frontier P"),
        ("action:new", "action:open", "action:recent", "action:save", "action:save_as"),
    ),
    Door("help", tuple(f"{name} --help" for name in COMMANDS), ("action:help", "action:keys")),
    Door("undo and redo", LOOKING, ("action:undo", "action:redo")),
    Door("present", LOOKING, ("action:present", "action:save_scene", "action:drop_scenes")),
    Door("zoom", LOOKING, ("action:fit_view",)),
    Door("colours", LOOKING, ("action:theme_system", "action:theme_light", "action:theme_dark")),
    Door("the program itself", LOOKING, ("action:about", "action:folder", "action:quit")),
)


def parser_of(command: str) -> Parser:
    """The parser of one command, as the program makes it."""
    module = importlib.import_module(module_of(command))
    parser = Parser(prog=f"paretoscope-cli {command}")
    module.arguments(parser)
    parser.add_argument("--json", action="store_true")
    return parser


def lines():
    """Every command line of the table, as words."""
    for door in DOORS:
        if not isinstance(door.commands, NoDoor):
            yield from (shlex.split(line.replace("<=", "'<='")) for line in door.commands)


def places():
    """Every place in the window of the table."""
    for door in DOORS:
        if not isinstance(door.window, NoDoor):
            yield from door.window


@pytest.mark.parametrize("command", COMMANDS)
def test_the_command_takes_every_line_and_no_option_lacks_a_row(command, capsys):
    parser = parser_of(command)
    mine = [words[1:] for words in lines() if words[0] == command]
    used = set()
    for words in mine:
        if words == ["--help"]:
            with pytest.raises(SystemExit):
                parser.parse_args(words)
            continue
        parser.parse_args(words)
        used |= {word for word in words if word.startswith("--")}
    assert mine, f"no row names the command {command}"
    # names that only keep older scripts working are not shown, and need no row
    known = {
        action.option_strings[-1]
        for action in parser._actions
        if action.option_strings and action.help != argparse.SUPPRESS
    }
    assert known - used <= {"--help", "--json"}, "options in no row"


def test_every_row_names_a_command_that_exists():
    assert {words[0] for words in lines()} == set(COMMANDS)


def test_every_export_format_is_in_a_row():
    written = {words[words.index("--to") + 1] for words in lines() if "--to" in words}
    assert written == set(formats())


def test_a_missing_door_has_its_reason_and_no_capability_lacks_both():
    for door in DOORS:
        missing = [side for side in (door.commands, door.window) if isinstance(side, NoDoor)]
        assert len(missing) < 2 and all(side.reason for side in missing), door.capability
    assert len({door.capability for door in DOORS}) == len(DOORS)


@pytest.fixture(scope="module")
def window(qapp):
    from gui.app.settings import Settings
    from gui.panels.table import PANELS
    from gui.shell.window import Window
    from gui.state.store import Store

    store = Store()
    made = Window(store, Settings(None))
    made.show()
    made.fill()
    for row in PANELS:
        made.panel(row.name)
    yield made
    made.close()
    made.deleteLater()
    qapp.processEvents()
    gc.collect()


def part_of(window, place):
    """What stands at a place in the window; KeyError or AttributeError where nothing does."""
    first, _, rest = place.partition(".")
    fixed = {"plot_view": "plot_view", "inspector": "inspector", "limits": "limits"}
    found = getattr(window, fixed[first]) if first in fixed else window.panel(first)
    for name in rest.split(".") if rest else ():
        found = found[name] if isinstance(found, dict) else getattr(found, name)
    return found


@pytest.mark.parametrize("place", sorted({p for p in places() if not p.startswith("action:")}))
def test_the_window_has_the_part(window, place):
    from PySide6.QtCore import QObject

    found = part_of(window, place)
    assert isinstance(found, QObject)


def test_every_action_and_no_other_is_in_a_row(window):
    named = {place.removeprefix("action:") for place in places() if place.startswith("action:")}
    assert named == {row.name for row in window.actions_table.rows}


def test_every_panel_is_in_a_row(window):
    from gui.panels.table import PANELS

    named = {place.partition(".")[0] for place in places() if not place.startswith("action:")}
    assert named == {row.name for row in PANELS} | {"plot_view", "inspector", "limits"}


def test_the_list_of_allowed_names_holds_no_name_in_use():
    """What is unused and allowed is exactly what is unused: the run of vulture sees the other side."""
    vulture = pytest.importorskip("vulture")
    look = vulture.Vulture()
    look.scavenge([ROOT / "core", ROOT / "gui"])
    unused = {item.name for item in look.get_unused_code(min_confidence=60)}
    allowed = {
        line.removeprefix("_.")
        for line in (ROOT / "packaging/vulture_allowed.py").read_text().splitlines()
        if line.startswith("_.")
    }
    assert allowed == unused
