"""History: all stored runs, sorted and filtered in the database, one window at a time."""

from __future__ import annotations

from functools import partial
from typing import ClassVar, Final, cast

from textual import on, work
from textual.binding import Binding, BindingType
from textual.containers import Container, VerticalScroll
from textual.widget import Widget
from textual.widgets import Static

from arena_tui.consumers.feed import Frame
from arena_tui.folds.view import Pane
from arena_tui.folds.words import word_of
from arena_tui.store.filters import parse_filter
from arena_tui.store.history import SortKey, read_ids, read_scores
from arena_tui.store.windows import read_board
from arena_tui.tui.pages import Listed, Pages
from arena_tui.tui.render.history import empty_columns, preview, row_cells
from arena_tui.tui.render.table import Cell, Column
from arena_tui.tui.screens.base import FilteredScreen, guarded
from arena_tui.tui.screens.host import Host
from arena_tui.tui.tools import LIST_TOOLS
from arena_tui.tui.widgets.question import Question
from arena_tui.tui.widgets.scores import ScoreLine
from arena_tui.tui.widgets.table import VirtualTable

_REFRESH_S: Final = 2.0
_REST: Final = 5.0
"""Times as long as a read took, nothing is read again by itself."""
_COLUMNS: Final = (
    Column(name="started", key="started_at", width=14, falls=True),
    Column(name="game", key="game", width=0),
    Column(name="run", key="run_id", width=4),
    Column(name="agents", key="agents", width=0, least=76),
    Column(name="outcome", key="status", width=0),
    Column(name="turns", key="turns", width=6, right=True, falls=True),
    Column(name="events", key="events", width=7, right=True, falls=True, least=96),
    Column(name="tokens", key="tokens", width=7, right=True, falls=True, least=100),
    Column(name="cost", key="cost_usd", width=8, right=True, falls=True, least=100),
    Column(name="err", key="errors", width=4, right=True, falls=True),
    Column(name="lost", key="lost", width=5, right=True, falls=True, least=84),
    Column(name="took", key="duration_s", width=8, right=True, falls=True, least=84),
)
_NO_SORT: Final = "agents"
_BESIDE_FROM: Final = 130
"""Columns from which there is room for the run beside the list."""
_BELOW_FROM: Final = 34
"""Lines from which there is room for it below."""
_EMPTY: Final = """Nothing is stored yet.

Runs appear here as they are played: n starts a game."""


