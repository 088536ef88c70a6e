"""From the content of a project to the table that is drawn: the laws in use, then the candidates.

Each step is a plain function of values, so that a caller repeats only those that a change affects.
Laws depend on runs, measurements and the chosen law; the table depends on laws, space and what-if.
The third and cheapest step, axes and limits, is `core.analysis.frame`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from core.analysis.contents import Contents
from core.errors import Unusable
from core.fit.fit import Fit
from core.fit.latency import fit_latency
from core.fit.latency_fit import LatencyFit
from core.fit.memory import MemoryFit, fit_memory
from core.laws.unseen import unseen
from core.model.workload import Runtime
from core.project.choices import Choices, WhatIf
from core.space.candidates import Candidates
from core.space.space import weights_cache
from core.table.published_precision import UNIT, PublishedPrecision
from core.table.speculative import Drafting
from core.table.table import Table

# enough for a 95 % band on the picture; the bootstrap command takes a thousand and more
RESAMPLES = 400


@dataclass(frozen=True, slots=True, eq=False)
class Laws:
    """The fitted laws in use. `loss` is None with the reason in `loss_message`."""

    loss: Fit | None
    loss_message: str
    latency: tuple[LatencyFit, ...]
    memory: tuple[MemoryFit, ...]


def make_laws(contents: Contents, choices: Choices) -> Laws:
    """Fit the chosen loss law on its suite and latency laws on the measurements."""
    loss, message = None, ""
    try:
        loss = fit_loss(contents, choices)
        message = loss.message
    except Unusable as error:
        message = str(error)
    return refitted(Laws(loss, message, (), ()), contents)


def refitted(laws: Laws, contents: Contents) -> Laws:
    """The same loss law, with the laws of latency and memory fitted on the measurements."""
    return replace(
        laws,
        latency=fit_latency(contents.measurements),
        memory=fit_memory(contents.measurements),
    )


def fit_loss(contents: Contents, choices: Choices) -> Fit:
    """The chosen loss law fitted on the chosen suite, with resamples for its intervals."""
    from core.fit.doubting import with_doubt
    from core.fit.resample import with_resamples
    from core.fit.row_filter import kept
    from core.fit.solve import fit
    from core.fit.validate import validate

    chosen = choices.loss
    runs = contents.suite(chosen.suite)
    used = kept(runs, chosen.where)
    found = fit(
        used,
        chosen.law,
        tied=chosen.tied,
        params=chosen.params,
        method=chosen.method,
        all_rows=runs,
        insist=chosen.insist,
    )
    if not found.ok:
        return found
    return with_doubt(with_resamples(validate(found, used), used, RESAMPLES), used)


def make_table(
    contents: Contents, laws: Laws, choices: Choices, rows: Candidates | None = None
) -> Table:
    """The candidates of the space (as changed by what-if) and the measured points, with columns.

    `rows`, where given, replace the candidates of the space; what-if does not change them. Raises
    Unusable where there is neither a candidate nor a measurement.
    """
    what_if = choices.what_if
    described = rows
    if described is None and contents.space is not None:
        described = changed(contents.space.candidates(), what_if)
    if described is None and not any(not m.failed for m in contents.measurements):
        raise Unusable("there is nothing to show yet; describe a space or measure something")
    return Table(
        described,
        loss=laws.loss,
        loss_text=loss_text(laws),
        loss_unseen=_unseen(laws.loss),
        latency=laws.latency,
        memory=laws.memory,
        measurements=contents.measurements,
        device_key=choices.device_key,
        served_tokens=what_if.served_tokens,
        drafting=drafting(what_if),
        precision=PublishedPrecision(
            what_if.precision, laws.loss.loss_unit if laws.loss is not None else UNIT
        ),
    )


def drafting(what_if: WhatIf) -> Drafting | None:
    """Speculative decoding as set in what-if; None where it is off or no draft is chosen."""
    if what_if.acceptance is None or not what_if.draft:
        return None
    return Drafting(what_if.draft, what_if.acceptance, what_if.draft_tokens)


def changed(candidates: Candidates, what_if: WhatIf) -> Candidates:
    """The candidates under another workload or precision; rows that become equal are kept once."""
    columns: dict[str, Any] = {}
    for name in ("batch", "prompt_tokens", "output_tokens"):
        value = getattr(what_if, name)
        if value is not None:
            columns[name] = np.full(len(candidates), value, np.int64)
    if what_if.train_tokens is not None:
        columns["train_tokens"] = np.full(len(candidates), float(what_if.train_tokens))
    if what_if.weights is not None:
        cache = weights_cache(what_if.weights, "same")
        moved = [
            Runtime(r.execution, what_if.weights, cache, r.threads) for r in candidates.runtimes
        ]
        runtimes = tuple(dict.fromkeys(moved))
        index = np.array([runtimes.index(r) for r in moved], np.int16)
        columns |= {"runtimes": runtimes, "runtime": index[candidates.runtime]}
    if not columns:
        return candidates
    return replace(candidates, **columns).distinct()


def loss_text(laws: Laws) -> str:
    """One line on the loss law, as a number's source."""
    fit = laws.loss
    if fit is None or not fit.ok:
        return laws.loss_message or "no loss law"
    missed = fit.heldout.get("shape_rms")
    held = f", off by {missed:.1%} on shapes left out" if missed is not None else ""
    return f"{fit.law} law on {fit.n} runs of {fit.suite} ({fit.loss_meaning} loss){held}"


