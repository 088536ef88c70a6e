"""What a table of runs says about itself: lines '# key: value' above its header."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from core.formats.runs.shapes import RULES
from core.records.training_runs import LOSS_MEANINGS, LOSS_UNITS

# key -> what its value is
KEYS: Mapping[str, str] = {
    "suite": "what the runs are called",
    "loss column": "the column that holds the loss",
    "loss meaning": f"{', '.join(LOSS_MEANINGS[:-1])} or {LOSS_MEANINGS[-1]}",
    "loss unit": f"{', '.join(LOSS_UNITS[:-1])} or {LOSS_UNITS[-1]}",
    "source": "where the runs come from",
    "licence": "under which licence they may be used",
    "shapes": f"{', '.join(RULES)}: whose shapes these are, where layers and width say the rest (heads,"
    " FFN, vocabulary, embeddings); used for rows whose parameters follow from it exactly",
}
VALUES: Mapping[str, Sequence[str]] = {
    "loss meaning": LOSS_MEANINGS,
    "loss unit": LOSS_UNITS,
    "shapes": tuple(RULES),
}


def about_of(comments: Sequence[str], header: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """The known keys among comment lines, and what is wrong with the others of them.

    A line that is no 'key: value' with a known key is an ordinary comment.
    """
    found: dict[str, str] = {}
    wrong = []
    for line in comments:
        name, colon, value = line.lstrip("#").partition(":")
        key, value = " ".join(name.lower().split()), value.strip().rstrip(",;").strip()
        key = "licence" if key == "license" else key
        if not colon or key not in KEYS or not value:
            continue
        allowed = header if key == "loss column" else VALUES.get(key)
        if allowed is not None and value not in allowed:
            wrong.append(
                f"the line '# {key}: {value}' is not used; it must be one of {', '.join(allowed)}"
            )
            continue
        found[key] = value
    return found, wrong
