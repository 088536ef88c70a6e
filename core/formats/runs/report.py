"""What reading a table of runs did, for people and for scripts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

# lines of one kind that are shown; the others are counted
SHOWN = 5


@dataclass(frozen=True, slots=True)
class Report:
    """What reading a table did to it.

    `rows` counts the rows of the file. `dropped` has a line for each row left out, with the reason.
    `guessed` gives the column and the reason for every field that no one named and whose column is
    not called like the field. `derived` names what no column holds and how it follows from others.
    `warnings` are reasons to look at the table again; the rows they name are kept.
    """

    rows: int
    dropped: tuple[str, ...] = ()
    guessed: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    derived: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    def plain(self) -> dict[str, Any]:
        """The report as JSON can hold it."""
        return {
            "rows": self.rows,
            "dropped": list(self.dropped),
            "guessed": {
                name: {"column": column, "reason": reason}
                for name, (column, reason) in self.guessed.items()
            },
            "derived": list(self.derived),
            "warnings": list(self.warnings),
        }

    def text(self) -> str:
        """The report in a few lines; long lists are cut and counted."""
        head = f"{self.rows} rows read, {len(self.dropped) or 'none'} left out"
        lines = [f"{head}:" if self.dropped else head]
        lines += [f"  {line}" for line in shortened(self.dropped)]
        if self.guessed:
            named = [f"{name} from '{column}'" for name, (column, _) in self.guessed.items()]
            lines.append(f"  columns guessed: {', '.join(named)}")
        lines += [f"  {line}" for line in self.derived]
        lines += [f"  look at: {line}" for line in shortened(self.warnings)]
        return "\n".join(lines)


def shortened(lines: Sequence[str]) -> list[str]:
    """The first lines, and how many more there are."""
    more = len(lines) - SHOWN
    return [*lines[:SHOWN], *([f"and {more} more"] if more > 0 else [])]


def joined(reports: Mapping[str, Report]) -> Report:
    """One report of several tables; with more than one, every line names its table."""
    if len(reports) == 1:
        return next(iter(reports.values()))

    def lines(part: str) -> tuple[str, ...]:
        return tuple(f"{name}: {line}" for name, r in reports.items() for line in getattr(r, part))

    return Report(
        sum(report.rows for report in reports.values()),
        lines("dropped"),
        {f"{name}: {key}": how for name, r in reports.items() for key, how in r.guessed.items()},
        lines("derived"),
        lines("warnings"),
    )
