"""All runs at once: one widget paints every pane, and repaints only lines that changed."""

from __future__ import annotations

from bisect import bisect
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, pairwise
from typing import ClassVar, TypeAlias

from msgspec.structs import replace
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region
from textual.message import Message
from textual.reactive import reactive
from textual.strip import Strip

from arena_tui.services.scripts.scripts import ScriptPane
from arena_tui.tui.render.canvas import Piece, strip
from arena_tui.tui.render.mosaic import Grid, Tile, key_of, lay_out
from arena_tui.tui.render.palette import Palette
from arena_tui.tui.render.pane import paint_pane
from arena_tui.tui.render.script import paint_script
from arena_tui.tui.widgets.painted import Painted

_Cached: TypeAlias = tuple[Tile, Palette, tuple[int, int, bool], list[list[Piece]]]
"""All that the lines of a cell depend on, and the lines."""


class Mosaic(Painted, can_focus=True):
    """A grid of panes with one selected; scrolls by rows of panes.

    Attributes:
        panes: All of them, in order; a few screenfuls at most.
    """

    ALLOW_SELECT = False
    DEFAULT_CSS = "Mosaic { height: 1fr; width: 1fr; }"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left,h", "move(-1, 0)", "Left", show=False),
        Binding("right,l", "move(1, 0)", "Right", show=False),
        Binding("up,k", "move(0, -1)", "Up", show=False),
        Binding("down,j", "move(0, 1)", "Down", show=False),
        Binding("home", "first", "First", show=False),
        Binding("pageup", "page(-1)", "Page up", show=False),
        Binding("pagedown", "page(1)", "Page down", show=False),
        Binding("enter", "open", "open"),
        Binding("plus,equals_sign", "zoom(1)", "bigger", show=False),
        Binding("minus", "zoom(-1)", "smaller", show=False),
    ]

    @dataclass
    class Opened(Message):
        """A pane was opened."""

        pane: Tile

    low_bandwidth: reactive[bool] = reactive(False)
    """Whether to leave out what changes every second without saying much."""

    def __init__(self) -> None:
        super().__init__()
        self.panes: list[Tile] = []
        self._selected = 0
        self.is_chosen = False
        """Whether somebody has selected a pane; until then it is one of the first."""
        self._first_row = 0
        self._zoom = 0
        self._grid: Grid | None = None
        self._painted = _PaintedPanes()
        self._lines: list[list[list[Piece]]] = []  # per line, the pieces of each pane

    @property
    def selected(self) -> Tile | None:
        if not self.panes:
            return None
        return self.panes[self._selected]

    def keys_in_sight(self, soon: bool = False) -> list[str]:
        """The keys of the panes shown, or, if `soon`, of all: there are few pages of them."""
        shown: Sequence[Tile] = self.panes if soon else ()
        if not soon and (grid := self._grid) is not None:
            first = self._first_row * grid.columns
            shown = self.panes[first : first + grid.capacity]
        return [key_of(each) for each in shown]

    def show(self, panes: Sequence[Tile], selected: int | None = None) -> None:
        """Paint these panes, in this order; unchanged lines are not painted again.

        Args:
            selected: Where the selected one is now; None: it is gone, and the next to it is taken.
                While nobody has chosen one, it is the first.
        """
        self.panes = list(panes)
        at = self._selected if selected is None else selected
        self._selected = max(0, min(len(panes) - 1, at)) if self.is_chosen else 0
        self.repaint()

    def render_line(self, y: int) -> Strip:
        if y < len(self._lines):
            return strip(chain.from_iterable(self._lines[y]), self.size.width)
        return Strip.blank(self.size.width, self.palette.text)

    def repaint(self) -> None:
        """Paint all visible panes, then refresh the lines that changed."""
        width, height = self.size
        self._grid = lay_out(len(self.panes), width, height, self._zoom)
        lines = self._paint(self._grid) if self._grid and self.panes else []
        old, self._lines = self._lines, lines
        if len(old) != len(lines):
            self.refresh()
            return
        for y, line in enumerate(lines):
            if line != old[y]:
                self.refresh(Region(0, y, width, 1))

    def on_resize(self) -> None:
        self._lines = []
        self.repaint()

    def watch_has_focus(self, has_focus: bool) -> None:
        super().watch_has_focus(has_focus)
        self.repaint()

    def on_click(self, event: events.Click) -> None:
        if (index := self._index_at(event.x, event.y)) is not None:
            again = index == self._selected
            self.choose(index)
            if again:
                self.action_open()

    def on_mouse_scroll_down(self) -> None:
        self.action_page(1)

    def on_mouse_scroll_up(self) -> None:
        self.action_page(-1)

    def action_move(self, right: int, down: int) -> None:
        if self._grid is not None:
            self.choose(self._grid.moved(self._selected, right, down))

    def action_page(self, pages: int) -> None:
        if self._grid is not None:
            self.choose(self._selected + pages * self._grid.capacity)

    def action_first(self) -> None:
        self.choose(0)

    def action_zoom(self, step: int) -> None:
        self._zoom = max(-3, min(3, self._zoom + step))
        self._painted.clear()
        self.repaint()

    def action_open(self) -> None:
        if self.selected is not None:
            self.is_chosen = True
            self.post_message(self.Opened(self.selected))

    def choose(self, index: int) -> None:
        """Select the pane at this place, or the nearest there is."""
        if self.panes:
            self.is_chosen = True
            self._selected = max(0, min(len(self.panes) - 1, index))
            self.repaint()

    def _index_at(self, x: int, y: int) -> int | None:
        grid = self._grid
        if grid is None:
            return None
        return grid.at(x, self._first_row + min(bisect(grid.row_edges(), y), grid.rows) - 1)

    def _paint(self, grid: Grid) -> list[list[list[Piece]]]:
        selected = self._selected
        row_of_selected = selected // grid.columns
        last_row = grid.all_rows - grid.rows
        self._first_row = max(
            0, min(self._first_row, row_of_selected, last_row), row_of_selected - grid.rows + 1
        )
        lines: list[list[list[Piece]]] = []
        for row, (top, bottom) in enumerate(pairwise(grid.row_edges())):
            columns = []
            edges = pairwise(grid.column_edges(self._first_row + row))
            for column, (left, right) in enumerate(edges):
                index = (self._first_row + row) * grid.columns + column
                columns.append(
                    self._painted.lines(
                        (row, column),
                        self.panes[index],
                        self.palette,
                        right - left,
                        bottom - top,
                        index == selected and self.has_focus,
                        self.low_bandwidth,
                    )
                )
            lines += [list(parts) for parts in zip(*columns, strict=True)]
        return lines


class _PaintedPanes:
    """A cache of the painted lines of each visible pane, by row and column of the grid."""

    def __init__(self) -> None:
        self._painted: dict[tuple[int, int], _Cached] = {}

    def clear(self) -> None:
        self._painted.clear()

    def lines(
        self, cell: tuple[int, int], pane: Tile, palette: Palette, width: int, height: int,
        selected: bool, low_bandwidth: bool,
    ) -> list[list[Piece]]:  # fmt: skip
        """The lines of one cell, painted only if they would differ from the cached ones."""
        shape = (width, height, selected)
        known = self._painted.get(cell)
        # An unchanged pane is the same object.
        if known and known[0] is pane and known[1] is palette and known[2] == shape:
            return known[3]
        if isinstance(pane, ScriptPane):
            lines = paint_script(pane, palette, width, height, selected)
        else:
            shown = replace(pane, per_second=()) if low_bandwidth else pane
            lines = paint_pane(shown, palette, width, height, selected)
        self._painted[cell] = (pane, palette, shape, lines)
        return lines
