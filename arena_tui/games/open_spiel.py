"""Plays one open_spiel game to its end, emitting it to a `Run`. Knows nothing of brokers.

Any sequential, simultaneous or chance game, with any number of players. Each turn emits a
`turn_start` with the serialised position, an `observation` with the board, and an `action` with its
`action_result` (one pair per player who moves); each series of chance outcomes emits a
`world_mutation`; the end emits the final board and the outcome.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Sequence
from typing import Literal

from arena_tui.errors import UsageError
from arena_tui.events import AgentInfo
from arena_tui.games.agents import AgentSpec, make_agent, parse_agent
from arena_tui.games.boards import board_text, seat_names
from arena_tui.games.cards import chance_text
from arena_tui.games.position import Position
from arena_tui.games.protocol import Agent, AgentClosedError
from arena_tui.games.restore import restore
from arena_tui.games.specs import DEFAULT_MAX_TURNS, Played, derive_seed, turn_cap
from arena_tui.games.spiel import (
    CHANCE_PLAYER,
    GameState,
    action_name,
    load_game,
    sample_chance,
    serialize,
    turn_order,
)
from arena_tui.producers.run import Run

_LEGAL_ACTIONS_MAX = 256
_SUMMARY_MAX_CHARS = 72


class Match:
    """A game with an agent in every seat; can be played once.

    Where the rules fix who moves first, the first agent does. A single agent plays every seat;
    without agents, all seats play at random. The same seed gives the same game.

    Args:
        start: Where it goes on; None: it is played from its beginning.

    Attributes:
        game: The loaded game.
        agents: The agents as events name them, in the order given.

    Raises:
        UsageError: The game cannot be played with these agents; the message says why.
        MissingExtraError: open_spiel is not installed.
    """

    def __init__(
        self, game: str, agents: Sequence[str] = (), seed: int = 0, start: Position | None = None
    ) -> None:
        specs = [parse_agent(agent) for agent in agents]
        if start is None:
            self.game = load_game(game, len(specs), derive_seed(seed, "rules"))
            self._state = initial = self.game.rules.new_initial_state()
        else:
            self.game, self._state = restore(start)
            initial = self.game.rules.new_initial_state()
        players = self.game.facts.players
        if len(specs) < 2:
            specs = (specs or [AgentSpec(kind="random")]) * players
        elif len(specs) != players:
            raise UsageError(f"{game} has {players} players, not {len(specs)}: give it {players} "
                             "agents, or 1 that plays every seat")  # fmt: skip
        self._turns_before = 0 if start is None else start.turn - 1
        self._turn_order = turn_order(initial, players)
        self._agent_by_player: dict[int, Agent] = {}
        self._random = random.Random(derive_seed(seed, "chance"))
        try:
            for player, spec in zip(self._turn_order, specs, strict=True):
                seat_seed = derive_seed(seed, "seat", player)
                self._agent_by_player[player] = make_agent(spec, self.game, seat_seed)
        except BaseException:
            self.close()
            raise
        self.agents = self._agent_infos()
        self._id_by_player = {
            player: info.id for player, info in zip(self._turn_order, self.agents, strict=True)
        }

    def close(self) -> None:
        """Close the agents; callable from any thread. A running `play` then ends as stopped."""
        for agent in list(self._agent_by_player.values()):
            agent.close()

    def play(
        self,
        run: Run,
        max_turns: int = DEFAULT_MAX_TURNS,
        delay_s: float = 0.0,
        stop: threading.Event | None = None,
    ) -> Played:
        """Play to the end, the turn cap or the stop event; emits everything up to `run_end`.

        Waits `delay_s` between turns, or until the stop event. `close` in another thread ends it
        promptly, even during a long search.
        """
        stop = stop or threading.Event()
        turn, reason = self._turns_before, None
        try:
            while not self._resolve_chance(run, stop):
                if stop.is_set():
                    reason = "stopped"
                elif turn >= max_turns:
                    reason = turn_cap(max_turns)
                if reason:
                    break
                turn += 1
                self._take_turn(run, turn)
                if delay_s > 0:
                    stop.wait(delay_s)
        except AgentClosedError:
            reason = "stopped"
        finally:
            self.close()
        return self._end(run, turn, reason)

    def _take_turn(self, run: Run, turn: int) -> None:
        state, position = self._state, serialize(self.game.rules, self._state)
        if state.is_simultaneous_node():
            run.turn(turn, state=position)
            run.observation(board_text(state))
            self._move_together(run)
        else:
            player = state.current_player()
            legal = [action_name(state, player, action) for action in state.legal_actions(player)]
            cut = len(legal) > _LEGAL_ACTIONS_MAX
            run.turn(turn, player=self._id_by_player[player], state=position)
            run.observation(board_text(state), legal_actions=legal[:_LEGAL_ACTIONS_MAX],
                            data={"legal_actions": len(legal)} if cut else None)  # fmt: skip
            self._move(run, player)

    def _move(self, run: Run, player: int) -> None:
        state, before = self._state, str(self._state)
        action = self._agent_by_player[player].choose(state, player)
        run.action(action_name(state, player, action))
        _check_legal(state, player, action)
        state.apply_action_with_legality_check(action)
        run.result(changed=str(state) != before, reward=_reward(state, player))

    def _move_together(self, run: Run) -> None:
        state, before = self._state, str(self._state)
        players = range(self.game.facts.players)
        moving = [player for player in players if state.legal_actions(player)]
        chosen = dict.fromkeys(players, 0)
        for player in moving:
            chosen[player] = self._agent_by_player[player].choose(state, player)
            _check_legal(state, player, chosen[player])
        names = {player: action_name(state, player, chosen[player]) for player in moving}
        state.apply_actions_with_legality_checks(list(chosen.values()))
        changed = str(state) != before
        for player in moving:
            run.action(names[player], agent_id=self._id_by_player[player])
            run.result(
                changed=changed, reward=_reward(state, player), agent_id=self._id_by_player[player]
            )

    def _resolve_chance(self, run: Run, stop: threading.Event) -> bool:
        """Sample chance up to the next decision or the end; return whether the game is over."""
        drawn: list[str] = []
        while self._state.is_chance_node() and not stop.is_set():
            action = sample_chance(self._state, self._random)
            name = action_name(self._state, CHANCE_PLAYER, action)
            drawn.append(chance_text(self.game.facts.name, name))
            self._state.apply_action(action)
        if drawn:
            run.mutation(None, _summary(drawn), f"chance: {_summary(drawn)}")
        return self._state.is_terminal()

    def _end(self, run: Run, turn: int, reason: str | None) -> Played:
        run.observation(board_text(self._state))
        outcome = self._outcome()
        status: Literal["finished", "stopped"] = "stopped" if reason else "finished"
        run.end(outcome=outcome, status=status, reason=reason)
        return Played(status=status, turns=turn, outcome=outcome, reason=reason)

    def _outcome(self) -> dict[str, float]:
        try:
            returns = self._state.returns()
        except RuntimeError:
            return {}
        return {
            self._id_by_player[player]: float(returns[player]) + 0.0 for player in self._turn_order
        }

    def _agent_infos(self) -> list[AgentInfo]:
        agents = [self._agent_by_player[player] for player in self._turn_order]
        seats = seat_names(self.game.facts.name, self.game.facts.players)
        names = [agent.name for agent in agents]
        return [
            AgentInfo(id=_unique(names, index), spec=agent.spec,
                      name=f"{agent.name} {seats[player]}".strip())
            for index, (player, agent) in enumerate(zip(self._turn_order, agents, strict=True))
        ]  # fmt: skip


def _unique(names: Sequence[str], index: int) -> str:
    name = names[index]
    return name if names.count(name) == 1 else f"{name}#{names[: index + 1].count(name)}"


def _check_legal(state: GameState, player: int, action: int) -> None:
    """Reject an illegal action: some games accept one silently, others read out of bounds."""
    if action not in state.legal_actions(player):
        raise ValueError(f"player {player} chose action {action}, which is not legal here")


def _reward(state: GameState, player: int) -> float | None:
    try:
        return float(state.rewards()[player]) + 0.0
    except (RuntimeError, IndexError):
        return None


def _summary(names: Sequence[str]) -> str:
    text = "; ".join(names)
    if len(text) <= _SUMMARY_MAX_CHARS:
        return text
    cut = text[:_SUMMARY_MAX_CHARS].rpartition("; ")[0] or text[:_SUMMARY_MAX_CHARS]
    return f"{cut}; … ({len(names)} in all)"
