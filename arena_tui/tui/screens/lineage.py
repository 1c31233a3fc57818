"""Walk from a run to the one it is forked from, and to those that are forked from it."""

from __future__ import annotations

from collections.abc import Sequence

from arena_tui.folds.totals import RunTotals
from arena_tui.services.forking import children_of, parent_of
from arena_tui.services.playback.player import Player
from arena_tui.tui.render.forking import child_line
from arena_tui.tui.screens.base import ArenaScreen
from arena_tui.tui.screens.host import Host
from arena_tui.tui.screens.list_dialog import ListDialog


class ChildrenScreen(ListDialog):
    """A list of runs, one of which is opened."""

    def __init__(self, arena: Host, runs: Sequence[RunTotals]) -> None:
        lines = [child_line(run, arena.zone) for run in runs]

        def choose(index: int) -> None:
            arena.open_run(runs[index].run_id)

        super().__init__("Forked from this run", lines, "enter open  esc close", choose)


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
