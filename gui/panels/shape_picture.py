"""A small drawing of a decoder: its width is the model's width, its height the number of layers."""

from __future__ import annotations

import math

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QColor, QPainter, QPaintEvent, QPalette, QPen
from PySide6.QtWidgets import QSizePolicy, QWidget

from core.model.architecture import Architecture

# a picture of this many layers or of this width fills the frame; larger ones fill it as well
LAYERS = 48
WIDTH = 4096


class ShapePicture(QWidget):
    """Layers as bars: the left part attention, the right part FFN, by their share of parameters.

    The frame stands for the largest shape of the table, so that two shapes can be compared by eye.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._shape: Architecture | None = None
        self._largest = (LAYERS, WIDTH)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)

    def sizeHint(self) -> QSize:
        """Small beside its caption."""
        return QSize(120, 92)

    def show_shape(self, shape: Architecture | None, largest: tuple[int, int]) -> None:
        """Draw another shape; `largest` is (layers, width) that fill the frame."""
        self._shape = shape
        self._largest = largest
        if shape is not None:
            text = f"{shape.n_layers} layers, {shape.d_model} wide"
            self.setAccessibleName(f"Picture of the architecture: {text}")
            self.setToolTip(
                f"{text}. Each bar is a layer: left attention, right FFN, by parameters."
                " The frame is the deepest and widest candidate."
            )
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Frame, layers, and the embedding as a line below."""
        shape = self._shape
        if shape is None:
            return
        palette = self.palette()
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        frame = QRectF(self.rect()).adjusted(1, 1, -1, -1)
        painter.setPen(QPen(palette.color(QPalette.ColorRole.Mid), 1, Qt.PenStyle.DotLine))
        painter.drawRoundedRect(frame, 4, 4)
        inside = frame.adjusted(6, 6, -6, -6)
        # roots keep small shapes visible beside large ones
        width = inside.width() * math.sqrt(min(1.0, shape.d_model / max(self._largest[1], 1)))
        height = inside.height() * math.sqrt(min(1.0, shape.n_layers / max(self._largest[0], 1)))
        left = inside.center().x() - width / 2
        bottom = inside.bottom()
        pitch = height / shape.n_layers
        gap = min(2.0, pitch * 0.3)
        attention = float(shape.params_attention_per_layer)
        share = attention / (attention + float(shape.params_ffn_per_layer))
        accent = palette.color(QPalette.ColorRole.Link)
        soft = QColor(accent)
        soft.setAlphaF(0.45)
        painter.setPen(Qt.PenStyle.NoPen)
        for layer in range(shape.n_layers):
            top = bottom - (layer + 1) * pitch + gap / 2
            bar = QRectF(left, top, width, max(0.6, pitch - gap))
            split = bar.width() * share
            painter.setBrush(accent)
            painter.drawRect(QRectF(bar.left(), bar.top(), split, bar.height()))
            painter.setBrush(soft)
            painter.drawRect(
                QRectF(bar.left() + split, bar.top(), bar.width() - split, bar.height())
            )
        painter.end()
