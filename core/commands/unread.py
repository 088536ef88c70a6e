"""What a command could not read of a project, told on standard error."""

from __future__ import annotations

import sys

from core.project.project import Project


def tell_unread(project: Project) -> None:
    """Print one line for each record that was left out; call it once everything was read."""
    for line in project.unread:
        print(f"paretoscope: {project.path.name}: {line}", file=sys.stderr)
