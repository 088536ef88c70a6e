"""Help pages made from tables in the code, as Markdown: metrics, laws, formats.

`python -m gui.shell.write_help` writes them to resources/help; a test checks that they are current.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from core.export.formats import formats
from core.formats.results.readers import result_formats
from core.formats.runs.about import KEYS
from core.formats.runs.single.run_files import run_files
from core.laws.downstream import ERROR_LAWS, GADRE
from core.laws.latency import TERMS
from core.laws.loss import LAWS
from core.pareto.limits import STATISTICS
from core.records.measurement import FLAGS
from core.records.metrics import METRICS

MADE = "<!-- made from the tables in the code by `python -m gui.shell.write_help`; do not edit -->"


def pages() -> dict[str, str]:
    """The generated pages by file name."""
    makers: dict[str, Callable[[], str]] = {
        "metrics.md": metrics_page,
        "laws.md": laws_page,
        "formats.md": formats_page,
    }
    return {name: make() for name, make in makers.items()}


def metrics_page() -> str:
    """Every metric with unit, direction, formula and the name a limit uses."""
    parts = [
        "# Metrics",
        MADE,
        "Every axis, column, limit and export uses these. A limit is written with the short name,"
        " for example `tpot<=8ms` or `memory<=24GB`; `tpot:p95<=12ms` bounds another statistic of"
        f" what was measured ({', '.join(STATISTICS)}; `high` is the upper end of the 95 %"
        " interval).",
    ]
    groups = dict.fromkeys(row.group for row in METRICS.values())
    for group in groups:
        rows = [
            (
                f"**{m.label}**",
                f"`{m.short}`",
                {"s": "seconds", "B": "bytes", "count": "count", "J": "joules"}.get(m.unit, m.unit),
                m.better or "-",
                m.formula,
            )
            for m in METRICS.values()
            if m.group == group
        ]
        parts += [
            f"## {group}",
            table(("Metric", "In limits", "Unit", "Better", "What it is"), rows),
        ]
    parts += [
        "## Flags of a measurement",
        table(("Flag", "Meaning"), [(f"`{k}`", v) for k, v in FLAGS.items()]),
    ]
    return joined(parts)


def laws_page() -> str:
    """Every law with formula, parameters and source."""
    parts = [
        "# Laws",
        MADE,
        "A law predicts what was not measured. N is the number of parameters (total or without"
        " embeddings: every fit says which), D the training tokens, d the width, l the number of"
        " layers, R = d/l. The Laws panel shows which law is in use, and its errors on shapes left"
        " out of its fit; the Trust panel shows the same for latency.",
        "## Loss",
    ]
    for law in LAWS.values():
        names = ", ".join(f"`{p.name}` ({p.unit})" for p in law.parameters)
        tyings = ", ".join(t.name for t in law.tyings)
        parts += [
            f"### {law.title}",
            f"L = {law.formula}",
            "\n".join(
                line
                for line in (
                    f"- Name: `{law.name}`; exponents: {tyings}",
                    f"- Parameters: {names}",
                    f"- N: {law.n_note}",
                    f"- Source: {law.source}",
                    f"- Note: {law.note}" if law.note else "",
                )
                if line
            ),
        ]
    parts += [
        "## Latency",
        "Seconds are a sum of physical amounts, counted from the shape, the workload and the"
        " runtime, each times a coefficient that is fitted on this machine and never negative. The time"
        " of a whole answer is TTFT + (output tokens - 1) x TPOT. Sources: Pope et al. 2022, arXiv"
        " 2211.05102; Williams et al. 2009.",
        table(
            ("Amount", "Unit of its coefficient", "What it stands for"),
            [(f"`{k}`", term.unit, term.meaning) for k, term in TERMS.items()],
        ),
        "## From loss to error on tasks",
        "Err(L) = eps - k exp(-gamma L), for one validation set and one set of tasks only."
        f" Source: {GADRE}.",
        table(
            ("Tasks", "Training set", "k", "gamma", "eps"),
            [(e.tasks, e.data, f"{e.k:.4g}", f"{e.gamma:.4g}", f"{e.eps:.4g}") for e in ERROR_LAWS],
        ),
        "## Speculative decoding",
        "Tokens per pass of the large model with k drafted tokens of which each is accepted with"
        " chance a: (1 - a^(k+1)) / (1 - a). Speed over plain decoding: that, divided by"
        " k x (draft step / target step) + (pass over k + 1 tokens / pass over one). Source:"
        " Leviathan et al. 2023, arXiv 2211.17192.",
        "## Train and serve",
        "Over a model's life: 6 N D to train + 2 N x tokens served. Source: Sardana et al. 2024,"
        " arXiv 2401.00448.",
    ]
    return joined(parts)


def formats_page() -> str:
    """What can be read and written, with what each was checked against."""
    return joined(
        [
            "# Files",
            MADE,
            "Drop a file on the window, or use `import` on the command line. A file is recognised by"
            " its content, not its name. An unknown file is refused with what was looked for and what"
            " was found.",
            "## Results that can be read",
            "They are drawn over the candidates and tagged by source, for comparison only: they enter"
            " no table and no front. The pointer shows the name and values of each, and which limits"
            " on the axes it keeps. Where the axes do not show them, the window names axes that do. A"
            " result of another workload is dashed and marked: it must not be compared.",
            table(
                ("Tool", "File", "Checked against"),
                [(r.title, f"`{r.file}`", r.checked_against) for r in result_formats()],
            ),
            "## What can be written",
            table(
                ("Format", "Name", "File", "Checked against"),
                [
                    (f.title, f"`{f.key}`", f"`{f.file}`", f.checked_against)
                    for f in formats().values()
                ],
            ),
            "Each written shape is read back and must give the same architecture.",
            "## Tables of training runs",
            "A loss, the training tokens, and a size or shape in every row; CSV, JSON, JSON lines,"
            " Parquet, an export of W&B, a folder of MLflow, or a folder with a file for each run (below). Columns are recognised by their names"
            " and units. `fit`, `compare`, `bootstrap` and `doubt` tell what reading did: rows left"
            " out, columns guessed, what was derived, rows that look odd.",
            "Rows of one shape and number of tokens that differ in a learning rate, a batch size or another"
            " setting are a sweep. No law is fitted to them: keep the best of each (`--best-of-repeats`) or"
            " choose some rows. Seeds are repeats and stay. Rows that look like checkpoints of one run are"
            " told and resampled together; `--last-of-run` keeps the last of each run. Importing in the"
            " window offers both.",
            "A CSV can say what it holds, in lines above its header such as `# loss meaning:"
            " validation`. The bundled tables do. All lines are optional, other comments are passed"
            " over, and what you choose by hand goes before.",
            table(("Line", "What it says"), [(f"`# {k}: ...`", v) for k, v in KEYS.items()]),
            "Files that hold one run each; of a log the last values are taken:",
            table(
                ("Written by", "File", "Checked against"),
                [(r.title, f"`{r.file}`", r.checked_against) for r in run_files()],
            ),
            "## Also read",
            "- **Projects** (`.paretoscope`): everything measured and chosen, one file.\n"
            "- **Spaces** (`.toml`): the described candidates; see the Space panel.\n"
            "- **Models**: a folder with `config.json` (and safetensors or GGUF headers).",
        ]
    )


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(
        "| " + " | ".join(str(c).replace("|", "\\|").replace("\n", " ") for c in line) + " |"
        for line in lines
    )


def joined(parts: Sequence[str]) -> str:
    """Parts with an empty line between them."""
    return "\n\n".join(part for part in parts if part) + "\n"
