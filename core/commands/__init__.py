"""Commands of the command line, one module each.

A command module has `HELP` (one line), `arguments(parser)` and `run(options)`, which returns the
human text and the JSON object of the same answer, and raises `Unusable` for input it cannot use.
"""
