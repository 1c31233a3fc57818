"""Openings: many runs of one game as one summary, and a tree of how they begin to walk through."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Any, ClassVar, Final

from textual import work
from textual.binding import Binding, BindingType
from textual.widget import Widget
from textual.widgets import Static

from arena_tui.errors import ArenaError
from arena_tui.folds.openings import Group, group_runs
from arena_tui.store.openings import MOVES_MAX, RUNS_MAX, read_move, read_openings
from arena_tui.tui.render.clean import clean
from arena_tui.tui.render.openings import COLUMNS, Line, line_cells, lines_of, summary
from arena_tui.tui.render.table import Cell
from arena_tui.tui.screens.base import ArenaScreen, guarded
from arena_tui.tui.screens.host import Host
from arena_tui.tui.widgets.table import VirtualTable

_BOUNDS: Final = f"the first {MOVES_MAX} moves of the newest {RUNS_MAX:,} runs at most"


class OpeningsScreen(ArenaScreen):
    """The summary of the runs under the cursor, above the tree."""

    DEFAULT_CSS = """
    OpeningsScreen {
        #filter { height: 1; padding: 0 1; color: $text-muted; }
        #summary { height: 5; padding: 0 1; }
    }
    """
    AWAITED = frozenset({"opening"})
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("right,l", "unfold", "unfold", key_display="→"),
        Binding("left,h", "fold", "fold", key_display="←"),
        Binding("escape", "back", "back"),
    ]

    def __init__(self, arena: Host, where: str, parameters: Sequence[Any], told: str) -> None:
        """`where` and `parameters` say which runs; `told` is how that is worded."""
        super().__init__(arena, "Openings")
        self._where = where, parameters
        self._told = told
        self._groups: list[Group] = []
        self._unfolded: frozenset[tuple[int, ...]] = frozenset()
        self._lines: list[Line] = []

    def body(self) -> list[Widget]:
        return [
            Static(f"{clean(self._told, 80)}   {_BOUNDS}", id="filter", markup=False),
            Static(id="summary", markup=False),
            VirtualTable(COLUMNS, self._row, "Reading …"),
        ]

    def on_mount(self) -> None:
        self.query_one(VirtualTable).focus()
        self._open()

    def on_virtual_table_moved(self) -> None:
        self._summarise()

    @guarded
    async def on_virtual_table_opened(self, message: VirtualTable.Opened) -> None:
        """Unfold or fold what is chosen; of a leaf, open the newest run where the moves lead."""
        if not 0 <= message.index < len(self._lines):
            return
        chosen = self._lines[message.index]
        if not chosen.is_leaf:
            self._turn(chosen, chosen.path not in self._unfolded)
        elif chosen.node is not None and self.arena.session.history is not None:
            run_id = chosen.node.run_ids[0]
            query = partial(read_move, run_id=run_id, number=max(1, chosen.moves))
            self.arena.open_run(run_id, await self.arena.session.history.read(query))

    def action_unfold(self) -> None:
        """Unfold what is chosen, or go to the first below it."""
        table = self.query_one(VirtualTable)
        if not self._lines or (chosen := self._lines[table.cursor]).is_leaf:
            return
        if chosen.path in self._unfolded:
            table.action_move(1)
        else:
            self._turn(chosen, unfold=True)

    def action_fold(self) -> None:
        """Fold what is chosen, or go to what it is in."""
        table = self.query_one(VirtualTable)
        if not self._lines:
            return
        path = self._lines[table.cursor].path
        if path in self._unfolded:
            self._turn(self._lines[table.cursor], unfold=False)
        elif len(path) > 1:
            above = [line.path for line in self._lines].index(path[:-1])
            table.action_jump_to(above)

    def action_back(self) -> None:
        self.app.pop_screen()

    @work(group="opening", exit_on_error=False)
    async def _open(self) -> None:
        history = self.arena.session.history
        table = self.query_one(VirtualTable)
        if history is None:
            table.say_when_empty("Nothing is stored: started with --no-store.")
            return
        where, parameters = self._where
        query = partial(read_openings, where=where, parameters=parameters)
        try:
            found = await history.read(query)
        except ArenaError:
            table.say_when_empty("The runs could not be read: esc goes back.")
            raise
        self._groups = await asyncio.to_thread(group_runs, found)  # thousands take a while
        if not self._groups:
            table.say_when_empty("No run matches.")
        if len(self._groups) == 1:
            self._unfolded = frozenset({(0,)})
        self._show()

    def _row(self, index: int) -> list[Cell] | None:
        if not 0 <= index < len(self._lines):
            return None
        row = self._lines[index]
        return line_cells(row, row.path in self._unfolded)

    def _turn(self, row: Line, unfold: bool) -> None:
        paths = frozenset({row.path})
        self._unfolded = self._unfolded | paths if unfold else self._unfolded - paths
        self._show()

    def _show(self) -> None:
        self._lines = lines_of(self._groups, self._unfolded)
        table = self.query_one(VirtualTable)
        table.show(len(self._lines))
        table.move_to(table.cursor)
        self._summarise()

    def _summarise(self) -> None:
        cursor = self.query_one(VirtualTable).cursor
        if 0 <= cursor < len(self._lines):
            self.query_one("#summary", Static).update(summary(self._lines[cursor].group))
