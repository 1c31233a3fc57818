"""Costs: what the session costs, and which run, agent, model or game it goes to."""

from __future__ import annotations

from typing import ClassVar, Final

from msgspec.structs import replace
from textual.binding import Binding, BindingType
from textual.widget import Widget
from textual.widgets import Static

from arena_tui.consumers.feed import GROUPS, Frame, Group
from arena_tui.folds.costs import SessionCost, Spent
from arena_tui.folds.view import Pane
from arena_tui.tui.render.costs import BAR, COLUMNS, cells, heading, legend, session_text
from arena_tui.tui.render.pane import title_text
from arena_tui.tui.render.table import Cell
from arena_tui.tui.screens.base import ArenaScreen
from arena_tui.tui.screens.host import Host
from arena_tui.tui.widgets.table import VirtualTable

_EVERY_S: Final = 1.0
_EMPTY: Final = """No model has answered yet.

Answers show here with their tokens and cost as agents record them:
run.llm_response(text, model=…, input_tokens=…, output_tokens=…, cost_usd=…)"""


class _Rows(VirtualTable):
    """The dearest first; only runs can be opened."""

    of_runs = True

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return (action != "open" or self.of_runs) and super().check_action(action, parameters)


class CostsScreen(ArenaScreen):
    """One table at a time, below the session's cost, rate and projection."""

    DEFAULT_CSS = """
    CostsScreen {
        #session { height: 2; margin-top: 1; }
        #group { height: 1; margin-top: 1; }
        #legend { height: 1; color: $text-muted; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left,left_square_bracket,h", "group(-1)", "table before", key_display="←"),
        Binding("right,right_square_bracket,l", "group(1)", "next table", key_display="→"),
        Binding("escape,dollar_sign", "back", "back", key_display="esc"),
    ]

    def __init__(self, arena: Host) -> None:
        super().__init__(arena, "Costs")
        self._group: Group = "run"
        self._spent: list[Spent] = []
        self._panes: dict[str, Pane] = {}
        self._frame = Frame()
        self._session = SessionCost()
        self._shown_at = float("-inf")

    def body(self) -> list[Widget]:
        def key(index: int) -> str | None:
            return self._spent[index].name if index < len(self._spent) else None

        return [
            Static(id="session", markup=False),
            Static(id="group", markup=False),
            _Rows(COLUMNS, self._row, _EMPTY, key),
            Static(id="legend", markup=False),
        ]

    def on_mount(self) -> None:
        self.query_one(VirtualTable).focus()
        super().on_mount()

    def show_frame(self, frame: Frame) -> None:
        super().show_frame(frame)
        self._frame = frame
        if self.arena.monotonic() - self._shown_at >= _EVERY_S:
            self._show()

    def on_virtual_table_opened(self, message: VirtualTable.Opened) -> None:
        if message.key is not None:
            self.arena.open_run(message.key)

    def action_group(self, step: int) -> None:
        """Show the next table or the one before, in a circle."""
        self._group = GROUPS[(GROUPS.index(self._group) + step) % len(GROUPS)]
        rows = self.query_one(_Rows)
        rows.of_runs = self._group == "run"
        rows.move_to(0)
        self.refresh_bindings()
        self._show()

    def action_back(self) -> None:
        self.app.pop_screen()

    def _show(self) -> None:
        """Show what was spent by now; the cursor stays on its row."""
        self._shown_at = self.arena.monotonic()
        feed, table = self.arena.session.feed, self.query_one(_Rows)
        used, selected = feed.spent(), table.key
        self._session = replace(self._frame.cost, total=used.cost)  # as of now, as the rows are
        self._spent = feed.spent_by(self._group)
        self._panes = {pane.run_id: pane for pane in self._frame.panes}
        self.query_one("#session", Static).update(session_text(self._session, used))
        self.query_one("#group", Static).update(heading(self._group))
        self.query_one("#legend", Static).update(legend(used.cost))
        names = [row.name for row in self._spent]
        place = names.index(selected) if selected in names else None
        table.show(len(names), ("cost", True), place)

    def _row(self, index: int) -> list[Cell] | None:
        if index >= len(self._spent):
            return None
        row = self._spent[index]
        pane = self._panes.get(row.name) if self._group == "run" else None
        name = "" if pane is None else title_text(pane)
        room = self.query_one(_Rows).room_of(BAR)
        return cells(row, self._group, name, self._session.total, room)
