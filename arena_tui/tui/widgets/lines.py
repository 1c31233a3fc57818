"""A few lines of text, each with what it is about before it."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct
from rich.style import Style
from textual.strip import Strip

from arena_tui.tui.render.canvas import line
from arena_tui.tui.render.clean import fit
from arena_tui.tui.widgets.painted import Painted

_ABOUT = 9


class Line(Struct, frozen=True):
    """What it is about, what it says, and the name of the palette's style for that."""

    about: str
    text: str
    style: str = "text"


class Lines(Painted):
    """As high as there are lines."""

    DEFAULT_CSS = "Lines { height: auto; }"

    def __init__(self, id_: str) -> None:
        super().__init__(id=id_)
        self._lines: Sequence[Line] = ()

    def show(self, lines: Sequence[Line]) -> None:
        """Show these from now on."""
        self._lines = lines
        self.styles.height = len(lines)
        self.refresh()

    def render_line(self, y: int) -> Strip:
        if y >= len(self._lines):
            return line([], self.size.width, self.palette.text)
        each = self._lines[y]
        about = f" {fit(each.about, _ABOUT)} " if each.about else " "
        style: Style = getattr(self.palette, each.style)
        pieces = [(about, self.palette.dim), (each.text, style)]
        return line(pieces, self.size.width, self.palette.text)
