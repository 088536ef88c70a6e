"""The content of a report as plain values: candidates, laws, limits, sources, commands to repeat it."""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from shlex import quote
from typing import Any

import numpy as np

from core.analysis.contents import Contents
from core.analysis.describe import cell, describe
from core.analysis.explain import sentences
from core.analysis.frame import Frame
from core.analysis.not_counted import not_counted
from core.analysis.pipeline import Laws, loss_text, mixed_meanings
from core.analysis.validation import loss_sentence, unmeasured_on_front
from core.fit.doubt_facts import doubt_facts, doubt_plain
from core.fit.fit import Fit
from core.fit.latency_fit import LatencyFit
from core.project.choices import Choices, choices_to_dict
from core.records.measurement import Measurement
from core.records.metrics import METRICS
from core.records.software import software_of
from core.table.table import Table

# environment entries shown in a report beside the libraries, with their names
ENVIRONMENT = {
    "system": "System",
    "python": "Python",
    "cuda": "CUDA",
    "driver": "Driver",
    "governor": "CPU governor",
    "threads": "Threads",
}


def axes_text(frame: Frame) -> str:
    """E.g. 'loss against time per output token'."""
    return f"{METRICS[frame.y].label.lower()} against {METRICS[frame.x].label.lower()}"


def chosen_rows(
    table: Table, frame: Frame, choices: Choices, top: int
) -> tuple[tuple[int, str], ...]:
    """The rows to describe, each with its role: the chosen one, the pins, then `top` of the front."""
    found: dict[int, str] = {}
    if frame.selected is not None:
        found[frame.selected] = "chosen"
    for identity in (choices.baseline, *choices.pins):
        row = table.find(identity) if identity else None
        if row is not None:
            found.setdefault(row, "baseline" if identity == choices.baseline else "pinned")
    for row in spread_along(table, frame, top):
        found.setdefault(row, "front")
    return tuple(found.items())


def spread_along(table: Table, frame: Frame, count: int) -> tuple[int, ...]:
    """At most `count` rows of the front from best y to best x, evenly spaced along the x axis, since
    neighbouring rows differ too little to be worth a line each."""
    front = frame.front[::-1]
    if len(front) <= count:
        return tuple(int(row) for row in front)
    x = table.column(frame.x)[front]
    along = np.log(x) if METRICS[frame.x].log and bool((x > 0).all()) else x
    even = np.linspace(along[0], along[-1], count)
    nearest = np.abs(along[None, :] - even[:, None]).argmin(axis=1)
    return tuple(int(front[k]) for k in dict.fromkeys(nearest.tolist()))


def facts_of(
    contents: Contents,
    laws: Laws,
    fit: Fit | None,
    table: Table,
    frame: Frame,
    choices: Choices,
    named: Sequence[tuple[int, str]],
    project: str,
    title: str,
    now: datetime | None,
) -> dict[str, Any]:
    """Everything on the page as plain values, free of NaN."""
    sentence, warn = loss_sentence(fit, laws.loss_message)
    keys = dict.fromkeys((frame.y, frame.x, "ttft_s", "memory_bytes", "params_total"))
    used = [m for m in contents.measurements if m.device.key == table.device_key]
    sound = tuple(m for m in used if not m.failed)
    return {
        "schema_version": 1,
        "kind": "paretoscope report",
        "title": title,
        "made_at": (now or datetime.now(UTC)).strftime("%Y-%m-%d %H:%M UTC"),
        "version": program_version(),
        "made_on": f"Python {platform.python_version()}, {platform.system()} {platform.machine()}",
        "project": project,
        "x": frame.x,
        "y": frame.y,
        "columns": [k for k in keys if table.known(k)],
        "candidates_total": len(table),
        "feasible": int(frame.feasible.sum()),
        "front_size": len(frame.front),
        "outside": not_counted(table, frame).to_json(),
        "sentences": list(sentences(table, frame, choices)),
        "limits": [
            {"text": limit.text, "label": limit.label, "hides": hidden}
            for limit, hidden in zip(frame.limits, frame.hidden, strict=True)
        ],
        "candidates": [
            {"number": k, "role": role, **describe(table, row), **shape_facts(table, row)}
            for k, (row, role) in enumerate(named, 1)
        ],
        "loss_law": {
            "text": loss_text(laws),
            "sentence": sentence,
            "warn": warn,
            **(loss_facts(fit) if fit is not None else {}),
        },
        "latency_laws": [latency_facts(law) for law in laws.latency if _used(law, table)],
        "notes": [*mixed_meanings(contents, table), *predicted_note(table, frame)],
        "device": device_facts(table, sound),
        "measurements": {
            "used": len(sound),
            "failed": len(used) - len(sound),
            "flags": dict(Counter(flag for m in used for flag in m.flags)),
            "first": min((m.started_at for m in sound), default="")[:16].replace("T", " "),
            "last": max((m.started_at for m in sound), default="")[:16].replace("T", " "),
        },
        "environment": environment_of(sound),
        "runs": runs_facts(contents, choices),
        "commands": commands(project, contents, choices, frame, named, table, title),
        "choices": choices_to_dict(choices.changed(scenes=())),
    }


