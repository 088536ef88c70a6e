"""Where the program's data files lie (`resources/`), and how its command line is called."""

from __future__ import annotations

import sys
from pathlib import Path


def resource(name: str) -> Path:
    """Path of a file or folder under `resources/`, from a checkout, an install or a frozen bundle."""
    frozen = getattr(sys, "_MEIPASS", None)
    root = Path(frozen) if frozen else Path(__file__).parent.parent
    return root / "resources" / name


def command_line() -> str:
    """What to type for the command line: a bundle's own program, or the package from a checkout."""
    return "paretoscope-cli" if getattr(sys, "frozen", False) else "python -m core"
