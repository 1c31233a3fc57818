"""Show only the events of a run that match a filter."""

from __future__ import annotations

import asyncio
from typing import ClassVar, Final

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Static

from arena_tui.errors import FilterError
from arena_tui.folds.event_filter import EXAMPLE, FIELDS, KINDS, Pattern, read_event_filter
from arena_tui.services.playback.player import Player
from arena_tui.store.event_filters import check_patterns
from arena_tui.tui.render.clean import clean
from arena_tui.tui.screens.base import ArenaScreen
from arena_tui.tui.widgets.filter_line import FilterLine
from arena_tui.tui.widgets.panels import RunPanels

_SHOWN_MAX: Final = 12
"""Completions that are named."""


class EventFilterScreen(ModalScreen[None]):
    """Asks for the filter of a run's events, beginning with the present one; esc ends it."""

    DEFAULT_CSS = """
    EventFilterScreen { align: center bottom; background: transparent;
        Vertical { height: auto; margin-bottom: 2; }
        Static { height: 1; padding: 0 1; background: $surface; color: $text-muted;
                 text-wrap: nowrap; text-overflow: ellipsis; }
        Static.-wrong { color: $text-warning; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss", "close")]

    def __init__(self, player: Player) -> None:
        super().__init__()
        self._player = player

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Static(markup=False)
            yield FilterLine(FIELDS, "filter")

    def on_mount(self) -> None:
        if self.app.return_code is not None:  # it is leaving, and has mounted no widgets
            return
        line = self.query_one(FilterLine)
        line.know({"kind": KINDS})
        line.value = self._player.filtered.text
        line.focus()
        self._tell()
        self._load_words()

    def on_input_changed(self) -> None:
        try:
            read_event_filter(self.query_one(FilterLine).value)
        except FilterError as error:
            self._object_to(error)
        else:
            self._tell()

    async def on_input_submitted(self) -> None:
        text = self.query_one(FilterLine).value.strip()
        try:
            clauses = read_event_filter(text)
            if any(isinstance(each, Pattern) for clause in clauses for each in clause.any_of):
                await asyncio.to_thread(check_patterns, clauses)
        except FilterError as error:
            self._object_to(error)
            return
        self._player.filtered.keep(text, clauses)
        self.dismiss()

    def _tell(self) -> None:
        """Say what the last word may become, or what is understood."""
        line = self.query_one(FilterLine)
        line.underline()
        found = line.completions[:_SHOWN_MAX] if line.value else []
        said = "  ".join(found) or EXAMPLE
        self._say(f"{clean(said)}   enter show these only, without a word all   esc close")

    def _object_to(self, error: FilterError) -> None:
        line = self.query_one(FilterLine)
        line.underline(error.start, error.end)
        self._say(clean(str(error)), wrong=True)

    def _say(self, text: str, wrong: bool = False) -> None:
        said = self.query_one(Static)
        said.update(text)
        said.set_class(wrong, "-wrong")

    @work(exit_on_error=False)
    async def _load_words(self) -> None:
        kinds, agents = await self._player.filtered.words()
        if self.is_attached:
            self.query_one(FilterLine).know({"kind": kinds, "agent": agents})


async def filter_events(screen: ArenaScreen, player: Player) -> bool:
    """Ask which events are to be shown."""

    def closed(_: None) -> None:
        at = player.position.at
        screen.post_message(RunPanels.RowsNeeded(at, at, of_turns=False))

    screen.app.push_screen(EventFilterScreen(player), closed)
    return False