def program_version() -> str:
    """The installed version of this program."""
    try:
        return version("paretoscope")
    except PackageNotFoundError:
        return "from source"


def shape_facts(table: Table, row: int) -> dict[str, Any]:
    """The architecture, the workload and the runtime of a row in plain words."""
    point = table.point(row)
    a = point.architecture
    return {
        "shape": {
            "n_layers": a.n_layers,
            "d_model": a.d_model,
            "n_heads": a.n_heads,
            "n_kv_heads": a.n_kv_heads,
            "d_head": a.d_head,
            "d_ff": a.d_ff,
            "vocab_size": a.vocab_size,
            "tied_embeddings": a.tied_embeddings,
        },
        "workload": point.workload.label,
        "runtime": point.runtime.label,
    }


def loss_facts(fit: Fit) -> dict[str, Any]:
    """The loss law in use: formula, parameters, its runs, and errors on runs left out."""
    return {
        "title": fit.title,
        "formula": fit.definition.formula,
        "law_source": fit.definition.source,
        "suite": fit.suite,
        "runs": fit.n,
        "loss_meaning": fit.loss_meaning,
        "theta": {k: float(v) for k, v in fit.shown.items()},
        "heldout": {k: float(v) for k, v in fit.heldout.items()},
        "doubt": doubt_plain(fit),
        "may_miss": [f"{fact.name}: {fact.text}" for fact in doubt_facts(fit)],
        "warnings": list(fit.warnings),
    }


def latency_facts(law: LatencyFit) -> dict[str, Any]:
    """One latency law: what it predicts, the number of measurements, and its errors."""
    return {
        "metric": law.metric,
        "runtime": law.runtime.label,
        "measurements": law.n,
        "shapes": law.n_shapes,
        "heldout_error": law.heldout_error,
        "ok": law.ok,
        "message": law.message,
        "terms": {k: float(v) for k, v in law.terms.items() if v > 0},
    }


def _used(law: LatencyFit, table: Table) -> bool:
    return law.device_key == table.device_key and law.runtime in table.candidates.runtimes


def predicted_note(table: Table, frame: Frame) -> list[str]:
    """A note on how many of the front's times are predicted."""
    guessed = unmeasured_on_front(table, frame)
    if not guessed or not len(frame.front):
        return []
    return [
        f"The times of {len(guessed):,} of the {len(frame.front):,} candidates on the front are"
        " predicted; measure the chosen one before relying on it."
    ]


def device_facts(table: Table, sound: Sequence[Measurement]) -> dict[str, Any]:
    """The device that times were measured on."""
    if not sound:
        return {"key": table.device_key, "name": "", "memory_bytes": None}
    device = sound[0].device
    return {"key": device.key, "name": device.name, "memory_bytes": device.memory_bytes}


