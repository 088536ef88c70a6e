"""Text that came from files, folders and servers, made harmless for a terminal and for a spreadsheet."""

from __future__ import annotations

import re
from collections.abc import Iterable

# what a terminal obeys instead of showing it (C0 and C1, with ESC among them), marks that turn the
# direction of what follows, separators of lines, and bytes of a file name that are no UTF-8
OBEYED = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)
# a spreadsheet takes a cell that begins so for a formula
FORMULA = ("=", "+", "-", "@", "\t", "\r")
# a signed number, with a unit or not: '-1.5', '+3.1 % higher', '-inf'
NUMBER = re.compile(r"[+-](?:inf|nan|[\d.,]+(?:e[+-]?\d+)?)(?: ?[\w%/][\w%/ ]*)?", re.IGNORECASE)


def visible(text: str, keep: str = "") -> str:
    """The text with control characters as visible escapes ('\\x1b'); those in `keep` stay.

    What it returns can be encoded as UTF-8, also where a file name could not be decoded.
    """
    return OBEYED.sub(lambda found: found[0] if found[0] in keep else _escape(found[0]), text)


def _escape(character: str) -> str:
    number = ord(character)
    if 0xDC80 <= number <= 0xDCFF:
        # how Python holds a byte of a file name that it could not decode
        number -= 0xDC00
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}"


def cell(text: str) -> str:
    """The text as a cell of a table: with an apostrophe before what would be run as a formula.

    A number stays a number, with its unit too; `from_cell` gives back the text.
    """
    return f"'{text}" if _marked(text) else text


def from_cell(text: str) -> str:
    """The text of a cell that `cell` made."""
    return text[1:] if text.startswith("'") and _marked(text[1:]) else text


def tab_separated(rows: Iterable[Iterable[str]]) -> str:
    """Rows of texts as one text to paste into a spreadsheet."""
    return "\n".join("\t".join(cell(visible(text)) for text in row) for row in rows)


def _marked(text: str) -> bool:
    # apostrophes before a formula are counted, so that each text comes back
    return text.lstrip("'").startswith(FORMULA) and NUMBER.fullmatch(text) is None
