"""lm-evaluation-harness `samples_*.jsonl` (`--log_samples`): the scores of one model, by question."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from core.document import Document
from core.formats.results.imported import need, number
from core.formats.results.readers import ResultFormat
from core.formats.results.tasks import ACCURACIES
from core.records.imported import Estimate, ImportedPoint
from core.samples.statistics import student_t

Z = 1.96


def recognises(document: Document) -> bool:
    """True for rows with a question's id and the model's responses to it."""
    rows = document.objects[:5]
    return bool(rows) and all(
        "doc_id" in row and ("resps" in row or "filtered_resps" in row) for row in rows
    )


def read(document: Document) -> tuple[ImportedPoint, ...]:
    """One point: the share of right answers with a 95 % interval, and the score of each question.

    Of several filters of the answers the first counts, and of several metrics the one that lm-eval's
    own summary would give.
    """
    rows = document.objects
    filters = list(dict.fromkeys(str(row.get("filter", "")) for row in rows))
    chosen = [row for row in rows if str(row.get("filter", "")) == filters[0]] if filters else []
    metric = _metric(chosen)
    scores: dict[str, float] = {}
    left_out = [f"filter {name}: another reading of the same answers" for name in filters[1:]]
    without = repeated = 0
    for row in chosen:
        question, score = str(row.get("doc_id")), number(row.get(metric)) if metric else None
        if score is None or not 0 <= score <= 1:
            without += 1
        elif question in scores:
            repeated += 1
        else:
            scores[question] = score
    if without:
        left_out.append(f"{without} of {len(chosen)} questions, which have no score")
    if repeated:
        left_out.append(f"{repeated} rows that repeat a question")
    point = ImportedPoint(
        _name(document.path),
        None,
        None,
        "",
        {"accuracy": _share(np.array(list(scores.values())), metric)} if scores else {},
        str(document.path),
        "lm-eval samples",
        "",
        (f"{metric} of {len(scores)} questions of one task",),
        scores=scores,
    )
    return need([point], document, "a score such as 'acc' in each row", left_out)


def _metric(rows: list[Mapping[str, Any]]) -> str:
    """The metric that counts: of those the rows list, else of those they hold, the best known."""
    if not rows:
        return ""
    listed = rows[0].get("metrics")
    names = [str(n) for n in listed] if isinstance(listed, list) else list(rows[0])
    known = [name for name in ACCURACIES if name in names]
    return next((n for n in known if any(number(row.get(n)) is not None for row in rows)), "")


def _share(scores: np.ndarray[Any, np.dtype[np.float64]], metric: str) -> Estimate:
    """The mean score: with Wilson's interval for right and wrong answers, else with Student's."""
    n, mean = len(scores), float(scores.mean())
    if np.isin(scores, (0.0, 1.0)).all():
        middle = (mean + Z * Z / (2 * n)) / (1 + Z * Z / n)
        half = Z / (1 + Z * Z / n) * math.sqrt(mean * (1 - mean) / n + Z * Z / (4 * n * n))
        low, high = max(middle - half, 0.0), min(middle + half, 1.0)
        return Estimate(mean, min(low, mean), max(high, mean), n, "", metric)
    if n < 2:
        return Estimate(mean, n=n, statistic=metric)
    half = student_t(n) * float(scores.std(ddof=1)) / math.sqrt(n)
    return Estimate(mean, max(mean - half, 0.0), min(mean + half, 1.0), n, "", metric)


def _name(path: Path) -> str:
    """The model, which lm-eval writes as the folder's name, and the task, as the file's."""
    match = re.fullmatch(r"samples_(.+?)(?:_\d{4}-\d\d-\d\dT.*)?", path.stem)
    task = match[1] if match else path.stem
    folder = path.absolute().parent.name
    return f"{folder.replace('__', '/', 1)}, {task}" if "__" in folder else task


def _repeated(file: Path, files: Collection[Path]) -> bool:
    """True for the questions behind results that lie beside them."""
    return file.name.startswith("samples_") and any(
        other.parent == file.parent and other.name.startswith("results_") for other in files
    )


FORMAT = ResultFormat(
    title="lm-eval samples",
    file="samples_*.jsonl",
    checked_against="documented keys, files by hand",
    looked_for="rows with 'doc_id' and 'resps' (lm-eval samples)",
    recognises=recognises,
    read=read,
    in_folders=("**/samples_*.jsonl",),
    repeated=_repeated,
)
