"""A `vllm serve` command line for a shape (flags of vLLM's engine arguments)."""

from __future__ import annotations

from core.formats.configs.config_formats import ConfigFormat
from core.formats.configs.serve import Server, read

SERVER = Server(
    name="vLLM",
    program='vllm serve "$model"',
    longest="--max-model-len",
    most="--max-num-seqs",
    fixed=(
        "--tensor-parallel-size 1",
        "--pipeline-parallel-size 1",
        "--gpu-memory-utilization 0.9",
    ),
    fp8_cache="fp8",
)
FORMAT = ConfigFormat(
    key="vllm",
    title="vLLM serve script",
    file="serve_vllm.sh",
    checked_against="vLLM 0.32.0 on a CPU: starts from it and answers",
    recognises=lambda text, values: not values and "vllm serve" in text,
    read=read,
    write=SERVER.write,
)
