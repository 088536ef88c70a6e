"""A readable report of an unexpected error, which can be saved while work goes on."""

from __future__ import annotations

import platform
import sys
import traceback
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from core.harmless import visible
from gui.app.logs import logger, open_private, without_home

if TYPE_CHECKING:
    from PySide6.QtWidgets import QWidget

PACKAGES = ("paretoscope", "PySide6-Essentials", "pyqtgraph", "numpy", "scipy", "torch")


def report(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> str:
    """The error, its stack and the versions it happened on; nothing about the user's project, and no name
    of the user or the machine beyond what the error itself says."""
    lines = [
        "Paretoscope: something unexpected happened",
        datetime.now(UTC).isoformat(timespec="seconds"),
        f"{platform.platform()}, Python {platform.python_version()}",
    ]
    for name in PACKAGES:
        try:
            lines.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    lines += ["", *traceback.format_exception(kind, error, trace)]
    return without_home("\n".join(lines))


def save(text: str, path: Path) -> None:
    """Write a report into a file that only the user may read; OSError where it cannot be written."""
    with open_private(path) as file:
        file.write(text)


def install(folder: Path) -> None:
    """Show every uncaught error in one dialog; print it as well where there is a console."""
    open_dialogs: list[QWidget] = []

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if issubclass(kind, KeyboardInterrupt):
            sys.__excepthook__(kind, error, trace)
            return
        text = report(kind, error, trace)
        logger().error(text)
        if sys.stderr is not None:
            print(visible(text, keep="\n\t"), file=sys.stderr)
        # one dialog at a time: an error while painting would open one per frame
        if not open_dialogs:
            _show(text, folder, open_dialogs)

    sys.excepthook = hook


def _show(text: str, folder: Path, open_dialogs: list[QWidget]) -> None:
    from PySide6.QtWidgets import QApplication, QFileDialog, QMessageBox

    if QApplication.instance() is None:
        return
    box = QMessageBox(QApplication.activeWindow())
    box.setIcon(QMessageBox.Icon.Warning)
    box.setWindowTitle("Something unexpected happened")
    box.setText(
        "This should not have happened. What was measured is stored, and you can go on working."
    )
    box.setInformativeText(
        "A report helps to fix it. It holds what is shown under Details; nothing is sent anywhere."
    )
    box.setDetailedText(text)
    keep = box.addButton("Save the report…", QMessageBox.ButtonRole.ActionRole)
    box.addButton(QMessageBox.StandardButton.Close)
    open_dialogs.append(box)

    def done() -> None:
        if box.clickedButton() is keep:
            suggested = folder / f"report-{datetime.now(UTC):%Y%m%d-%H%M%S}.txt"
            name, _ = QFileDialog.getSaveFileName(None, "Save the report", str(suggested))
            try:
                if name:
                    save(text, Path(name))
            except OSError as failure:
                problem = f"{name} cannot be written ({failure.strerror})"
                QMessageBox.warning(None, "Save the report", problem)
        open_dialogs.clear()
        box.deleteLater()

    box.finished.connect(lambda _: done())
    box.open()
