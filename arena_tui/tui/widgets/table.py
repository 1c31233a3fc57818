"""A table of any length that reads only the visible rows; the owner supplies them by index."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final, TypeAlias

from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.reactive import reactive
from textual.strip import Strip

from arena_tui.tui.render.canvas import line
from arena_tui.tui.render.table import Cell, Column, Marked, layout, paint_header, paint_row
from arena_tui.tui.widgets.painted import Painted

RowSource: TypeAlias = Callable[[int], Sequence[Cell | Marked] | None]
"""The cells of one row, or None while it is not loaded yet."""
RowKeys: TypeAlias = Callable[[int], str | None]
"""Which thing a row shows, whatever row that is on; None: not loaded, or rows do not move."""


MARGIN: Final = 5
"""Rows kept in sight beyond the cursor."""

LIST_KEYS: Final = (
    Binding("up,k", "move(-1)", "Up", show=False),
    Binding("down,j", "move(1)", "Down", show=False),
    Binding("pageup", "page(-1)", "Page up", show=False),
    Binding("pagedown", "page(1)", "Page down", show=False),
    Binding("enter", "open", "open"),
)
"""Of every list."""


class VirtualTable(Painted, can_focus=True):
    """Header, rows, a cursor; scrolls through `count` rows without holding them.

    When rows come, go or are sorted, whoever knows where `key` is now says so to `show`.
    """

    ALLOW_SELECT = False
    DEFAULT_CSS = "VirtualTable { height: 1fr; width: 1fr; }"
    BINDINGS: ClassVar[list[BindingType]] = [
        *LIST_KEYS,
        Binding("home", "jump_to(0)", "First", show=False),
        Binding("end", "jump_to(-1)", "Last", show=False),
    ]

    hidden: reactive[frozenset[str]] = reactive(frozenset())
    """Keys of columns to leave out, as there is nothing in them."""

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
        self._margin = MARGIN
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

    def keys_in_sight(self, soon: bool = False) -> list[str]:
        """The keys of the rows shown, and, if `soon`, of one screenful above and below."""
        rows, more = self.visible_rows, self.visible_rows if soon else 0
        shown = range(max(0, self._top - more), min(self._count, self._top + rows + more))
        return [key for index in shown if (key := self._keys(index)) is not None]

    def room_of(self, key: str) -> int:
        """Cells of a column; 0 if it is not in sight."""
        return next((room for column, room in self.in_sight() if column.key == key), 0)

    def in_sight(self) -> list[tuple[Column, int]]:
        """The columns there is room for, and how many cells each has."""
        shown = [column for column in self._columns if column.key not in self.hidden]
        return layout(shown, self.size.width)

    def say_when_empty(self, text: str) -> None:
        """Set the text shown when there are no rows."""
        self._empty = text.splitlines()
        self.refresh()

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        if y == 0:
            return paint_header(self.in_sight(), self._sorted, self.palette, width)
        if self._count == 0:
            text = self._empty[y - 2] if 2 <= y < len(self._empty) + 2 else ""
            return line([(f"  {text}", self.palette.dim)], width, self.palette.text)
        index = self._top + y - 1
        if index >= self._count:
            return line([], width, self.palette.text)
        cells = self._rows(index)
        marked = index == self._cursor and self.has_focus
        if cells is not None:
            shown = {column.key: cell for column, cell in zip(self._columns, cells, strict=True)}
            cells = [shown[column.key] for column, _ in self.in_sight()]
        return paint_row(self.in_sight(), cells, marked, self.palette, width)

    def on_resize(self) -> None:
        self._place(self._cursor, report=False)

    def on_click(self, event: events.Click) -> None:
        if event.y == 0:
            at = 0
            for column, width in self.in_sight():
                if at <= event.x < at + width + 1:
                    self.post_message(self.HeaderChosen(column.key))
                at += width + 1
        elif (index := self._top + event.y - 1) < self._count:
            again = index == self._cursor
            self._margin = 0  # nothing scrolls: the second of two clicks finds the same row there
            self._is_chosen = True
            self._place(index)
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
        self._margin = MARGIN
        self._place(index if index >= 0 else self._count - 1)

    def action_open(self) -> None:
        if self._count:
            self._is_chosen = True
            self.post_message(self.Opened(self._cursor, self.key))

    def move_to(self, index: int) -> None:
        """Put the cursor on a row, without a message."""
        self._margin = MARGIN
        self._place(index, report=False)

    def _place(self, index: int, report: bool = True) -> None:
        index = max(0, min(self._count - 1, index))
        rows = self.visible_rows
        margin = min(self._margin, (rows - 1) // 2)
        top = max(min(self._top, index - margin), index + margin - rows + 1)
        self._top = max(0, min(top, self._count - rows))
        moved, self._cursor = index != self._cursor, index
        self._key = self._keys(index)
        self.refresh()
        if moved and report:
            self.post_message(self.Moved(index))
        last = min(self._count, self._top + self.visible_rows) - 1
        missing = [i for i in range(self._top, last + 1) if self._rows(i) is None]
        if missing:
            self.post_message(self.RowsNeeded(missing[0], missing[-1]))
