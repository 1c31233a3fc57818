"""What an agent is. Knows neither the kinds there are nor what they are called."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from arena_tui.errors import ArenaError

if TYPE_CHECKING:
    from arena_tui.games.spiel import GameState


class AgentClosedError(ArenaError):
    """The agent of this name was closed while it was choosing."""

    def __init__(self, name: str) -> None:
        super().__init__(f"{name} was closed while it was choosing")


class Agent(Protocol):
    """One seat's player.

    Promises: built from the same seed and asked the same questions in the same order, it gives the
    same answers (an engine: as far as the engine does). `choose` is called from one thread at a
    time. `close` may be called from any thread, more than once; a `choose` under way then raises
    AgentClosedError at once, and later ones do too.
    """

    @property
    def spec(self) -> str:
        """How to make it again, as text."""

    @property
    def name(self) -> str:
        """A short display name."""

    def choose(self, state: GameState, player: int) -> int:
        """One of the player's legal actions; leaves the state as it is."""

    def close(self) -> None:
        """Let go of processes and threads."""
