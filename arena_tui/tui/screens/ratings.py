"""Ratings: the standings of each game and of all, live as games end."""

from __future__ import annotations

from typing import ClassVar, Final

from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.widget import Widget
from textual.widgets import Static

from arena_tui.consumers.feed import Frame
from arena_tui.consumers.ratings import LiveRatings
from arena_tui.folds.ratings import Standings
from arena_tui.tui.render.clean import clean
from arena_tui.tui.render.ratings import (
    BAR,
    COLUMNS,
    cells,
    each_against_each,
    head_to_head,
    heading,
    notes,
    tables_of,
)
from arena_tui.tui.render.table import Cell
from arena_tui.tui.screens.base import ArenaScreen
from arena_tui.tui.screens.host import Host
from arena_tui.tui.widgets.table import VirtualTable

_RATE_S: Final = 1.0
"""Least time between two ratings, and"""
_SHARE: Final = 5
"""by how much longer than rating takes: it shares the processor with the games."""

_WIDE: Final = 150
"""From here on, in cells, there is room for each against each."""

_OPENING: Final = "Opening the store …"
_EMPTY: Final = """No game between players has ended yet.

Ratings appear here as games end: n starts one, and
arena-tui play tic_tac_toe mcts:50 random --games 20 plays some."""


class Players(VirtualTable):
    """The rows of a table of players, of which none opens anything."""

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return action != "open" and super().check_action(action, parameters)


class RatingsScreen(ArenaScreen):
    """One table at a time; below it the selected player's opponents, where there is room all
    opponents of all, and what is not sure yet."""

    DEFAULT_CSS = """
    RatingsScreen {
        #heading { height: 1; color: $accent; text-style: bold; }
        #below { display: none; height: 1fr; min-height: 7; }
        #below VerticalScroll { border: round $panel-lighten-2; border-title-color: $text-muted;
                                padding: 0 1; scrollbar-size-vertical: 1; }
        #below VerticalScroll:focus { border: round $accent; }
        #against { width: 32%; }
        #each { display: none; width: auto; }
        #each Static { width: auto; }
        #notes { width: 1fr; }
        &.-rated Players { max-height: 55%; }
        &.-rated #below { display: block; }
        &.-wide #against { width: 20%; }
        &.-wide #each { display: block; }
    }
    """
    AWAITED = frozenset({"first"})
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left,left_square_bracket", "table(-1)", "game before", key_display="←"),
        Binding("right,right_square_bracket", "table(1)", "next game", key_display="→"),
        Binding("n", "app.new_game", "new game", show=False),
        Binding("escape", "back", "back"),
    ]

    def __init__(self, arena: Host, name: str) -> None:
        super().__init__(arena, name)
        self._ratings = LiveRatings()
        self._tables: list[Standings] = []
        self._moved: dict[str, float] = {}
        self._game: str | None = None  # the table chosen; None: the first
        self._rated_at = float("-inf")
        self._took_s = 0.0

    def body(self) -> list[Widget]:
        against = VerticalScroll(Static(markup=False), id="against")
        known = VerticalScroll(Static(markup=False), id="notes")
        each = VerticalScroll(Static(markup=False), id="each")
        each.border_title, known.border_title = "each against each", "how sure this is"
        return [
            Static(id="heading", markup=False),
            Players(COLUMNS, self._row, _OPENING, self._player),
            Horizontal(against, each, known, id="below"),
        ]

    def on_mount(self) -> None:
        self.query_one(VirtualTable).focus()
        if self.arena.session.config.db is None:
            self.query_one(VirtualTable).say_when_empty(_EMPTY)
        self._show()

    def show_frame(self, frame: Frame) -> None:
        super().show_frame(frame)
        now, session = self.arena.monotonic(), self.arena.session
        waits_for_store = session.config.db is not None and session.history is None
        if now - self._rated_at < max(_RATE_S, _SHARE * self._took_s) or waits_for_store:
            return
        is_first = self._rated_at == float("-inf")
        under_way = any(each.node is self and not each.is_finished for each in self.workers)
        if not under_way and (is_first or not session.ratings.is_current):
            self._rated_at = now
            group = "first" if is_first else "later"
            self.run_worker(self._rate(), "rating", group, exit_on_error=False)

    def on_virtual_table_moved(self) -> None:
        self._show_below()

    def on_resize(self) -> None:
        self.set_class(self.size.width >= _WIDE, "-wide")
        self._show_below()

    def action_table(self, step: int) -> None:
        """Show the next table or the one before, in a circle."""
        if self._tables:
            self._game = self._tables[(self._at() + step) % len(self._tables)].game
            self._show()

    def action_back(self) -> None:
        self.app.pop_screen()

    async def _rate(self) -> None:
        began = self.arena.monotonic()
        self._ratings = await self.arena.session.ratings.current()
        self._took_s = self.arena.monotonic() - began
        self._tables = tables_of(self._ratings)
        self.query_one(VirtualTable).say_when_empty(_EMPTY)
        self._show()

    def _at(self) -> int:
        """Which table is shown: the one chosen, or the first."""
        games = [table.game for table in self._tables]
        return games.index(self._game) if self._game in games else 0

    def _table(self) -> Standings:
        return self._tables[self._at()] if self._tables else Standings()

    def _show(self) -> None:
        table, list_of_players = self._table(), self.query_one(VirtualTable)
        text = heading(self._tables, self._at()) if self._tables else ""
        self.query_one("#heading", Static).update(text)
        self.set_class(bool(table.rows), "-rated")
        self._moved = self._ratings.movements(table.game)
        players = [row.player for row in table.rows]
        selected = list_of_players.key
        place = players.index(selected) if selected in players else None
        list_of_players.styles.height = len(players) + 1 if players else "1fr"
        list_of_players.show(len(players), cursor=place)
        self._show_below()

    def _show_below(self) -> None:
        table, cursor = self._table(), self.query_one(VirtualTable).cursor
        if cursor >= len(table.rows):
            return
        row = table.rows[cursor]
        against = self.query_one("#against", VerticalScroll)
        against.border_title = f"{clean(row.player, 24)} against"
        against.query_one(Static).update(head_to_head(row))
        each = each_against_each(table, self.size.width * 2 // 5)
        self.query_one("#each", VerticalScroll).query_one(Static).update(each)
        self.query_one("#notes", VerticalScroll).query_one(Static).update(notes(table, row))

    def _player(self, index: int) -> str | None:
        rows = self._table().rows
        return rows[index].player if index < len(rows) else None

    def _row(self, index: int) -> list[Cell] | None:
        table = self._table()
        if index >= len(table.rows):
            return None
        room = self.query_one(VirtualTable).room_of(BAR)
        return cells(table, index, self._moved.get(table.rows[index].player), room)
