"""A local model folder as one measurement: its speed and memory as it is run, its loss on a text.

The model is never loaded in this process: the loss and the timing each have a process of their own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from core.errors import Unsupported, Unusable
from core.measure.backends.folder import ModelFolder, read_folder
from core.measure.backends.llama_layout import layout_of
from core.measure.backends.registry import for_folders
from core.measure.timing.protocol import Settings
from core.model.workload import Runtime, Workload
from core.records.measurement import Device, Measurement, Point
from core.records.progress import Progress, Steps

PRECISIONS = ("fp32", "bf16", "fp16")
BUDGET_S = 30.0
WINDOWS = ("strided", "disjoint")  # how a text is cut to score it
RANDOM = "random weights of the folder's shape: a speed and a size, but no quality"


@dataclass(frozen=True, slots=True)
class ModelPlan:
    """A folder that can be measured, and what will be done with it."""

    folder: ModelFolder
    point: Point
    text: Path | None = None
    windows: str = WINDOWS[0]


def plan_model(
    path: Path | str,
    workload: Workload,
    *,
    text: Path | str | None = None,
    weights: str = "",
    execution: str = "",
    windows: str = WINDOWS[0],
) -> ModelPlan:
    """What measuring a folder will do, from its small files alone.

    `weights` '' means as stored, `execution` '' a backend that runs any folder. `windows` of text overlap
    by half ('strided') or share one token ('disjoint'): two metrics.

    Raises Unusable, with the reason, for what `read_folder` refuses, for a request longer than the
    model's context, for an execution that would run another network than the config describes, and for
    a text where the folder has no weights or no tokenizer to read it with.
    """
    folder = read_folder(path)
    precision = weights or {"fp64": "fp32", "fp8": "bf16"}.get(folder.dtype, folder.dtype)
    if precision not in PRECISIONS:
        raise Unusable(f"a model folder is measured in {', '.join(PRECISIONS)}, not {precision}")
    rows = {row.name: row for row in for_folders()}
    execution = execution or next(iter(rows))
    if execution not in rows:
        raise Unusable(f"a model folder runs as {', '.join(rows)}, not {execution}")
    asked = workload.prompt_tokens + workload.output_tokens
    if folder.max_context is not None and asked > folder.max_context:
        raise Unusable(
            f"{folder.path}: {workload.prompt_tokens} tokens in and {workload.output_tokens} out "
            f"are more than the {folder.max_context} its config allows"
        )
    if rows[execution].folders == "llama":
        try:
            layout_of(folder, asked)
        except Unsupported as error:
            raise Unusable(f"{folder.path}: {error}") from error
    if text is not None:
        text = Path(text).expanduser()
        if not text.is_file():
            raise Unusable(f"{text}: there is no such text file")
        if not folder.has_weights:
            raise Unusable(
                f"{folder.path} has no weights: random ones have a speed but no quality; "
                "leave out the text"
            )
        if not folder.has_tokenizer:
            raise Unusable(
                f"{folder.path} has no tokenizer (tokenizer.json); copy the model's own into it "
                "to measure its quality"
            )
    # the name is taken from the path, which may have been given as '.'
    where = str(folder.path.resolve())
    runtime = Runtime(execution, precision, precision)
    return ModelPlan(folder, Point(folder.architecture, workload, runtime, where), text, windows)


def measure_model(
    plan: ModelPlan,
    *,
    device: str | Device,
    store: Callable[[Measurement], Measurement],
    budget_s: float | None = None,
    python: str | None = None,
    threads: int = 0,
    energy_s: float = 0.0,
    seed: int = 0,
    settings: Settings | None = None,
    probe: bool = True,
) -> Steps[Measurement]:
    """Steps: the loss where there is a text, then the timing; yields and returns the one stored result.

    The loss is measured in the precision that is timed. A model that does not fit, crashes or hangs
    is a flagged measurement; a folder that transformers cannot load is Unusable, and nothing is
    stored. Closing the generator ends what runs.
    """
    from core.measure.backends.quality import in_child
    from core.measure.process.session import device_name
    from core.measure.sweeps.device_lock import free_device
    from core.measure.sweeps.sweep import sweep

    target = device if isinstance(device, str) else device_name(device)
    quality: dict[str, float] = {}
    facts: dict[str, Any] = {
        "model_weights": "files" if plan.folder.has_weights else "random",
        "model_params": plan.folder.params,
        "model_family": plan.folder.family,
    }
    parts = 1 if plan.text is None else 2
    if plan.text is not None:
        options = {
            "device": target,
            "dtype": plan.point.runtime.weights,
            "threads": threads,
            "disjoint": plan.windows == "disjoint",
        }
        lock = yield from free_device(target)
        try:
            scoring = in_child(plan.folder.path, plan.text, options)
            found = yield from _share(scoring, 0, parts)
        finally:
            lock.release()
        quality = found.columns()
        # losses on two texts do not compare, so it is kept which one it was
        facts |= {"text": plan.text.name, "text_sha256": found.text_sha256}
        facts["scored_in"] = plan.point.runtime.weights

    def keep(m: Measurement) -> Measurement:
        if "unsupported" in m.flags:
            raise Unusable(f"{plan.folder.name}: {m.message}")
        notes = [m.message] if m.message else []
        if not plan.folder.has_weights:
            notes.append(RANDOM)
        environment = {**m.environment, **facts}
        return store(replace(m, quality=quality, environment=environment, message="; ".join(notes)))

    # no anchor: there is no second point for the first to drift from
    timing = sweep(
        [plan.point],
        device=device,
        budget_s=None,
        store=keep,
        python=python,
        settings=settings or Settings(budget_s=budget_s or BUDGET_S, seed=seed),
        threads=threads,
        anchor=None,
        energy_s=energy_s,
        probe=probe,
    )
    result: Measurement | None = None
    try:
        for step in timing:
            if isinstance(step, Measurement):
                result = step
                yield step
            elif isinstance(step, Progress):
                yield _moved(step, parts - 1, parts)
            else:
                yield step
    finally:
        timing.close()
    if result is None:
        raise Unusable(f"{plan.folder.name} could not be timed")
    return result


def _share(steps: Steps[Any], before: int, parts: int) -> Steps[Any]:
    """The same steps as one part of several."""
    try:
        while True:
            try:
                step = next(steps)
            except StopIteration as end:
                return end.value
            yield _moved(step, before, parts)
    finally:
        steps.close()


def _moved(step: Progress, before: int, parts: int) -> Progress:
    share = step.done / step.total if step.total else 0.0
    return Progress(before + min(1.0, share), parts, step.text, step.seconds_left)
