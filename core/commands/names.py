"""The commands and their modules, in the order of the help."""

from __future__ import annotations

# loaded one at a time, so that `info` does not load what only `profile` needs
COMMANDS = (
    "info",
    "fit",
    "compare",
    "bootstrap",
    "doubt",
    "reproduce",
    "profile",
    "model",
    "endpoint",
    "frontier",
    "select",
    "import",
    "export",
    "report",
)
# `import` is a word of the language and cannot name a module
MODULES = {"import": "import_results"}


def module_of(command: str) -> str:
    """The full name of a command's module."""
    return f"core.commands.{MODULES.get(command, command)}"
