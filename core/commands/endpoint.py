"""`endpoint`: time a model served on this machine, as its client sees it."""

from __future__ import annotations

import argparse
import os
from typing import Any

from core.commands.devices import find_device
from core.commands.following import followed
from core.commands.measured import described, measured_lines
from core.commands.measuring import measuring_into
from core.commands.options import seconds, whole
from core.errors import Unusable
from core.model.workload import BYTES_PER_ELEMENT, Workload
from core.records.measurement import Device, Measurement

HELP = "time a model served on this machine (llama.cpp, vLLM, SGLang, transformers serve)"


def arguments(parser: argparse.ArgumentParser) -> None:
    """URL, the model's name there, the project, and the workload."""
    parser.add_argument("url", help="e.g. http://127.0.0.1:8000, up to and without /v1")
    parser.add_argument("--model", required=True, help="the model's name at the endpoint")
    parser.add_argument("--project", required=True, help="a .paretoscope file, made if missing")
    parser.add_argument(
        "--config", help="its config.json or GGUF file, where the server does not name it"
    )
    parser.add_argument("--batch", type=whole, default=1, help="requests at once (default 1)")
    parser.add_argument("--prompt", type=whole, default=128, help="prompt tokens (default 128)")
    parser.add_argument("--output", type=whole, default=128, help="output tokens (default 128)")
    parser.add_argument("--requests", type=whole, default=12, help="rounds of them (default 12)")
    parser.add_argument("--device", default="cpu", help="what it is served on (default cpu)")
    parser.add_argument(
        "--weights",
        default="",
        choices=tuple(BYTES_PER_ELEMENT),
        help="precision it is served in (default: the config's)",
    )
    parser.add_argument("--timeout-s", type=seconds, default=120.0, help="longest single answer")
    parser.add_argument(
        "--key-from", default="", help="environment variable that holds the server's key"
    )
    parser.add_argument("--python", default=None, help="another Python to find GPUs with")


def run(options: argparse.Namespace) -> tuple[str, dict[str, Any]]:
    """Measure the endpoint and store one measurement under the model's name."""
    from core.measure.backends.served import Endpoint
    from core.measure.backends.served_shape import TIMEOUT_S, measure_endpoint, served_shape
    from core.project.project import Project

    # secrets mounted as files often end in a line break
    key = os.environ.get(options.key_from, "").strip() if options.key_from else ""
    if options.key_from and not key:
        empty = options.key_from in os.environ
        lacking = "holds no key" if empty else "is not in the environment"
        raise Unusable(f"the variable {options.key_from} {lacking}")
    endpoint = Endpoint(options.url, options.model, key)
    longest = min(TIMEOUT_S, options.timeout_s)
    architecture, precision = served_shape(endpoint, options.config, longest)
    device = _device(options)
    with Project.open_or_create(options.project) as project, measuring_into(project):
        found: Measurement = followed(
            measure_endpoint(
                endpoint,
                Workload(options.batch, options.prompt, options.output),
                architecture=architecture,
                precision=options.weights or precision,
                device=device,
                store=project.add_measurement,
                requests=options.requests,
                timeout_s=options.timeout_s,
            )
        )
    return report(found, str(options.project))


def _device(options: argparse.Namespace) -> Device:
    if options.device == "cpu":
        from core.measure.timing.devices import cpu_device

        return cpu_device()
    return find_device(options)


def report(found: Measurement, project: str) -> tuple[str, dict[str, Any]]:
    """The text and the JSON object of a measured endpoint."""
    seen = found.environment
    answer = {
        "schema_version": 1,
        "project": project,
        "device": found.device.name,
        **described(found),
        "realised": {
            "prompt_tokens": found.workload.prompt_tokens,
            "output_tokens": found.workload.output_tokens,
        },
        "asked": {
            "prompt_tokens": seen["prompt_tokens_requested"],
            "output_tokens": seen["output_tokens_requested"],
        },
        "requests": seen["requests"],
        "left_out": seen["left_out"],
        "chunk_is_token": seen["chunk_is_token"],
        "decoded_at_once": seen["decoded_at_once"],
        "share_in_bursts": seen["share_in_bursts"],
        "cached_prompt_tokens": seen["cached_prompt_tokens"],
        "fields_sent": seen["fields_sent"],
        "endpoint_path": seen["endpoint_path"],
    }
    lines = [
        f"{found.model}, {found.architecture.label}, served on {found.device.name}",
        f"{seen['requests']} requests to {seen['endpoint_path']}; {found.workload.label}",
        *measured_lines(found),
        f"stored in {project} as '{found.model}'",
    ]
    return "\n".join(lines), answer
