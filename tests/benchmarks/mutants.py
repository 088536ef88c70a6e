"""Do the tests notice? Changes one operator, comparison or number of a module at a time and runs its tests.

    python tests/benchmarks/mutants.py [--seed 1] [--count 40] [MODULE ...]

Cosmic Ray (`pip install -e .[mutants]`) finds the places and makes the changes. From each module a
seeded sample of places is drawn, and one change for each. Tests run in a child that imports the
changed text: no file is touched. Modules and tests are listed in `mutants.toml` beside this file.
Changes that no test noticed are printed. POSIX only, since the child is a fork.
"""

from __future__ import annotations

import argparse
import ast
import importlib.machinery
import os
import random
import re
import shlex
import signal
import sys
import time
import tomllib
from pathlib import Path
from typing import NamedTuple

import hypothesis
import numpy
import pytest
import scipy.special  # noqa: F401  loaded once, before the children
from cosmic_ray.ast import ast_nodes, get_ast_from_path
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator, operator_names

# operators of like kind: `+` to `<<` fails at once and says nothing about the tests
ARITHMETIC = "Add|Sub|Mul|Div|FloorDiv|Mod|Pow"
BITWISE = "BitAnd|BitOr|BitXor|RShift|LShift"
WANTED = re.compile(
    rf"core/(ReplaceBinaryOperator_({ARITHMETIC})_({ARITHMETIC})"
    rf"|ReplaceBinaryOperator_({BITWISE})_({BITWISE})"
    r"|ReplaceComparisonOperator_((Is|IsNot)_(Is|IsNot)|(?!Is)[A-Za-z]+_(?!Is)[A-Za-z]+)"
    r"|ReplaceUnaryOperator_(USub_UAdd|Delete_USub|Delete_Not|Delete_Invert)"
    r"|NumberReplacer|AddNot|ReplaceAndWithOr|ReplaceOrWithAnd"
    r"|ReplaceTrueWithFalse|ReplaceFalseWithTrue)"
)


class Mutant(NamedTuple):
    """A changed text of a module, and where it differs."""

    line: int
    operator: str
    text: str


def mutants(path: Path, count: int, seed: int) -> tuple[int, list[Mutant]]:
    """How many places can be changed, and a change at each of `count` of them."""
    source = path.read_text()
    tree, same = get_ast_from_path(path), meaning(source)
    places: dict[tuple[object, str], list[tuple[str, int]]] = {}
    for name in operator_names():
        if not WANTED.fullmatch(name):
            continue
        operator = get_operator(name)()
        found = (at for node in ast_nodes(tree) for at in operator.mutation_positions(node))
        for occurrence, (start, _) in enumerate(found):
            places.setdefault((start, name.split("_")[0]), []).append((name, occurrence))
    rng = random.Random(f"{seed} {path.as_posix()}")
    order = sorted(places, key=str)
    rng.shuffle(order)
    chosen: list[Mutant] = []
    for place in order:
        if len(chosen) == count:
            break
        name, occurrence = rng.choice(sorted(places[place]))
        text = mutate_code(source, get_operator(name)(), occurrence)
        try:
            if text is None or meaning(text) == same:
                continue
        except SyntaxError:
            # `**columns` is no power, and `not x := y` no expression
            continue
        chosen.append(Mutant(place[0][0], name.removeprefix("core/"), text))
    return len(order), chosen


def meaning(source: str) -> str:
    """The syntax tree as text, without what computes nothing: annotations, how a dataclass is built,
    and the guard that two sequences are of one length."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.AnnAssign):
            node.annotation = ast.Constant(0)
        elif isinstance(node, ast.arg):
            node.annotation = None
        elif isinstance(node, ast.FunctionDef):
            node.returns = None
        elif isinstance(node, ast.ClassDef):
            node.decorator_list = []
        elif isinstance(node, ast.Call):
            node.keywords = [k for k in node.keywords if k.arg != "strict"]
    return ast.dump(tree)


class Changed(importlib.machinery.SourceFileLoader):
    """Loads another text than the file's."""

    text = ""

    def get_data(self, path: str) -> bytes:
        """The changed text, also where a cached compilation is asked for."""
        if path.endswith(".pyc"):
            raise OSError("not cached")
        return self.text.encode()


class Finder:
    """Finds the one changed module."""

    def __init__(self, path: Path, text: str) -> None:
        self.path, self.name = path.resolve(), ".".join(path.with_suffix("").parts)
        self.text = text

    def find_spec(self, name: str, *_: object) -> importlib.machinery.ModuleSpec | None:
        """The module with the changed text; None for all others."""
        if name != self.name:
            return None
        loader = Changed(name, str(self.path))
        loader.text = self.text
        return importlib.util.spec_from_file_location(name, self.path, loader=loader)


def outcome(path: Path, text: str, tests: str, timeout_s: float) -> str:
    """'passed', 'failed' or 'endless' of the tests with this text in place of the module's."""
    child = os.fork()
    if not child:
        silent = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silent, 1)
        os.dup2(silent, 2)
        sys.dont_write_bytecode = True
        sys.meta_path.insert(0, Finder(path, text))
        usual = "-x -q -p no:cacheprovider -p no:pytest-qt --assert=plain"
        os._exit(int(pytest.main(shlex.split(f"{usual} {tests}"))))
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return "passed" if status == 0 else "failed"
        time.sleep(0.02)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return "endless"


def main() -> None:
    """Prints, by module, how many changes were noticed, and those that were not."""
    words = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    words.add_argument("modules", nargs="*", help="default: all of mutants.toml")
    words.add_argument("--seed", type=int, default=1)
    words.add_argument("--count", type=int, default=40, help="changes of each module")
    words.add_argument(
        "--timeout", type=int, default=120, help="seconds for the tests of one change"
    )
    given = words.parse_args()
    listed = tomllib.loads(Path(__file__).with_name("mutants.toml").read_text())
    hypothesis.settings.register_profile(
        "mutants", derandomize=True, database=None, deadline=None,
        phases=(hypothesis.Phase.explicit, hypothesis.Phase.generate),
    )  # fmt: skip
    hypothesis.settings.load_profile("mutants")
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    every = noticed = 0
    for name in given.modules or listed:
        path, tests = Path(name), listed[name]["tests"]
        if (usual := outcome(path, path.read_text(), tests, 600)) != "passed":
            raise SystemExit(f"{name}: its tests end as '{usual}' without any change")
        places, sample = mutants(path, given.count, given.seed)
        unnoticed = [m for m in sample if outcome(path, m.text, tests, given.timeout) == "passed"]
        every, noticed = every + len(sample), noticed + len(sample) - len(unnoticed)
        print(f"{name}: {len(sample) - len(unnoticed)} of {len(sample)} noticed ({places} places)")
        lines = path.read_text().splitlines()
        for m in unnoticed:
            new = m.text.splitlines()
            at = next(i for i, (a, b) in enumerate(zip(lines, new, strict=False)) if a != b)
            print(f"  {m.line} {m.operator}\n    - {lines[at].strip()}\n    + {new[at].strip()}")
        sys.stdout.flush()
    print(f"{noticed} of {every} noticed, {100 * noticed / max(every, 1):.0f} %; seed {given.seed}")
    print(f"numpy {numpy.__version__}, python {sys.version.split()[0]}")


if __name__ == "__main__":
    main()
