"""`report`: a project's choice as one self-contained HTML page."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from core.commands.following import followed
from core.commands.options import add_outside, whole
from core.commands.unread import tell_unread
from core.errors import Unusable
from core.pareto.limits import Limit, parse_limit, with_limit
from core.records.metrics import metric

HELP = "write the choice of a project as one self-contained HTML page"


def arguments(parser: argparse.ArgumentParser) -> None:
    """PROJECT, where to write, and what to show instead of the project's own choices."""
    parser.add_argument("project", help="a .paretoscope file, or 'demo'")
    parser.add_argument("--out", required=True, metavar="PATH", help="the HTML file to write")
    parser.add_argument("--force", action="store_true", help="replace an existing file")
    parser.add_argument("--title", default="", help="heading of the page")
    parser.add_argument("--top", type=whole, default=8, help="candidates of the front to describe")
    parser.add_argument("--x", help="metric of the cost axis (the project's)")
    parser.add_argument("--y", help="metric of the quality axis (the project's)")
    parser.add_argument(
        "--limit",
        action="append",
        default=[],
        help="instead of the project's limits, e.g. 'tpot<=8ms'; repeatable",
    )
    parser.add_argument(
        "--candidate", help="id of the chosen candidate (the project's, or the best)"
    )
    parser.add_argument(
        "--device", default="", help="key of the device, where several were measured"
    )
    add_outside(parser)


def run(options: argparse.Namespace) -> tuple[str, dict[str, Any]]:
    """Write the page; returns its facts as JSON."""
    from core.analysis.contents import read_contents
    from core.analysis.frame import make_frame
    from core.analysis.pipeline import make_laws, make_table
    from core.files import check_target, write_atomically
    from core.project.demo import open_any
    from core.report.html import make_report, to_html

    target = Path(options.out).expanduser()
    check_target(target, options.force)
    with open_any(options.project) as project:
        contents, choices = read_contents(project), project.choices()
        tell_unread(project)
    parts: dict[str, Any] = {}
    for axis in ("x", "y"):
        if getattr(options, axis):
            row = metric(getattr(options, axis))
            if not row.better:
                raise Unusable(f"'{row.short}' describes a candidate; no direction of it is better")
            parts |= {axis: row.key, f"{axis}_log": row.log}
    if options.limit:
        limits: tuple[Limit, ...] = ()
        for text in options.limit:
            limits = with_limit(limits, parse_limit(text))
        # a candidate chosen under other limits need not keep these
        parts |= {"limits": limits, "selected": ""}
    if options.candidate:
        parts["selected"] = options.candidate
    choices = choices.changed(
        **parts,
        device_key=options.device or choices.device_key,
        outside_counts=options.outside or choices.outside_counts,
    )
    laws = make_laws(contents, choices)
    table = make_table(contents, laws, choices)
    if options.candidate and table.find(options.candidate) is None:
        raise Unusable(
            f"{options.project}: no candidate with id '{options.candidate}';"
            " 'frontier --json' lists the ids of the front"
        )
    name = options.project if options.project == "demo" else Path(options.project).name
    report = followed(
        make_report(
            contents,
            laws,
            table,
            make_frame(table, choices),
            choices,
            project=name,
            title=options.title,
            top=options.top,
        )
    )
    text = to_html(report)
    write_atomically(target, text, options.force)
    answer = {"path": str(target), "bytes": len(text.encode()), **report.facts}
    shown = len(report.facts["candidates"])
    return f"wrote a report of {shown} candidates to {target}", answer
