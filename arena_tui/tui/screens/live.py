"""Live: every run at once, as panes, or as a table when there are too many."""

from __future__ import annotations

from typing import ClassVar, Final

from msgspec.structs import replace
from textual.binding import Binding, BindingType
from textual.widget import Widget
from textual.widgets import ContentSwitcher, Input, Static

from arena_tui.consumers.feed import Frame
from arena_tui.folds.conditions import Condition, read_conditions
from arena_tui.folds.facts import LIVE_FIELDS
from arena_tui.services.scripts.scripts import ScriptPane
from arena_tui.tui.render.clean import clean
from arena_tui.tui.render.mosaic import (
    SORTS,
    Tile,
    key_of,
    lay_out,
    matches,
    order,
    script_matches,
    with_scripts,
)
from arena_tui.tui.render.pane import loss_text, state_style_name, state_text, title_text
from arena_tui.tui.render.script import script_name, script_state, script_style_name, shown_line
from arena_tui.tui.render.table import Cell, Column
from arena_tui.tui.render.text import cost_text, count, duration, short_count
from arena_tui.tui.rewinding import Rewinding
from arena_tui.tui.screens.base import FilteredScreen, guarded
from arena_tui.tui.screens.costs import CostsScreen
from arena_tui.tui.screens.host import Host
from arena_tui.tui.screens.output import OutputScreen
from arena_tui.tui.widgets.bars import TitleBar
from arena_tui.tui.widgets.mosaic import Mosaic
from arena_tui.tui.widgets.question import Question
from arena_tui.tui.widgets.table import VirtualTable

_EMPTY: Final = """No games are being played.

  n        start a game here
  2        look at past runs

Your own agents show here, too: arena-tui --play agent.py"""

_NO_MATCH: Final = "No run matches: esc clears the filter"

_COLUMNS: Final = (
    Column(name="run", key="run", width=0),
    Column(name="state", key="state", width=18),
    Column(name="agents", key="agents", width=0, least=70),
    Column(name="turn", key="turn", width=5, right=True),
    Column(name="ev/s", key="rate", width=7, right=True),
    Column(name="tokens", key="tokens", width=8, right=True, least=100),
    Column(name="cost", key="cost", width=8, right=True, least=100),
    Column(name="err", key="err", width=4, right=True),
    Column(name="lag", key="lag", width=6, right=True, least=60),
    Column(name="lost", key="lost", width=7, right=True, least=110),
    Column(name="idle", key="idle", width=7, right=True, least=90),
)
_NAMES_MAX: Final = 4
_TABLE_FROM: Final = 3
"""The mosaic becomes a table at more than this many screenfuls of panes."""


