"""`model`: measure a local model folder, so that a real model appears among the designs."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from core.commands.following import followed
from core.commands.measured import described, measured_lines, quality_lines
from core.commands.measuring import measuring_into
from core.commands.options import seconds, whole
from core.errors import Unusable
from core.measure.backends.registry import for_folders
from core.measure.sweeps.real_model import PRECISIONS, WINDOWS
from core.model.workload import Workload
from core.records.measurement import Measurement
from core.units import format_quantity

if TYPE_CHECKING:
    from core.measure.backends.folder import ModelFolder

HELP = "measure a local Hugging Face model folder: its speed, memory and loss on a text"


def arguments(parser: argparse.ArgumentParser) -> None:
    """FOLDER, the project, the text, and how to run it."""
    rows = for_folders()
    anything = ", ".join(row.name for row in rows if row.folders == "any")
    parser.add_argument("folder", help="a folder with config.json, and safetensors if it has them")
    parser.add_argument("--project", required=True, help="a .paretoscope file, made if missing")
    parser.add_argument("--text", help="a UTF-8 text file to measure loss and bits per byte on")
    parser.add_argument(
        "--windows",
        default=WINDOWS[0],
        choices=WINDOWS,
        help="how the text is cut: overlapping by half, so that every token has text before it"
        " (default), or disjoint as in lm-eval, which is another metric",
    )
    parser.add_argument("--device", default="cpu", help="'cpu' (default) or 'cuda:N'")
    parser.add_argument("--batch", type=whole, default=1, help="sequences at once (default 1)")
    parser.add_argument("--prompt", type=whole, default=128, help="prompt tokens (default 128)")
    parser.add_argument("--output", type=whole, default=256, help="output tokens (default 256)")
    parser.add_argument(
        "--weights", default="", choices=PRECISIONS, help="instead of the precision it is stored in"
    )
    parser.add_argument(
        "--execution",
        default="",
        choices=tuple(row.name for row in rows),
        help=f"{anything} for any folder, the others for those laid out as Llama is (default:"
        f" {rows[0].name})",
    )
    parser.add_argument("--budget-s", type=seconds, default=None, help="time to spend on timing")
    parser.add_argument("--threads", type=whole, default=0, help="CPU threads (default: cores)")
    parser.add_argument("--energy", action="store_true", help="add an energy pass")
    parser.add_argument("--python", default=None, help="another Python to time with")


def run(options: argparse.Namespace) -> tuple[str, dict[str, Any]]:
    """Measure the folder and store one measurement under its name."""
    from core.measure.sweeps.real_model import measure_model, plan_model
    from core.project.project import Project

    if options.device != "cpu" and not options.device.startswith("cuda"):
        raise Unusable(f"--device is 'cpu' or 'cuda:N', not '{options.device}'")
    plan = plan_model(
        options.folder,
        Workload(options.batch, options.prompt, options.output),
        text=options.text,
        weights=options.weights,
        execution=options.execution,
        windows=options.windows,
    )
    with Project.open_or_create(options.project) as project, measuring_into(project):
        found: Measurement = followed(
            measure_model(
                plan,
                device=options.device,
                store=project.add_measurement,
                budget_s=options.budget_s,
                python=options.python,
                threads=options.threads,
                energy_s=5.0 if options.energy else 0.0,
            )
        )
    return report(plan.folder, found, str(options.project))


def report(folder: ModelFolder, found: Measurement, project: str) -> tuple[str, dict[str, Any]]:
    """The text and the JSON object of a measured folder."""
    answer = {
        "schema_version": 1,
        "project": project,
        "family": folder.family,
        "params": folder.params,
        "has_weights": folder.has_weights,
        "stored_in": dict(folder.dtype_params),
        "notes": list(folder.notes),
        "device": found.device.name,
        **described(found),
        "quality": dict(found.quality) or None,
    }
    params = format_quantity(folder.params, "count")
    a = folder.architecture
    lines = [f"{found.model}: {folder.family}, {a.label}, {params} parameters"]
    lines += [f"  {note}" for note in folder.notes]
    lines.append(f"{found.device.name}; {found.runtime.label}; {found.workload.label}")
    lines += measured_lines(found)
    lines += quality_lines(found)
    lines.append(f"stored in {project} as '{found.model}'")
    return "\n".join(lines), answer
