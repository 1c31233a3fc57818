"""What happened in the turn, or with the event, that is shown: all of it, to be scrolled."""

from __future__ import annotations

from bisect import bisect_right
from itertools import accumulate

from msgspec.structs import replace
from rich.cells import cell_len
from rich.style import Style
from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

from arena_tui.services.playback.detail import Detail
from arena_tui.tui.render.canvas import between, line
from arena_tui.tui.render.inspector import View, inspect, inspect_title
from arena_tui.tui.render.prose import Line, style_of
from arena_tui.tui.widgets.painted import Painted


class Inspector(Painted, ScrollView, can_focus=True):
    """A conversation below a title that stays; `find` looks for text in it."""

    DEFAULT_CSS = """
    Inspector {
        padding: 0 1; overflow-x: hidden; overflow-y: auto;
        scrollbar-size-vertical: 1; scrollbar-gutter: stable;
    }
    """

    def __init__(self) -> None:
        super().__init__()
        self._detail: Detail | None = None
        self._view = View(width=1, at=0)
        self._lines: list[Line] = []
        self._title = ("", "")
        self._needle = ""
        self._found: int | None = None

    def show(self, detail: Detail | None, view: View) -> None:
        """Show a detail; at another turn or event from its beginning on."""
        if detail is None or (detail is self._detail and view == self._view):
            return
        is_other = self._detail is None or detail.first != self._detail.first
        self._detail, self._view = detail, view
        if is_other:
            self._found = None
            self.scroll_to(y=0, animate=False, force=True)
        self._lay_out()

    @property
    def text(self) -> str:
        """All that it shows, also what is scrolled out of sight."""
        rows = ["".join(part for part, _ in row).rstrip() for row in self._lines]
        return "\n".join([self._title[0].strip(), *rows])

    def find(self, text: str | None, step: int) -> str:
        """Go to the next (`step` 1) or previous (-1) place with this text, or the text looked for
        last; from the end on from the beginning. Returns what to say of it."""
        self._needle = text or self._needle
        needle = " ".join(self._needle.lower().split())
        rows = ["".join(part for part, _ in row).strip().lower() for row in self._lines]
        starts = [0, *accumulate(len(row) + 1 for row in rows)]
        whole = " ".join(rows)
        if not needle or needle not in whole:
            self._found = None
            self.refresh()
            return f"not here: {self._needle}" if needle else "nothing to look for: press /"
        here = self.scroll_offset.y if self._found is None else self._found
        if step > 0:
            after = starts[min(here + (self._found is not None), len(rows))]
            at = whole.find(needle, after)
            wrapped = at < 0
            at = whole.find(needle) if wrapped else at
        else:
            at = whole.rfind(needle, 0, starts[min(here, len(rows))] + len(needle) - 1)
            wrapped = at < 0
            at = whole.rfind(needle) if wrapped else at
        self._found = bisect_right(starts, at) - 1
        self.scroll_to(y=max(0, self._found - self.size.height // 3), animate=False, force=True)
        self.refresh()
        where = f"line {self._found + 1:,} of {len(rows):,}"
        return f"{where}, from the {'beginning' if step > 0 else 'end'} again" if wrapped else where

    def render_line(self, y: int) -> Strip:
        width, palette = self.scrollable_content_region.width, self.palette
        if y == 0:
            title, told = self._title
            left = [(title, palette.strong)]
            return line(
                between(left, [(f" {told}", palette.dim)], width, palette.text), width, palette.text
            )
        index = self.scroll_offset.y + y - 1
        if index >= len(self._lines):
            return line([], width, palette.text)
        pieces = [(text, style_of(palette, name)) for text, name in self._lines[index]]
        if index != self._found:
            return line(pieces, width, palette.text)
        on = Style(
            bgcolor=palette.selected.bgcolor, bold=True, reverse=not palette.selected.bgcolor
        )
        return line([(text, style + on) for text, style in pieces], width, palette.text + on)

    def on_resize(self) -> None:
        self._lay_out()

    def _lay_out(self) -> None:
        if self._detail is None:
            return
        width = self.scrollable_content_region.width
        view = replace(self._view, width=max(10, width))
        title, told = inspect_title(self._detail, view)
        before, self._lines = len(self._lines), inspect(self._detail, view)
        if len(self._lines) != before:
            self._found = None  # it stands elsewhere now
        if cell_len(title) + cell_len(told) >= view.width:
            self._lines.insert(0, [(told, "dim")])
            told = ""
        self._title = title, told
        self.virtual_size = Size(width, len(self._lines) + 1)
        self.refresh()
