"""The meaning of each column of a run table, guessed from names, units in names and value ranges."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from core.document import words_of
from core.formats.vocabulary import NAMES as ALL_NAMES
from core.formats.vocabulary import joined
from core.units import factor_of, number, plain_number

# the fields of a run and the words for each, of the list that all tables share; a loss may be written
# in other ways, which are known by the name
FIELDS = (
    "name", "tokens", "loss", "params_total", "params_non_embedding", "n_layers", "d_model", "n_heads",
    "n_kv_heads", "d_ff", "vocab_size", "flops", "tokens_per_parameter",
)  # fmt: skip
LOSSES = ("loss", "train_loss", "bits_per_byte", "bits_per_token", "perplexity")
NAMES: Mapping[str, str] = {
    field: ", ".join(ALL_NAMES[part] for part in (LOSSES if field == "loss" else (field,)))
    for field in FIELDS
}
# plausible values in base units; values outside make a name alone less credible
RANGES: Mapping[str, tuple[float, float]] = {
    "tokens": (1e6, 1e14),
    "loss": (0.2, 15.0),
    "params_total": (1e4, 1e13),
    "params_non_embedding": (1e3, 1e13),
    "n_layers": (1, 1000),
    "d_model": (8, 200_000),
    "n_heads": (1, 2048),
    "n_kv_heads": (1, 2048),
    "d_ff": (8, 1_000_000),
    "vocab_size": (2, 2_000_000),
    "flops": (1e12, 1e28),
    "tokens_per_parameter": (0.1, 1e5),
}
WHOLE = ("n_layers", "d_model", "n_heads", "n_kv_heads", "d_ff", "vocab_size")
BIG = ("tokens", "params_total", "params_non_embedding", "flops")
# the letters of the papers; case tells D (tokens) from d (width)
LETTERS: Mapping[str, str] = {
    "N": "params_total",
    "n": "params_total",
    "D": "tokens",
    "L": "loss",
    "C": "flops",
    "d": "d_model",
    "l": "n_layers",
}
ROWS_LOOKED_AT = 2000
NAMED_IN_FILE = "named in the file"
SURE = 0.5  # below this a guess is shown but not used until someone confirms it


@dataclass(frozen=True, slots=True)
class ColumnGuess:
    """One column of a file and what it seems to be.

    `field` is a column of TrainingRuns ('tokens', 'loss', 'n_layers', ...), 'name', 'flops' or
    'tokens_per_parameter', or '' for a column kept under its own name. Values are multiplied by
    `scale`; `transform` is 'ln' for a perplexity that becomes a loss.
    """

    column: str
    field: str
    scale: float = 1.0
    transform: str = ""
    confidence: float = 1.0
    reason: str = "chosen by hand"


@dataclass(frozen=True, slots=True)
class Guess:
    """Every column with its guess, and the likely meaning and unit of the loss."""

    columns: tuple[ColumnGuess, ...]
    loss_meaning: str = "unknown"
    loss_unit: str = "nats/token"
    loss_reason: str = ""

    def of(self, field: str) -> ColumnGuess | None:
        """The guess for a field; None when no column seems to hold it."""
        return next((c for c in self.columns if c.field == field), None)

    @property
    def mapping(self) -> dict[str, ColumnGuess]:
        """Field to column, for the guesses sure enough to be used without confirmation."""
        return {c.field: c for c in self.columns if c.field and c.confidence >= SURE}


def guess_mapping(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> Guess:
    """What each column seems to be, with a confidence between 0 and 1 and a reason.

    Names count most, units written into names ('tokens (B)', 'params_m') are applied, and the range
    of values raises or lowers the confidence. A column guessed from its range alone gets a confidence
    below SURE. Each field is given to one column at most.
    """
    # a sample of a long table is enough
    some = rows[:: max(1, len(rows) // ROWS_LOOKED_AT)]
    values = {name: _numbers([row[i] for row in some]) for i, name in enumerate(header)}
    offers = sorted(
        (offer for name in header for offer in _offers(name, values[name])),
        key=lambda offer: -offer.confidence,
    )
    taken: dict[str, ColumnGuess] = {}
    fields: set[str] = set()
    for offer in offers:
        if offer.column not in taken and offer.field not in fields:
            taken[offer.column] = offer
            fields.add(offer.field)
    for offer in _by_range(header, values, taken, fields):
        taken[offer.column] = offer
    rest = "kept under its own name"
    columns = tuple(
        taken.get(name) or ColumnGuess(name, "", confidence=0.0, reason=rest) for name in header
    )
    return _with_loss(columns)


def stated(guess: Guess, about: Mapping[str, str]) -> Guess:
    """The guess with what the file says of its loss: the column, the meaning, the unit."""
    columns = guess.columns
    loss = about.get("loss column", "")
    if loss:
        chosen = replace(as_field(loss, "loss", ()), reason=NAMED_IN_FILE)
        other = replace(chosen, field="", confidence=0.0, reason="kept under its own name")
        columns = tuple(
            chosen if c.column == loss
            else replace(other, column=c.column) if c.field == "loss"
            else c
            for c in columns
        )  # fmt: skip
    found = _with_loss(columns)
    says = [key for key in ("loss meaning", "loss unit") if key in about]
    return replace(
        found,
        loss_meaning=about.get("loss meaning", found.loss_meaning),
        loss_unit=about.get("loss unit", found.loss_unit),
        loss_reason="the file says so" if says else found.loss_reason,
    )


def as_field(column: str, field: str, cells: Sequence[Any]) -> ColumnGuess:
    """A column that someone chose for a field: its unit still comes from its name or its range."""
    values, words = _numbers(cells), words_of(column)
    scale, transform, reason = 1.0, "", "chosen by hand"
    if field == "loss" and {"ppl", "perplexity"} & set(words):
        transform, reason = "ln", f"{reason}; the loss is the logarithm of the perplexity"
    named = factor_of(words[-1], "count") if field in BIG and len(words) > 1 else None
    if named is not None:
        scale = named
        reason += f", counted in '{words[-1]}' (times {scale:g})"
    elif field in BIG:
        scale, why = _scale_by_range(field, values)
        reason += f"; {why}" if why else ""
    return ColumnGuess(column, field, scale, transform, 1.0, reason)


def meaning_of(column: str) -> tuple[str, str, str]:
    """Meaning, unit and reason for a loss column, from its name alone."""
    words = set(words_of(column))
    unit = "nats/token"
    if words & {"bpb"} or {"bits", "byte"} <= words:
        unit = "bits/byte"
    elif {"bits", "token"} <= words:
        unit = "bits/token"
    if words & {"val", "valid", "validation", "eval", "evaluation", "test", "dev", "heldout", "c4"}:
        return "validation", unit, f"'{column}' names held-out data"
    if words & {"train", "training"} and words & {"avg", "average", "mean", "ema", "running"}:
        return "train average", unit, f"'{column}' names an average over training"
    if words & {"train", "training"}:
        return (
            "unknown",
            unit,
            f"'{column}' is a training loss; the name does not say whether final or averaged",
        )
    return "unknown", unit, f"'{column}' does not say on which data the loss was taken"


# --- by name


def _offers(column: str, values: list[float]) -> list[ColumnGuess]:
    """Every field a column's name could stand for."""
    # W&B and MLflow put folders before the name: 'config.n_layers', 'eval/loss', 'optim/n_tokens'
    last = re.split(r"[./]", column)[-1]
    whole, tail = words_of(column), words_of(last)
    offers = []
    for field, text in NAMES.items():
        known = [joined(words_of(n)) for n in text.split(", ")]
        for words, weight in ((whole, 1.0), (tail, 0.9)):
            offer = _named(column, field, known, words, weight, values)
            if offer:
                offers.append(offer)
                break
    return offers


