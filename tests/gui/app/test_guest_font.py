"""The typeface that ships draws every sign of the window, so that none depends on the system's fonts."""

from pathlib import Path

import pytest
from PySide6.QtGui import QRawFont

from core.resources import resource

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize("name", ["Inter-Regular.otf", "Inter-SemiBold.otf"])
def test_every_sign_is_in_the_font(qapp, name):
    font = QRawFont(str(resource(f"fonts/{name}")), 12)
    assert font.isValid() and not font.supportsCharacter(ord("◐"))
    texts = [*(ROOT / "gui").rglob("*.py"), *(ROOT / "core").rglob("*.py")]
    texts += resource("help").rglob("*.md")
    signs = {sign for path in texts for sign in path.read_text(encoding="utf-8") if ord(sign) > 126}
    assert len(signs) > 20
    assert {sign for sign in signs if not font.supportsCharacter(ord(sign))} == set()
