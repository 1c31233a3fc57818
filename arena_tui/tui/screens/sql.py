"""SQL: one query at a time over the store, and the rows it gives."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from functools import partial
from typing import Any, ClassVar, Final

from textual import work
from textual.binding import Binding, BindingType
from textual.widget import Widget
from textual.widgets import Input, Static

from arena_tui.broker.protocol import Cursor
from arena_tui.config import queries_path
from arena_tui.consumers.feed import Frame
from arena_tui.errors import ArenaError, UsageError
from arena_tui.services.answers import FORMATS, delimited, write_answer
from arena_tui.services.asked import Asked
from arena_tui.store.console import Result, read_words, run_sql
from arena_tui.tui.render.clean import clean
from arena_tui.tui.render.sql import EMPTY, EXAMPLES, columns_of, place_in, row_cells, said_of
from arena_tui.tui.render.table import Cell, Column
from arena_tui.tui.screens.base import ArenaScreen, guarded
from arena_tui.tui.screens.host import Host
from arena_tui.tui.widgets.query_line import QueryLine
from arena_tui.tui.widgets.question import Question
from arena_tui.tui.widgets.table import VirtualTable

_log = logging.getLogger(__name__)

_NO_STORE: Final = "Nothing is stored: started with --no-store."
_OPENING: Final = "the store is still being opened: run it again in a moment"
_FILE_HINT: Final = f"name of a new file, in {FORMATS}   enter write   esc close"
_NOTHING: Final = Result(columns=[], rows=[])


class Answer(VirtualTable):
    """The rows of the newest query, which have other columns each time."""

    def show_columns(self, columns: Sequence[Column], count: int) -> None:
        """Show so many rows with these columns, from the first on."""
        self._columns = columns
        self.hidden = frozenset()
        self.move_to(0)
        self.show(count)


class SqlScreen(ArenaScreen):
    """A line for the query, one for what became of it, and a table."""

    DEFAULT_CSS = """
    SqlScreen {
        #said { height: 1; padding: 0 1; color: $text-muted; text-wrap: nowrap;
                text-overflow: ellipsis; }
        #said.-wrong { color: $text-warning; }
    }
    """
    NOT_WHILE_WRITING = frozenset({"edit", "copy", "write", "columns"})
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f5", "run", "run", key_display="f5", tooltip="run the query"),
        Binding("slash", "edit", "query", key_display="/", tooltip="change the query"),
        Binding("y", "copy", "copy", tooltip="copy the rows"),
        Binding("w", "write", "write", tooltip="write the rows to a file"),
        Binding("left", "columns(-1)", "columns", key_display="←→",
                tooltip="columns to the left"),
        Binding("right", "columns(1)", "columns to the right", show=False),
        Binding("escape", "back", "back"),
    ]  # fmt: skip

    def __init__(self, arena: Host, name: str) -> None:
        super().__init__(arena, name)
        self._asked = Asked(queries_path())
        self._found = _NOTHING
        self._hidden = 0
        self._began: float | None = None
        self._number = 0
        self._has_words = False

    def body(self) -> list[Widget]:
        has_store = self.arena.session.config.db is not None
        table = Answer((), self._row, EMPTY if has_store else _NO_STORE)
        query = QueryLine("SELECT …")
        return [query, Static(id="said", markup=False), table, Question()]

    def on_mount(self) -> None:
        self.query_one(QueryLine).focus()

    def show_frame(self, frame: Frame) -> None:
        super().show_frame(frame)
        if not self._has_words and self.arena.session.history is not None:
            self._has_words = True
            self._load_words()
        if self._began is not None:
            running_s = self.arena.monotonic() - self._began
            self._say(f"running for {running_s:.0f} s   esc ends it")

    def on_input_changed(self, event: Input.Changed) -> None:
        line = self.query_one(QueryLine)
        if event.input is line and self._began is None:
            self._say("  ".join(line.completions))

    @guarded
    async def on_input_submitted(self, event: Input.Submitted) -> None:
        if isinstance(event.input, QueryLine):
            self.action_run()
            return
        question = self.query_one(Question)
        if event.value.strip():
            try:
                path = await asyncio.to_thread(write_answer, self._found, event.value.strip())
            except UsageError as error:
                question.object_to(clean(str(error)))
                return
            self.notify(f"{len(self._found.rows):,} rows are in {path}")
        question.clear()
        self.query_one(VirtualTable).focus()

    def on_virtual_table_opened(self, message: VirtualTable.Opened) -> None:
        """Open the run of a row, at the event if it tells one."""
        names = [name for name, _ in self._found.columns]
        row: dict[str, Any] = dict(zip(names, self._found.rows[message.index], strict=True))
        run_id, seq, epoch = row.get("run_id"), row.get("seq"), row.get("epoch")
        if not isinstance(run_id, str):
            self.notify("only a row with a run_id opens a run", severity="warning")
            return
        at = None
        if isinstance(seq, int):
            at = Cursor(epoch if isinstance(epoch, int) else 0, seq)
        self.arena.open_run(run_id, at)

    def action_run(self) -> None:
        """Run the query, in place of one that is running."""
        query = self.query_one(QueryLine).value.strip()
        if not query:
            self._say("nothing is asked yet: write a query, or press up for an earlier one", True)
        elif self.arena.session.config.db is None:
            self._say(_NO_STORE, True)
        elif self.arena.session.history is None:
            self._say(_OPENING, True)
        else:
            self._run(query)

    def action_edit(self) -> None:
        self.query_one(QueryLine).focus()

    @guarded
    async def action_copy(self) -> None:
        found = self._found
        if not found.columns:
            raise UsageError("there are no rows to copy: run a query")
        text = await asyncio.to_thread(delimited, found, "\t")  # it may be some MB
        said = await self.arena.copier.copy(text)
        self.notify(f"{len(found.rows):,} rows as TSV: {said}")

    def action_write(self) -> None:
        if self._found.columns:
            self.query_one(Question).ask("file", _FILE_HINT)
        else:
            self.notify("there are no rows to write: run a query", severity="warning")

    def action_columns(self, step: int) -> None:
        """Leave out one more column on the left, or one less."""
        most = max(0, len(self._found.columns) - 1)
        self._hidden = max(0, min(most, self._hidden + step))
        self.query_one(VirtualTable).hidden = frozenset(map(str, range(self._hidden)))

    def action_back(self) -> None:
        question = self.query_one(Question)
        if question.display:
            question.clear()
            self.query_one(VirtualTable).focus()
        elif self._began is not None:
            self.workers.cancel_group(self, "query")
        else:
            self.app.pop_screen()

    @work(exclusive=True, group="query", exit_on_error=False)
    async def _run(self, query: str) -> None:
        history, self._began = self.arena.session.history, self.arena.monotonic()
        assert history is not None
        self._number = number = self._number + 1
        self._say("running   esc ends it")
        try:
            found = await history.read(partial(run_sql, sql=query))
        except asyncio.CancelledError:
            if self._number == number:  # else another one runs in its place
                self._began = None
                self._say("ended before it was done", True)
            raise
        except ArenaError as error:
            self._began = None
            self._object_to(query, error)
            return
        took_s, self._began = self.arena.monotonic() - self._began, None
        self._show(found)
        self._say(said_of(found, took_s))
        await self._keep(query)

    def _show(self, found: Result) -> None:
        self._found, self._hidden = found, 0
        table = self.query_one(Answer)
        table.say_when_empty("No rows.")
        table.show_columns(columns_of(found), len(found.rows))
        if found.rows:
            table.focus()

    def _object_to(self, query: str, error: ArenaError) -> None:
        line = self.query_one(QueryLine)
        place = place_in(query, error)
        if place is not None and line.value.strip() == query:
            line.focus()
            line.cursor_position = place + len(line.value) - len(line.value.lstrip())
        self._say(clean(str(error)), True)

    async def _keep(self, query: str) -> None:
        try:
            self.query_one(QueryLine).earlier = await asyncio.to_thread(self._asked.add, query)
        except OSError as error:
            _log.warning("cannot keep the query in %s: %s", queries_path(), error)
            self.notify(f"the query is not kept: {error.strerror}", severity="warning")

    @work(group="words", exit_on_error=False)
    async def _load_words(self) -> None:
        """What was asked before, or examples of what can be; and names to complete words to."""
        line, history = self.query_one(QueryLine), self.arena.session.history
        line.earlier = await asyncio.to_thread(self._asked.read) or EXAMPLES[::-1]
        if history is not None:
            tables, columns = await history.read(read_words)
            line.names = [*tables, *columns]

    def _say(self, text: str, wrong: bool = False) -> None:
        said = self.query_one("#said", Static)
        said.update(text)
        said.set_class(wrong, "-wrong")

    def _row(self, index: int) -> list[Cell] | None:
        return row_cells(self._found.rows[index]) if index < len(self._found.rows) else None
