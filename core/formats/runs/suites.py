"""The bundled tables of published training runs, and the published models with their latencies."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
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
    columns |= _shape_columns(name, runs)
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


def _shape_columns(name: str, runs: TrainingRuns) -> dict[str, Floats]:
    """What the suite's source says of its shapes beyond the table's own columns.

    It is stated only for a run whose counts of parameters follow from it exactly, and kept as the
    table has it (or NaN) for all others. `tied_embeddings` and `gated_ffn` are 0 or 1.
    """
    names = (
        "params_non_embedding",
        "n_heads",
        "n_kv_heads",
        "d_ff",
        "vocab_size",
        "tied_embeddings",
        "gated_ffn",
        "ffn_to_attention",
    )
    known = runs.columns
    columns = {k: known[k].copy() if k in known else np.full(len(runs), np.nan) for k in names}
    for i in range(len(runs)):
        shape = SHAPES[name](runs, i)
        counts = {"params_total": shape.params_total}
        counts["params_non_embedding"] = shape.params_non_embedding
        if all(count == known[k][i] for k, count in counts.items() if k in known):
            for k, column in columns.items():
                column[i] = float(getattr(shape, k))
    return columns


def _morph_shape(runs: TrainingRuns, i: int) -> Architecture:
    """Multi-head attention, a gated FFN, untied embeddings; heads and FFN width are in the table."""
    n_layers, d_model, n_heads, d_ff, vocab_size = (
        int(runs.columns[k][i]) for k in ("n_layers", "d_model", "n_heads", "d_ff", "vocab_size")
    )
    return Architecture(n_layers, d_model, n_heads, n_heads, d_model // n_heads, d_ff, vocab_size)


def _gemstone_shape(runs: TrainingRuns, i: int) -> Architecture:
    """Heads of 128, half as many (rounded down) for keys and values, a gated FFN of 4 times the
    width, untied embeddings: the only plain split of the counts, 15 d^2 a layer (14.67 at 3 heads)."""
    n_layers, d_model, vocab_size = (
        int(runs.columns[k][i]) for k in ("n_layers", "d_model", "vocab_size")
    )
    n_heads = d_model // 128
    return Architecture(n_layers, d_model, n_heads, n_heads // 2, 128, 4 * d_model, vocab_size)


def _open_lm_shape(runs: TrainingRuns, i: int) -> Architecture:
    """open_lm's own shape: multi-head attention (heads by the run's name, '..._h=8-0.25', or of 128 as
    in its open_lm_1b.json and open_lm_7b.json), a gated FFN of 8/3 of the width rounded up to 256, a
    vocabulary of 50,432, untied embeddings."""
    n_layers, d_model = int(runs.columns["n_layers"][i]), int(runs.columns["d_model"][i])
    heads = re.search(r"_h=(\d+)", runs.names[i])
    n_heads = int(heads[1]) if heads else d_model // 128
    return Architecture(
        n_layers, d_model, n_heads, n_heads, d_model // n_heads, rounded_ffn(d_model), 50432
    )


SHAPES: Mapping[str, Callable[[TrainingRuns, int], Architecture]] = {
    "morph": _morph_shape,
    "gemstones": _gemstone_shape,
    "overtraining": _open_lm_shape,
}


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
        architecture=_morph_shape(runs, i),
        loss=float(runs.columns["loss"][i]),
        tokens=float(runs.columns["tokens"][i]),
    )
