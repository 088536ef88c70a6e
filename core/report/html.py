"""A report of a choice as one self-contained HTML page: picture, candidates, laws, how to repeat it.

The page needs no other file. Its body uses only HTML that simple renderers support, so that the
window makes a PDF of the same text.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape
from typing import Any

from core.analysis.contents import Contents
from core.analysis.describe import cell
from core.analysis.frame import Frame
from core.analysis.illustrated import illustrated
from core.analysis.pipeline import Laws
from core.analysis.validation import judge_loss
from core.project.choices import Choices
from core.records.measurement import FLAGS
from core.records.metrics import METRICS, of_phase
from core.records.progress import Progress, Steps
from core.report.facts import axes_text, chosen_rows, facts_of
from core.report.svg import MOST_FRONT_MARKS, front_svg
from core.report.svg_marks import measured_rows
from core.table.table import Table

TOP = 8
ROLES = {"chosen": "★ chosen", "pinned": "pinned", "baseline": "baseline", "front": "front"}
STYLE = """
body { font-family: Inter, 'Helvetica Neue', Arial, sans-serif; color: #1b1f24; background: #ffffff;
  max-width: 1000px; margin: 2em auto; padding: 0 1.5em; line-height: 1.45; }
h1 { font-size: 1.9em; margin: 0 0 .1em; } h2 { font-size: 1.2em; margin: 1.8em 0 .5em; }
p.lead { font-size: 1.25em; } p.quiet, td.quiet, .quiet { color: #57606a; }
table { border-collapse: collapse; margin: .4em 0; } th { text-align: left; color: #57606a;
  font-weight: 600; } th, td { padding: .3em .9em .3em 0; border-bottom: 1px solid #e3e7eb;
  vertical-align: top; } td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; }
