"""The plot as a file: PNG at any width, SVG with everything but the cloud as vectors."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PySide6.QtCore import QByteArray, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QImage, QImageWriter, QPainter
from PySide6.QtSvg import QSvgGenerator
from PySide6.QtWidgets import QGraphicsView

from core.errors import Unusable
from gui.plot.plane import Layer


def to_image(view: QGraphicsView, layers: Sequence[Layer], background: str, width: int) -> QImage:
    """The plot rendered `width` pixels wide, its layers at that resolution too."""
    rect = QRectF(view.viewport().rect())
    factor = width / rect.width()
    image = QImage(width, max(1, round(rect.height() * factor)), QImage.Format.Format_RGB32)
    image.fill(QColor(background))
    _render(view, layers, factor, QPainter(image), QRectF(image.rect()))
    return image


def to_png(
    view: QGraphicsView, layers: Sequence[Layer], background: str, path: Path, width: int
) -> None:
    """Write a PNG; Unusable when the file cannot be written."""
    writer = QImageWriter(str(path), QByteArray(b"png"))
    if not writer.write(to_image(view, layers, background, width)):
        raise Unusable(f"the picture could not be written to {path}: {writer.errorString()}")


def to_svg(
    view: QGraphicsView, layers: Sequence[Layer], background: str, path: Path, title: str
) -> None:
    """Write an SVG whose lines and text stay editable; the cloud is an image of twice the
    resolution."""
    try:
        # the generator itself reports a failure only as a warning
        path.open("w").close()
    except OSError as error:
        raise Unusable(f"the picture could not be written to {path}: {error.strerror}") from error
    rect = QRectF(view.viewport().rect())
    generator = QSvgGenerator(QSvgGenerator.SvgVersion.Svg11)
    generator.setFileName(str(path))
    generator.setSize(QSize(round(rect.width()), round(rect.height())))
    generator.setViewBox(rect)
    # points of type are as large as on the screen
    generator.setResolution(view.logicalDpiX())
    generator.setTitle(title)
    painter = QPainter(generator)
    painter.fillRect(rect, QColor(background))
    _render(view, layers, 2.0, painter, rect)


def _render(
    view: QGraphicsView, layers: Sequence[Layer], factor: float, painter: QPainter, target: QRectF
) -> None:
    try:
        for layer in layers:
            layer.set_magnify(factor, in_file=True)
        painter.setRenderHint(QPainter.RenderHint.TextAntialiasing)
        view.render(painter, target, view.viewport().rect(), Qt.AspectRatioMode.IgnoreAspectRatio)
    finally:
        painter.end()
        for layer in layers:
            layer.set_magnify(1.0, in_file=False)
