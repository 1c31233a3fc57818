"""A table of any length that reads only the visible rows; the owner supplies them by index."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, TypeAlias

from msgspec import Struct
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.strip import Strip

from arena_tui.tui.render.canvas import line
from arena_tui.tui.render.clean import fit
from arena_tui.tui.widgets.painted import Painted

Cell: TypeAlias = tuple[str, str]
"""Clean text, and the name of the palette's style for it."""
RowSource: TypeAlias = Callable[[int], Sequence[Cell] | None]
"""The cells of one row, or None while it is not loaded yet."""
RowKeys: TypeAlias = Callable[[int], str | None]
"""Which thing a row shows, whatever row that is on; None: not loaded, or rows do not move."""


class Column(Struct, frozen=True, kw_only=True):
    """One column.

    Attributes:
        width: In cells; 0 takes what the others leave.
        right: Whether the cells are right-aligned.
        least: The column is left out of tables narrower than this.
    """

    name: str
    key: str
    width: int
    right: bool = False
    least: int = 0


class VirtualTable(Painted, can_focus=True):
    """Header, rows, a cursor; scrolls through `count` rows without holding them.

    When rows come, go or are sorted, whoever knows where `key` is now says so to `show`.
    """

    ALLOW_SELECT = False
    DEFAULT_CSS = "VirtualTable { height: 1fr; width: 1fr; }"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "Up", show=False),
        Binding("down,j", "move(1)", "Down", show=False),
        Binding("pageup", "page(-1)", "Page up", show=False),
        Binding("pagedown", "page(1)", "Page down", show=False),
        Binding("home", "jump_to(0)", "First", show=False),
        Binding("end", "jump_to(-1)", "Last", show=False),
        Binding("enter", "open", "open"),
    ]

    @dataclass
    class Moved(Message):
        """The cursor moved to another row."""

        index: int

    @dataclass
    class Opened(Message):
        """A row was opened; `key` is that of the row when it was."""

        index: int
        key: str | None

    @dataclass
    class HeaderChosen(Message):
        """A column's header was clicked."""

        key: str

    @dataclass
    class RowsNeeded(Message):
        """These rows are visible but not loaded."""

        first: int
        last: int

    def __init__(
        self,
        columns: Sequence[Column],
        rows: RowSource,
        empty: str = "",
        keys: RowKeys = lambda _: None,
    ) -> None:
        super().__init__()
        self._columns = columns
        self._rows = rows
        self._keys = keys
        self._key: str | None = None
        self._is_chosen = False
        self._empty = empty.splitlines()
        self._count = 0
        self._top = 0
        self._cursor = 0
        self._sorted: tuple[str, bool] | None = None

    @property
    def cursor(self) -> int:
        return self._cursor

    @property
    def key(self) -> str | None:
        """Of the row under the cursor, as it was when the cursor was put there, or is since the
        row is loaded."""
        if self._key is None:
            self._key = self._keys(self._cursor)
        return self._key

    @property
    def visible_rows(self) -> int:
        return max(1, self.size.height - 1)

    def show(
        self, count: int, sorted_by: tuple[str, bool] | None = None, cursor: int | None = None
    ) -> None:
        """Show `count` rows, new or changed.

        Args:
            sorted_by: A column's key, and whether descending.
            cursor: The row on which `key` is now; None: on the same as before, or gone. A cursor
                that nobody has moved stays at the top rather than scroll what is shown.
        """
        self._count = count
        self._sorted = sorted_by
        cursor = self._cursor if cursor is None else cursor
        if self._top:
            self._top = max(0, self._top + cursor - self._cursor)
        elif cursor >= self.visible_rows and not self._is_chosen:
            cursor = 0
        self._place(cursor, report=False)

    def say_when_empty(self, text: str) -> None:
        """Set the text shown when there are no rows."""
        self._empty = text.splitlines()
        self.refresh()

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        if y == 0:
            return self._header(width)
        if self._count == 0:
            text = self._empty[y - 2] if 2 <= y < len(self._empty) + 2 else ""
            return line([(f"  {text}", self.palette.dim)], width, self.palette.text)
        index = self._top + y - 1
        if index >= self._count:
            return line([], width, self.palette.text)
        return self._row(index, width)

    def on_resize(self) -> None:
        self._place(self._cursor, report=False)

    def on_click(self, event: events.Click) -> None:
        if event.y == 0:
            at = 0
            for column, width in layout(self._columns, self.size.width):
                if at <= event.x < at + width + 1:
                    self.post_message(self.HeaderChosen(column.key))
                at += width + 1
        elif (index := self._top + event.y - 1) < self._count:
            again = index == self._cursor
            self.action_jump_to(index)
            if again:
                self.action_open()

    def on_mouse_scroll_down(self) -> None:
        self.action_move(3)

    def on_mouse_scroll_up(self) -> None:
        self.action_move(-3)

    def action_move(self, rows: int) -> None:
        self.action_jump_to(max(0, self._cursor + rows))

    def action_page(self, pages: int) -> None:
        self.action_move(pages * self.visible_rows)

    def action_jump_to(self, index: int) -> None:
        self._is_chosen = True
        self._place(index if index >= 0 else self._count - 1)

    def action_open(self) -> None:
        if self._count:
            self._is_chosen = True
            self.post_message(self.Opened(self._cursor, self.key))

    def move_to(self, index: int) -> None:
        """Put the cursor on a row, without a message."""
        self._place(index, report=False)

    def _place(self, index: int, report: bool = True) -> None:
        index = max(0, min(self._count - 1, index))
        rows = self.visible_rows
        self._top = max(0, min(self._top, index, max(0, self._count - rows)), index - rows + 1)
        moved, self._cursor = index != self._cursor, index
        self._key = self._keys(index)
        self.refresh()
        if moved and report:
            self.post_message(self.Moved(index))
        self._ask_for_rows()

    def _ask_for_rows(self) -> None:
        last = min(self._count, self._top + self.visible_rows) - 1
        missing = [i for i in range(self._top, last + 1) if self._rows(i) is None]
        if missing:
            self.post_message(self.RowsNeeded(missing[0], missing[-1]))

    def _header(self, width: int) -> Strip:
        pieces: list[tuple[str, Style]] = []
        for column, cells in layout(self._columns, width):
            name = column.name
            style = self.palette.dim
            if self._sorted and self._sorted[0] == column.key:
                name += "▼" if self._sorted[1] else "▲"
                style = self.palette.accent
            pieces.append((fit(name, cells, column.right), style))
            pieces.append((" ", self.palette.dim))
        return line(pieces, width, self.palette.dim)

    def _row(self, index: int, width: int) -> Strip:
        cells = self._rows(index)
        marked = index == self._cursor and self.has_focus
        fill = self.palette.selected if marked else self.palette.text
        if cells is None:
            return line([(" …", self.palette.dim)], width, fill)
        pieces: list[tuple[str, Style]] = []
        by_key = dict(zip((column.key for column in self._columns), cells, strict=True))
        for column, room in layout(self._columns, width):
            text, name = by_key[column.key]
            style: Style = getattr(self.palette, name)
            text = fit(text, room, column.right)
            pieces += [(text, style + fill if marked else style), (" ", fill)]
        return line(pieces, width, fill)


def layout(columns: Sequence[Column], width: int) -> list[tuple[Column, int]]:
    """The columns that have room at this width, and how many cells each has."""
    shown = [column for column in columns if width >= column.least]
    spare = width - sum(column.width + 1 for column in shown if column.width)
    flexible = [column for column in shown if not column.width]
    each = max(6, spare // max(1, len(flexible)) - 1)
    return [(column, column.width or each) for column in shown]
