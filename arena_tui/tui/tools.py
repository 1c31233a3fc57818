"""What can be done with a run where one stands in it, and with a list of runs: the only lists."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from importlib import import_module
from typing import TYPE_CHECKING, Final, NamedTuple

from textual.binding import Binding

if TYPE_CHECKING:
    from arena_tui.services.playback.player import Player
    from arena_tui.tui.pages import Listed
    from arena_tui.tui.screens.base import ArenaScreen


class Tool(NamedTuple):
    """One of these.

    Attributes:
        key, name: The key, and what it does, for the help; also names it in `TOOLS`.
        source: `module:function`, imported when it is first used: it is given the screen and the
            player, and returns whether the marks of the run have changed. What it raises as an
            ArenaError is shown.
        label: For the line of keys; "" where it is not to be in that.
    """

    key: str
    name: str
    source: str
    label: str = ""

    @property
    def binding(self) -> Binding:
        action = f"tool({self.name!r})"
        return Binding(self.key, action, self.label or self.name, show=bool(self.label),
                       tooltip=self.name)  # fmt: skip

    async def use(self, screen: ArenaScreen, of: Player | Listed) -> bool:
        """See `source`."""
        module, _, name = self.source.partition(":")
        do: Callable[..., Awaitable[bool]] = getattr(import_module(module), name)
        return await do(screen, of)


TOOLS: Final = {
    each.name: each
    for each in (
        Tool("m", "bookmark", "arena_tui.tui.screens.marking:toggle_bookmark"),
        Tool("M", "note at this event", "arena_tui.tui.screens.noting:note_here"),
        Tool("T", "tag this run", "arena_tui.tui.screens.noting:tag_run"),
        Tool("B", "bookmarks, notes and tags", "arena_tui.tui.screens.noting:list_marks"),
        Tool("u", "copy the address of the event", "arena_tui.tui.screens.marking:copy_address"),
        Tool("y", "copy the event as JSON", "arena_tui.tui.screens.marking:copy_event"),
        Tool("Y", "copy what the inspector shows", "arena_tui.tui.screens.marking:copy_shown"),
        Tool("x", "export this run", "arena_tui.tui.screens.exporting:export_here"),
        Tool("z", "zoom in", "arena_tui.tui.screens.marking:zoom_in"),
        Tool("Z", "zoom out", "arena_tui.tui.screens.marking:zoom_out"),
        Tool("h", "list of hits", "arena_tui.tui.screens.hits:list_hits"),
        Tool("vertical_line", "show some events only",
             "arena_tui.tui.screens.filtering:filter_events"),
        Tool("f", "fork from this turn", "arena_tui.tui.screens.forking:fork_here"),
        Tool("w", "what another agent would play here", "arena_tui.tui.screens.asking:ask_here"),
        Tool("c", "compare with a run", "arena_tui.tui.screens.comparing:compare_here"),
        Tool("p", "parent run", "arena_tui.tui.screens.lineage:open_parent"),
        Tool("P", "runs forked from this", "arena_tui.tui.screens.lineage:open_children"),
    )
}  # fmt: skip

LIST_TOOLS: Final = {
    each.name: each
    for each in (
        Tool("space", "mark the run", "arena_tui.tui.screens.comparing:mark_run", "mark"),
        Tool("c", "compare two runs", "arena_tui.tui.screens.comparing:compare_runs", "compare"),
        Tool("C", "openings of all runs shown", "arena_tui.tui.screens.comparing:open_openings"),
        Tool("x", "export this run", "arena_tui.tui.screens.exporting:export_run", "export"),
        Tool("X", "export all runs shown", "arena_tui.tui.screens.exporting:export_all"),
        Tool("d", "delete", "arena_tui.tui.screens.deleting:delete_run", "delete"),
        Tool("F", "search all runs", "arena_tui.tui.screens.hits:search_all", "search"),
    )
}
"""What can be done with the runs of a list, or the one under its cursor: instead of the player each
is given what is `Listed`."""
