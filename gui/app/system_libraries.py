"""System libraries that Qt needs on Linux, and what to install where one is missing.

Qt aborts the process when its platform plugin cannot load; looking first turns that into a message.
Standard library only: the set-up script reads this before anything is installed.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
from contextlib import suppress

# shared library -> Debian/Ubuntu package
ALWAYS = {
    "libEGL.so.1": "libegl1",
    "libGL.so.1": "libgl1",
    "libOpenGL.so.0": "libopengl0",
    "libxkbcommon.so.0": "libxkbcommon0",
    "libfontconfig.so.1": "libfontconfig1",
    "libglib-2.0.so.0": "libglib2.0-0",
    "libdbus-1.so.3": "libdbus-1-3",
}
ON_X11 = {
    "libxcb.so.1": "libxcb1",
    "libxkbcommon-x11.so.0": "libxkbcommon-x11-0",
    "libxcb-cursor.so.0": "libxcb-cursor0",
    "libxcb-icccm.so.4": "libxcb-icccm4",
    "libxcb-keysyms.so.1": "libxcb-keysyms1",
    "libxcb-image.so.0": "libxcb-image0",
    "libxcb-render-util.so.0": "libxcb-render-util0",
    "libxcb-randr.so.0": "libxcb-randr0",
    "libxcb-shape.so.0": "libxcb-shape0",
    "libxcb-xkb.so.1": "libxcb-xkb1",
}

SHOWN_BY = (
    ("zenity", "--error", "--no-markup", "--title=Paretoscope", "--text"),
    ("kdialog", "--title", "Paretoscope", "--error"),
    ("xmessage", "-center"),
    ("notify-send", "Paretoscope"),
)


def missing_packages(platform: str | None = None) -> list[str]:
    """Debian packages whose library does not load; empty elsewhere than on Linux.

    `platform` is Qt's platform plugin ('offscreen', 'xcb', ...); by default the one Qt would take.
    """
    return _missing_on_linux(platform) if sys.platform == "linux" else []


def _missing_on_linux(platform: str | None) -> list[str]:
    if platform is None:
        platform = os.environ.get("QT_QPA_PLATFORM", "wayland-xcb")
    wanted = ALWAYS | ({} if platform in ("offscreen", "minimal", "vnc") else ON_X11)
    missing = [
        wanted.get(lacking, package)
        for library, package in wanted.items()
        if (lacking := _lacking(library))
    ]
    return list(dict.fromkeys(missing))


def missing_message(packages: list[str]) -> str:
    """One sentence with the exact command."""
    names = " ".join(packages)
    return (
        f"Qt needs system libraries that are not installed. On Debian or Ubuntu run: "
        f"sudo apt-get install -y --no-install-recommends {names}"
    )


def show(text: str) -> bool:
    """Show a text with a program of the desktop, since Qt cannot; False where none could.

    Nobody sees the standard error of a program started from a menu, so it would end without a message.
    """
    environment = {k: v for k, v in os.environ.items() if k != "LD_LIBRARY_PATH"}
    if "LD_LIBRARY_PATH_ORIG" in environment:
        # a bundle points the loader to its own libraries; the desktop's programs need theirs
        environment["LD_LIBRARY_PATH"] = environment.pop("LD_LIBRARY_PATH_ORIG")
    for command in SHOWN_BY:
        program = shutil.which(command[0])
        if program is None:
            continue
        with suppress(OSError):
            done = subprocess.run([program, *command[1:], text], env=environment, check=False)
            # a dialog that is closed may end with 1
            if done.returncode in (0, 1):
                return True
    return False


def _lacking(library: str) -> str:
    """The library that keeps this one from being loaded: itself or one it needs; empty for none."""
    try:
        ctypes.CDLL(library)
    except OSError as error:
        # 'NAME: cannot open ...'; a bundle replaces the error by one of its own, whose cause this is
        return os.path.basename(str(error.__cause__ or error).partition(":")[0]) or library  # noqa: PTH119
    return ""
