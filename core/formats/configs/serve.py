"""The common form of serve scripts: a shell script that holds the config and ends in one command."""

from __future__ import annotations

import re
import shlex

from core.errors import Unusable
from core.formats.configs import hf_config
from core.formats.configs.writing import ExportContext, proved
from core.model.architecture import Architecture

_CONFIG = re.compile(r"<<'CONFIG'\n(.*?)\nCONFIG\n", re.S)


def script(
    architecture: Architecture,
    context: ExportContext,
    server: str,
    program: str,
    arguments: tuple[str, ...],
    random_weights: tuple[str, ...],
) -> str:
    """A script that serves a trained folder given to it, or else this shape with random weights.

    Unusable for an 8-bit integer cache, which neither server supports.
    """
    if context.cache == "int8":
        raise Unusable(f"an int8 cache is not supported by {server}; choose fp8 or 16 bits")
    note = ""
    if context.weights == "int8":
        note = (
            "# int8 weights: give a folder quantised beforehand; random weights stay in bfloat16\n"
        )
    config = hf_config.write(architecture, context).rstrip("\n")
    options = " \\\n    ".join(shlex.join(part.split(" ")) for part in arguments)
    random = shlex.join(random_weights)
    text = f"""\
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
    set -- {random}
else
    shift
fi
exec {program} \\
    {options} \\
    "$@"
"""
    return proved(architecture, text, read, server)


def read(text: str) -> Architecture:
    """The shape of the config in a serve script."""
    match = _CONFIG.search(text)
    if match is None:
        raise Unusable("serve script: no config between <<'CONFIG' and CONFIG found")
    return hf_config.read(match[1])