def _unseen(fit: Fit | None) -> str:
    return unseen(fit.definition, fit.params) if fit is not None and fit.ok else ""


def mixed_meanings(contents: Contents, table: Table) -> tuple[str, ...]:
    """Warnings where values of different meaning are on one axis, and where low precision hides losses."""
    notes = []
    # a million losses are not computed where no model has one
    if table.scored["loss"].shown is not None and _predicted_beside_measured(table):
        notes.append(
            "Losses of local models were measured on a text of yours; the law's losses were not."
            " Compare models with models and designs with designs."
        )
    # what holds for loss and for bits per byte is said once
    notes += dict.fromkeys(n for each in table.scored.values() for n in each.notes(table.names))
    notes += low_precision_notes(table)
    devices = {m.device.key for m in contents.measurements if not m.failed}
    if len(devices) > 1:
        notes.append(
            f"The project holds measurements of {len(devices)} devices; shown: {table.device_key}."
        )
    return tuple(notes)


def _predicted_beside_measured(table: Table) -> bool:
    """Whether the column of losses holds those of models and those of a law."""
    loss = table.estimates("loss")
    known = np.isfinite(loss.value)
    return bool((known & loss.measured).any() and (known & ~loss.measured).any())


def low_precision_notes(table: Table) -> list[str]:
    """What is to be said of candidates below 16 bits, whose loss is unknown or illustrated."""
    low = table.candidates.below_16_bits
    if not low.any():
        return []
    known = np.isfinite(table.column("loss"))
    unknown, drawn = int((low & ~known).sum()), int(table.illustrated.sum())
    notes = []
    if unknown:
        notes.append(
            f"{unknown:,} of {len(table):,} candidates have weights or a cache below 16 bits: what they"
            " cost in loss was not measured, so that a front of loss leaves them out."
        )
    if drawn:
        notes.append(
            f"{drawn:,} of {len(table):,} candidates below 16 bits have a loss after arXiv 2411.04330,"
            " whose constants do not transfer: an illustration, not measured here."
        )
    return notes


def heldout_error(laws: Laws | None, device_key: str) -> float | None:
    """The error on left-out shapes of the device's law of the time per token."""
    if laws is None:
        return None
    fits = [f for f in laws.latency if f.device_key == device_key and f.metric == "tpot" and f.ok]
    known = [f for f in fits if f.heldout_error is not None]
    return max(known, key=lambda f: f.n).heldout_error if known else None