def environment_of(sound: Sequence[Measurement]) -> dict[str, str]:
    """The machine and the software of the measurements; several values of one name are listed."""
    found: dict[str, dict[str, None]] = {name: {} for name in ENVIRONMENT.values()}
    for m in sound:
        for key, name in ENVIRONMENT.items():
            if m.environment.get(key) not in (None, "", 0):
                found[name][str(m.environment[key])] = None
        for library, release in software_of(m.environment).items():
            found.setdefault(library, {})[release] = None
    return {name: ", ".join(values) for name, values in found.items() if values}


def runs_facts(contents: Contents, choices: Choices) -> dict[str, Any]:
    """The training runs behind the loss law, with source and licence."""
    from core.errors import Unusable

    chosen = choices.loss
    try:
        runs = contents.suite(chosen.suite)
    except Unusable:
        return {"suite": chosen.suite, "source": "", "licence": "", "runs": 0}
    return {
        "suite": runs.suite,
        "source": runs.source,
        "licence": runs.licence,
        "runs": len(runs),
        "where": list(chosen.where),
    }


def commands(
    project: str,
    contents: Contents,
    choices: Choices,
    frame: Frame,
    named: Sequence[tuple[int, str]],
    table: Table,
    title: str,
) -> list[dict[str, str]]:
    """Commands that reproduce these numbers, each with its purpose."""
    axes = f"--x {METRICS[frame.x].short} --y {METRICS[frame.y].short}"
    limits = "".join(f" --limit {quote(limit.text)}" for limit in frame.limits)
    device = f" --device {quote(choices.device_key)}" if choices.device_key else ""
    device += " --outside" if choices.outside_counts else ""
    name = quote(project)
    found = [
        {
            "what": "the front of this page",
            "command": f"paretoscope-cli frontier {name} {axes}{limits}{device}",
        },
        {
            "what": "this report",
            "command": f"paretoscope-cli report {name} {axes}{limits}{device}"
            f" --title {quote(title)} --out report.html",
        },
    ]
    loss = choices.loss
    if loss.suite and contents.runs == ():
        flags = {"tied": " --tied", "own-shape-exponent": " --own-shape-exponent"}
        where = "".join(f" --where {quote(w)}" for w in loss.where)
        found.append(
            {
                "what": "the loss law",
                "command": f"paretoscope-cli fit {quote(loss.suite)}"
                f" --law {loss.law}{flags.get(loss.tied, '')}"
                f" --params {loss.params} --method {loss.method}{where}"
                + (" --insist" if loss.insist else ""),
            }
        )
    if contents.space is not None:
        found.append(
            {
                "what": "the measurements, on a machine like this one (the space is below)",
                "command": "paretoscope-cli profile space.toml --project again.paretoscope",
            }
        )
    if named and project != "demo":
        found.append(
            {
                "what": "the chosen candidate as a Hugging Face config",
                "command": f"paretoscope-cli export {name}"
                f" --candidate {quote(table.id_of(named[0][0]))} --to hf --out config.json",
            }
        )
    return found


def plain_text(table: Table, frame: Frame, choices: Choices, top: int = 8) -> str:
    """The picture as plain text: sentences, limits as they can be typed, candidates with marks."""
    lines = [*sentences(table, frame, choices), ""]
    lines += [f"Limit: {limit.label} (--limit {quote(limit.text)})" for limit in frame.limits]
    keys = dict.fromkeys((frame.y, frame.x, "memory_bytes", "params_total"))
    for row, role in chosen_rows(table, frame, choices, top):
        known = describe(table, row)["metrics"]
        values = (f"{METRICS[k].label.lower()} {cell(known[k], k)}" for k in keys if k in known)
        lines.append(f"{table.label(row)} ({role}): {', '.join(values)}")
    return "\n".join([*lines, "", "* measured   ~ predicted   ! outside the fitted range"])