pre { background: #f2f4f7; padding: .8em 1em; white-space: pre-wrap; word-break: break-word; }
.warn { color: #9c3a00; } svg { max-width: 100%; height: auto; } summary { cursor: pointer; }
@media print { body { margin: 0; max-width: none; } h2 { break-after: avoid; }
  table, svg { break-inside: avoid; } }
"""


@dataclass(frozen=True, slots=True)
class Report:
    """A report ready to be written: `svg` is its picture, `body` its HTML with PICTURE where it goes.

    `facts` is the content of the page as plain values, free of NaN.
    """

    title: str
    svg: str
    body: str
    facts: dict[str, Any]


PICTURE = "<!-- picture -->"


def make_report(
    contents: Contents,
    laws: Laws,
    table: Table,
    frame: Frame,
    choices: Choices,
    *,
    project: str,
    title: str = "",
    top: int = TOP,
    now: datetime | None = None,
) -> Steps[Report]:
    """Steps: judge the loss law on runs left out, draw, write; returns the report.

    `project` is the project's file name (or 'demo'), as the commands on the page name it.
    """
    fit = laws.loss
    if fit is not None and fit.ok:
        fit = yield from judge_loss(contents, choices, fit)
    yield Progress(0, 1, "drawing the report")
    title = title or f"{contents.name}: {axes_text(frame)}"
    named = chosen_rows(table, frame, choices, top)
    numbers = [(row, str(k)) for k, (row, _) in enumerate(named, 1)]
    svg = front_svg(table, frame, choices, [n for n in numbers if n[0] != frame.selected])
    facts = facts_of(contents, laws, fit, table, frame, choices, named, project, title, now)
    body = "\n".join(
        (
            heading(facts),
            f"<div>{PICTURE}</div>",
            legend(table, frame, facts),
            limits_part(facts),
            chosen_part(facts, frame),
            card_part(facts),
            laws_part(facts),
            care_part(facts),
            sources_part(facts),
            repeat_part(facts, contents),
        )
    )
    yield Progress(1, 1, "report")
    return Report(title, svg, body, facts)


def to_html(report: Report) -> str:
    """The whole page, with the picture in it and its facts as JSON for programs."""
    body = report.body.replace(PICTURE, report.svg)
    # a '<' inside a script element could end it
    data = json.dumps(report.facts, allow_nan=False, default=float).replace("<", "\\u003c")
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(report.title)}</title>\n<style>{STYLE}</style></head>\n"
        f'<body>\n{body}\n<script type="application/json" id="paretoscope-report">{data}</script>\n'
        "</body></html>\n"
    )


# --- how it is written ---------------------------------------------------------------------------


def heading(facts: dict[str, Any]) -> str:
    """Title, date, project and version, and the sentences, the first one large."""
    first, *rest = facts["sentences"] or [""]
    lines = [
        f"<h1>{escape(facts['title'])}</h1>",
        f'<p class="quiet">{escape(facts["project"])} · {escape(facts["made_at"])} · Paretoscope'
        f" {escape(facts['version'])}</p>",
        f'<p class="lead"><b>{escape(first)}</b></p>',
    ]
    return "\n".join([*lines, *(f"<p>{escape(text)}</p>" for text in rest)])


def legend(table: Table, frame: Frame, facts: dict[str, Any]) -> str:
    """A legend of the picture, for someone who has never seen one."""
    x, y = METRICS[frame.x], METRICS[frame.y]
    parts = [
        f"Every dot is one of {facts['candidates_total']:,} possible models;"
        f" {facts['feasible']:,} keep the limits (blue).",
        f"{y.label} is better {y.better or 'lower'}, {x.label.lower()} is better"
        f" {x.better or 'lower'}.",
        f"The dark steps are the front: {facts['front_size']:,} models that no other beats on both.",
    ]
    if len(measured_rows(table, frame)):
        parts.append("Orange: measured.")
    if 0 < facts["front_size"] <= MOST_FRONT_MARKS:
        parts.append("Marks on the front are full where measured, hollow where predicted.")
    if illustrated(table, frame.x, frame.y).any():
        parts.append(
            "Hollow triangles have a published illustration for their loss (arXiv 2411.04330), not"
            " measured here; only those that no other beats are drawn."
        )
    if facts["candidates"]:
        parts.append("The star is the chosen one; numbers are those of the table.")
    return f'<p class="quiet">{escape(" ".join(parts))}</p>'


def rows_html(header: Sequence[str], rows: Sequence[Sequence[str]], numbers: bool = True) -> str:
    """A table whose cells are HTML already; all but the first two columns hold numbers."""
    kind = [' class="number"' if numbers and k > 1 else "" for k in range(len(header))]
    head = "".join(f"<th{k}>{h}</th>" for h, k in zip(header, kind, strict=True))
    body = "\n".join(
        "<tr>" + "".join(f"<td{k}>{c}</td>" for c, k in zip(row, kind, strict=True)) + "</tr>"
        for row in rows
    )
    return f'<table cellspacing="0" cellpadding="4"><tr>{head}</tr>\n{body}</table>'


def limits_part(facts: dict[str, Any]) -> str:
    """The limits with their text forms and how many candidates each hides alone."""
    if not facts["limits"]:
        return "<h2>Limits</h2><p>None.</p>"
    rows = [
        [escape(li["label"]), f"<code>{escape(li['text'])}</code>", f"{li['hides']:,}"]
        for li in facts["limits"]
    ]
    return "<h2>Limits</h2>" + rows_html(("Limit", "As text", "Hides alone"), rows)


def chosen_part(facts: dict[str, Any], frame: Frame) -> str:
    """The candidates as a table; measured, predicted and extrapolated numbers are marked."""
    if not facts["candidates"]:
        return "<h2>Candidates</h2><p>No candidate keeps every limit.</p>"
    keys = facts["columns"]
    rows = [
        [
            f"{row['number']} {escape(ROLES[row['role']])}",
            f"<b>{escape(row['label'])}</b><br><span class='quiet'>{escape(row['runtime'])}</span>",
            *(_cell(row["metrics"].get(k), k) for k in keys),
        ]
        for row in facts["candidates"]
    ]
    return (
        "<h2>Candidates</h2>"
        + rows_html(("", "Layers x width", *(escape(METRICS[k].label) for k in keys)), rows)
        + '<p class="quiet">* measured &nbsp; ~ predicted &nbsp; ! outside the range the law was'
        " fitted on. Small numbers: 95 % interval.</p>"
    )


def _cell(known: dict[str, Any] | None, key: str) -> str:
    text = escape(cell(known, key))
    if known is None or "low" not in known:
        return text
    low, high = (METRICS[key].format(known[end]) for end in ("low", "high"))
    if low == high:
        return text
    return f"{text}<br><small class='quiet'>{escape(low)} to {escape(high)}</small>"


def card_part(facts: dict[str, Any]) -> str:
    """The chosen candidate in full: shape, and each number with its source."""
    if not facts["candidates"]:
        return ""
    row = facts["candidates"][0]
    shape = ", ".join(f"{k} {v}" for k, v in row["shape"].items())
    rows = [
        [
            escape(METRICS[k].label),
            escape(METRICS[k].format(v["value"])),
            escape(f"{v['source']}: {v['provenance']}"),
        ]
        for k, v in row["metrics"].items()
        if v["source"] != "exact"
    ]
    return (
        f"<h2>The chosen one: {escape(row['label'])}</h2>"
        f"<p>{escape(shape)}.<br>{escape(row['runtime'])}; {escape(row['workload'])}.<br>"
        f'<span class="quiet">id {escape(row["id"])}</span></p>'
        + rows_html(("What", "Value", "Where it comes from"), rows, numbers=False)
    )


def laws_part(facts: dict[str, Any]) -> str:
    """The laws in use with their errors on shapes and runs left out."""
    law = facts["loss_law"]
    mark = ' class="warn"' if law["warn"] else ""
    lines = ["<h2>Laws</h2>", f"<p{mark}><b>Loss.</b> {escape(law['sentence'])}</p>"]
    if "formula" in law:
        theta = ", ".join(f"{k} = {v:.5g}" for k, v in law["theta"].items())
        lines.append(
            f'<p class="quiet">{escape(law["title"])}: L = {escape(law["formula"])}<br>'
            f"{escape(theta)}<br>fitted on {law['runs']} runs of {escape(law['suite'])}"
            f" ({escape(law['loss_meaning'])} loss); law: {escape(law['law_source'])}</p>"
        )
        if law["may_miss"]:
            lines.append(
                '<p class="quiet">What its prediction intervals are made of.'
                f" {escape('; '.join(law['may_miss']))}.</p>"
            )
        lines += [f'<p class="warn">{escape(w)}</p>' for w in law["warnings"]]
    rows = [
        [
            escape(of_phase(one["metric"]).label),
            escape(one["runtime"]),
            f"{one['measurements']:,}",
            f"{one['shapes']:,}",
            f"{one['heldout_error']:.1%}"
            if one["heldout_error"] is not None
            else escape(one["message"]) or "-",
        ]
        for one in facts["latency_laws"]
    ]
    if rows:
        header = ("Law", "Runtime", "Measurements", "Shapes", "Error on shapes left out")
        lines += [rows_html(header, rows)]
    else:
        lines.append("<p><b>Latency.</b> Nothing measured, so no law predicts a time.</p>")
    return "\n".join(lines)


def care_part(facts: dict[str, Any]) -> str:
    """What a reader must know before relying on the page."""
    if not facts["notes"]:
        return ""
    return "<h2>Take care</h2>" + "".join(f"<p>{escape(note)}</p>" for note in facts["notes"])


def sources_part(facts: dict[str, Any]) -> str:
    """Device, environment, measurements and runs."""
    done, device, runs = facts["measurements"], facts["device"], facts["runs"]
    rows = []
    if done["used"]:
        memory = METRICS["memory_bytes"].format(float(device["memory_bytes"]))
        rows.append(["Device", escape(f"{device['name']}, {memory}")])
        rows.append(
            ["Measurements", escape(f"{done['used']:,} used, {done['failed']:,} failed;"
                                    f" {done['first']} to {done['last']} UTC")]
        )  # fmt: skip
        if done["flags"]:
            text = "; ".join(f"{n} x {f} ({FLAGS.get(f, f)})" for f, n in done["flags"].items())
            rows.append(["Flags", escape(text)])
    rows += [[escape(k), escape(v)] for k, v in facts["environment"].items()]
    if runs["source"]:
        rows.append(
            ["Training runs", escape(f"{runs['suite']}: {runs['source']}; {runs['licence']}")]
        )
    rows.append(["Written by", escape(f"Paretoscope {facts['version']}, {facts['made_on']}")])
    return "<h2>Where the numbers come from</h2>" + rows_html(("", ""), rows)


def repeat_part(facts: dict[str, Any], contents: Contents) -> str:
    """The commands, and the described space they start from."""
    lines = [
        "<h2>How to repeat it</h2>",
        f"<p>With the project file {escape(facts['project'])}, which holds every measurement and"
        " choice:</p>"
        if facts["project"] != "demo"
        else "<p>The demonstration ships with the program:</p>",
    ]
    for one in facts["commands"]:
        lines.append(f"<p>{escape(one['what'])}</p><pre>{escape(one['command'])}</pre>")
    if contents.space is not None:
        lines.append(
            "<details><summary>The space of candidates (space.toml)</summary>"
            f"<pre>{escape(contents.space.text)}</pre></details>"
        )
    return "\n".join(lines)
