"""`select`: the paper's method, from a size, a token budget and a latency limit to a few shapes."""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np

from core.commands.options import add_outside, count, seconds, whole
from core.errors import Unusable
from core.model.workload import Workload
from core.paper.select import COUNTS, Selection, near_budget, select
from core.units import format_quantity

HELP = "shapes of lowest predicted loss within a size, a token budget and a latency"


def arguments(parser: argparse.ArgumentParser) -> None:
    """The three limits, how many shapes to keep, and the source of shapes and latencies."""
    parser.add_argument("--max-params", type=count, required=True, help="largest size, e.g. 1.7B")
    parser.add_argument("--tokens", type=count, required=True, help="training tokens, e.g. 30B")
    parser.add_argument(
        "--max-latency-s", type=seconds, required=True, help="slowest request, e.g. 2 or 2.5s"
    )
    parser.add_argument("--top", type=whole, default=3, help="shapes to keep (default 3)")
    parser.add_argument(
        "--params", choices=COUNTS, default="total", help="which parameters --max-params counts"
    )
    parser.add_argument(
        "--include-unmeasured",
        action="store_true",
        help="also shapes without a published latency, by a line in layers (marked ~)",
    )
    parser.add_argument(
        "--project",
        default="",
        help="a .paretoscope file (or 'demo'): its shapes, latencies and law, not the published",
    )
    parser.add_argument(
        "--workload",
        type=workload,
        default=None,
        metavar="BxPxO",
        help="batch, prompt and output tokens of the project's requests, e.g. 1x128x256",
    )
    parser.add_argument(
        "--device", default="", help="key of the project's device, where several were measured"
    )
    add_outside(parser)
    parser.add_argument(
        "--insist",
        action="store_true",
        help="use a law although the runs do not determine one of its terms",
    )


def workload(text: str) -> Workload:
    """A workload from '1x128x256'."""
    parts = text.lower().split("x")
    if len(parts) != 3:
        raise argparse.ArgumentTypeError(f"'{text}' is not BATCHxPROMPTxOUTPUT, e.g. 1x128x256")
    return Workload(*(whole(part) for part in parts))


def run(options: argparse.Namespace) -> tuple[str, dict[str, Any]]:
    """The kept shapes as a table and as JSON, with the reasons."""
    found, about = from_project(options) if options.project else from_published(options)
    answer = {**about, **as_json(found)}
    return as_text(found), answer


def from_published(options: argparse.Namespace) -> tuple[Selection, dict[str, Any]]:
    """The method on the published shapes, with the published latencies and law."""
    from core.model.architecture import Shapes
    from core.paper.select_published import (
        published_latency,
        published_name,
        published_predictor,
        published_shapes,
    )

    for name in ("workload", "device"):
        if getattr(options, name):
            raise Unusable(f"--{name} only goes with --project; the published latencies have one")
    shapes = published_shapes()
    if options.include_unmeasured:
        known = set(zip(shapes.n_layers.tolist(), shapes.d_model.tolist(), strict=True))
        more = near_budget(options.max_params, options.params)
        rows = [shapes.row(i) for i in range(len(shapes))]
        rows += [
            more.row(i)
            for i in range(len(more))
            if (int(more.n_layers[i]), int(more.d_model[i])) not in known
        ]
        shapes = Shapes.of(rows)
    found = select(
        shapes,
        max_params=options.max_params,
        tokens=options.tokens,
        max_latency_s=options.max_latency_s,
        loss=published_predictor(),
        latency=lambda s: published_latency(s, options.include_unmeasured),
        top=options.top,
        params=options.params,
        outside_counts=options.outside,
        named=lambda row: published_name(shapes, row),
    )
    return found, {"schema_version": 1, "shapes_from": "published", "project": None}