class HistoryScreen(FilteredScreen):
    """The table of stored runs beside a preview of the one under the cursor."""

    DEFAULT_CSS = """
    HistoryScreen {
        #table { height: 1fr; }
        #table { layout: horizontal; }
        #preview { width: 44; border: round $panel-lighten-2; padding: 0 1; }
        &.-narrow #table { layout: vertical; }
        &.-narrow #preview { width: 1fr; height: 13; }
        &.-low.-narrow #preview { display: none; }
    }
    """
    AWAITED = frozenset({"reload", "pages", "delete"})
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "filter", "filter", key_display="/"),
        Binding("s", "sort", "sort", key_display="s/r"),
        Binding("r", "sort('', True)", "reverse the order", show=False),
        Binding("dollar_sign", "sort('cost_usd')", "costliest first", show=False),
        *(tool.binding for tool in LIST_TOOLS.values()),
        Binding("n", "app.new_game", "new game", show=False),
        Binding("escape", "back", "back"),
    ]

    def __init__(self, arena: Host, name: str) -> None:
        super().__init__(arena, name)
        self._pages = Pages()
        self._filter = ""
        self._panes: dict[str, Pane] = {}
        self._loaded_at = float("-inf")
        self._refresh_s = _REFRESH_S

    def body(self) -> list[Widget]:
        table = VirtualTable(_COLUMNS, self._row, _EMPTY, self._pages.run_id)
        beside = VerticalScroll(Static(markup=False), id="preview", can_focus=False)
        return [ScoreLine(), Container(table, beside, id="table"), self.question()]

    def on_mount(self) -> None:
        self.query_one(VirtualTable).focus()
        if self.arena.session.config.db is None:
            self.query_one(VirtualTable).say_when_empty(
                "Nothing is stored: started with --no-store."
            )

    def on_resize(self) -> None:
        self.set_class(self.size.width < _BESIDE_FROM, "-narrow")
        self.set_class(self.size.height < _BELOW_FROM, "-low")

    def show_frame(self, frame: Frame) -> None:
        super().show_frame(frame)
        self._panes = {pane.run_id: pane for pane in frame.panes}
        now = self.arena.monotonic()
        if now - self._loaded_at >= self._refresh_s and self.arena.session.history is not None:
            is_first, self._loaded_at = self._loaded_at == float("-inf"), now
            if is_first:
                self._reload()
            elif self.is_settled:  # else it is being read anyway, and keys wait for that
                self._reload("refresh")

    def on_virtual_table_rows_needed(self, message: VirtualTable.RowsNeeded) -> None:
        self._load(message.first, message.last)

    def on_virtual_table_opened(self, message: VirtualTable.Opened) -> None:
        if message.key is not None:
            self.arena.open_run(message.key)

    def on_virtual_table_header_chosen(self, message: VirtualTable.HeaderChosen) -> None:
        self.action_sort(message.key, reverse=message.key == self._pages.sort)

    def take_filter(self, text: str) -> None:
        parse_filter(text)
        self._filter = text.strip()
        self._reload()

    def focus_runs(self) -> None:
        self.query_one(VirtualTable).focus()

    def action_sort(self, key: str = "", reverse: bool = False) -> None:
        """Sort by a column, or the next in sight, in the order in which one expects it first; or
        reverse the order."""
        if reverse:
            self._pages.descending = not self._pages.descending
            self._reload()
            return
        in_sight = [column.key for column, _ in self.query_one(VirtualTable).in_sight()]
        keys = [each for each in in_sight if each != _NO_SORT]
        at = keys.index(self._pages.sort) if self._pages.sort in keys else -1
        chosen = key or keys[(at + 1) % len(keys)]
        if chosen != _NO_SORT:
            self._pages.sort = cast("SortKey", chosen)
            self._pages.descending = next(each.falls for each in _COLUMNS if each.key == chosen)
            self._reload()

    def action_back(self) -> None:
        question = self.query_one(Question)
        if question.display:
            question.clear()
            self.focus_runs()
        else:
            self.app.pop_screen()

    @guarded
    async def action_tool(self, name: str) -> None:
        """Use one of `LIST_TOOLS` here."""
        run = self._pages.totals(self.query_one(VirtualTable).cursor)
        listed = Listed(run, *self._pages.where, self._filter, self._reload)
        await LIST_TOOLS[name].use(self, listed)

    def _reload(self, group: str = "reload") -> None:
        """Read the table anew; keys wait for it, but not for a `refresh`, which none asked for."""
        self.workers.cancel_group(self, "refresh")
        self.run_worker(
            self._read(), "reading the runs", group, exclusive=True, exit_on_error=False
        )

    async def _read(self) -> None:
        """Count the matching runs again, and read what is visible around the run chosen."""
        history = self.arena.session.history
        if history is None:
            return
        table, began = self.query_one(VirtualTable), self.arena.monotonic()
        pages = self._pages
        states = {run_id: word_of(pane) for run_id, pane in self._panes.items()}
        where, values = parse_filter(self._filter, states)
        if self._filter:  # a text is looked for in all events: once
            ids = await history.read(partial(read_ids, where=where, parameters=values))
            where, values = "run_id IN (SELECT unnest(?))", [ids]
        pages.where = where, values
        scores = await history.read(partial(read_scores, where=where, parameters=values))
        while True:
            key, cursor = table.key, table.cursor
            sought = self.sought.run_id(key)
            found = await pages.around(history, sought, cursor, table.visible_rows)
            if found.place is None and sought != key:
                found = await pages.around(history, key, cursor, table.visible_rows)
            if (key, cursor) == (table.key, table.cursor):  # else it was moved meanwhile
                break
        pages.take(found)
        self._loaded_at = now = self.arena.monotonic()
        self._refresh_s = max(_REFRESH_S, _REST * (now - began))
        filtered = bool(self._filter)
        self.query_one(ScoreLine).show(scores, self._filter)
        table.hidden = empty_columns(scores)
        table.say_when_empty("No run matches: esc clears the filter." if filtered else _EMPTY)
        table.show(found.matching, (pages.sort, pages.descending), found.place)
        self.sought.leave(table.key, for_good=not filtered)
        self._preview()

    @work(exclusive=True, group="pages", exit_on_error=False)
    async def _load(self, first: int, last: int) -> None:
        history = self.arena.session.history
        assert history is not None
        await self._pages.load(history, first, last)
        self.query_one(VirtualTable).refresh()
        self._preview()

    @on(VirtualTable.Moved)
    @work(exclusive=True, group="preview", exit_on_error=False)
    async def _preview(self) -> None:
        totals = self._pages.totals(self.query_one(VirtualTable).cursor)
        panel = self.query_one("#preview", VerticalScroll)
        text = panel.query_one(Static)
        history = self.arena.session.history
        if totals is None or history is None or not panel.display:
            text.update("")
            return
        width = max(10, panel.size.width - 2)
        text.update(preview(totals, None, "", width, self.arena.zone))
        density = await history.density(totals.run_id, width)
        board = await history.read(partial(read_board, run_id=totals.run_id))
        text.update(preview(totals, density, board, width, self.arena.zone))

    def _row(self, index: int) -> list[Cell] | None:
        totals = self._pages.totals(index)
        if totals is None:
            return None
        is_marked = totals.run_id in self.arena.marked
        return row_cells(totals, self._panes.get(totals.run_id), self.arena.zone, is_marked)
