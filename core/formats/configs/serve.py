"""The common form of serve scripts: a shell script that holds the config and ends in one command."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass

from core.errors import Unusable
from core.formats.configs import hf_config
from core.formats.configs.writing import ExportContext, proved
from core.model.architecture import Architecture

_CONFIG = re.compile(r"<<'CONFIG'\n(.*?)\nCONFIG\n", re.S)
RANDOM_WEIGHTS = "--load-format dummy --skip-tokenizer-init"


@dataclass(frozen=True, slots=True)
class Server:
    """How a server is started: `program` serves the folder "$model".

    `longest` is its option for the longest context in tokens, `most` that for the largest number of
    sequences at once. `fixed` holds options that every script has. `fp8_cache` names its type of an
    8-bit cache.
    """

    name: str
    program: str
    longest: str
    most: str
    fixed: tuple[str, ...]
    fp8_cache: str

    def write(self, architecture: Architecture, context: ExportContext) -> str:
        """A shell script ending in the server. Raises Unusable when no Hugging Face family expresses
        the shape, and for an int8 cache, which neither server supports."""
        if context.cache == "int8":
            raise Unusable(f"an int8 cache is not supported by {self.name}; choose fp8 or 16 bits")
        return proved(architecture, _script(architecture, context, self), read, self.name)

    def options(self, context: ExportContext) -> tuple[str, ...]:
        """The options of a context, each with its value."""
        given = [
            f"--dtype {context.dtype}",
            f"{self.longest} {context.max_context}",
            f"{self.most} {context.max_batch}",
            *self.fixed,
        ]
        if context.weights == "fp8":
            given.append("--quantization fp8")
        if context.cache == "fp8":
            given.append(f"--kv-cache-dtype {self.fp8_cache}")
        return tuple(given)


def _script(architecture: Architecture, context: ExportContext, server: Server) -> str:
    """A script that serves a trained folder given to it, or else this shape with random weights."""
    note = ""
    if context.weights == "int8":
        note = (
            "# int8 weights: give a folder quantised beforehand; random weights stay in bfloat16\n"
        )
    config = hf_config.write(architecture, context).rstrip("\n")
    options = " \\\n    ".join(shlex.join(part.split(" ")) for part in server.options(context))
    return f"""\
#!/bin/sh
# Serves a trained model folder given as the first argument; without one, this shape with random
# weights and token numbers for text, which measures speed but answers nonsense.
# {context.folder}: {architecture.params_total:,} parameters
{note}set -eu
model="${{1:-}}"
if [ -z "$model" ]; then
    model={shlex.quote(context.folder)}
    mkdir -p "$model"
    cat > "$model/config.json" <<'CONFIG'
{config}
CONFIG
    set -- {RANDOM_WEIGHTS}
else
    shift
fi
exec {server.program} \\
    {options} \\
    "$@"
"""


def read(text: str) -> Architecture:
    """The shape of the config in a serve script."""
    match = _CONFIG.search(text)
    if match is None:
        raise Unusable("serve script: no config between <<'CONFIG' and CONFIG found")
    return hf_config.read(match[1])
