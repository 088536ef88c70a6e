"""`paretoscope [FILE]`: opens the window. Nothing heavy is imported before it is painted."""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import time
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PySide6.QtWidgets import QApplication

    from gui.shell.window import Window

# the extra `gui`
NEEDED = ("PySide6", "pyqtgraph")
CHILD = "--measure-child"
# its height is known only once the window is there
TITLE_BAR = 40


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the window; the exit status. A frozen bundle starts its measuring process through here too."""
    started = time.monotonic()
    multiprocessing.freeze_support()
    _survive_without_console()
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words[:1] == [CHILD]:
        from core.measure.process.child import main as child

        return child()
    options = _parser().parse_args(words)
    # the window's fits solve many tiny systems, which threads only slow down; the measuring child
    # times with torch, which does not look at this
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    if options.shot:
        os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    if lacking := [name for name in NEEDED if find_spec(name) is None]:
        from core.resources import command_line

        print(
            f"paretoscope: the window needs {' and '.join(lacking)}: pip install 'paretoscope[gui]';"
            f" without a window use the command line: {command_line()} --help",
            file=sys.stderr,
        )
        return 1
    from gui.app.system_libraries import missing_message, missing_packages, show

    missing = missing_packages(os.environ.get("QT_QPA_PLATFORM"))
    if missing:
        print(f"paretoscope: {missing_message(missing)}", file=sys.stderr)
        if _has_display() and not (options.shot or options.walk or sys.stderr.isatty()):
            show(missing_message(missing))
        return 1
    if sys.platform.startswith("linux") and not _has_display():
        from core.resources import command_line

        print(
            "paretoscope: there is no display (neither DISPLAY nor WAYLAND_DISPLAY is set);"
            f" without a screen use the command line: {command_line()} --help",
            file=sys.stderr,
        )
        return 1
    if options.panel and (wrong := _wrong_panel(options.panel)):
        print(f"paretoscope: {wrong}", file=sys.stderr)
        return 2
    if not (options.shot or options.walk or options.new_window) and _is_taken(options.file):
        return 0
    app, window = build(options)
    if options.shot:
        from gui.shell.shot import take_shot

        return take_shot(app, window, Path(options.shot), panel=options.panel)
    if options.walk:
        from gui.shell.walk import walk

        return walk(app, window, Path(options.walk), started)
    if not (options.size or window.settings["geometry"]):
        fit_screen(window)
    window.show()
    return int(app.exec())


def fit_screen(window: Window) -> None:
    """Fill the screen where the window and its title bar would reach beyond it."""
    from PySide6.QtCore import QSize, Qt

    room = window.screen().availableSize()
    if (window.size() + QSize(0, TITLE_BAR)).boundedTo(room) != window.size() + QSize(0, TITLE_BAR):
        window.setWindowState(Qt.WindowState.WindowMaximized)


def _wrong_panel(name: str) -> str:
    """What is wrong with the name of a panel; empty where there is one of this name."""
    from gui.panels.table import PANELS

    names = [row.name for row in PANELS]
    return "" if name in names else f"there is no panel '{name}' (known: {', '.join(names)})"


def _is_taken(file: str | None) -> bool:
    """Whether a window that runs already has taken the file (or the wish to be seen)."""
    _name_application()
    from gui.app.settings import data_folder
    from gui.app.single import hand_over, server_name

    return hand_over(server_name(data_folder()), file)


def _name_application() -> None:
    """The platform's places for settings and data depend on these names."""
    from PySide6.QtCore import QCoreApplication

    QCoreApplication.setApplicationName("Paretoscope")
    QCoreApplication.setOrganizationName("Paretoscope")


def build(options: argparse.Namespace) -> tuple[QApplication, Window]:
    """The application and its window, empty; the project is loaded once it is painted."""
    from PySide6.QtGui import QIcon
    from PySide6.QtWidgets import QApplication

    app = QApplication.instance()
    if not isinstance(app, QApplication):
        from gui.app.application import Application

        app = Application(sys.argv[:1])
        from gui.app.garbage import Collector

        Collector(app)
    _name_application()
    app.setApplicationDisplayName("Paretoscope")
    app.setDesktopFileName("paretoscope")
    from core.resources import resource
    from gui.app import crash, logs, theme
    from gui.app.settings import Settings, data_folder, settings_path
    from gui.app.single import Listener, server_name
    from gui.shell.window import Window, when_painted
    from gui.state.machine import find_processor
    from gui.state.store import Store

    alone = bool(options.shot or options.walk)
    if not alone:
        logs.install(data_folder())
    crash.install(data_folder())
    app.setWindowIcon(QIcon(str(resource("icons/paretoscope.svg"))))
    # a picture for the README must not depend on what this user once chose
    settings = Settings(None if alone else settings_path())
    if options.theme:
        settings["theme"] = options.theme
    theme.use_own_font(app)
    theme.set_colour_scheme(settings["theme"])
    theme.apply(app, theme.theme_of(settings["theme"]))
    window = Window(Store(), settings)
    if options.size:
        width, _, height = options.size.partition("x")
        window.resize(int(width), int(height))

    listener = Listener(server_name(data_folder()), window)
    listener.asked.connect(window.on_asked)
    if isinstance(app, Application):
        app.asked.connect(window.on_asked)
    app.aboutToQuit.connect(listener.close)

    def load() -> None:
        logs.logger().info("painted after %.2f s of CPU time", time.process_time())
        window.fill()
        if not alone:
            listener.listen()
        find_processor(window.store)
        if options.file:
            window.take_files([Path(options.file)])
        else:
            from gui.state.demonstration import open_demonstration

            if not alone:
                window.share_actions.first_start()
            open_demonstration(window.store)

    when_painted(window, load)
    return app, window


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="paretoscope", description=__doc__)
    parser.add_argument(
        "file", nargs="?", help="a .paretoscope project; without it: the demonstration"
    )
    parser.add_argument("--theme", choices=("light", "dark", "system"), help="colours to use")
    parser.add_argument(
        "--size", type=_size, metavar="WxH", help="size of the window, e.g. 1280x800"
    )
    parser.add_argument("--shot", metavar="PATH", help="write a picture of the window and quit")
    parser.add_argument(
        "--walk",
        metavar="FOLDER",
        help="check this installation: go through the whole job and quit",
    )
    parser.add_argument(
        "--new-window",
        action="store_true",
        help="open a window of its own even where one runs already",
    )
    parser.add_argument("--panel", default="", help="with --shot: the panel to bring to the front")
    return parser


def _size(text: str) -> str:
    width, _, height = text.partition("x")
    if not (width.isdigit() and height.isdigit()) or min(int(width), int(height)) < 300:
        raise argparse.ArgumentTypeError(f"'{text}' is not a size; write e.g. 1280x800")
    return text


def _has_display() -> bool:
    if os.environ.get("QT_QPA_PLATFORM", "").partition(":")[0] in ("offscreen", "minimal", "vnc"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _survive_without_console() -> None:
    """A windowed bundle has no standard streams; printing must not fail there."""
    if os.name == "posix":
        for descriptor in (0, 1, 2):
            try:
                os.fstat(descriptor)
            except OSError:
                # the next file opened would take its number, and what libraries print would go there
                os.open(os.devnull, os.O_RDWR)
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115


if __name__ == "__main__":
    sys.exit(main())
