"""Walk from a run to the one it is forked from, and to those that are forked from it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from arena_tui.folds.totals import RunTotals
from arena_tui.services.forking import children_of, parent_of
from arena_tui.services.playback.player import Player
from arena_tui.tui.render.forking import child_line
from arena_tui.tui.screens.base import ArenaScreen
from arena_tui.tui.screens.host import Host


class ChildrenScreen(ModalScreen[None]):
    """A list of runs, one of which is opened."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss", "close")]

    def __init__(self, arena: Host, runs: Sequence[RunTotals]) -> None:
        super().__init__(classes="dialog")
        self._arena = arena
        self._runs = runs

    def compose(self) -> ComposeResult:
        lines = (Content(child_line(run, self._arena.zone)) for run in self._runs)
        with Vertical(classes="box"):
            yield Static("Forked from this run", classes="title", markup=False)
            yield OptionList(*map(Option, lines))
            yield Static("enter open  esc close", classes="answers", markup=False)

    def on_mount(self) -> None:
        if self.app.return_code is None:  # else it is leaving, and has mounted no widgets
            self.query_one(OptionList).focus()

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        self.dismiss()
        self._arena.open_run(self._runs[event.option_index].run_id)


async def open_parent(screen: ArenaScreen, player: Player) -> bool:
    """Open the run this one is forked from, where it was."""
    session = screen.arena.session
    if (run_id := _shown(player)) is not None:
        parent = await parent_of(session.runtime, run_id)
        if parent is None:
            screen.notify("this run has no parent: it was played from its beginning")
        else:
            screen.arena.open_run(*parent)
    return False


async def open_children(screen: ArenaScreen, player: Player) -> bool:
    """Open the run that is forked from this one, or ask which of several."""
    session, run_id = screen.arena.session, _shown(player)
    if session.history is None:
        screen.notify("forks are looked up in a store, and none is open here", severity="warning")
    elif run_id is not None:
        children = await children_of(session.history, run_id)
        if len(children) > 1:
            screen.app.push_screen(ChildrenScreen(screen.arena, children))
        elif children:
            screen.arena.open_run(children[0].run_id)
        else:
            screen.notify("no stored run is forked from this one: f forks it")
    return False


def _shown(player: Player) -> str | None:
    """The run, once anything of it is read."""
    delivery = player.delivery()
    return None if delivery is None else delivery.run_id
