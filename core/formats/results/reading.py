"""Results of any known tool, told apart by what is in the file and not by its name."""

from __future__ import annotations

import importlib
from dataclasses import replace
from pathlib import Path

from core.errors import Unusable
from core.export.formats import RESULT_READERS
from core.formats.results.document import Document, open_document
from core.formats.results.imported import ImportedPoint

# files that tools leave in a folder of results
IN_FOLDERS = (
    "**/summary.json",
    "**/benchmark.json",
    "**/benchmark_report.json",
    "**/results_*.json",
    "**/profile_export_aiperf_sweep.json",
    "**/profile_export_aiperf.json",
    "**/profile_export_genai_perf.json",
    "**/benchmarks.json",
    "**/pareto.csv",
)
MOST_FILES = 1000


def read_results(path: Path | str) -> tuple[ImportedPoint, ...]:
    """The points of a result file, or of every known result file in a folder.

    Unusable, with what was looked for and what was found, when it is none or is broken. In a folder
    broken files are skipped with a note on the other points, unless every one is broken.
    """
    path = Path(path)
    if not path.is_dir():
        return read_document(open_document(path))
    files = sorted({f for pattern in IN_FOLDERS for f in path.glob(pattern) if f.is_file()})
    files = [f for f in files if not _doubled(f, files)]
    if not files:
        names = ", ".join(p.rpartition("/")[2] for p in IN_FOLDERS)
        raise Unusable(f"{path}: no result file in this folder (looked for {names})")
    if len(files) > MOST_FILES:
        raise Unusable(f"{path}: {len(files)} result files; name a smaller folder")
    points: list[ImportedPoint] = []
    errors: list[str] = []
    for file in files:
        try:
            points += read_document(open_document(file))
        except Unusable as error:
            errors.append(str(error))
    if not points:
        raise Unusable(errors[0])
    if errors:
        note = f"{len(errors)} of {len(files)} files were skipped, the first: {errors[0]}"
        points = [replace(p, notes=(*p.notes, note)) for p in points]
    return tuple(points)


def _doubled(file: Path, files: list[Path]) -> bool:
    if file.name == "benchmark_report.json":
        return file.with_name("benchmark.json") in files
    # the summary of a sweep holds every run of it
    return file.name == "profile_export_aiperf.json" and any(
        f.name == "profile_export_aiperf_sweep.json" for f in files
    )


def read_document(document: Document) -> tuple[ImportedPoint, ...]:
    """The points of an opened file by the first reader that recognises it."""
    looked_for = []
    for name in RESULT_READERS:
        module = importlib.import_module(name)
        if module.recognises(document):
            points: tuple[ImportedPoint, ...] = module.read(document)
            return points
        looked_for.append(module.LOOKED_FOR)
    raise Unusable(
        f"{document.path}: not a result file known here; looked for {'; '.join(looked_for)}; "
        f"found {document.found}"
    )
