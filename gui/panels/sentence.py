"""What the current choice means, in one or two plain sentences under the plot."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFrame, QLabel, QVBoxLayout, QWidget

from core.analysis.explain import sentences
from core.analysis.life_cost import cheapest_life
from gui.state.state import State
from gui.state.store import Store

# the rest is in the tooltip: the plot needs the space more
MOST_OTHERS = 3


class SentenceBar(QFrame):
    """The sentences of `core.analysis.explain`: the first in full size, the others below it."""

    def __init__(self, store: Store, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._store = store
        self.setProperty("bar", "sentence")
        self.first = _line(self, "What the choice means")
        font = self.first.font()
        font.setPointSizeF(font.pointSizeF() * 1.12)
        font.setWeight(font.Weight.DemiBold)
        self.first.setFont(font)
        self.others = _line(self, "What moving on would bring")
        self.others.setProperty("quiet", True)
        column = QVBoxLayout(self)
        column.setContentsMargins(14, 6, 14, 7)
        column.setSpacing(2)
        column.addWidget(self.first)
        column.addWidget(self.others)

    def refresh(self, new: State, old: State | None) -> None:
        """Write the sentences again when front, limits, choice or baseline changed."""
        if (
            old is not None
            and new.frame is old.frame
            and new.table is old.table
            and new.choices.baseline == old.choices.baseline
        ):
            return
        if new.table is None or new.frame is None:
            self.first.setText(f"{new.busy[:1].upper()}{new.busy[1:]} …" if new.busy else "")
            self.others.setText("")
            return
        lines = list(sentences(new.table, new.frame, new.choices))
        if new.laws is not None and new.frame.best is not None:
            life = cheapest_life(new.laws.loss, new.table, new.frame.selected)
            # a user who states served tokens wants this, so it comes before the other remarks
            lines[1:1] = [life.text] if life is not None else []
        self.first.setText(lines[0] if lines else "")
        self.others.setText("  ".join(lines[1 : 1 + MOST_OTHERS]))
        self.others.setToolTip("\n".join(lines[1:]))
        self.others.setVisible(len(lines) > 1)

    def show_text(self, text: str) -> None:
        """Show one line while a limit is dragged."""
        self.first.setText(text)


def _line(parent: QWidget, name: str) -> QLabel:
    label = QLabel(parent)
    label.setWordWrap(True)
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setAccessibleName(name)
    label.setTextInteractionFlags(
        Qt.TextInteractionFlag.TextSelectableByMouse
        | Qt.TextInteractionFlag.TextSelectableByKeyboard
    )
    return label
