"""Parses agent specs and makes the agents they name. Knows nothing of runs.

`random`, `mcts:N` (N simulations per move), `minimax:D` (searches D moves deep), `uci:PATH` (a
chess engine; plain `uci` is the stockfish on PATH).
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Literal

import msgspec

from arena_tui.errors import UsageError
from arena_tui.games.protocol import Agent, AgentClosedError

if TYPE_CHECKING:
    from arena_tui.games.spiel import GameState, LoadedGame

_SPECS_HELP = "write random, mcts:200, minimax:4 or uci:/path/to/engine"
_DEFAULT_AMOUNT = {"mcts": 200, "minimax": 4}
_AMOUNT_MAX = {"mcts": 1_000_000, "minimax": 64}


class AgentSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A parsed spec: `amount` is the simulations or the depth, `path` the engine's executable."""

    kind: Literal["random", "mcts", "minimax", "uci"]
    amount: int = 0
    path: str = ""


class RandomAgent:
    """Picks a legal action uniformly at random."""

    spec = "random"
    name = "random"

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._closed = False

    def choose(self, state: GameState, player: int) -> int:
        if self._closed:
            raise AgentClosedError(self.name)
        return self._random.choice(state.legal_actions(player))

    def close(self) -> None:
        self._closed = True


def parse_agent(text: str) -> AgentSpec:
    """Parse a spec such as `mcts:500`.

    Raises:
        UsageError: The text is not a spec; the message says what to write.
    """
    kind, colon, value = text.strip().partition(":")
    if colon and not value:
        raise UsageError(f"agent {text[:60]!r} has nothing after the colon: {_SPECS_HELP}")
    match kind:
        case "random":
            if colon:
                raise UsageError(f"agent {text[:60]!r}: random takes no number: write random")
            return AgentSpec(kind="random")
        case "mcts" | "minimax":
            amount = _amount(kind, value) if colon else _DEFAULT_AMOUNT[kind]
            return AgentSpec(kind="mcts" if kind == "mcts" else "minimax", amount=amount)
        case "uci":
            return AgentSpec(kind="uci", path=value)
    raise UsageError(f"no agent {text[:60]!r}: {_SPECS_HELP}")


def make_agent(spec: AgentSpec, game: LoadedGame, seed: int) -> Agent:
    """Make the agent for one seat of the game.

    Raises:
        UsageError: The agent does not apply to this game, or its engine is missing.
    """
    from arena_tui.games import mcts, minimax, uci  # noqa: PLC0415  (slow to load)

    match spec.kind:
        case "random":
            return RandomAgent(seed)
        case "mcts":
            return mcts.make_mcts(game, spec.amount, seed)
        case "minimax":
            return minimax.MinimaxAgent(game, spec.amount, seed)
        case "uci":
            return uci.UciAgent(game, spec.path)


def _amount(kind: str, value: str) -> int:
    most = _AMOUNT_MAX[kind]
    if not value.isascii() or not value.isdigit() or not 0 < int(value[:12]) <= most:
        what = "simulations" if kind == "mcts" else "moves to look ahead"
        raise UsageError(
            f"agent '{kind}:{value[:40]}': the number of {what} must be 1 to {most:,}: "
            f"write {kind}:{_DEFAULT_AMOUNT[kind]}"
        )
    return int(value)
