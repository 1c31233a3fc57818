"""The one sanitiser: event text is hostile until it has passed here.

An allowlist: whatever could move the cursor, colour, link, write the clipboard or reorder text is
replaced by a visible sign or dropped; the raw bytes stay in the store.
"""

from __future__ import annotations

import unicodedata
from typing import Final

from rich.cells import cell_len, chop_cells, set_cell_size, split_text

_KEEP: Final = frozenset({
    "Lu", "Ll", "Lt", "Lm", "Lo", "Nd", "Nl", "No", "Pc", "Pd", "Ps", "Pe", "Pi", "Pf", "Po",
    "Sm", "Sc", "Sk", "So",
})  # fmt: skip
_MARKS: Final = frozenset({"Mn", "Mc", "Me"})
_MARKS_MAX: Final = 2
"""Combining marks kept on one character: enough to write any language, too few to climb lines."""
_SELECTORS: Final = range(0xFE00, 0xFE10)
_REPLACEMENT: Final = "\ufffd"


def clean(text: str, limit: int = 400) -> str:
    """One line of harmless text, at most `limit` characters; line breaks become `⏎`.

    Control characters show as their Unicode pictures (ESC as ␛), C1 and unassigned ones as �;
    bidi and other format characters are dropped.
    """
    if len(text) > limit:
        text = text[: limit - 1] + "…"
    if text.isascii() and text.isprintable():
        return text
    kept: list[str] = []
    marks = 0
    for char in unicodedata.normalize("NFC", text):
        category = unicodedata.category(char)
        if category in _KEEP:
            marks = 0
            kept.append(char)
        elif category in _MARKS:
            marks += 1
            if marks <= _MARKS_MAX and kept and ord(char) not in _SELECTORS:
                kept.append(char)
        elif category != "Cf":
            marks = 0
            kept.append(_shown(char, category))
    return "".join(kept)


def clean_lines(text: str, max_lines: int, limit: int = 400) -> list[str]:
    """The text's lines, each cleaned; at most `max_lines`, the last saying how many more."""
    lines = text.expandtabs(4).replace("\r\n", "\n").split("\n", max_lines)
    rest = lines[max_lines:]
    shown = [clean(line, limit) for line in lines[:max_lines]]
    if rest:
        more = rest[0].count("\n") + 2
        shown[-1] = f"… {more:,} more lines"
    return shown


def fit(text: str, width: int, right: bool = False) -> str:
    """The text in exactly `width` cells: padded, before it if `right`, or cut with an ellipsis."""
    cells = cell_len(text)
    if cells <= width:
        blanks = " " * (width - cells)
        return blanks + text if right else text + blanks
    if width <= 0:
        return ""
    return set_cell_size(text, width - 1) + "…"


def head(text: str, width: int) -> str:
    """The text's first `width` cells, or all of it; a wide character that would be split gives way
    to a blank."""
    return text if cell_len(text) <= width else split_text(text, width)[0]


def wrapped(text: str, width: int) -> list[str]:
    """The text in lines of at most `width` cells, between words where that is possible."""
    lines = [""]
    for word in text.split():
        joined = f"{lines[-1]} {word}" if lines[-1] else word
        if cell_len(joined) <= width:
            lines[-1] = joined
            continue
        if not lines[-1]:
            lines.pop()
        lines += chop_cells(word, max(2, width))
    return lines


def _shown(char: str, category: str) -> str:
    code = ord(char)
    if char == "\n":
        return "⏎"
    if category == "Zs" or char == "\t":
        return " "
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "\u2421"
    return _REPLACEMENT
