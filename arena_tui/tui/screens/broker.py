"""Broker: how full every buffer is, who is behind, and what was lost."""

from __future__ import annotations

from typing import ClassVar, Final

from textual.binding import Binding, BindingType
from textual.widget import Widget

from arena_tui.broker.stats import StoreSeen
from arena_tui.consumers.feed import Frame
from arena_tui.folds.conditions import Condition, read_conditions
from arena_tui.folds.gauges import RunGauge
from arena_tui.services.panel import ConsumerGauge, Panel
from arena_tui.tui.render.broker import (
    CONSUMERS,
    GAUGE,
    MINUTE,
    RUN_FIELDS,
    RUNS,
    consumer_cells,
    lines_of,
    run_cells,
    run_matches,
    seen_cells,
    verdict,
    warning_lines,
)
from arena_tui.tui.render.clean import clean
from arena_tui.tui.render.table import Cell
from arena_tui.tui.screens.base import FilteredScreen
from arena_tui.tui.screens.host import Host
from arena_tui.tui.widgets.lines import Line, Lines
from arena_tui.tui.widgets.question import Question
from arena_tui.tui.widgets.table import VirtualTable

_WARNINGS: Final = 3
_CONSUMERS_SHARE: Final = 3
"""The consumers take a third of the screen's rows at most."""

_TALL: Final = 30


class BrokerScreen(FilteredScreen):
    """Consumers above, runs below, and under these the store, the server and the loop."""

    DEFAULT_CSS = """
    BrokerScreen {
        #consumers { height: 4; }
        #runs { height: 1fr; }
        #lines { margin-top: 1; }
    }
    """
    FIELDS = RUN_FIELDS
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("tab", "app.focus_next", "other table"),
        Binding("slash", "filter", "filter", key_display="/"),
        Binding("n", "app.new_game", "new game", show=False),
        Binding("escape", "back", "back"),
    ]

    def __init__(self, arena: Host, name: str) -> None:
        super().__init__(arena, name)
        self._panel = Panel()
        self._consumers: list[ConsumerGauge | StoreSeen] = []
        self._runs: list[RunGauge] = []
        self._lags: dict[str, int] = {}
        self._of: str | None = None  # the consumer whose runs are shown by lag
        self._conditions: list[Condition] = []

    def body(self) -> list[Widget]:
        consumers = VirtualTable(CONSUMERS, self._consumer_row, keys=self._consumer_key)
        runs = VirtualTable(RUNS, self._run_row, "No runs.", keys=self._run_key)
        consumers.id, runs.id = "consumers", "runs"
        return [
            Lines("verdict"), consumers, Lines("of"), runs, self.question(), Lines("lines"),
        ]  # fmt: skip

    def on_mount(self) -> None:
        self.focus_runs()
        super().on_mount()

    def show_frame(self, frame: Frame) -> None:
        super().show_frame(frame)
        panel = self.arena.session.runtime.instruments.panel
        if panel is not self._panel:
            self._panel = panel
            self._show()

    def on_resize(self) -> None:
        self._show()

    def on_virtual_table_opened(self, message: VirtualTable.Opened) -> None:
        kind, _, key = (message.key or "").partition(" ")
        if kind == "run":
            self.arena.open_run(key)
        elif kind == "consumer":
            self._of = key
            self._show()
            self.focus_runs()

    def take_filter(self, text: str) -> None:
        self._conditions = read_conditions(text, self.FIELDS)
        self._show()

    def focus_runs(self) -> None:
        self.query_one("#runs").focus()

    def selected_run(self) -> str | None:
        return self.query_one("#runs", VirtualTable).key

    def action_back(self) -> None:
        """Drop the filter, then the consumer looked at, then leave."""
        if self.query_one(Question).display:
            self.query_one(Question).clear()
            self.focus_runs()
        elif self._of is not None:
            self._of = None
            self._show()
        else:
            self.app.pop_screen()

    def _show(self) -> None:
        panel = self._panel
        self._consumers = [*panel.consumers, *panel.elsewhere]
        if self._of not in [gauge.info.name for gauge in panel.consumers]:
            self._of = None
        self._lags = {}
        if self._of is not None:
            self._lags = self.arena.session.runtime.running(self._of).lags()
        runs = [each for each in panel.runs if run_matches(each, self._conditions)]
        if self._of is not None:
            runs.sort(key=lambda run: -self._lags.get(run.run_id, 0))
        self._runs = runs
        self._show_tables()
        self._show_lines()

    def _show_tables(self) -> None:
        consumers = self.query_one("#consumers", VirtualTable)
        runs = self.query_one("#runs", VirtualTable)
        most = max(3, self.size.height // _CONSUMERS_SHARE)
        consumers.styles.height = 1 + max(1, min(most, len(self._consumers)))
        for table, keys in (
            (consumers, [self._consumer_key(at) for at in range(len(self._consumers))]),
            (runs, [self._run_key(at) for at in range(len(self._runs))]),
        ):
            place = keys.index(table.key) if table.key in keys else None
            table.show(len(keys), cursor=place)
        of = f"runs by lag of {clean(self._of, 60)} · esc shows them by trouble" if self._of else ""
        self.query_one("#of", Lines).show([Line("", of, "accent")])

    def _show_lines(self) -> None:
        self.query_one("#verdict", Lines).show([verdict(self._panel)])
        warnings = self._panel.broker.warnings if self._panel.broker else ()
        most = _WARNINGS if self.size.height >= _TALL else 1
        told = warning_lines(warnings, most, self.arena.zone)
        self.query_one("#lines", Lines).show([*lines_of(self._panel), *told])

    def _consumer_key(self, index: int) -> str | None:
        if index >= len(self._consumers):
            return None
        each = self._consumers[index]
        return f"store {each.name}" if isinstance(each, StoreSeen) else f"consumer {each.info.name}"

    def _run_key(self, index: int) -> str | None:
        return f"run {self._runs[index].run_id}" if index < len(self._runs) else None

    def _consumer_row(self, index: int) -> list[Cell] | None:
        if index >= len(self._consumers):
            return None
        each = self._consumers[index]
        table = self.query_one("#consumers", VirtualTable)
        if isinstance(each, StoreSeen):
            capacity = self._panel.broker.capacity if self._panel.broker else 1
            return seen_cells(each, capacity, self._panel, table.room_of(GAUGE))
        return consumer_cells(each, table.room_of(GAUGE), table.room_of(MINUTE))

    def _run_row(self, index: int) -> list[Cell] | None:
        if index >= len(self._runs):
            return None
        run = self._runs[index]
        table = self.query_one("#runs", VirtualTable)
        lag = run.lag if self._of is None else self._lags.get(run.run_id, 0)
        return run_cells(run, lag, table.room_of(GAUGE), table.room_of(MINUTE))
