"""The short card beside the mouse."""

from __future__ import annotations

from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QFont
from PySide6.QtWidgets import QLabel, QWidget

from gui.plot.scene import Colours


class HoverCard(QLabel):
    """Rich text near a point, always inside its parent; mouse events pass through it."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._around = parent
        self.setObjectName("hoverCard")
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.setTextFormat(Qt.TextFormat.RichText)
        self.setMargin(7)
        self.hide()

    def set_look(self, colours: Colours, font: QFont) -> None:
        """Set other colours or another font."""
        self.setFont(font)
        self.setStyleSheet(
            f"#hoverCard {{ background: {colours.card}; color: {colours.text};"
            f" border: 1px solid {colours.grid}; border-radius: 5px; }}"
        )

    def show_at(self, at: QPoint, text: str) -> None:
        """Show the text beside a place of the parent, on the side where it fits."""
        self.setText(text)
        self.adjustSize()
        room = self._around.rect()
        x = at.x() + 16
        if x + self.width() > room.right():
            x = at.x() - 16 - self.width()
        y = min(max(4, at.y() + 12), room.bottom() - self.height() - 4)
        self.move(max(4, x), max(4, y))
        self.show()
        self.raise_()
