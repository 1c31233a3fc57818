"""The large parts of the Run screen side by side: board, turns or events, inspector."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import tzinfo
from typing import ClassVar, Final

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.message import Message

from arena_tui.events import Delivery
from arena_tui.folds.costs import PriceList
from arena_tui.folds.view import Instant
from arena_tui.services.playback.detail import Detail
from arena_tui.services.playback.filtered import Filtered, MatchRows
from arena_tui.services.playback.playhead import Position
from arena_tui.services.playback.turns import Turns
from arena_tui.tui.render.clean import clean
from arena_tui.tui.render.inspector import View
from arena_tui.tui.render.run import event_cells, hidden_cells
from arena_tui.tui.render.table import Cell, Column
from arena_tui.tui.render.turns import TurnsLook
from arena_tui.tui.widgets.board import BoardPanel
from arena_tui.tui.widgets.inspector import Inspector
from arena_tui.tui.widgets.run import Goto
from arena_tui.tui.widgets.table import VirtualTable
from arena_tui.tui.widgets.turns import TurnList

_NARROW: Final = 100
_SMALL: Final = "r raw   enter whole screen"
_WHOLE: Final = "r raw   / search   n next   Y copy   esc back"
_COLUMNS: Final = (
    Column(name="event", key="seq", width=7, right=True),
    Column(name="time", key="time", width=10, least=48),
    Column(name="kind", key="kind", width=5),
    Column(name="what", key="what", width=0),
)


class RunPanels(Horizontal):
    """One instant of a run, as a list of turns or of events; `enter` enlarges the inspector."""

    DEFAULT_CSS = """
    RunPanels {
        height: 1fr;
        BoardPanel { width: 25%; min-width: 26; max-width: 56; height: 1fr; }
        VirtualTable, TurnList { width: 1fr; border: round $panel-lighten-2;
                                 border-title-color: $text-muted; }
        VirtualTable:focus, TurnList:focus { border: round $accent; }
        TurnList { display: none; }
        &.-turns TurnList { display: block; }
        &.-turns VirtualTable { display: none; }
        Inspector { width: 36%; height: 1fr; border: round $panel-lighten-2;
                    border-subtitle-color: $text-muted; }
        Inspector:focus { border: round $accent; }
        &.-narrow Inspector { display: none; }
        &.-zoomed Inspector { display: block; width: 1fr; }
        &.-zoomed VirtualTable, &.-zoomed TurnList, &.-zoomed BoardPanel { display: none; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("v", "switch", "events", tooltip="events in place of turns, and back"),
        Binding("r", "raw", "raw JSON", show=False),
        Binding("shift+up", "scroll_board(2, 0)", "board up", show=False),
        Binding("shift+down", "scroll_board(-2, 0)", "board down", show=False),
        Binding("shift+right", "scroll_board(0, 4)", "board right", show=False),
        Binding("shift+left", "scroll_board(0, -4)", "board left", show=False),
    ]

    @dataclass
    class RowsNeeded(Message):
        """These turns, by row, or these events, by place, are visible but not loaded; while only
        some events are shown, those of these rows."""

        first: int
        last: int
        of_turns: bool

    def __init__(
        self, events: Callable[[int], Delivery | None], turns: Turns, prices: PriceList,
        zone: tzinfo | None, filtered: Filtered,
    ) -> None:  # fmt: skip
        """`events` returns the delivery at a place, or None until it is loaded."""
        super().__init__(classes="-turns")
        self._prices = prices
        self._events = events
        self._turns = turns
        self._filtered = filtered
        self._zone = zone
        self._titles = ("", "")
        self._listed: tuple[int, MatchRows] | None = None
        self._prefers_turns = True
        self._is_raw = False
        self._at = 0
        self._shown: tuple[Detail | None, Instant | None] = (None, None)

    def compose(self) -> ComposeResult:
        yield BoardPanel(self._prices)
        turns = TurnList(self._turns.get)
        turns.border_title = "turns"
        yield turns
        table = VirtualTable(_COLUMNS, self._row, "no events yet")
        table.border_title = "events"
        yield table
        inspector = Inspector()
        inspector.border_subtitle = _SMALL
        yield inspector

    @property
    def by_turns(self) -> bool:
        """Whether the list is of turns: unless the user wants events, or the run has no turns."""
        return self._prefers_turns and (self._turns.starts.numbered or not self._turns.known)

    @property
    def zoomed(self) -> bool:
        """Whether the inspector has the whole screen."""
        return self.has_class("-zoomed")

    def places(self, at: int) -> range:
        """What the inspector is about at a place: its turn, or its event."""
        if self.by_turns and (turn := self._turns.places(self._turns.starts.row_of(at))):
            return turn
        return range(at, at + 1)

    def show(
        self, position: Position, instant: Instant | None, detail: Detail | None,
        bookmarks: frozenset[int],
    ) -> None:  # fmt: skip
        """Show a position; the inspector keeps what it has until there is more to show."""
        self._at = position.at
        self._shown = detail, instant
        agents = () if instant is None else instant.agents
        if position.at and self.has_class("-turns") != self.by_turns:
            had_focus = self._list.has_focus
            self.set_class(self.by_turns, "-turns")
            if had_focus and not self.zoomed:
                self.take_focus()
        turns = self._turns
        look = TurnsLook(agents=agents, highest=turns.starts.highest, has_tokens=turns.has_tokens)
        marked = frozenset(map(turns.starts.row_of, bookmarks))
        row = turns.starts.row_of(position.at)
        filtered, table = self._filtered, self.query_one(VirtualTable)
        self.query_one(TurnList).show(
            turns.count, turns.version, row, look, marked,
            lambda row: filtered.is_on and not filtered.holds_any(turns.places(row)),
        )  # fmt: skip
        listed = filtered.count(position.last), filtered.rows
        if listed != self._listed:
            self._listed = listed
            table.show(listed[0])
        titles = filtered.title("turns", position.last), filtered.title("events", position.last)
        if titles != self._titles:
            self._titles = titles
            for each, title in zip((self.query_one(TurnList), table), titles, strict=True):
                each.border_title = Text(clean(title, 200))  # no markup
        if position.at and table.cursor != (row := filtered.row_of(position.at)):
            table.move_to(row)
        table.refresh()
        board = self.query_one(BoardPanel)
        board.instant, board.priced = instant, self._prices.version
        self._inspect()

    def find(self, text: str | None, step: int) -> str:
        """See `Inspector.find`."""
        return self.query_one(Inspector).find(text, step)

    def take_focus(self) -> None:
        if self.zoomed:
            self.query_one(Inspector).focus()
        else:
            self._list.focus()

    def zoom_out(self) -> bool:
        """Restore the inspector's normal size; False if it was not enlarged."""
        zoomed = self.zoomed
        self.remove_class("-zoomed")
        if zoomed:
            self.query_one(Inspector).border_subtitle = _SMALL
            self._inspect()
            self.take_focus()
        return zoomed

    def action_scroll_board(self, up: int, right: int) -> None:
        if not self.query_one(BoardPanel).scroll_board(up, right):
            self.notify("no more of the board there", timeout=2)

    def on_resize(self) -> None:
        self.set_class(self.size.width < _NARROW, "-narrow")

    def on_virtual_table_moved(self, message: VirtualTable.Moved) -> None:
        message.stop()
        self.post_message(Goto(self._filtered.at(message.index).place))

    def on_turn_list_moved(self, message: TurnList.Moved) -> None:
        message.stop()
        if places := self._turns.places(message.index):
            self.post_message(Goto(places[-1]))

    @on(VirtualTable.RowsNeeded)
    @on(TurnList.RowsNeeded)
    def need_rows(self, message: VirtualTable.RowsNeeded | TurnList.RowsNeeded) -> None:
        """Ask for what one of the lists lacks."""
        message.stop()
        of_turns = isinstance(message, TurnList.RowsNeeded)
        before = 0 if of_turns or self._filtered.is_on else 1  # places are counted from 1
        self.post_message(
            self.RowsNeeded(message.first + before, message.last + before, of_turns=of_turns)
        )

    @on(VirtualTable.Opened)
    @on(TurnList.Opened)
    def zoom_in(self, message: Message) -> None:
        """Give the inspector the whole screen."""
        message.stop()
        self.add_class("-zoomed")
        self.query_one(Inspector).border_subtitle = _WHOLE
        self._inspect()
        self.take_focus()

    def action_switch(self) -> None:
        """Turns in place of events, or events in place of turns."""
        if not self._turns.starts.numbered and self._turns.known:
            self.notify("no event of this run belongs to a turn", timeout=4)
            return
        self._prefers_turns = not self.by_turns
        self.post_message(self.RowsNeeded(self._at, self._at, of_turns=False))

    def action_raw(self) -> None:
        """Show the events as JSON, too, or no longer."""
        self._is_raw = not self._is_raw
        self._inspect()

    @property
    def _list(self) -> VirtualTable | TurnList:
        is_turns = self.has_class("-turns")
        return self.query_one(TurnList) if is_turns else self.query_one(VirtualTable)

    def _inspect(self) -> None:
        detail, instant = self._shown
        view = View(
            width=0, at=self._at, agents=() if instant is None else instant.agents,
            board=None if instant is None or self.zoomed else instant.board,
            by_turns=self.by_turns, is_raw=self._is_raw, is_whole=self.zoomed, zone=self._zone,
        )  # fmt: skip
        self.query_one(Inspector).show(detail, view)

    def _row(self, index: int) -> list[Cell] | None:
        row = self._filtered.at(index)
        if row.hidden:
            return hidden_cells(row.hidden)
        delivery = self._events(row.place) or self._filtered.get(row.place)
        return None if delivery is None else event_cells(delivery, self._zone)
