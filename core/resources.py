"""Where the data files live that ship with the program (`resources/`)."""

from __future__ import annotations

import sys
from pathlib import Path


def resource(name: str) -> Path:
    """Path of a file or folder under `resources/`, from a checkout, an install or a frozen bundle."""
    frozen = getattr(sys, "_MEIPASS", None)
    root = Path(frozen) if frozen else Path(__file__).parent.parent
    return root / "resources" / name
