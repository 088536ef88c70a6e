"""An SGLang server command line for a shape (flags of `sglang.launch_server`)."""

from __future__ import annotations

from core.formats.configs.config_formats import ConfigFormat
from core.formats.configs.serve import Server, read

SERVER = Server(
    name="SGLang",
    program='python -m sglang.launch_server --model-path "$model"',
    longest="--context-length",
    most="--max-running-requests",
    fixed=("--tp-size 1", "--mem-fraction-static 0.9"),
    fp8_cache="fp8_e5m2",
)
FORMAT = ConfigFormat(
    key="sglang",
    title="SGLang serve script",
    file="serve_sglang.sh",
    checked_against="documented server arguments",
    recognises=lambda text, values: not values and "sglang.launch_server" in text,
    read=read,
    write=SERVER.write,
)
