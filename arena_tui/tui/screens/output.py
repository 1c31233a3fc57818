"""Output: all that a script prints, to scroll and to search."""

from __future__ import annotations

from typing import ClassVar, Final

from textual.binding import Binding, BindingType
from textual.widget import Widget
from textual.widgets import Input, Static

from arena_tui.consumers.feed import Frame
from arena_tui.services.scripts.output import Output
from arena_tui.services.scripts.scripts import ScriptPane
from arena_tui.tui.render.clean import clean
from arena_tui.tui.render.script import Rows, counted_lines, script_name, script_state
from arena_tui.tui.render.table import Cell, Column
from arena_tui.tui.screens.base import ArenaScreen, guarded
from arena_tui.tui.screens.host import Host
from arena_tui.tui.widgets.question import Question
from arena_tui.tui.widgets.table import VirtualTable

_COLUMNS: Final = (Column(name="", key="text", width=0),)
_HINT: Final = "a text to look for   enter find   then n next, N previous   esc close"


class _Lines(VirtualTable):
    """Rows of text, of which none can be opened."""

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return action != "open" and super().check_action(action, parameters)


class OutputScreen(ArenaScreen):
    """The lines of one script; the last one is followed as long as it is selected."""

    DEFAULT_CSS = "OutputScreen #script { height: 1; padding: 0 1; text-style: bold; }"
    NOT_WHILE_WRITING = frozenset({"search", "other", "again"})
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "search", "find", key_display="/"),
        Binding("n", "find(1)", "next match", show=False),
        Binding("N", "find(-1)", "previous match", show=False),
        Binding("left,h", "other(-1)", "previous script", key_display="←/→", show=False),
        Binding("right,l", "other(1)", "next script", show=False),
        Binding("r", "again", "run again", tooltip="run the script again"),
        Binding("escape,o", "back", "back", key_display="esc"),
    ]

    def __init__(self, arena: Host, number: int) -> None:
        """`number` is the script's."""
        super().__init__(arena, "Output")
        self._number = number
        self._output: Output | None = None
        self._rows = Rows(1)
        self._needle = ""
        self._told = ""

    def body(self) -> list[Widget]:
        lines = _Lines(_COLUMNS, self._row, "nothing printed")
        return [Static(id="script", markup=False), lines, Question()]

    def on_mount(self) -> None:
        self.query_one(VirtualTable).focus()
        super().on_mount()

    def on_resize(self) -> None:
        self._output = None  # all rows are to be cut anew
        self._read()

    def show_frame(self, frame: Frame) -> None:
        super().show_frame(frame)
        self._read()
        if (script := self._script()) is None:
            return
        count = counted_lines(script.count)
        told = f"{script_state(script)}   {script_name(script)}   {count}"
        if told != self._told:
            self._told = told
            self.query_one("#script", Static).update(told)
            self.refresh_bindings()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action == "again" and ((script := self._script()) is None or script.state == "running"):
            return False
        return super().check_action(action, parameters)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        self._needle = event.value.strip()
        self.action_back()
        if self._needle:
            self.action_find(-1)

    def action_search(self) -> None:
        self.query_one(Question).ask("search", _HINT)

    def action_find(self, step: int) -> None:
        """Go to the next row with the text, `step` rows on from the selected one."""
        if not self._needle:
            return
        table = self.query_one(VirtualTable)
        found = self._rows.find(self._needle, table.cursor + step, step)
        if found is None:
            self.notify(f"{clean(self._needle, 40)} does not occur", severity="warning")
        else:
            table.action_jump_to(found)

    def action_other(self, step: int) -> None:
        numbers = [each.number for each in self.arena.session.script_panes()]
        if self._number in numbers:
            self._number = numbers[(numbers.index(self._number) + step) % len(numbers)]
            self.show_frame(self.arena.session.frame)

    @guarded
    async def action_again(self) -> None:
        await self.arena.session.scripts.start_again(self._number)

    def action_back(self) -> None:
        question = self.query_one(Question)
        if question.display:
            question.clear()
            self.query_one(VirtualTable).focus()
        else:
            self.app.pop_screen()

    def _script(self) -> ScriptPane | None:
        panes = self.arena.session.script_panes()
        return next((each for each in panes if each.number == self._number), None)

    def _read(self) -> None:
        """Show what was printed meanwhile."""
        output = self.arena.session.scripts.output(self._number)
        if output is None:  # cleared: what is shown stays
            return
        table = self.query_one(VirtualTable)
        is_new = output is not self._output
        if is_new:
            self._output, self._rows = output, Rows(table.size.width - 1)
        follows = is_new or table.cursor >= len(self._rows) - 1
        if self._rows.read(output):
            count = len(self._rows)
            table.show(count)
            if follows:
                table.move_to(count - 1)

    def _row(self, index: int) -> list[Cell] | None:
        return [(self._rows[index], "text")] if index < len(self._rows) else None
