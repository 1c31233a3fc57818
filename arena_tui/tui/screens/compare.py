"""Compare: two runs side by side, one cursor for both; enter opens the run that is chosen."""

from __future__ import annotations

import re
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import Any, ClassVar, Final

from textual import work
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.widget import Widget
from textual.widgets import Input
from textual.worker import Worker

from arena_tui.broker.protocol import Cursor
from arena_tui.consumers.feed import Frame
from arena_tui.errors import ArenaError
from arena_tui.services.side_by_side import SideBySide
from arena_tui.tui.render.clean import clean
from arena_tui.tui.render.compare import COLUMNS, Compared, row_cells
from arena_tui.tui.render.scrubber import Timeline
from arena_tui.tui.render.table import Cell
from arena_tui.tui.screens.base import ArenaScreen, guarded
from arena_tui.tui.screens.host import Host
from arena_tui.tui.widgets.board import BoardPanel
from arena_tui.tui.widgets.compare import ComparedBand
from arena_tui.tui.widgets.question import Question
from arena_tui.tui.widgets.run import Goto, Scrubber
from arena_tui.tui.widgets.table import VirtualTable

_TURN: Final = re.compile(r"(?:t|turn)?\s*([0-9]{1,9})", re.ASCII)
_HINT: Final = "a turn: 17   enter go   esc close"


