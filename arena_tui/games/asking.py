"""Asks an agent what it would play in a position. Plays nothing, and tells nobody."""

from __future__ import annotations

import threading
import time

import msgspec

from arena_tui.errors import UsageError
from arena_tui.games.agents import make_agent, parse_agent
from arena_tui.games.position import Position
from arena_tui.games.protocol import Agent, AgentClosedError
from arena_tui.games.restore import restore
from arena_tui.games.specs import SYNTH
from arena_tui.games.spiel import action_name, turn_order


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What an agent would play.

    Attributes:
        agent: How to make it again, as text.
        actions: The seat, from 0 in turn order, and the action in the game's words; several where
            players move at the same time.
        took_s: How long it chose, in seconds, without the time it takes to set up the game.
    """

    agent: str
    actions: tuple[tuple[int, str], ...]
    took_s: float


class Asking:
    """One question to one agent: `answer` in a thread, `close` from any.

    Args:
        agent: A spec, as `mcts:500`.
        seed: With the same one the same agent gives the same answer, as far as it does.

    Raises:
        UsageError: The spec is none, or the game's players cannot be asked.
    """

    def __init__(self, position: Position, agent: str, seed: int = 0) -> None:
        if position.game == SYNTH:
            raise UsageError("the models of synth are made up and answer nobody: "
                             "ask in a game of open_spiel")  # fmt: skip
        self._spec = parse_agent(agent)
        self._position = position
        self._seed = seed
        self._lock = threading.Lock()
        self._agent: Agent | None = None
        self._closed = False

    def answer(self) -> Answer:
        """What the agent would play; may be called once.

        Raises:
            UsageError: The game cannot be restored, or the agent does not play it.
            ArenaError: The agent fails; as AgentClosedError if `close` was called.
        """
        game, state = restore(self._position)
        agent = make_agent(self._spec, game, self._seed)
        try:
            with self._lock:
                self._agent = agent
                if self._closed:
                    raise AgentClosedError(agent.name)
            order = turn_order(game.rules.new_initial_state(), game.facts.players)
            moving = [state.current_player()]
            if state.is_simultaneous_node():
                moving = [player for player in order if state.legal_actions(player)]
            began = time.perf_counter()
            chosen = [(player, agent.choose(state, player)) for player in moving]
            took_s = time.perf_counter() - began
            actions = tuple(
                (order.index(player), action_name(state, player, action))
                for player, action in chosen
            )
            return Answer(agent=agent.spec, actions=actions, took_s=took_s)
        finally:
            agent.close()

    def close(self) -> None:
        """End it; an `answer` under way then raises AgentClosedError at once."""
        with self._lock:
            self._closed = True
            if self._agent is not None:
                self._agent.close()
