"""How the Measure panel shows a point, a result and a sweep, as text and rows."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QTreeWidgetItem

from core.records.measurement import FLAGS, Measurement, Point
from core.records.progress import Progress
from core.samples.repetitions import repetitions_made, together
from core.samples.roofline import floor_ratio
from core.samples.statistics import Estimate, estimate
from core.samples.summary import summary_lines
from core.units import format_quantity, plus_minus, time_text


def point_of(point: Point) -> tuple[object, ...]:
    """The key of a point's measurements."""
    return (point.architecture, point.workload, point.runtime, point.model)


def repeated(known: Sequence[Measurement]) -> int:
    """Repetitions of one point that gave a timing."""
    return sum(repetitions_made(m for m in known if not m.failed).values())


def state_of(known: Sequence[Measurement], wanted: int) -> str:
    """Whether a point was measured, how often, and with which result."""
    if not known:
        return "to measure"
    made = repeated(known)
    if not made:
        return f"failed: {', '.join(known[-1].flags) or 'no samples'}"
    state = "measured" if made >= wanted else f"{made} of {wanted} repetitions"
    return f"{state} ⚠" if together(known)[0].flags else state


def result_item(m: Measurement) -> QTreeWidgetItem:
    """One result as a line; what its flags mean as tooltip."""
    tpot, ttft = estimate(m, "tpot", "p50"), estimate(m, "ttft", "p50")
    peak = next(
        (m.memory_bytes[k] for k in ("peak_allocated", "process") if k in m.memory_bytes), 0
    )
    label = m.model or m.architecture.label
    joules = m.energy.get("joules_per_token")
    item = QTreeWidgetItem(
        [
            f"{'×' if m.failed else '●'} {label}, batch {m.workload.batch}",
            timed_text(tpot),
            timed_text(ttft),
            format_quantity(peak, "B") if peak else "",
            over_floor_text(m),
            format_quantity(joules, "J") if joules is not None else "unknown",
            ", ".join(m.flags),
            m.started_at[:16].replace("T", " "),
        ]
    )
    about = f"{m.runtime.label}; {m.workload.label}; {m.device.name}"
    tip = "\n".join(line for line in (about, *summary_lines(m), flags_text(m)) if line)
    for column in range(item.columnCount()):
        item.setToolTip(column, tip)
        if 1 <= column <= 5:
            item.setTextAlignment(column, Qt.AlignmentFlag.AlignRight)
    return item


def timed_text(found: Estimate | None) -> str:
    """A time with half of its 95 % interval, e.g. '27.1 ms ± 4 %'."""
    if found is None:
        return ""
    return f"{format_quantity(found.value, 's')} {plus_minus(found.half_width, '± unknown')}"


def over_floor_text(m: Measurement) -> str:
    """How many times the memory floor a token took, e.g. '2.30×'."""
    ratio = floor_ratio(m)
    return "unknown" if ratio is None else f"{ratio:.2f}×"


def flags_text(m: Measurement) -> str:
    """What the flags of a measurement mean, one per line, and its message."""
    meanings = [f"{flag}: {FLAGS.get(flag, 'a flag of a newer version')}" for flag in m.flags]
    return "\n".join([*meanings, *([m.message] if m.message else [])])


def ended_text(message: str) -> str:
    """How measuring ended: finished, stopped by the user, or why it failed."""
    ended = message.startswith(("finished", "stopp"))
    return f"The sweep {message}." if ended else message


def progress_text(progress: Progress | None, *, paused: bool, message: str) -> str:
    """How many are done, what is being measured, and the time left."""
    if progress is None:
        return message
    left = progress.seconds_left
    parts = [f"{int(progress.done)} of {int(progress.total)}"]
    if paused:
        parts.append("paused")
    if progress.text and not paused:
        parts.append(progress.text)
    if left is not None and not paused:
        parts.append(f"about {time_text(left)} left")
    if message:
        parts.append(message)
    return "  ·  ".join(parts)


def trail_text(errors: Sequence[tuple[int, float]]) -> str:
    """How the law's error on shapes left out fell as results came in."""
    if not errors:
        return ""
    steps = " → ".join(f"{error:.1%}" for _, error in errors[-4:])
    return f"error on shapes left out: {steps}"
