"""A reader that leaves early (`| head`) ends a command quietly."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]


def test_a_reader_that_left_is_no_fault():
    command = subprocess.Popen(
        [sys.executable, "-m", "core", "info", "24x2048", "--json"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    command.stdout.close()  # before anything is written: starting Python takes longer
    errors = command.stderr.read()
    assert (command.wait(), errors) == (0, "")
    command.stderr.close()
