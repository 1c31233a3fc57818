"""The ways to the screen Compare: from a run, and from the list of runs."""

from __future__ import annotations

from contextlib import suppress
from typing import Final

from arena_tui.broker.protocol import Cursor
from arena_tui.errors import UnknownRunError, UsageError
from arena_tui.events import short_id
from arena_tui.folds.totals import RunTotals
from arena_tui.services.comparing import newest_other
from arena_tui.services.forking import parent_of
from arena_tui.services.playback.player import Player
from arena_tui.tui.pages import Listed
from arena_tui.tui.render.clean import clean
from arena_tui.tui.screens.base import ArenaScreen
from arena_tui.tui.screens.compare import CompareScreen
from arena_tui.tui.screens.dialog import LineDialog
from arena_tui.tui.screens.host import Host
from arena_tui.tui.screens.openings import OpeningsScreen
from arena_tui.tui.widgets.table import VirtualTable

_MARKS_MAX: Final = 200


async def mark_run(screen: ArenaScreen, listed: Listed) -> bool:
    """Mark the run under the cursor, or no longer, and go to the next one.

    Raises:
        UsageError: Too many are marked, or there is no run.
    """
    _mark(screen.arena.marked, listed.chosen())
    for table in screen.query(VirtualTable):
        table.refresh()
        table.action_move(1)
    return False


async def compare_runs(screen: ArenaScreen, listed: Listed) -> bool:
    """Compare two runs that are marked, or one with the one under the cursor; more than two as one
    summary.

    Raises:
        UsageError: There are not two to compare.
    """
    arena, run = screen.arena, listed.run
    marked = arena.marked
    if len(marked) > 2:
        where = "run_id IN (SELECT unnest(?))"
        told = f"{len(marked)} marked runs"
        screen.app.push_screen(OpeningsScreen(arena, where, [list(marked)], told))
        return False
    pair = list(dict.fromkeys([*marked, *([] if run is None else [run.run_id])]))[:2]
    if len(pair) < 2:
        raise UsageError("mark a run with space, then choose another one")
    screen.app.push_screen(CompareScreen(arena, pair[0], pair[1]))
    return False


async def open_openings(screen: ArenaScreen, listed: Listed) -> bool:
    """Sum up all runs that are listed."""
    told = listed.told or "all runs"
    screen.app.push_screen(OpeningsScreen(screen.arena, listed.where, listed.parameters, told))
    return False


def _mark(marked: list[str], totals: RunTotals) -> None:
    if totals.run_id in marked:
        marked.remove(totals.run_id)
    elif len(marked) >= _MARKS_MAX:
        raise UsageError(f"{_MARKS_MAX} runs are marked: unmark some, or filter them and press C")
    else:
        marked.append(totals.run_id)


class WithWhichScreen(LineDialog):
    """Asks for the other run."""

    def __init__(self, arena: Host, run_id: str, other: str | None) -> None:
        """`other` is what nothing entered stands for, if anything."""
        newest = "; none: the newest other run of this game" if other is not None else ""
        super().__init__(
            "Compare with which run?",
            "enter compare  esc close",
            placeholder="a run id" if other is None else clean(short_id(other)),
            hint=f"its id, or the beginning or end of it{newest}",
        )
        self._arena = arena
        self._run_id = run_id
        self._other = other

    async def take(self, text: str) -> None:
        wanted, history = text or self._other, self._arena.session.history
        if not wanted:
            return
        if history is not None:
            wanted = (await history.run(wanted)).run_id
        if wanted == self._run_id:
            raise UsageError("that is this run itself: give another")
        app = self.app
        self.dismiss()
        app.push_screen(CompareScreen(self._arena, self._run_id, wanted))


async def compare_here(screen: ArenaScreen, player: Player) -> bool:
    """Compare the run with its parent, else with one that is marked, else ask with which."""
    delivery, arena = player.delivery(), screen.arena
    if delivery is None:
        screen.notify("this place is still being read: try again", severity="warning")
        return False
    here = Cursor(delivery.epoch, delivery.first_seq)
    parent = await parent_of(arena.session.runtime, delivery.run_id)
    marked = [each for each in arena.marked if each != delivery.run_id]
    if parent is not None:
        at = None if parent[1] is None else (0, parent[1])
        screen.app.push_screen(CompareScreen(arena, parent[0], delivery.run_id, at))
    elif marked:
        screen.app.push_screen(CompareScreen(arena, delivery.run_id, marked[-1], (0, here)))
    else:
        history = arena.session.history
        other = None
        if history is not None:
            with suppress(UnknownRunError):
                other = await newest_other(history, await history.run(delivery.run_id))
        screen.app.push_screen(WithWhichScreen(arena, delivery.run_id, other))
    return False
