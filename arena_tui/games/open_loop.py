"""Open-loop tree search: nodes are sequences of decisions, regardless of chance between them.

Every simulation resamples chance outcomes and hidden information. See Perez et al., "Open Loop
Search for General Video Game Playing" (2015), and for hidden information the single-observer
variant of Cowling et al., "Information Set Monte Carlo Tree Search" (2012).
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

from arena_tui.errors import UsageError
from arena_tui.games.protocol import AgentClosedError
from arena_tui.games.spiel import GameState, LoadedGame, sample_chance

_EXPLORATION = 1.0
_TRUNCATED_ROLLOUT_MAX_MOVES = 40
_ROLLOUT_MAX_MOVES = 1000


class OpenLoopAgent:
    """Plays the most visited action.

    Rollouts are random. In games with intermediate rewards they are truncated after 40 moves and
    scored by the rewards so far.
    """

    def __init__(self, game: LoadedGame, simulations: int, seed: int) -> None:
        self.spec = self.name = f"mcts:{simulations}"
        self._simulations = simulations
        self._random = random.Random(seed)
        self._players = game.facts.players
        self._hidden = not game.facts.perfect_information
        terminal_only = game.facts.terminal_rewards
        self._rollout_moves = _ROLLOUT_MAX_MOVES if terminal_only else _TRUNCATED_ROLLOUT_MAX_MOVES
        self._closed = False

    def choose(self, state: GameState, player: int) -> int:
        root = _Node(self._players)
        for _ in range(self._simulations):
            if self._closed:
                raise AgentClosedError(self.name)
            self._simulate(root, self._determinize(state, player))
        return max(state.legal_actions(player), key=root.visits_of)

    def close(self) -> None:
        self._closed = True

    def _determinize(self, state: GameState, player: int) -> GameState:
        """A copy of the state with everything hidden from the player resampled."""
        if self._hidden:
            return state.resample_from_infostate(player, self._random.random)
        return state.clone()

    def _simulate(self, root: _Node, state: GameState) -> None:
        path, node = [root], root
        while actions := self._actions(state):
            player = state.current_player()
            untried = [action for action in actions if action not in node.children]
            if untried:
                action = self._random.choice(untried)
                node.children[action] = _Node(self._players)
            else:
                action = node.best(actions, player)
            state.apply_action(action)
            node = node.children[action]
            path.append(node)
            if untried:
                break
        for _ in range(self._rollout_moves):
            if not (actions := self._actions(state)):
                break
            state.apply_action(self._random.choice(actions))
        returns = state.returns()
        for node in path:
            node.add(returns)

    def _actions(self, state: GameState) -> list[int]:
        """Sample chance up to the next decision and return what may be decided.

        Nothing at the end, and where nobody can move: the cards that open_spiel redraws of hearts
        may contradict each other.
        """
        while state.is_chance_node():
            state.apply_action(sample_chance(state, self._random))
        return [] if state.is_terminal() else state.legal_actions(state.current_player())


class _Node:
    """Statistics of one sequence of decisions; sums are by player."""

    __slots__ = ("available", "children", "squares", "totals", "visits")

    def __init__(self, players: int) -> None:
        self.children: dict[int, _Node] = {}
        self.visits = 0
        self.available = 0
        self.totals = [0.0] * players
        self.squares = [0.0] * players

    def add(self, returns: Sequence[float]) -> None:
        self.visits += 1
        for player, value in enumerate(returns):
            self.totals[player] += value
            self.squares[player] += value * value

    def visits_of(self, action: int) -> int:
        child = self.children.get(action)
        return child.visits if child else 0

    def best(self, actions: Sequence[int], player: int) -> int:
        """The action with the highest upper confidence bound, scaled to the spread of returns."""
        mean = self.totals[player] / self.visits
        spread = math.sqrt(max(self.squares[player] / self.visits - mean * mean, 1e-9))
        chosen, highest = actions[0], -math.inf
        for action in actions:
            child = self.children[action]
            child.available += 1
            bonus = math.sqrt(math.log(child.available + 1) / child.visits)
            value = child.totals[player] / child.visits + _EXPLORATION * spread * bonus
            if value > highest:
                chosen, highest = action, value
        return chosen


def check_resampling(game: LoadedGame, seed: int) -> None:
    """Check that hidden information can be resampled, which the search depends on.

    Raises:
        UsageError: open_spiel cannot resample this game, or not fast enough.
    """
    if game.facts.name == "bridge":
        raise UsageError(
            "mcts does not apply to bridge: open_spiel takes up to a second for every deal it "
            "draws: use random"
        )
    rng = random.Random(seed)
    state = game.rules.new_initial_state()
    while state.is_chance_node():
        state.apply_action(sample_chance(state, rng))
    try:
        state.resample_from_infostate(state.current_player(), rng.random)
    except RuntimeError:
        raise UsageError(
            f"mcts does not apply to {game.facts.name}: open_spiel cannot redraw its hidden "
            "information: use random"
        ) from None
