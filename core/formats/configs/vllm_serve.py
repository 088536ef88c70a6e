"""A `vllm serve` command line for a shape (flags of vLLM's engine arguments)."""

from __future__ import annotations

from core.formats.configs import serve
from core.formats.configs.config_formats import ConfigFormat
from core.formats.configs.serve import read
from core.formats.configs.writing import ExportContext
from core.model.architecture import Architecture

__all__ = ["read", "write"]


def write(architecture: Architecture, context: ExportContext) -> str:
    """A shell script ending in `vllm serve`; Unusable when no Hugging Face family expresses it."""
    arguments = [
        f"--dtype {context.dtype}",
        f"--max-model-len {context.max_context}",
        f"--max-num-seqs {context.max_batch}",
        "--tensor-parallel-size 1",
        "--pipeline-parallel-size 1",
        "--gpu-memory-utilization 0.9",
    ]
    if context.weights == "fp8":
        arguments.append("--quantization fp8")
    if context.cache == "fp8":
        arguments.append("--kv-cache-dtype fp8")
    return serve.script(
        architecture,
        context,
        "vLLM",
        'vllm serve "$model"',
        tuple(arguments),
        ("--load-format", "dummy", "--skip-tokenizer-init"),
    )


FORMAT = ConfigFormat(
    key="vllm",
    title="vLLM serve script",
    file="serve_vllm.sh",
    checked_against="vLLM 0.32.0 on a CPU: starts from it and answers",
    recognises=lambda text, values: not values and "vllm serve" in text,
    read=read,
    write=write,
)
