"""Versions and licences of the program's components, from the installed packages.

A bundle carries no package metadata, so its builder writes them to a folder (`write_licences`),
which is read back there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from importlib.metadata import (
    Distribution,
    PackageNotFoundError,
    distribution,
    distributions,
)
from pathlib import Path

from core.resources import resource

ROOT = "paretoscope"
# of its own optional parts those that the program is made of
PARTS = frozenset({"gui", "measure"})
FOLDER = "licences"
LIST = "licences.json"
# the typeface and the run tables ship their own texts under resources
SHIPPED = (
    ("Inter (typeface)", "4", "OFL-1.1", "fonts/OFL-1.1.txt"),
    ("Public run tables", "", "MIT", "runs/LICENSES"),
)
# packages without a licence text of their own, and where it is kept
OURS = {
    "pyside6-essentials": ("licences/LGPL-3.0.txt", "licences/GPL-3.0.txt"),
    "shiboken6": ("licences/LGPL-3.0.txt", "licences/GPL-3.0.txt"),
}
TEXT = re.compile(r"(^|/)(licen[cs]e|copying|notice|lgpl|gpl)[^/]*$", re.IGNORECASE)
OPTION = re.compile(r"extra\s*==\s*[\"']([^\"']+)")
CODE = re.compile(r"\.(py[cdo]?|so|dll|h|c)$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Licence:
    """One package: `texts` are its licence texts, by file name within it."""

    name: str
    version: str
    licence: str
    texts: tuple[tuple[str, str], ...] = ()


def licences() -> tuple[Licence, ...]:
    """All components of the program, by name; in a bundle from the folder written at its build."""
    stored = resource(FOLDER) / LIST
    if stored.is_file():
        rows = json.loads(stored.read_text(encoding="utf-8"))
        found = [Licence(**{**row, "texts": tuple(map(tuple, row["texts"]))}) for row in rows]
    else:
        found = [licence_of(one) for one in packages()]
    return tuple(sorted((*found, *shipped()), key=lambda row: row.name.casefold()))


def shipped() -> tuple[Licence, ...]:
    """Data that ships with the program, with its licence texts."""
    found = []
    for name, number, licence, place in SHIPPED:
        path = resource(place)
        files = sorted(path.iterdir()) if path.is_dir() else [path]
        texts = tuple((f.name, f.read_text(encoding="utf-8")) for f in files if f.is_file())
        found.append(Licence(name, number, licence, texts))
    return tuple(found)


def packages(root: str = ROOT) -> tuple[Distribution, ...]:
    """The installed packages that the program needs, and those that they need."""
    found: dict[str, Distribution] = {}
    wanted: list[tuple[str, frozenset[str]]] = [(root, PARTS)]
    seen: set[tuple[str, frozenset[str]]] = set()
    while wanted:
        name, parts = wanted.pop()
        key = canonical(name)
        if (key, parts) in seen:
            continue
        seen.add((key, parts))
        try:
            one = distribution(name)
        except PackageNotFoundError:
            continue
        found[key] = one
        for line in one.requires or ():
            # an optional part counts where a requirement names it, as torch names those of CUDA
            options = OPTION.findall(line)
            if not options or any(canonical(option) in parts for option in options):
                wanted.append(parsed(line))
    found.pop(root, None)
    return tuple(found.values())


def parsed(requirement: str) -> tuple[str, frozenset[str]]:
    """The package that a requirement names, and the optional parts of it that it needs."""
    need = re.match(r"\s*([\w.-]+)\s*(?:\[([^\]]*)\])?", requirement)
    if need is None:
        return requirement, frozenset()
    parts = (part.strip() for part in (need[2] or "").split(","))
    return need[1], frozenset(canonical(part) for part in parts if part)


def canonical(name: str) -> str:
    """A package's name as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def licence_of(one: Distribution) -> Licence:
    """The licence that an installed package declares, with all its licence texts."""
    about = one.metadata
    named = about.get("License-Expression") or about.get("License") or ""
    if not named or "\n" in named:
        marks = [c for c in about.get_all("Classifier") or () if c.startswith("License ::")]
        named = ", ".join(c.rpartition(":: ")[2] for c in marks) or named.partition("\n")[0]
    texts = []
    for file in one.files or ():
        path = str(file)
        if TEXT.search(path) and not CODE.search(path):
            try:
                texts.append((path, Path(str(file.locate())).read_text(encoding="utf-8")))
            except (OSError, UnicodeDecodeError):
                continue
    if not texts:
        places = OURS.get(canonical(str(about["Name"])), ())
        texts = [(Path(p).name, resource(p).read_text(encoding="utf-8")) for p in places]
    return Licence(str(about["Name"]), one.version, named or "see its texts", tuple(sorted(texts)))


def owners(modules: Iterable[str]) -> tuple[Distribution, ...]:
    """The installed packages, except this one, with a file in one of these top-level modules."""
    wanted = set(modules)
    found: dict[str, Distribution] = {}
    for one in distributions():
        # by its files: some NVIDIA packages declare their modules wrongly or not at all
        if any(file.parts[0].partition(".")[0] in wanted for file in one.files or ()):
            found.setdefault(canonical(str(one.metadata["Name"])), one)
    found.pop(ROOT, None)
    return tuple(found[name] for name in sorted(found))


def write_licences(folder: Path, modules: Iterable[str] | None = None) -> int:
    """Write the list for a bundle into a folder; returns how many packages it names.

    With `modules`, the top-level modules in the bundle, it names the packages that they are from.
    """
    folder.mkdir(parents=True, exist_ok=True)
    found = packages() if modules is None else owners(modules)
    rows = [asdict(licence_of(one)) for one in found]
    (folder / LIST).write_text(json.dumps(rows, indent=1), encoding="utf-8")
    return len(rows)
