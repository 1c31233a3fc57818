"""Deletes a stored run once that was answered with yes."""

from __future__ import annotations

from collections.abc import Callable

from arena_tui.errors import ArenaError
from arena_tui.folds.totals import RunTotals
from arena_tui.tui.render.history import deleting
from arena_tui.tui.screens.base import ArenaScreen
from arena_tui.tui.screens.confirm import ConfirmScreen


def ask_to_delete(screen: ArenaScreen, totals: RunTotals, reload: Callable[[], None]) -> None:
    """Ask whether to delete the run; if so, delete it in the worker group `delete` of the screen,
    and then `reload`."""
    session = screen.arena.session
    if session.history is None:
        return
    if totals.status == "running" and session.is_played(totals.run_id):
        screen.notify("it is still being played", severity="warning")
        return

    async def delete() -> None:
        try:
            await session.delete(totals.run_id)
        except ArenaError as error:
            screen.notify(str(error), severity="error")
        reload()

    def answered(yes: bool | None) -> None:
        if yes:
            screen.run_worker(delete(), group="delete", exit_on_error=False)

    screen.app.push_screen(ConfirmScreen(deleting(totals, screen.arena.zone)), answered)
