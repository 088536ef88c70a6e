"""On which text real models were scored: losses on two texts do not compare, so they share no axis."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from core.records.measurement import Measurement
from core.records.metrics import METRICS

# what a model is scored in, by the name under which a measurement keeps it
ON_TEXT = tuple(key for key, row in METRICS.items() if row.on_text)
UNRECORDED = "a text that was not recorded"


@dataclass(frozen=True, slots=True)
class ScoredOn:
    """A text by the SHA-256 of its bytes; '' where that was not kept, which counts as one text of its
    own. `name` is the file's."""

    sha256: str
    name: str = field(default="", compare=False)

    @property
    def label(self) -> str:
        """The file's name with the first digits of the hash, which tell two files of one name apart."""
        return f"{self.name} ({self.sha256[:7]})" if self.sha256 else UNRECORDED


@dataclass(frozen=True, slots=True, eq=False)
class ScoredTexts:
    """`shown` is the text whose losses are on the axis, None where no model has one. `apart` are the
    rows scored on another text, whose losses are left out; `windows` are the lengths in tokens of the
    windows that the shown ones were scored in."""

    shown: ScoredOn | None
    apart: Mapping[int, ScoredOn]
    windows: tuple[int, ...] = ()

    def comparable(self, rows: Mapping[int, Measurement]) -> Mapping[int, Measurement]:
        """The measured rows, without the scores of those that are apart."""
        if not self.apart:
            return rows
        return {row: replace(m, quality={}) if row in self.apart else m for row, m in rows.items()}

    def notes(self, labels: Mapping[int, str]) -> list[str]:
        """Sentences on what is left out, and on what differs among the models that are not."""
        found = []
        if self.shown is not None and self.apart:
            each = [f"{labels.get(row, '?')} on {text.label}" for row, text in self.apart.items()]
            found.append(
                f"Losses on unlike texts do not compare: shown are those on {self.shown.label}, not"
                f" {', '.join(each)}. Score all models on one text to see them together."
            )
        if len(self.windows) > 1:
            lengths = " and ".join(f"{length:,}" for length in self.windows)
            found.append(
                f"The models were scored in windows of {lengths} tokens: the longer ones saw more text"
                " before each token."
            )
        return found


def scored_on(m: Measurement) -> ScoredOn:
    """The text a measurement's losses are on."""
    digest = str(m.environment.get("text_sha256") or "")
    return ScoredOn(digest, str(m.environment.get("text") or "a text"))


def scored_texts(rows: Mapping[int, Measurement], key: str) -> ScoredTexts:
    """The text that most rows have a metric of ON_TEXT on, of equals one that is known, then the latest;
    and the rows of other texts."""
    texts = {row: scored_on(m) for row, m in rows.items() if key in m.quality}
    groups: dict[ScoredOn, list[Measurement]] = {}
    for row, text in texts.items():
        groups.setdefault(text, []).append(rows[row])
    if not groups:
        return ScoredTexts(None, {})
    shown = max(
        groups,
        key=lambda text: (
            len(groups[text]),
            bool(text.sha256),
            max(m.started_at for m in groups[text]),
        ),
    )
    lengths = {int(m.quality["context"]) for m in groups[shown] if "context" in m.quality}
    return ScoredTexts(
        shown,
        {row: text for row, text in texts.items() if text != shown},
        tuple(sorted(lengths)),
    )