class LiveScreen(FilteredScreen):
    """The mosaic of all live runs."""

    FIELDS = LIVE_FIELDS
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("n", "app.new_game", "new game"),
        Binding("o", "output", "output", tooltip="what the script prints"),
        Binding("r", "again", "run again", tooltip="run the script again"),
        Binding("space", "past('hold')", "freeze"),
        Binding("end", "past('now')", "now", show=False, tooltip="show what is now", priority=True),
        Binding("p", "past('play')", "play"),
        Binding("comma", "past('move', -5)", "back", key_display=",", tooltip="5 s back"),
        Binding("full_stop", "past('move', 5)", "on", key_display=".", tooltip="5 s on"),
        Binding("less_than_sign", "past('move', -60)", "a minute back", show=False),
        Binding("greater_than_sign", "past('move', 60)", "a minute on", show=False),
        Binding("right_square_bracket", "past('speed', 1)", "faster", show=False),
        Binding("left_square_bracket", "past('speed', -1)", "slower", show=False),
        Binding("slash", "filter", "filter", key_display="/"),
        Binding("s", "sort", "sort"),
        Binding("t", "table", "table"),
        Binding("dollar_sign", "costs", "costs", key_display="$", show=False),
        Binding("c", "clear", "clear finished", show=False),
        Binding("escape", "back", "clear the filter", key_display="esc"),
    ]

    def __init__(self, arena: Host, name: str) -> None:
        super().__init__(arena, name)
        self._frame = Frame()
        self._scripts: tuple[ScriptPane, ...] = ()
        self._panes: list[Tile] = []
        self._shown: object = None
        self._sort = SORTS[0]
        self._needle = ""
        self._conditions: list[Condition] = []
        self.past = Rewinding(self)
        self._want_table = False
        self._offered = (False, False)  # the keys for output, and to run a script again

    def body(self) -> list[Widget]:
        def key(index: int) -> str | None:
            return key_of(self._panes[index]) if index < len(self._panes) else None

        def row(index: int) -> list[Cell] | None:
            return _row(self._panes[index]) if index < len(self._panes) else None

        mosaic = Mosaic()
        table = VirtualTable(_COLUMNS, row, keys=key)
        mosaic.id, table.id = "mosaic", "table"
        empty = Static(_EMPTY, id="empty", markup=False)
        return [ContentSwitcher(empty, mosaic, table, initial="empty"), self.question()]

    def show_frame(self, frame: Frame) -> None:
        super().show_frame(frame)
        title = self.query_one(TitleBar)
        self.past.tick()
        if self.past.at is None:
            self._frame = frame
            self._scripts = self.arena.session.script_panes()
            size, selected = self.query_one(ContentSwitcher).size, self.selected_run()
            shown = (frame.panes, self._scripts, size, selected, self.arena.low_bandwidth)
            if shown != self._shown:
                self._shown = shown
                self._show_panes()
            title.badge = f"filter: {clean(self._needle)}" if self._needle else ""
            self.tells_of = self.runs_in_sight()
        else:
            if any(self.past.shown(each) is not each for each in self._panes):
                self._show_panes()
            title.badge = self.past.badge
            self.tells_of, self._shown = (), None

    def on_mosaic_opened(self, message: Mosaic.Opened) -> None:
        _open(self, message.pane)

    def on_virtual_table_opened(self, message: VirtualTable.Opened) -> None:
        opened = [pane for pane in self._panes if key_of(pane) == message.key]
        if opened:
            _open(self, opened[0])

    def take_filter(self, text: str) -> None:
        self._conditions = read_conditions(text, self.FIELDS)
        self._needle = text.strip()
        self._show_panes()

    def focus_runs(self) -> None:
        shown = self.query_one(ContentSwitcher).visible_content
        if shown is not None and shown.can_focus:
            shown.focus()

    def selected_run(self) -> str | None:
        current = self.query_one(ContentSwitcher).current
        if current != "mosaic":
            return super().selected_run() if current == "table" else None
        pane = self.query_one(Mosaic).selected
        return None if pane is None else key_of(pane)

    def selected_script(self) -> ScriptPane | None:
        """The script under the cursor; None where a run is."""
        selected = self.selected_run()
        return next((each for each in self._scripts if each.key == selected), None)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action == "back":
            return any(question.display for question in self.query(Question))
        if action == "past" and parameters[0] != "hold":  # else end goes to the end of the list
            return self.past.at is not None and not isinstance(self.focused, Input)
        if action in ("output", "again"):
            return self._offered[action == "again"]
        return super().check_action(action, parameters)

    def action_past(self, what: str, amount: int = 0) -> None:
        """Hold what is shown, go to another time, or show what is now; see `Rewinding.do`."""
        was_live = self.past.at is None
        self.past.do(what, amount)
        if was_live and self.past.at is not None:
            self._frame = replace(self._frame, panes=self.past.panes)
            self._show_panes()

    def on_unmount(self) -> None:
        self.past.go_live()

    def action_back(self) -> None:
        self.query_one(Question).clear()
        self.focus_runs()

    def action_sort(self) -> None:
        self._sort = SORTS[(SORTS.index(self._sort) + 1) % len(SORTS)]
        self.notify(f"sorted by {self._sort}", timeout=2)
        self._show_panes()

    def action_table(self) -> None:
        self._want_table = not self._want_table
        self._show_panes()

    def action_costs(self) -> None:
        self.app.push_screen(CostsScreen(self.arena))

    def action_clear(self) -> None:
        self.arena.session.clear()

    def action_output(self) -> None:
        """Show what the selected script prints, or the newest."""
        _open(self, self.selected_script() or self._scripts[-1])

    @guarded
    async def action_again(self) -> None:
        if (script := self.selected_script()) is not None:
            await self.arena.session.scripts.start_again(script.number)

    def _show_panes(self) -> None:
        panes = [pane for pane in self._frame.panes if matches(pane, self._conditions)]
        scripts = [each for each in self._scripts if script_matches(each, self._conditions)]
        mosaic, table = self.query_one(Mosaic), self.query_one(VirtualTable)
        switcher = self.query_one(ContentSwitcher)
        before = switcher.current
        at = self.selected_run()
        sought = self.sought.run_id(at)
        tiles = with_scripts(order(panes, self._sort), scripts)
        self._panes = [self.past.shown(each) for each in tiles]
        ids = [key_of(pane) for pane in self._panes]
        selected = sought if sought in ids else at
        place = ids.index(selected) if selected in ids else None
        grid = lay_out(len(self._panes), *switcher.size)
        crowded = grid is None or len(self._panes) > _TABLE_FROM * grid.capacity
        shown = "table" if self._want_table or crowded else "mosaic"
        if not self._panes:
            shown = "empty"
            text = _NO_MATCH if self._frame.panes or self._scripts else _EMPTY
            if (empty := self.query_one("#empty", Static)).content != text:
                empty.update(text)
        if switcher.current != shown:
            switcher.current = shown
            if not self.query_one(Input).has_focus:
                self.focus_runs()
        if shown == "mosaic":
            mosaic.low_bandwidth = self.arena.low_bandwidth
            mosaic.show(self._panes, place)
        elif shown == "table":
            table.show(len(self._panes), cursor=place)
        if place is not None and (before, shown) == ("table", "mosaic"):
            mosaic.choose(place)
        elif place is not None and (before, shown) == ("mosaic", "table") and mosaic.is_chosen:
            table.action_jump_to(place)
        self.sought.leave(self.selected_run(), for_good=not self._conditions)
        script, offered = self.selected_script(), self._offered
        self._offered = bool(self._scripts), script is not None and script.state != "running"
        if self._offered != offered:
            self.refresh_bindings()


