"""The command line: every result of the window, on machines without a screen."""

from __future__ import annotations

import argparse
import contextlib
import importlib
import json
import os
import sys
from collections.abc import Sequence

from core.commands.names import COMMANDS, module_of
from core.commands.stopping import number_of, stoppable
from core.errors import Unusable
from core.harmless import visible
from core.resources import command_line


class Parser(argparse.ArgumentParser):
    """An argparse parser that reports unusable arguments in one line and with exit status 2."""

    def error(self, message: str) -> None:  # type: ignore[override]
        """Raise instead of printing the whole usage."""
        words = [command_line(), *self.prog.split()[1:], "--help"]
        raise Unusable(f"{message} (see '{' '.join(words)}')")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; 0 on success, 2 on unusable input with one line on standard error, 128 and the
    signal's number when a signal stopped it."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    parser = Parser(prog="paretoscope-cli", description=__doc__)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    wanted = [w for w in words if w in COMMANDS][:1]
    for name in wanted or COMMANDS:
        module = importlib.import_module(module_of(name))
        command = commands.add_parser(
            name, help=module.HELP, description=module.HELP, prog=f"paretoscope-cli {name}"
        )
        module.arguments(command)
        command.add_argument("--json", action="store_true", help="one JSON object as the last line")
        command.set_defaults(run=module.run)
    try:
        options = parser.parse_args(words)
        if not options.command:
            parser.print_help()
            return 2
        with stoppable():
            text, answer = options.run(options)
        print(visible(text, keep="\n\t"))
        if options.json:
            print(json.dumps(answer, allow_nan=False, default=float))
        # written here, where a reader who has left can be told from a fault
        sys.stdout.flush()
    except Unusable as error:
        print(f"paretoscope: {visible(' '.join(str(error).split()))}", file=sys.stderr)
        return 2
    except KeyboardInterrupt as stop:
        kept = f"; {stop}" if str(stop) else ""
        # a terminal that was closed is not there to be told
        with contextlib.suppress(OSError):
            print(f"paretoscope: stopped{visible(kept)}", file=sys.stderr)
        return 128 + number_of(stop)
    except BrokenPipeError:
        # the reader (head, less) left early: nothing is wrong
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


if __name__ == "__main__":
    sys.exit(main())
