"""Draw the icon of every system from resources/icons/paretoscope.svg.

    python packaging/make_icons.py FOLDER

Writes PNGs from 16 to 512 pixels, paretoscope.ico (Windows) and paretoscope.icns (macOS); both are
containers of PNGs, so no other tool is needed.
"""

from __future__ import annotations

import os
import struct
import sys
from pathlib import Path

SVG = Path(__file__).resolve().parent.parent / "resources" / "icons" / "paretoscope.svg"
PNG_SIZES = (16, 24, 32, 48, 64, 128, 256, 512)
ICO_SIZES = (16, 24, 32, 48, 64, 128, 256)
ICNS_TYPES = {"ic04": 16, "ic05": 32, "ic07": 128, "ic08": 256, "ic09": 512, "ic10": 1024}


def png(size: int) -> bytes:
    """The icon at one size."""
    from PySide6.QtCore import QBuffer, QByteArray, QIODevice
    from PySide6.QtGui import QImage, QPainter
    from PySide6.QtSvg import QSvgRenderer

    image = QImage(size, size, QImage.Format.Format_ARGB32)
    image.fill(0)
    painter = QPainter(image)
    QSvgRenderer(str(SVG)).render(painter)
    painter.end()
    data = QByteArray()
    buffer = QBuffer(data)
    buffer.open(QIODevice.OpenModeFlag.WriteOnly)
    image.save(buffer, "PNG")
    return bytes(data.data())


def ico(images: dict[int, bytes]) -> bytes:
    """Windows' container: a directory of 16 bytes per image, then the PNGs."""
    offset = 6 + 16 * len(images)
    entries, body = [], b""
    for size, data in images.items():
        edge = size % 256  # 0 stands for 256
        entries.append(struct.pack("<BBBBHHII", edge, edge, 0, 0, 1, 32, len(data), offset))
        offset += len(data)
        body += data
    return struct.pack("<HHH", 0, 1, len(images)) + b"".join(entries) + body


def icns(images: dict[str, bytes]) -> bytes:
    """macOS's container: type, length and PNG, one after the other."""
    body = b"".join(
        kind.encode() + struct.pack(">I", len(data) + 8) + data for kind, data in images.items()
    )
    return b"icns" + struct.pack(">I", len(body) + 8) + body


def main() -> int:
    """Write all icons into the folder given."""
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    from PySide6.QtGui import QGuiApplication

    application = QGuiApplication(sys.argv[:1])
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for size in PNG_SIZES:
        (folder / f"paretoscope-{size}.png").write_bytes(png(size))
    (folder / "paretoscope.ico").write_bytes(ico({size: png(size) for size in ICO_SIZES}))
    (folder / "paretoscope.icns").write_bytes(
        icns({kind: png(size) for kind, size in ICNS_TYPES.items()})
    )
    del application
    return 0


if __name__ == "__main__":
    sys.exit(main())
