"""The cells of a terminal: what has been drawn, and what of it has yet to be sent.

Reads what Textual writes: positions, colours and text. Knows nothing of terminals' speed.
"""

from __future__ import annotations

import re
from typing import Final, TypeAlias

from rich.cells import cell_len

_TOKEN: Final = re.compile(
    r"\x1b\[(?P<row>\d+);(?P<column>\d+)H|\x1b\[(?P<style>[\d;]*)m|(?P<text>[^\x00-\x1f\x7f]+)"
    r"|\x1b\[\?2026[hl]|\x1b\]8;.*?\x1b\\|\n"  # frames, links and ends of lines are left out
    r"|(?P<other>\x1b\[[0-?]*[ -/]*[@-~]|\x1b\].*?(?:\x1b\\|\x07)|\x1b[PX^_].*?\x1b\\|.)",
    re.DOTALL,
)
_CLEARING: Final = re.compile(r"\x1b\[(?:\?1049[hl]|[0-3]?J)|\x1bc")

_Cell: TypeAlias = tuple[str, str]
"""Its style, as the numbers of SGR, and what stands in it; nothing behind a wide character."""


class Cells:
    """Takes what is drawn, in any order, and gives the difference to what was given before."""

    def __init__(self) -> None:
        self._drawn: dict[int, dict[int, _Cell]] = {}
        self._given: dict[int, dict[int, _Cell]] = {}
        self._changed: dict[int, int] = {}  # rows, and the number of the last drawing on each
        self._number = 0
        self._at = (1, 1)

    def draw(self, data: str) -> str:
        """Take what was written; returns what of it draws no cells, for the terminal as it is."""
        self._number += 1
        style, (row, column) = "", self._at
        others: list[str] = []
        for token in _TOKEN.finditer(data):
            match token.lastgroup:
                case "column":
                    row, column = int(token["row"]), int(token["column"])
                case "style":
                    style = "" if token["style"] == "0" else token["style"]
                case "text":
                    column = self._write(row, column, style, token["text"])
                case "other":
                    others.append(token["other"])
        self._at = row, column
        if any(_CLEARING.fullmatch(each) for each in others):
            self.forget()
        return "".join(others)

    def forget(self) -> None:
        """Whatever stands on the terminal is unknown: it shows nothing of what was drawn."""
        self._drawn.clear()
        self._given.clear()
        self._changed.clear()

    def changes(self, limit: int) -> str:
        """What brings the terminal nearer to what was drawn; empty when it shows that.

        Rows drawn last come first, and whole, until there are `limit` characters.
        """
        pieces: list[str] = []
        length = 0
        for row in sorted(self._changed, key=lambda row: (-self._changed[row], row)):
            del self._changed[row]
            pieces.append(self._difference(row))
            length += len(pieces[-1])
            if length >= limit:
                break
        if not length:
            return ""
        return f"{''.join(pieces)}\x1b[m\x1b[{self._at[0]};{self._at[1]}H"

    def _write(self, row: int, column: int, style: str, text: str) -> int:
        """Put text into cells; returns the column behind it."""
        cells = self._drawn.setdefault(row, {})
        self._changed[row] = self._number
        if text.isascii():
            cells.update(enumerate([(style, each) for each in text], column))
            return column + len(text)
        for character in text:
            width = cell_len(character)
            if width == 0 and column - 1 in cells:
                before_style, before = cells[column - 1]
                cells[column - 1] = before_style, before + character
                continue
            cells[column] = style, character
            if width == 2:
                cells[column + 1] = style, ""
            column += width
        return column

    def _difference(self, row: int) -> str:
        """What changes this row of the terminal to what was drawn."""
        drawn, given = self._drawn[row], self._given.get(row, {})
        columns = sorted(column for column, cell in drawn.items() if given.get(column) != cell)
        if columns and any(not text for _, text in (*drawn.values(), *given.values())):
            columns = sorted(drawn)  # half of a wide character cannot be replaced
        pieces: list[str] = []
        style, behind = None, 0
        for column in columns:
            if not behind:
                pieces.append(f"\x1b[{row};{column}H")
            elif column > behind:
                pieces.append(f"\x1b[{column - behind}C")
            wanted, text = drawn[column]
            if wanted != style:
                pieces.append(f"\x1b[0;{wanted}m" if wanted else "\x1b[m")
                style = wanted
            pieces.append(text)
            behind = column + 1
        self._given[row] = dict(drawn)
        return "".join(pieces)
