"""The bundled tables of published training runs, and the published models with their latencies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from core.arrays import Floats
from core.errors import Unusable
from core.formats.runs.columns import ColumnGuess
from core.formats.runs.reading import Reading, load
from core.formats.runs.tables import read_table
from core.model.architecture import Architecture, rounded_ffn
from core.model.workload import Workload
from core.records.training_runs import TrainingRuns
from core.resources import resource


@dataclass(frozen=True, slots=True)
class Suite:
    """The source of a bundled table and the meaning of its loss column."""

    file: str
    loss_column: str
    loss_meaning: str
    source: str
    licence: str
    note: str


SUITES: Mapping[str, Suite] = {
    "morph": Suite(
        "morph_runs.csv",
        "loss",
        "train average",
        "Bian, Yan, Venkataraman: Scaling Inference-Efficient Language Models (arXiv 2501.18107); "
        "Waterpine/open-lm-morph 1872be37",
        "MIT",
        "35 shapes at 20, 40 and 160 tokens per parameter; the loss is most likely the training "
        "loss averaged over the run, not a final or validation loss",
    ),
    "gemstones": Suite(
        "gemstones_cooldown_runs.csv",
        "loss",
        "validation",
        "Gemstones; mcleish7/gemstone-scaling-laws 5f420478",
        "MIT",
        "20 shapes with the learning rate cooled down at 11 to 110 billion tokens",
    ),
    "overtraining": Suite(
        "overtraining_runs.csv",
        "loss_c4",
        "validation",
        "Gadre et al.: Language models scale reliably with over-training and on downstream tasks "
        "(arXiv 2403.08540); mlfoundations/scaling a003c491",
        "MIT",
        "loss is loss_c4 (on C4's validation set); loss_openlm (on OpenLM's) is kept beside it; "
        "params_non_embedding is derived where the open_lm shape reproduces params_total exactly",
    ),
}


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
    source: str = SUITES["morph"].source
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


def load_suite(name: str) -> Reading:
    """Like suite, with what reading did."""
    if name not in SUITES:
        raise Unusable(f"no bundled suite '{name}'; there are {', '.join(SUITES)}")
    about = SUITES[name]
    # the columns are known here, so nothing is guessed
    table = read_table(resource(f"runs/{about.file}"))
    mapping = {
        field: ColumnGuess(field, field)
        for field in table.header
        if field in ("name", "n_layers", "d_model", "n_heads", "d_ff", "vocab_size", "tokens")
        or field.startswith("params_")
    }
    mapping["loss"] = ColumnGuess(about.loss_column, "loss")
    reading = load(resource(f"runs/{about.file}"), mapping)
    runs = reading.runs
    columns = dict(runs.columns)
    if about.loss_column != "loss":
        columns[about.loss_column] = columns["loss"]
    if name == "overtraining":
        columns |= _open_lm_columns(runs)
    runs = replace(
        runs,
        suite=name,
        columns=columns,
        loss_meaning=about.loss_meaning,
        loss_unit="nats/token",
        source=about.source,
        licence=about.licence,
    )
    return replace(reading, runs=runs)


def _open_lm_columns(runs: TrainingRuns) -> dict[str, Floats]:
    """Non-embedding parameters, FFN width and vocabulary of open_lm shapes, NaN where they do not fit.

    open_lm's shape follows from layers and width alone (multi-head attention, SwiGLU of 8/3 rounded
    up to 256, vocabulary 50432, untied). It is used where it gives params_total exactly.
    """
    vocab_size = 50432
    columns = {
        k: np.full(len(runs), np.nan) for k in ("params_non_embedding", "d_ff", "vocab_size")
    }
    for i in range(len(runs)):
        d_model = int(runs.columns["d_model"][i])
        shape = Architecture(
            int(runs.columns["n_layers"][i]),
            d_model,
            1,
            1,
            d_model,
            rounded_ffn(d_model),
            vocab_size,
        )
        if shape.params_total == runs.columns["params_total"][i]:
            columns["params_non_embedding"][i] = shape.params_non_embedding
            columns["d_ff"][i] = shape.d_ff
            columns["vocab_size"][i] = vocab_size
    return columns


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
    n_layers, d_model, n_heads, d_ff, vocab_size = (
        int(runs.columns[k][i]) for k in ("n_layers", "d_model", "n_heads", "d_ff", "vocab_size")
    )
    return replace(
        mark,
        architecture=Architecture(
            n_layers, d_model, n_heads, n_heads, d_model // n_heads, d_ff, vocab_size
        ),
        loss=float(runs.columns["loss"][i]),
        tokens=float(runs.columns["tokens"][i]),
    )
