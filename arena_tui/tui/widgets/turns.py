"""The list of a run's turns: one line each, with one more below those that have more to say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from textual import events
from textual.binding import BindingType
from textual.message import Message
from textual.strip import Strip

from arena_tui.folds.turns import Turn
from arena_tui.tui.render.canvas import line
from arena_tui.tui.render.turns import TurnsLook, height_of, paint_turn
from arena_tui.tui.widgets.painted import Painted
from arena_tui.tui.widgets.table import LIST_KEYS, MARGIN


class TurnList(Painted, can_focus=True):
    """Scrolls through `count` turns without holding them; the cursor is on the turn shown."""

    ALLOW_SELECT = False
    DEFAULT_CSS = "TurnList { height: 1fr; width: 1fr; }"
    BINDINGS: ClassVar[list[BindingType]] = [*LIST_KEYS]

    @dataclass
    class Moved(Message):
        """The cursor moved to another row."""

        index: int

    @dataclass
    class Opened(Message):
        """The row under the cursor was opened."""

        index: int

    @dataclass
    class RowsNeeded(Message):
        """These rows are visible: some are not loaded, or have changed since."""

        first: int
        last: int

    def __init__(self, turns: Callable[[int], Turn | None]) -> None:
        """`turns` gives the turn of a row, or None while it is not loaded yet."""
        super().__init__()
        self._turns = turns
        self._look = TurnsLook()
        self._marked: frozenset[int] = frozenset()
        self._is_faint: Callable[[int], bool] = lambda _: False
        self._count = 0
        self._top = 0
        self._cursor = 0
        self._version = 0
        self._asked: tuple[int, int, int] | None = None

    def show(
        self, count: int, version: int, cursor: int, look: TurnsLook, marked: frozenset[int],
        is_faint: Callable[[int], bool] = lambda _: False,
    ) -> None:  # fmt: skip
        """Show `count` rows with the cursor on one.

        Args:
            version: Another than before if rows have come or changed.
            marked: The rows with bookmarks.
            is_faint: Whether a row has nothing of what is wanted.
        """
        self._count, self._look, self._marked = count, look, marked
        self._version = version
        self._is_faint = is_faint
        self._place(cursor)

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        if not self._count:
            text = "  reading the turns …" if y == 1 else ""
            return line([(text, self.palette.dim)], width, self.palette.text)
        row, part = self._row_at(y)
        if row >= self._count:
            return line([], width, self.palette.text)
        is_here = row == self._cursor
        painted = paint_turn(
            self._turns(row), self._look, self.palette, width, is_here=is_here,
            ground=self.palette.selected if is_here and self.has_focus else None,
            is_marked=row in self._marked, is_faint=self._is_faint(row),
        )  # fmt: skip
        return painted[part]

    def on_resize(self) -> None:
        self._place(self._cursor)

    def on_click(self, event: events.Click) -> None:
        row, _ = self._row_at(event.y)
        if row < self._count:
            again = row == self._cursor
            self._go(row)
            if again:
                self.action_open()

    def on_mouse_scroll_down(self) -> None:
        self.action_move(3)

    def on_mouse_scroll_up(self) -> None:
        self.action_move(-3)

    def action_move(self, rows: int) -> None:
        self._go(self._cursor + rows)

    def action_page(self, pages: int) -> None:
        last, _ = self._row_at(self.size.height - 1)
        self._go(self._cursor + pages * max(1, last - self._top))

    def action_open(self) -> None:
        if self._count:
            self.post_message(self.Opened(self._cursor))

    def _go(self, row: int) -> None:
        row = max(0, min(self._count - 1, row))
        if row != self._cursor and self._count:
            self._place(row)
            self.post_message(self.Moved(row))

    def _row_at(self, y: int) -> tuple[int, int]:
        """The row on a line of the widget, and which of its lines that is."""
        row = self._top
        while row < self._count:
            height = height_of(self._turns(row))
            if y < height:
                return row, y
            row, y = row + 1, y - height
        return self._count, 0

    def _place(self, cursor: int) -> None:
        self._cursor = max(0, min(self._count - 1, cursor))
        margin = min(MARGIN, (max(1, self.size.height) - 1) // 4)
        lowest = self._top_above(min(self._count - 1, self._cursor + margin))
        self._top = max(min(self._top, max(0, self._cursor - margin)), min(lowest, self._cursor))
        self._top = min(self._top, self._top_above(self._count - 1))
        self.refresh()
        self._ask_for_rows()

    def _top_above(self, last: int) -> int:
        """The first row in sight if this one is the last, with as many between as there is room."""
        room, top = max(1, self.size.height), last + 1
        while top > 0 and (room := room - height_of(self._turns(top - 1))) >= 0:
            top -= 1
        return min(top, max(0, last))

    def _ask_for_rows(self) -> None:
        last = min(self._count - 1, self._top + self.size.height)
        asked = self._top, last, self._version
        if self._count and asked != self._asked:
            self._asked = asked
            self.post_message(self.RowsNeeded(self._top, last))
