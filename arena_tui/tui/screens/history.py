"""History: all stored runs, sorted and filtered in the database, one window at a time."""

from __future__ import annotations

from datetime import tzinfo
from typing import Any, ClassVar, Final, NamedTuple, cast

from textual import work
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.widget import Widget
from textual.widgets import Static

from arena_tui.consumers.feed import Frame
from arena_tui.errors import ArenaError
from arena_tui.events import short_id
from arena_tui.folds.result import result_text
from arena_tui.folds.totals import RunTotals, lost_text
from arena_tui.folds.view import PaneState
from arena_tui.store.filters import parse_filter
from arena_tui.store.history import History, SortKey
from arena_tui.tui.render.clean import clean
from arena_tui.tui.render.run import preview
from arena_tui.tui.render.states import LOOKS
from arena_tui.tui.render.text import cost, count, duration, short_count, stamp
from arena_tui.tui.screens.base import FilteredScreen
from arena_tui.tui.screens.confirm import ConfirmScreen
from arena_tui.tui.screens.host import Host
from arena_tui.tui.widgets.question import Question
from arena_tui.tui.widgets.table import Cell, Column, VirtualTable

_PAGE: Final = 200
_REFRESH_S: Final = 2.0
_COLUMNS: Final = (
    Column(name="started", key="started_at", width=14),
    Column(name="game", key="game", width=0),
    Column(name="run", key="run_id", width=4),
    Column(name="agents", key="agents", width=0, least=90),
    Column(name="outcome", key="status", width=0),
    Column(name="turns", key="turns", width=6, right=True),
    Column(name="events", key="events", width=7, right=True, least=70),
    Column(name="tokens", key="input_tokens", width=7, right=True, least=110),
    Column(name="cost", key="cost_usd", width=8, right=True, least=110),
    Column(name="err", key="errors", width=4, right=True),
    Column(name="lost", key="lost", width=5, right=True, least=84),
    Column(name="took", key="duration_s", width=8, right=True, least=84),
)
_SORTS: Final = tuple(column.key for column in _COLUMNS if column.key != "agents")
_EMPTY: Final = """Nothing is stored yet.

Runs appear here as they are played: n starts a game."""


class HistoryScreen(FilteredScreen):
    """The table of stored runs beside a preview of the one under the cursor."""

    DEFAULT_CSS = """
    HistoryScreen {
        #table { height: 1fr; }
        #preview { width: 40; border: round $panel-lighten-2; padding: 0 1; }
        #preview.-hidden { display: none; }
    }
    """
    AWAITED = frozenset({"reload", "pages", "delete"})
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "filter", "filter", key_display="/"),
        Binding("s", "sort", "sort", key_display="s/r"),
        Binding("r", "reverse", "reverse the order", show=False),
        Binding("d", "delete", "delete"),
        Binding("n", "app.new_game", "new game", show=False),
        Binding("escape", "back", "back"),
    ]

    def __init__(self, arena: Host, name: str) -> None:
        super().__init__(arena, name)
        self._pages = _Pages()
        self._loaded_at = float("-inf")

    def body(self) -> list[Widget]:
        table = VirtualTable(_COLUMNS, self._row, _EMPTY, self._pages.run_id)
        beside = VerticalScroll(Static(markup=False), id="preview", can_focus=False)
        return [Horizontal(table, beside, id="table"), Question()]

    def on_mount(self) -> None:
        self.query_one(VirtualTable).focus()
        if self.arena.session.config.db is None:
            self.query_one(VirtualTable).say_when_empty(
                "Nothing is stored: started with --no-store."
            )

    def on_resize(self) -> None:
        self.query_one("#preview").set_class(self.size.width < 140, "-hidden")

    def show_frame(self, frame: Frame) -> None:
        super().show_frame(frame)
        now = self.arena.monotonic()
        if now - self._loaded_at >= _REFRESH_S and self.arena.session.history is not None:
            is_first, self._loaded_at = self._loaded_at == float("-inf"), now
            if is_first:
                self._reload()
            elif self.is_settled:  # else it is being read anyway, and keys wait for that
                self._reload("refresh")

    def on_virtual_table_rows_needed(self, message: VirtualTable.RowsNeeded) -> None:
        self._load(message.first, message.last)

    def on_virtual_table_moved(self) -> None:
        self._preview()

    def on_virtual_table_opened(self, message: VirtualTable.Opened) -> None:
        if message.key is not None:
            self.arena.open_run(message.key)

    def on_virtual_table_header_chosen(self, message: VirtualTable.HeaderChosen) -> None:
        if message.key == self._pages.sort:
            self.action_reverse()
        elif message.key in _SORTS:
            self._pages.sort = cast("SortKey", message.key)
            self._reload()

    def take_filter(self, text: str) -> None:
        self._pages.where = parse_filter(text)
        self._reload()

    def focus_runs(self) -> None:
        self.query_one(VirtualTable).focus()

    def action_sort(self) -> None:
        place = _SORTS.index(self._pages.sort) + 1
        self._pages.sort = cast("SortKey", _SORTS[place % len(_SORTS)])
        self._reload()

    def action_reverse(self) -> None:
        self._pages.descending = not self._pages.descending
        self._reload()

    def action_back(self) -> None:
        question = self.query_one(Question)
        if question.display:
            question.clear()
            self.focus_runs()
        else:
            self.app.pop_screen()

    def action_delete(self) -> None:
        totals = self._pages.totals(self.query_one(VirtualTable).cursor)
        history = self.arena.session.history
        if totals is None or history is None:
            return
        if totals.status == "running" and self.arena.session.is_played(totals.run_id):
            self.notify("it is still being played", severity="warning")
            return
        question = _deleting(totals, self.arena.zone)

        async def delete() -> None:
            try:
                await self.arena.session.delete(totals.run_id)
            except ArenaError as error:
                self.notify(str(error), severity="error")
            self._reload()

        def answered(yes: bool | None) -> None:
            if yes:
                self.run_worker(delete(), group="delete", exit_on_error=False)

        self.app.push_screen(ConfirmScreen(question), answered)

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
        table = self.query_one(VirtualTable)
        pages = self._pages
        while True:
            key, cursor = table.key, table.cursor
            sought = self.sought.run_id(key)
            found = await pages.around(history, sought, cursor, table.visible_rows)
            if found.place is None and sought != key:
                found = await pages.around(history, key, cursor, table.visible_rows)
            if (key, cursor) == (table.key, table.cursor):  # else it was moved meanwhile
                break
        pages.take(found)
        self._loaded_at = self.arena.monotonic()
        filtered = pages.where[0] != "TRUE"
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
        density = await history.density(totals.run_id, width)
        text.update(preview(totals, density, width, self.arena.zone))

    def _row(self, index: int) -> list[Cell] | None:
        totals = self._pages.totals(index)
        if totals is None:
            return None
        silent = totals.status == "running" and self.arena.session.feed.view(totals.run_id) is None
        status: PaneState = "silent" if silent else totals.status
        style = "text" if status == "finished" else LOOKS[status].style  # most of them are
        lost = lost_text(totals.lost, totals.lost_unknown)
        return [
            (stamp(totals.started_at, self.arena.zone)[5:], "dim"),
            (clean(totals.game, 40) or "–", "strong"),
            (clean(short_id(totals.run_id)), "accent"),
            (" vs ".join(clean(agent.id, 24) for agent in totals.agents), "text"),
            (_outcome(totals, status), style),
            (str(totals.turns), "text"),
            (count(totals.events), "text"),
            (short_count(totals.tokens), "text"),
            (cost(totals.cost_usd), "text"),
            (str(totals.errors), "bad" if totals.errors else "dim"),
            (lost, "dim" if lost == "0" else "bad"),
            (duration(totals.duration_s), "dim"),
        ]


