"""Fork a run at a turn: which agents play on from there, and how many games."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from msgspec.structs import replace
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static

from arena_tui.broker.protocol import Cursor
from arena_tui.events import short_id
from arena_tui.games.forking import ForkSpec
from arena_tui.games.specs import SYNTH, GameSpec
from arena_tui.services.forking import TurnHere, turn_here
from arena_tui.services.playback.player import Player
from arena_tui.tui.render.forking import board_lines, turn_line
from arena_tui.tui.screens.base import ArenaScreen
from arena_tui.tui.screens.dialog import LineDialog

_OTHER_LINES: Final = 16
"""Of the dialog, beside the board."""


class ForkScreen(LineDialog):
    """The turn and its board above an input for the agents; it closes once the games play."""

    def __init__(self, here: TurnHere, start: Callable[[ForkSpec], Awaitable[str]]) -> None:
        """`start` starts the games and returns the run of the first, or raises ArenaError."""
        super().__init__(
            f"Fork from {turn_line(here)}",
            "enter start  esc close",
            text=_suggestion(here),
            placeholder="the same agents",
            hint="agents: random  mcts:N  minimax:D  uci:PATH; none: the same\n"
            "then games=4 parallel=2 seed=7 delay=0.5 max_turns=100 label=x",
        )
        self._here = here
        self._start = start

    def above(self) -> list[Widget]:
        return [board_of(self, self._here, _OTHER_LINES)]

    async def take(self, text: str) -> None:
        here = self._here
        fork = here.fork(_parsed(here, text))
        run_id = await self._start(fork)
        more = f" and {fork.games - 1} more" if fork.games > 1 else ""
        self.app.notify(f"forked as {here.start.game or 'run'} · {short_id(run_id)}{more}")
        self.dismiss()


def board_of(screen: LineDialog, here: TurnHere, others: int) -> Widget:
    """The board before the turn, for a dialog that has so many other lines."""
    lines = board_lines(here, screen.app.size.height, others)
    return Static(Content("\n").join(lines), classes="board")


async def fork_here(screen: ArenaScreen, player: Player) -> bool:
    """Ask who is to play on from the turn one stands in."""
    here = await standing(screen, player)
    if here is not None:
        screen.app.push_screen(ForkScreen(here, screen.arena.session.games.fork))
    return False


async def standing(screen: ArenaScreen, player: Player) -> TurnHere | None:
    """The turn in which one stands; None, and told, before anything is read.

    Raises:
        UsageError: See `turn_here`.
    """
    delivery = player.delivery()
    if delivery is None:
        screen.notify("this place is still being read: try again", severity="warning")
        return None
    at = Cursor(delivery.epoch, delivery.first_seq)
    return await turn_here(screen.arena.session.runtime, delivery.run_id, at)


def _suggestion(here: TurnHere) -> str:
    """What would play on as it was."""
    agents = here.agents if all(here.agents) else ()
    delay = f" delay={here.delay_s:g}" if here.delay_s else ""
    return " ".join([*agents, "games=1"]) + delay


def _parsed(here: TurnHere, text: str) -> GameSpec:
    """The agents and options of a text, for the game of the turn; raises UsageError."""
    game = here.position.game
    spec = GameSpec.parse(f"{SYNTH if game == SYNTH else 'game'} {text}")
    return replace(spec, game=game)
