"""The bundled tables of published training runs, and the published models with their latencies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from core.errors import Unusable
from core.fit.repeats import Keep
from core.formats.runs.reading import ALL, Reading, load
from core.formats.runs.shapes import morph_shape
from core.formats.runs.tables import read_table
from core.model.architecture import Architecture
from core.model.workload import Workload
from core.records.training_runs import TrainingRuns
from core.resources import resource

# each table says above its header where it comes from and what its loss is
SUITES: Mapping[str, str] = {
    "morph": "morph_runs.csv",
    "gemstones": "gemstones_cooldown_runs.csv",
    "overtraining": "overtraining_runs.csv",
}
MORPH_SOURCE = (
    "Bian, Yan, Venkataraman: Scaling Inference-Efficient Language Models (arXiv 2501.18107); "
    "Waterpine/open-lm-morph 1872be37"
)


@dataclass(frozen=True, slots=True)
class Landmark:
    """A published model with its published latency and accuracy.

    `architecture` is the shape that was trained, where the run table holds it (the Morph models);
    None for the others, of which only width and layers are published. `run` names the row of the
    morph suite. The latencies of the Morph shapes were taken with random weights, 32 heads and a
    vocabulary of 32000 (the open_lm latency script), not with the trained head count.
    """

    name: str
    d_model: int
    n_layers: int
    accuracy_11_tasks: float
    latency_s: float
    architecture: Architecture | None = None
    run: str = ""
    loss: float | None = None
    tokens: float | None = None
    device: str = "NVIDIA A100-40GB"
    execution: str = "Hugging Face generate, bf16"
    workload: Workload = Workload(batch=1, prompt_tokens=128, output_tokens=256)  # noqa: RUF009
    source: str = MORPH_SOURCE
    licence: str = "MIT"


# the run behind each Morph model (the repository's names of the four 1B configurations)
LANDMARK_RUNS = {
    "Morph-1B-v1": "1B_v1@20N",
    "Morph-1B-v2": "1B_v3@20N",
    "Morph-1B": "1B_v8@20N",
}


def bundled_suites() -> tuple[str, ...]:
    """Names of the bundled suites."""
    return tuple(SUITES)


def suite(name: str) -> TrainingRuns:
    """A bundled suite with its source, licence and the meaning of its loss; Unusable if unknown."""
    return load_suite(name).runs


def load_suite(name: str, keep: Keep = ALL) -> Reading:
    """Like suite, with what reading did; `keep` leaves some rows to others."""
    if name not in SUITES:
        raise Unusable(f"no bundled suite '{name}'; there are {', '.join(SUITES)}")
    return load(resource(f"runs/{SUITES[name]}"), keep=keep)


def landmarks() -> tuple[Landmark, ...]:
    """The published models of the inference-aware paper with accuracy and latency (A100-40GB)."""
    table = read_table(resource("runs/morph_latency_accuracy.csv"))
    morph = suite("morph")
    found = []
    for row in table.rows:
        cells = dict(zip(table.header, row, strict=True))
        mark = Landmark(
            str(cells["model"]),
            int(cells["d_model"]),
            int(cells["n_layers"]),
            float(cells["avg_11_tasks"]),
            float(cells["latency_s"]),
        )
        run = LANDMARK_RUNS.get(mark.name)
        if run:
            mark = _trained(replace(mark, run=run), morph)
        found.append(mark)
    return tuple(found)


def _trained(mark: Landmark, runs: TrainingRuns) -> Landmark:
    """The landmark with the shape, loss and tokens of its run added."""
    i = runs.names.index(mark.run)
    return replace(
        mark,
        architecture=morph_shape(runs, i),
        loss=float(runs.columns["loss"][i]),
        tokens=float(runs.columns["tokens"][i]),
    )
