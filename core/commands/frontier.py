"""`frontier`: the front of a project under limits, without a window."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from core.analysis.describe import cell, describe
from core.commands.following import followed
from core.commands.options import add_outside, count, whole
from core.commands.unread import tell_unread
from core.errors import Unusable
from core.pareto.limits import Limit, parse_limit, with_limit
from core.records.metrics import METRICS, metric
from core.table.published_precision import WAYS

HELP = "the Pareto front of a project under limits"


def arguments(parser: argparse.ArgumentParser) -> None:
    """PROJECT, the two axes, limits and the number of rows to print."""
    parser.add_argument("project", help="a .paretoscope file, or 'demo'")
    parser.add_argument("--x", default="tpot", help="metric of the cost axis (default tpot)")
    parser.add_argument("--y", default="loss", help="metric of the quality axis (default loss)")
    parser.add_argument(
        "--limit",
        action="append",
        default=[],
        help="e.g. 'tpot<=8ms' or 'memory<=24GB'; repeatable",
    )
    parser.add_argument("--top", type=whole, default=20, help="rows to print, best first")
    parser.add_argument(
        "--device", default="", help="key of the device, where several were measured"
    )
    parser.add_argument(
        "--served-tokens",
        type=count,
        help="tokens served over the model's life, e.g. 2T: counted in 'lifetime', with the cheapest"
        " size and tokens over a life (default: the project's what-if)",
    )
    add_outside(parser)
    parser.add_argument(
        "--published-precision",
        choices=tuple(filter(None, WAYS)),
        help="illustrate the loss below 16 bits by published constants (arXiv 2411.04330), which do not"
        " transfer: weights quantised after training, or a model trained at that precision (default: the"
        " project's what-if)",
    )
    parser.add_argument(
        "--insist",
        action="store_true",
        help="use a law although the runs do not determine one of its terms",
    )


def run(options: argparse.Namespace) -> tuple[str, dict[str, Any]]:
    """The front as a table and as JSON, with the limits, what each hides, and the sentences."""
    from core.analysis.contents import read_contents
    from core.analysis.covered import covered
    from core.analysis.explain import sentences
    from core.analysis.frame import make_frame, rows_of
    from core.analysis.front_uncertainty import frame_chance
    from core.analysis.life_cost import cheapest_life
    from core.analysis.not_counted import not_counted
    from core.analysis.pipeline import make_laws, make_table, mixed_meanings
    from core.project.demo import open_any

    limits: tuple[Limit, ...] = ()
    for text in options.limit:
        limits = with_limit(limits, parse_limit(text))
    x, y = metric(options.x), metric(options.y)
    for row in (x, y):
        if not row.better:
            raise Unusable(f"'{row.short}' describes a candidate; no direction of it is better")
    with open_any(options.project) as project:
        contents, choices = read_contents(project), project.choices()
        tell_unread(project)
    choices = choices.changed(
        x=x.key,
        y=y.key,
        limits=limits,
        selected="",
        device_key=options.device or choices.device_key,
        outside_counts=options.outside or choices.outside_counts,
        loss=replace(choices.loss, insist=options.insist or choices.loss.insist),
    )
    if options.served_tokens is not None:
        what_if = replace(choices.what_if, served_tokens=options.served_tokens)
        choices = choices.changed(what_if=what_if)
    if options.published_precision is not None:
        what_if = replace(choices.what_if, precision=options.published_precision)
        choices = choices.changed(what_if=what_if)
    laws = make_laws(contents, choices)
    table = make_table(contents, laws, choices)
    for row in (x, y):
        if not table.known(row.key):
            reason = table.source(row.key, 0).text
            raise Unusable(f"no candidate of {options.project} has a {row.label.lower()}: {reason}")
    frame = make_frame(table, choices)
    chance = followed(frame_chance(table, frame))
    rows = rows_of(frame)
    shown = rows[: options.top]
    worth = covered(table, frame)
    life = cheapest_life(laws.loss, table, frame.best)

    def described(row: int) -> dict[str, Any]:
        sure = None if chance is None or np.isnan(chance[row]) else float(chance[row])
        return describe(table, row) | {"chance_on_front": sure}

    answer: dict[str, Any] = {
        "schema_version": 1,
        "project": str(Path(options.project)),
        "device": table.device_key,
        "x": x.key,
        "y": y.key,
        "limits": [
            {"text": limit.text, "hides_alone": hidden}
            for limit, hidden in zip(frame.limits, frame.hidden, strict=True)
        ],
        "candidates": len(table),
        "feasible": int(frame.feasible.sum()),
        "front_size": len(rows),
        "outside": not_counted(table, frame).to_json(),
        "hypervolume": worth.to_json() if worth is not None else None,
        "best": described(frame.best) if frame.best is not None else None,
        "serving_optimum": life.to_json() if life is not None else None,
        "front": [described(row) for row in shown],
        "sentences": [
            *sentences(table, frame, choices),
            *([life.text] if life is not None else []),
            *([worth.text] if worth is not None else []),
        ],
        "notes": list(mixed_meanings(contents, table)),
    }
    return human(answer, x.key, y.key), answer


def interval_of(loss: dict[str, Any] | None) -> str:
    """The 95 % prediction interval of a loss, or a dash."""
    if loss is None or "low" not in loss:
        return "-"
    return METRICS["loss"].format_range(loss["value"], loss["low"], loss["high"])


def human(answer: dict[str, Any], x: str, y: str) -> str:
    """The table for people: axes first, then size and memory, with marks for measured numbers."""
    columns = [k for k in dict.fromkeys((x, y, "params_total", "memory_bytes", "train_tokens"))]
    lines = [
        f"{answer['feasible']:,} of {answer['candidates']:,} candidates keep the limits;"
        f" {answer['front_size']} on the front"
        + (f" ({answer['device']})" if answer["device"] else "")
    ]
    lines += [
        f"  {limit['text']} alone hides {limit['hides_alone']:,}" for limit in answer["limits"]
    ]
    header = ["shape", *(METRICS[k].label for k in columns), "id"]
    body = [
        [row["full_label"], *(cell(row["metrics"].get(k), k) for k in columns), row["id"]]
        for row in answer["front"]
    ]
    if "loss" in columns:
        at = columns.index("loss") + 2
        header.insert(at, "95 %")
        for line, row in zip(body, answer["front"], strict=True):
            line.insert(at, interval_of(row["metrics"].get("loss")))
    widths = [max(len(line[i]) for line in [header, *body]) for i in range(len(header))]
    for line in [header, *body]:
        lines.append(
            "  ".join(text.ljust(w) for text, w in zip(line, widths, strict=True)).rstrip()
        )
    lines.append("* measured   ~ predicted   ! outside the range the law was fitted on")
    if any("published" in (m["source"] for m in r["metrics"].values()) for r in answer["front"]):
        lines.append("? published illustration, not measured here")
    return "\n".join([*lines, *answer["sentences"], *answer["notes"]])
