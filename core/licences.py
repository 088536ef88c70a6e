"""Versions and licences of what this program is made of, from the installed packages themselves.

A bundle carries no package metadata, so its builder writes them to a folder (`write_licences`),
which is read back there.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from core.resources import resource

ROOT = "paretoscope"
FOLDER = "licences"
LIST = "licences.json"
# the typeface and the run tables ship their own texts under resources
SHIPPED = (
    ("Inter (typeface)", "4", "OFL-1.1", "fonts/OFL-1.1.txt"),
    ("Public run tables", "", "MIT", "runs/LICENSES"),
)
# packages that bring no text of their own, and where theirs lies
OURS = {
    "pyside6-essentials": ("licences/LGPL-3.0.txt", "licences/GPL-3.0.txt"),
    "shiboken6": ("licences/LGPL-3.0.txt", "licences/GPL-3.0.txt"),
}
TEXT = re.compile(r"(^|/)(licen[cs]e|copying|notice|lgpl|gpl)[^/]*$", re.IGNORECASE)
CODE = re.compile(r"\.(py[cdo]?|so|dll|h|c)$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Licence:
    """One package: `texts` are its licence texts, by file name within it."""

    name: str
    version: str
    licence: str
    texts: tuple[tuple[str, str], ...] = ()


def licences() -> tuple[Licence, ...]:
    """Everything the program is made of, by name; in a bundle from the folder written at its build."""
    stored = resource(FOLDER) / LIST
    if stored.is_file():
        rows = json.loads(stored.read_text(encoding="utf-8"))
        found = [Licence(**{**row, "texts": tuple(map(tuple, row["texts"]))}) for row in rows]
    else:
        found = [licence_of(one) for one in packages()]
    return tuple(sorted((*found, *shipped()), key=lambda row: row.name.casefold()))


def shipped() -> tuple[Licence, ...]:
    """What ships as data, with its texts."""
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
    wanted = [root]
    while wanted:
        name = wanted.pop()
        key = canonical(name)
        if key in found:
            continue
        try:
            one = distribution(name)
        except PackageNotFoundError:
            continue
        found[key] = one
        for line in one.requires or ():
            # of what is optional only what is installed counts, found where something needs it
            if "extra ==" not in line.replace('"', "'"):
                wanted.append(re.split(r"[\s;<>=!~\[(]", line, maxsplit=1)[0])
    found.pop(root, None)
    return tuple(found.values())


def canonical(name: str) -> str:
    """A package's name as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def licence_of(one: Distribution) -> Licence:
    """The licence an installed package declares, with every text it brings."""
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


def write_licences(folder: Path) -> int:
    """Write the list for a bundle into a folder; returns how many packages it names."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = [asdict(licence_of(one)) for one in packages()]
    (folder / LIST).write_text(json.dumps(rows, indent=1), encoding="utf-8")
    return len(rows)
