"""Deletes a stored run once that was answered with yes."""

from __future__ import annotations

from arena_tui.errors import ArenaError, UsageError
from arena_tui.tui.pages import Listed
from arena_tui.tui.render.history import deleting
from arena_tui.tui.screens.base import ArenaScreen
from arena_tui.tui.screens.confirm import ConfirmScreen


async def delete_run(screen: ArenaScreen, listed: Listed) -> bool:
    """Ask whether to delete the run under the cursor; if so, delete it in the worker group `delete`
    of the screen, and read the list anew. It is marked no longer.

    Raises:
        UsageError: There is none, or no store.
    """
    session, marked = screen.arena.session, screen.arena.marked
    if session.history is None:
        raise UsageError("nothing is stored here to delete: start without --no-store")
    totals = listed.chosen()
    if totals.status == "running" and session.is_played(totals.run_id):
        screen.notify("it is still being played", severity="warning")
        return False

    async def delete() -> None:
        try:
            await session.delete(totals.run_id)
        except ArenaError as error:
            screen.notify(str(error), severity="error")
        else:
            if totals.run_id in marked:
                marked.remove(totals.run_id)
        listed.reload()

    def answered(yes: bool | None) -> None:
        if yes:
            screen.run_worker(delete(), group="delete", exit_on_error=False)

    screen.app.push_screen(ConfirmScreen(deleting(totals, screen.arena.zone)), answered)
    return False
