"""An SGLang server command line for a shape (flags of `sglang.launch_server`)."""

from __future__ import annotations

from core.formats.configs import serve
from core.formats.configs.config_formats import ConfigFormat
from core.formats.configs.serve import read
from core.formats.configs.writing import ExportContext
from core.model.architecture import Architecture

__all__ = ["read", "write"]


def write(architecture: Architecture, context: ExportContext) -> str:
    """A shell script ending in the server; Unusable when no Hugging Face family expresses it."""
    arguments = [
        f"--dtype {context.dtype}",
        f"--context-length {context.max_context}",
        f"--max-running-requests {context.max_batch}",
        "--tp-size 1",
        "--mem-fraction-static 0.9",
    ]
    if context.weights == "fp8":
        arguments.append("--quantization fp8")
    if context.cache == "fp8":
        arguments.append("--kv-cache-dtype fp8_e5m2")
    return serve.script(
        architecture,
        context,
        "SGLang",
        'python -m sglang.launch_server --model-path "$model"',
        tuple(arguments),
        ("--load-format", "dummy", "--skip-tokenizer-init"),
    )


FORMAT = ConfigFormat(
    key="sglang",
    title="SGLang serve script",
    file="serve_sglang.sh",
    checked_against="documented server arguments",
    recognises=lambda text, values: not values and "sglang.launch_server" in text,
    read=read,
    write=write,
)
