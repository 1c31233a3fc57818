"""The screens that a key, the title line and the palette lead to: the only list of them."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from textual.screen import Screen


class Tab(NamedTuple):
    """One of these screens.

    Attributes:
        key: The key that leads there.
        name: As on the title line and in the palette; also the `name` of the screen.
        description: For the palette.
        source: `module:class`, an `ArenaScreen`; imported when it is first opened.
    """

    key: str
    name: str
    description: str
    source: str

    @property
    def label(self) -> str:
        """`1 Live`."""
        return f"{self.key} {self.name}"

    def open(self, arena: object) -> Screen[None]:
        """Make the screen, for this `Host`."""
        module, _, name = self.source.partition(":")
        make: Callable[[object, str], Screen[None]] = getattr(import_module(module), name)
        return make(arena, self.name)


TABS: Final = (
    Tab("1", "Live", "Watch what is being played now", "arena_tui.tui.screens.live:LiveScreen"),
    Tab("2", "History", "Look at stored runs", "arena_tui.tui.screens.history:HistoryScreen"),
    Tab("3", "Broker", "See who is slow, and what was lost",
        "arena_tui.tui.screens.broker:BrokerScreen"),
    Tab("4", "SQL", "Ask the store in SQL", "arena_tui.tui.screens.sql:SqlScreen"),
    Tab("5", "Ratings", "Compare the players", "arena_tui.tui.screens.ratings:RatingsScreen"),
)  # fmt: skip
"""The first is the start, and stays below all others."""
