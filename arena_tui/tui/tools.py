"""What can be done with a run where one stands in it: the only list of these."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from importlib import import_module
from typing import TYPE_CHECKING, Final, NamedTuple

from textual.binding import Binding

if TYPE_CHECKING:
    from arena_tui.services.playback.player import Player
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

    async def use(self, screen: ArenaScreen, player: Player) -> bool:
        """See `source`."""
        module, _, name = self.source.partition(":")
        do: Callable[[ArenaScreen, Player], Awaitable[bool]] = getattr(import_module(module), name)
        return await do(screen, player)


TOOLS: Final = {
    each.name: each
    for each in (
        Tool("m", "bookmark", "arena_tui.tui.screens.marking:toggle_bookmark"),
        Tool("y", "copy the event as JSON", "arena_tui.tui.screens.marking:copy_event"),
        Tool("x", "export this run", "arena_tui.tui.screens.exporting:export_here", "export"),
        Tool("z", "zoom in", "arena_tui.tui.screens.marking:zoom_in"),
        Tool("Z", "zoom out", "arena_tui.tui.screens.marking:zoom_out"),
        Tool("f", "fork from this turn", "arena_tui.tui.screens.forking:fork_here"),
        Tool("w", "what another agent would play here", "arena_tui.tui.screens.asking:ask_here"),
        Tool("p", "parent run", "arena_tui.tui.screens.lineage:open_parent"),
        Tool("P", "runs forked from this", "arena_tui.tui.screens.lineage:open_children"),
    )
}