def _named(
    column: str,
    field: str,
    known: Sequence[str],
    words: list[str],
    weight: float,
    values: list[float],
) -> ColumnGuess | None:
    scale, unit = 1.0, ""
    if joined(words) not in known and len(words) > 1 and field in BIG:
        factor = factor_of(words[-1], "count")
        if factor is not None:
            unit, scale, words = words[-1], factor, words[:-1]
    # a column may be named by one digit, as pandas names an index
    letters = re.findall(r"[A-Za-z]", column) if len(joined(words)) == 1 else []
    letter = letters[0] if letters else ""
    place = 0
    if letter:
        if LETTERS.get(letter) != field:
            return None
        confidence, reason = weight * 0.6, f"the one-letter name '{column}'"
    elif joined(words) in known:
        place = known.index(joined(words))
        confidence, reason = weight * (0.95 - 0.01 * place), f"the name '{column}'"
    else:
        return None
    if field == "name":
        return ColumnGuess(column, field, confidence=confidence, reason=reason)
    if field == "loss" and {"train", "training"} & set(words_of(column)):
        # 'eval/CrossEntropyLoss' before 'train/CrossEntropyLoss'
        confidence -= 0.02
    # this program's own name for a field is certain, whatever the cells hold: bad rows are errors
    own = place == 0 and not letter
    if not values:
        reason += ", but its cells are mostly not numbers"
        return ColumnGuess(column, field, confidence=SURE, reason=reason) if own else None
    transform = ""
    if field == "loss" and {"ppl", "perplexity"} & set(words):
        transform, reason = "ln", f"{reason}; the loss is the logarithm of the perplexity"
        values = [math.log(v) for v in values if v > 0]
    if unit:
        reason += f", counted in '{unit}' (times {scale:g})"
    elif field in BIG:
        scale, why = _scale_by_range(field, values)
        if why:
            confidence, reason = confidence * 0.7, f"{reason}; {why}"
    confidence, reason = _weigh(field, [v * scale for v in values], confidence, reason)
    confidence = max(confidence, SURE) if own else confidence
    return ColumnGuess(column, field, scale, transform, round(confidence, 3), reason)


