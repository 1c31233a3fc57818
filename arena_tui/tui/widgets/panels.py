"""The large parts of the Run screen side by side: board, event list, inspector."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import tzinfo
from typing import ClassVar, Final

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.message import Message
from textual.widgets import Static

from arena_tui.events import Delivery
from arena_tui.folds.costs import PriceList
from arena_tui.folds.view import Instant
from arena_tui.services.playback.playhead import Position
from arena_tui.tui.render.run import event_cells, inspect
from arena_tui.tui.render.table import Cell, Column
from arena_tui.tui.widgets.board import BoardPanel
from arena_tui.tui.widgets.run import Goto
from arena_tui.tui.widgets.table import VirtualTable

_NARROW: Final = 100
_COLUMNS: Final = (
    Column(name="event", key="seq", width=7, right=True),
    Column(name="time", key="time", width=10, least=48),
    Column(name="kind", key="kind", width=5),
    Column(name="what", key="what", width=0),
)


class RunPanels(Horizontal):
    """One instant of a run. Requests visible events by seq; `enter` enlarges the inspector."""

    DEFAULT_CSS = """
    RunPanels {
        height: 1fr;
        BoardPanel { width: 25%; min-width: 26; max-width: 56; height: 1fr; }
        VirtualTable { width: 1fr; border: round $panel-lighten-2;
                       border-title-color: $text-muted; }
        VirtualTable:focus { border: round $accent; }
        VerticalScroll { width: 31%; border: round $panel-lighten-2;
                         border-title-color: $text-muted;
                         padding: 0 1; scrollbar-size-vertical: 1; }
        VerticalScroll:focus { border: round $accent; }
        &.-narrow VerticalScroll { display: none; }
        &.-zoomed VerticalScroll { display: block; width: 1fr; }
        &.-zoomed VirtualTable, &.-zoomed BoardPanel { display: none; }
    }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("shift+up", "scroll_board(2, 0)", "board up", show=False),
        Binding("shift+down", "scroll_board(-2, 0)", "board down", show=False),
        Binding("shift+right", "scroll_board(0, 4)", "board right", show=False),
        Binding("shift+left", "scroll_board(0, -4)", "board left", show=False),
    ]

    @dataclass
    class EventsNeeded(Message):
        """These events are visible but not loaded."""

        first: int
        last: int

    def __init__(
        self, events: Callable[[int], Delivery | None], prices: PriceList, zone: tzinfo | None
    ) -> None:
        """`events` returns the delivery at a seq, or None until it is loaded."""
        super().__init__()
        self._prices = prices
        self._events = events
        self._zone = zone
        self._count = 0
        self._inspected: Delivery | None = None

    def compose(self) -> ComposeResult:
        yield BoardPanel(self._prices)
        table = VirtualTable(_COLUMNS, self._row, "no events yet")
        table.border_title = "events"
        yield table
        with VerticalScroll() as inspector:
            inspector.border_title = "inspector"
            yield Static(markup=False)

    def show(
        self, position: Position, instant: Instant | None, here: Delivery | None, complete: bool
    ) -> None:
        """Show a position; until `complete`, the inspector keeps its event if `here` is None."""
        table = self.query_one(VirtualTable)
        if position.last != self._count:
            self._count = position.last
            table.show(position.last)
        if position.at and table.cursor != position.at - 1:
            table.move_to(position.at - 1)
        table.refresh()
        board = self.query_one(BoardPanel)
        board.instant, board.priced = instant, self._prices.version
        if here is not self._inspected and (complete or here is not None):
            self._inspected = here
            inspector = self.query_one(VerticalScroll)
            inspector.query_one(Static).update(inspect(here, self._zone))
            inspector.scroll_home(animate=False)

    def take_focus(self) -> None:
        self.query_one(VirtualTable).focus()

    def zoom_out(self) -> bool:
        """Restore the inspector's normal size; False if it was not enlarged."""
        zoomed = self.has_class("-zoomed")
        self.remove_class("-zoomed")
        if zoomed:
            self.take_focus()
        return zoomed

    def action_scroll_board(self, up: int, right: int) -> None:
        self.query_one(BoardPanel).scroll_board(up, right)

    def on_resize(self) -> None:
        self.set_class(self.size.width < _NARROW, "-narrow")

    def on_virtual_table_moved(self, message: VirtualTable.Moved) -> None:
        message.stop()
        self.post_message(Goto(message.index + 1))

    def on_virtual_table_rows_needed(self, message: VirtualTable.RowsNeeded) -> None:
        message.stop()
        self.post_message(self.EventsNeeded(message.first + 1, message.last + 1))

    def on_virtual_table_opened(self, message: VirtualTable.Opened) -> None:
        message.stop()
        if not self.zoom_out():
            self.add_class("-zoomed")
            self.query_one(VerticalScroll).focus()

    def _row(self, index: int) -> list[Cell] | None:
        delivery = self._events(index + 1)
        return None if delivery is None else event_cells(delivery, self._zone)