class _Found(NamedTuple):
    """What was read of the table: how many runs match, where the wanted one is, and pages."""

    matching: int
    place: int | None
    pages: dict[int, list[RunTotals]]


class _Pages:
    """The table's rows read so far, and the filter and order they were read with.

    Attributes:
        where: SQL condition and its parameters.
        sort, descending: The order.
    """

    def __init__(self) -> None:
        self.where: tuple[str, list[Any]] = ("TRUE", [])
        self.sort: SortKey = "started_at"
        self.descending = True
        self._pages: dict[int, list[RunTotals]] = {}

    def totals(self, index: int) -> RunTotals | None:
        """The run of a row; None until it is read."""
        page = self._pages.get(index // _PAGE, [])
        place = index % _PAGE
        return page[place] if place < len(page) else None

    def run_id(self, index: int) -> str | None:
        """Of a row's run; None until it is read."""
        totals = self.totals(index)
        return None if totals is None else totals.run_id

    async def around(self, history: History, run_id: str | None, row: int, rows: int) -> _Found:
        """Read as many rows on both sides of a run, or of the row it was in if it is gone."""
        while True:
            place = None
            if run_id is not None:
                place = await history.place(
                    run_id, *self.where, sort=self.sort, descending=self.descending
                )
            matching = await history.count(*self.where)
            near = min(row, max(0, matching - 1)) if place is None else place
            pages = await self._read(history, near - rows, near + rows)
            if place is None:
                return _Found(matching, None, pages)
            for page, runs in pages.items():  # it may have moved since
                for index, totals in enumerate(runs):
                    if totals.run_id == run_id:
                        return _Found(matching, page * _PAGE + index, pages)

    def take(self, found: _Found) -> None:
        """Show these rows and no others."""
        self._pages = found.pages

    async def load(self, history: History, first: int, last: int) -> None:
        """Read these rows, keeping the others, unless all were read anew meanwhile."""
        before = self._pages
        read = await self._read(history, first, last)
        if self._pages is before:
            before.update(read)

    async def _read(self, history: History, first: int, last: int) -> dict[int, list[RunTotals]]:
        pages = range(max(0, first) // _PAGE, last // _PAGE + 1)
        return {
            page: await history.runs(
                *self.where, sort=self.sort, descending=self.descending, limit=_PAGE,
                offset=page * _PAGE,
            )
            for page in pages
        }  # fmt: skip


def _deleting(totals: RunTotals, zone: tzinfo | None) -> str:
    """The question: which run it is, told by game, agents and start."""
    agents = " vs ".join(clean(agent.name or agent.id, 24) for agent in totals.agents[:4])
    more = " …" if len(totals.agents) > 4 else ""
    name = f"{clean(totals.game, 40) or 'the run'} · {clean(short_id(totals.run_id))}"
    return (
        f"Delete {name}{f', {agents}{more}' if agents else ''}, "
        f"started {stamp(totals.started_at, zone)}, with its {totals.events:,} events?\n"
        "There is no way back."
    )


def _outcome(totals: RunTotals, status: PaneState) -> str:
    glyph = LOOKS[status].sign
    if status != "finished":
        reason = "" if totals.reason == status else totals.reason
        return f"{glyph} {status}" + (f": {clean(reason, 60)}" if reason else "")
    return f"{glyph} {result_text(totals.agents, totals.outcome, lambda each: clean(each, 24))}"
