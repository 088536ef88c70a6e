"""The help page of the command line, made from the commands' own parsers."""

from __future__ import annotations

import argparse
import importlib

from core.commands.names import COMMANDS, module_of
from core.report.help_pages import MADE, joined, table


def commands_page() -> str:
    """Every command with its arguments."""
    parts = [
        "# Command line",
        MADE,
        "Every result of the window is also available without it: `paretoscope-cli COMMAND ...`, or"
        " `python -m core COMMAND ...` from a checkout. With `--json` the last line of the output is"
        " one JSON object. Exit status 2 means unusable input, with the reason in one line.",
    ]
    for name in COMMANDS:
        module = importlib.import_module(module_of(name))
        parser = argparse.ArgumentParser(prog=f"paretoscope-cli {name}", add_help=False)
        module.arguments(parser)
        parts += [f"## {name}", f"{module.HELP[:1].upper()}{module.HELP[1:]}.", arguments(parser)]
    return joined(parts)


def arguments(parser: argparse.ArgumentParser) -> str:
    """A table of a parser's arguments."""
    rows = []
    for action in parser._actions:
        if action.help == argparse.SUPPRESS:
            # the earlier name of an option, kept for those who use it
            continue
        shown = ", ".join(f"`{option}`" for option in action.option_strings)
        if not shown:
            shown = f"`{action.metavar or action.dest}`"
        elif action.nargs != 0:
            value = action.metavar or (
                "|".join(map(str, action.choices)) if action.choices else action.dest.upper()
            )
            shown += f" {value}"
        # the texts are written for argparse, where a percent sign is doubled
        rows.append((shown, (action.help or "").replace("%%", "%")))
    return table(("Argument", "What it is"), rows)