def _open(screen: LiveScreen, pane: Tile) -> None:
    """Open the run, or the output of the script."""
    if isinstance(pane, ScriptPane):
        screen.app.push_screen(OutputScreen(screen.arena, pane.number))
    else:
        screen.past.open_run(pane.run_id)


def _row(pane: Tile) -> list[Cell]:
    if isinstance(pane, ScriptPane):
        blank = ("", "dim")
        last = shown_line(pane.lines[-1]) if pane.lines else ""
        state = (script_state(pane), script_style_name(pane))
        return [(script_name(pane), "strong"), state, (last, "dim"), *[blank] * 8]
    names = [clean(agent.name or agent.id, 24) for agent in pane.agents]
    more = f" +{len(names) - _NAMES_MAX}" if len(names) > _NAMES_MAX else ""
    players = " vs ".join(names[:_NAMES_MAX]) + more
    return [
        (title_text(pane), "strong"),
        (state_text(pane), state_style_name(pane)),
        (players, "text"),
        (str(pane.turn), "text"),
        (f"{pane.rate:.1f}" if pane.is_live else "–", "dim"),
        (short_count(pane.tokens), "text"),
        (cost_text(pane.cost), "text"),
        (str(pane.errors), "bad" if pane.errors else "dim"),
        (count(pane.lag), "dim"),
        (loss_text(pane), "bad"),
        (duration(pane.idle_s) if pane.is_live else "–", "dim"),
    ]