class CompareScreen(ArenaScreen):
    """Shows a `Comparison`, and reads of it what is in sight."""

    DEFAULT_CSS = """
    CompareScreen {
        #boards { display: none; height: 12; }
        #boards BoardPanel { width: 1fr; }
        #boards BoardPanel.-focused { border-title-color: $accent; }
        &.-boards #boards { display: block; }
        &.-tall #boards { display: block; height: 20; }
    }
    """
    VERTICAL_BREAKPOINTS = [(0, "-low"), (32, "-boards"), (50, "-tall")]  # noqa: RUF012 - as the app's
    NOT_WHILE_WRITING = frozenset({"difference", "side", "by", "ask"})
    AWAITED = frozenset({"opening"})
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("d", "difference(1)", "difference", key_display="d/D", tooltip="next difference"),
        Binding("D", "difference(-1)", "previous difference", show=False),
        Binding("tab,left,right", "side", "other run", key_display="←/→"),
        Binding("g", "ask", "goto", tooltip="go to a turn"),
        Binding("t", "by", "turn/time", tooltip="side by side by turn, or by time"),
        Binding("escape", "back", "back"),
    ]

    def __init__(
        self, arena: Host, first: str, second: str, at: tuple[int, Cursor] | None = None
    ) -> None:
        """See `SideBySide`."""
        super().__init__(arena, "Compare")
        self._runs = SideBySide(arena.session.runtime, first, second, at)
        self._version = -1
        self._has_begun = False
        self._boards_of: tuple[int, int] | None = None

    def body(self) -> list[Widget]:
        prices = self.arena.session.prices
        return [
            ComparedBand(),
            Horizontal(BoardPanel(prices), BoardPanel(prices), id="boards"),
            VirtualTable(COLUMNS, self._row, "Reading …"),
            Scrubber(self.arena.zone, self._runs.turn_of),
            Question(),
        ]

    def on_mount(self) -> None:
        self.query_one(VirtualTable).focus()
        self._open()

    def on_unmount(self) -> None:
        self._runs.close()

    def show_frame(self, frame: Frame) -> None:
        super().show_frame(frame)
        self._runs.grow()
        comparison = self._runs.comparison
        if comparison is None:
            return
        if self._version != comparison.version:
            self._version = comparison.version
            self._read_on()
        self._show()
        index, slices = self.query_one(VirtualTable).cursor, self.query_one(Scrubber).slices
        if self._runs.is_overview_due(index, slices, self.arena.monotonic()):
            _start(self, "overview", partial(
                self._runs.read_overview, index, slices, self.arena.monotonic, self._show
            ))  # fmt: skip

    def on_virtual_table_rows_needed(self, message: VirtualTable.RowsNeeded) -> None:
        if (comparison := self._runs.comparison) is not None:
            _start(self, "rows", partial(
                comparison.load, message.first, message.last, self._show
            ))  # fmt: skip

    def on_virtual_table_moved(self) -> None:
        self._has_begun = True
        self._show()

    @guarded
    async def on_virtual_table_opened(self, message: VirtualTable.Opened) -> None:
        """Open the chosen run where it stands."""
        if self._runs.comparison is not None:
            at = await self._runs.event(message.index)
            self.arena.open_run(self._runs.run_id, at)

    def on_goto(self, message: Goto) -> None:
        """The scrubber is of the chosen run; both move."""
        comparison = self._runs.comparison
        if comparison is not None:
            row = comparison.row_of_place(self._runs.focused, message.place)
            if row is None:
                self.notify("no row is known of that place yet: try again", timeout=2)
            else:
                self.query_one(VirtualTable).action_jump_to(row)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        found, comparison = _TURN.fullmatch(event.value.strip().lower()), self._runs.comparison
        row = None
        if found is not None and comparison is not None:
            row = comparison.row_of_turn(int(found[1]))
        if row is None:
            wrong = "write a number: 17" if found is None else "neither run has that turn"
            self.query_one(Question).object_to(wrong)
        else:
            self.action_back()
            self.query_one(VirtualTable).action_jump_to(row)

    def action_side(self) -> None:
        self._runs.focused = 1 - self._runs.focused
        self._show()

    def action_by(self) -> None:
        """Set the runs side by side by turn, or by time; the cursor stays on its turn."""
        table = self.query_one(VirtualTable)
        self.workers.cancel_group(self, "seek")
        index = self._runs.turn_over(table.cursor)
        self._has_begun = True
        self._show()
        table.move_to(index)
        self._read_on()

    def action_ask(self) -> None:
        self.query_one(Question).ask("go to", _HINT)

    def action_back(self) -> None:
        question = self.query_one(Question)
        if question.display:
            question.clear()
            self.query_one(VirtualTable).focus()
        elif self._runs.seeking is not None:
            self.workers.cancel_group(self, "seek")
        else:
            self.app.pop_screen()

    @work(exclusive=True, group="seek", exit_on_error=False)
    async def action_difference(self, step: int) -> None:
        """Go to the next or previous difference; keys do not wait for it, and esc ends it."""
        table = self.query_one(VirtualTable)
        found = await self._runs.seek(table.cursor, step, self._show)
        if found is None:
            self.notify(f"no {'next' if step > 0 else 'previous'} difference", timeout=2)
        else:
            table.action_jump_to(found)
        self._show()

    @work(group="opening", exit_on_error=False)
    async def _open(self) -> None:
        try:
            comparison = await self._runs.open()
        except ArenaError as error:
            self.notify(str(error), severity="error")
            self.app.pop_screen()
            return
        if len({run.measured.totals.game for run in comparison.runs}) > 1:
            self.notify("these are runs of different games", severity="warning")
        for side, panel in enumerate(self.query(BoardPanel)):
            panel.border_title = f"{'AB'[side]} · {clean(comparison.runs[side].name, 60)}"
        self._version = comparison.version
        self._read_on()

    @work(exclusive=True, group="parting", exit_on_error=False)
    async def _read_on(self) -> None:
        await self._runs.read_on(self._show)

    def _row(self, index: int) -> list[Cell] | None:
        comparison = self._runs.comparison
        if comparison is None:
            return None
        totals = [run.measured.totals for run in comparison.runs]
        return row_cells(comparison.get(index), totals)

    def _show(self) -> None:
        """Show what is known by now, and read what is lacking of it."""
        runs, comparison = self._runs, self._runs.comparison
        if comparison is None or not self.is_mounted:
            return
        table = self.query_one(VirtualTable)
        if not self._has_begun and (begin := runs.beginning()) is not None:
            self._has_begun = True
            table.show(len(comparison.alignment))
            table.move_to(begin)
        table.show(len(comparison.alignment))
        self.query_one(ComparedBand).band = band_of(runs)
        overview = runs.overview()
        density = None if overview is None else overview.density
        self.query_one(Scrubber).show(
            Timeline(density=density, position=runs.position(table.cursor))
        )
        of = table.cursor, comparison.version
        if self.query_one("#boards").display and of != self._boards_of:
            self._boards_of = of
            panels = list(self.query(BoardPanel))
            _start(self, "boards", partial(show_boards, runs, table.cursor, panels))


def _start(
    screen: ArenaScreen, group: str, work: Callable[[], Coroutine[Any, Any, None]]
) -> Worker[None]:
    """Read something in place of what was read before."""
    return screen.run_worker(
        work, f"reading the {group}", group, exclusive=True, exit_on_error=False
    )


async def show_boards(runs: SideBySide, index: int, panels: Sequence[BoardPanel]) -> None:
    """Show the state of both runs after a row; of one that has nothing there, what it had."""
    for panel, instant in zip(panels, await runs.instants(index), strict=True):
        panel.instant = instant or panel.instant


def band_of(runs: SideBySide) -> Compared | None:
    """What is to be said of both."""
    if (comparison := runs.comparison) is None:
        return None
    first, second = (run.measured for run in comparison.runs)
    parting = comparison.parting
    return Compared(
        first=first, second=second, focused=runs.focused, by=comparison.alignment.by,
        parted=parting.found, reach=comparison.turn_of_row(parting.reach - 1),
        done=comparison.is_over and parting.reach >= len(comparison.alignment),
        shared=comparison.alignment.shared, numbered=comparison.numbered,
        seeking=None if runs.seeking is None else comparison.turn_of_row(runs.seeking) or 0,
    )  # fmt: skip