def _scale_by_range(field: str, values: list[float]) -> tuple[float, str]:
    """The scale of counts written in millions or billions, and a note of it; 1 and '' for others."""
    middle = sorted(values)[len(values) // 2] if values else 0.0
    if field == "flops" or middle <= 0 or middle >= 1e5:
        return 1.0, ""
    # a table of tokens starts near a billion; one of parameters holds tens of millions or billions
    billions = field == "tokens" or min(values) < 1 or max(values) < 20
    scale, word = (1e9, "billions") if billions else (1e6, "millions")
    return scale, f"values of {min(values):g} to {max(values):g} read as {word}"


def _weigh(field: str, values: list[float], confidence: float, reason: str) -> tuple[float, str]:
    low, high = RANGES[field]
    inside = sum(low <= v <= high for v in values) / max(len(values), 1)
    if inside < 0.5:
        return confidence * 0.5, f"{reason}, but most values are outside {low:g} to {high:g}"
    if field in WHOLE and sum(v == round(v) for v in values) < 0.5 * len(values):
        return confidence * 0.5, f"{reason}, but the values are not whole numbers"
    return confidence, reason


# --- by range


def _by_range(
    header: Sequence[str],
    values: Mapping[str, list[float]],
    taken: Mapping[str, ColumnGuess],
    fields: set[str],
) -> list[ColumnGuess]:
    """Guesses for columns whose names say nothing, by size: the larger big one is tokens, values
    like losses are a loss."""
    free = {n: v for n, v in values.items() if n not in taken and len(v) > 1}
    offers = []
    losses = [
        n for n, v in free.items() if all(0.2 <= x <= 15 for x in v) and any(x % 1 for x in v)
    ]
    if "loss" not in fields and len(losses) == 1:
        offers.append(
            ColumnGuess(losses[0], "loss", confidence=0.3, reason="values like losses; confirm it")
        )
    big = sorted(
        (n for n, v in free.items() if all(1e6 <= x <= 1e14 for x in v) and len(set(v)) > 1),
        key=lambda n: sorted(free[n])[len(free[n]) // 2],
    )
    wanted = [f for f in ("params_total", "tokens") if f not in fields]
    if "params_non_embedding" in fields:
        wanted = [f for f in wanted if f != "params_total"]
    if len(big) == len(wanted):
        for name, field in zip(big, wanted, strict=True):
            reason = f"values of {min(free[name]):.3g} to {max(free[name]):.3g}; confirm it"
            offers.append(ColumnGuess(name, field, confidence=0.3, reason=reason))
    return offers


def _numbers(cells: Sequence[Any]) -> list[float]:
    """The finite numbers among cells; empty when most cells that are not empty hold no number."""
    values, filled = [], 0
    for cell in cells:
        try:
            value = number(cell)
        except ValueError:
            filled += 1
            continue
        if math.isfinite(value):
            filled += 1
            values.append(value)
    return values if 2 * len(values) > filled else []


def _with_loss(columns: tuple[ColumnGuess, ...]) -> Guess:
    loss = next((c for c in columns if c.field == "loss"), None)
    if loss is None:
        return Guess(columns)
    meaning, unit, reason = meaning_of(loss.column)
    return Guess(columns, meaning, unit, reason)


def is_plain(cells: Sequence[Any]) -> bool:
    """True for a column of bare numbers and empty cells with at least one number."""
    values = [plain_number(cell) for cell in cells]
    return None not in values and any(v is not None and not math.isnan(v) for v in values)