def from_project(options: argparse.Namespace) -> tuple[Selection, dict[str, Any]]:
    """The method on a project's shapes, on its device, under its loss law.

    The published shapes are left out: their latencies are from another device, and one limit for two
    devices would be meaningless.
    """
    from core.paper.select_project import project_shapes

    if options.include_unmeasured:
        raise Unusable(
            "--include-unmeasured is for the published shapes; a project has its own law"
        )
    ours = project_shapes(options.project, options.workload, options.device, options.insist)
    found = select(
        ours.shapes,
        max_params=options.max_params,
        tokens=options.tokens,
        max_latency_s=options.max_latency_s,
        loss=ours.loss,
        latency=lambda _: ours.latency,
        top=options.top,
        params=options.params,
        outside_counts=options.outside,
        named=ours.named,
    )
    about = {
        "schema_version": 1,
        "shapes_from": "project",
        "project": options.project,
        "device": ours.device_key,
        "workload": ours.workload.label,
    }
    return found, about


# --- answers


def as_json(s: Selection) -> dict[str, Any]:
    """The selection as one JSON object; None where a number is unknown."""
    kept = [kept_row(s, place, row) for place, row in enumerate(s.chosen)]
    return {
        "max_params": s.max_params,
        "params": s.params,
        "tokens": s.tokens,
        "max_latency_s": s.max_latency_s,
        "considered": len(s.shapes),
        "dropped": {
            "too_large": int(s.too_large.sum()),
            "too_slow": int(s.too_slow.sum()),
            "no_latency_or_loss": int(s.unknown.sum()),
            "outside": int(s.set_aside.sum()),
        },
        "best": kept[0] if kept else None,
        "selected": kept,
        "sentences": list(s.sentences),
    }


def kept_row(s: Selection, place: int, row: int) -> dict[str, Any]:
    """One kept shape with every number and its source."""
    shape = s.architecture(row)
    low, high = (float(v) if np.isfinite(v) else None for v in s.intervals[:, place])
    return {
        "rank": place + 1,
        "label": s.label(row),
        "n_layers": shape.n_layers,
        "d_model": shape.d_model,
        "n_heads": shape.n_heads,
        "n_kv_heads": shape.n_kv_heads,
        "d_head": shape.d_head,
        "d_ff": shape.d_ff,
        "vocab_size": shape.vocab_size,
        "tied_embeddings": shape.tied_embeddings,
        "params_total": shape.params_total,
        "params_non_embedding": shape.params_non_embedding,
        "tokens": s.tokens,
        "loss": float(s.loss[row]),
        "loss_low": low,
        "loss_high": high,
        "loss_outside_fitted_range": bool(s.reach.names(row)),
        "loss_outside": list(s.reach.names(row)),
        "loss_from": s.predictor.text,
        "latency_s": float(s.latency.value_s[row]),
        "latency_estimated": bool(s.latency.estimated[row]),
        "latency_outside_fitted_range": bool(s.latency.outside[row]),
        "latency_from": s.latency.text(row),
    }


def as_text(s: Selection) -> str:
    """The table for people, and the sentences under it."""
    lines = []
    if s.chosen:
        header = ("rank", "shape", "total", "non-embedding", "latency", "predicted loss")
        body = [cells(s, place, row) for place, row in enumerate(s.chosen)]
        widths = [max(len(line[i]) for line in [header, *body]) for i in range(len(header))]
        for line in [header, *body]:
            lines.append("  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)).rstrip())
        lines.append("")
    return "\n".join([*lines, *s.sentences])


def cells(s: Selection, place: int, row: int) -> tuple[str, ...]:
    """One row of the table; ~ marks a latency not measured for that shape, ! a loss beyond the fit."""
    kept = kept_row(s, place, row)
    interval = ""
    if kept["loss_low"] is not None:
        interval = f" ({kept['loss_low']:.3f} to {kept['loss_high']:.3f})"
    return (
        str(place + 1),
        s.label(row),
        format_quantity(kept["params_total"], "count"),
        format_quantity(kept["params_non_embedding"], "count"),
        ("~" if kept["latency_estimated"] else "") + format_quantity(kept["latency_s"], "s"),
        f"{kept['loss']:.3f}{'!' if kept['loss_outside_fitted_range'] else ''}{interval}",
    )
