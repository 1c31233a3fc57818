"""Alpha-beta search over pyspiel's states, for deterministic two-player zero-sum games.

At the depth limit, games in `_PIECE_VALUES` are evaluated by material, others by random rollouts.
Not open_spiel's own `minimax`, which always plays the first of equal moves, so that a seed changes
nothing, sees no difference between a win now and one later, and cannot be closed in mid-search.
"""

from __future__ import annotations

import math
import random

from arena_tui.errors import UsageError
from arena_tui.games.protocol import AgentClosedError
from arena_tui.games.spiel import GameState, LoadedGame

_CHESS = {"p": 1.0, "n": 3.0, "b": 3.0, "r": 5.0, "q": 9.0}
_CHESS |= {piece.upper(): -value for piece, value in _CHESS.items()}
_PIECE_VALUES = {
    "chess": _CHESS,
    "crazyhouse": _CHESS,
    "breakthrough": {"b": 1.0, "w": -1.0},
    "checkers": {"o": 1.0, "8": 2.0, "+": -1.0, "*": -2.0},
}
_CLEAR_LEAD = 8.0
_ROLLOUTS = 2
_ROLLOUT_MAX_MOVES = 200
_EVALUATION_WEIGHT = 0.9
_EARLY_END_WEIGHT = 0.001


class MinimaxAgent:
    """Searches `depth` moves deep; picks among equally good moves at random.

    Raises:
        UsageError: Minimax does not apply to the game.
    """

    def __init__(self, game: LoadedGame, depth: int, seed: int) -> None:
        _check_applies(game)
        self.spec = self.name = f"minimax:{depth}"
        self._depth = depth
        self._random = random.Random(seed)
        self._max_utility = max(abs(game.rules.min_utility()), abs(game.rules.max_utility()), 1e-9)
        self._game = game.facts.name
        self._closed = False

    def choose(self, state: GameState, player: int) -> int:
        actions = state.legal_actions(player)
        self._random.shuffle(actions)
        chosen, best = actions[0], -math.inf
        for action in actions:
            value = self._search(state.child(action), player, self._depth - 1, best, math.inf)
            if value > best:
                chosen, best = action, value
        return chosen

    def close(self) -> None:
        self._closed = True

    def _search(
        self, state: GameState, player: int, depth: int, alpha: float, beta: float
    ) -> float:
        """The state's value for the player, -1 to 1, exact only between alpha and beta."""
        if self._closed:
            raise AgentClosedError(self.name)
        if state.is_terminal():
            return state.returns()[player] / self._max_utility * (1 + _EARLY_END_WEIGHT * depth)
        if depth <= 0:
            return _EVALUATION_WEIGHT * self._evaluate(state, player)
        if state.current_player() == player:
            for action in state.legal_actions():
                alpha = max(
                    alpha, self._search(state.child(action), player, depth - 1, alpha, beta)
                )
                if alpha >= beta:
                    break
            return alpha
        for action in state.legal_actions():
            beta = min(beta, self._search(state.child(action), player, depth - 1, alpha, beta))
            if alpha >= beta:
                break
        return beta

    def _evaluate(self, state: GameState, player: int) -> float:
        if self._game in _PIECE_VALUES:
            return material_balance(self._game, str(state), player)
        return self._rollout(state, player)

    def _rollout(self, state: GameState, player: int) -> float:
        """Mean result of a few random rollouts from the state."""
        total = 0.0
        for _ in range(_ROLLOUTS):
            game = state.clone()
            for _ in range(_ROLLOUT_MAX_MOVES):
                if game.is_terminal():
                    total += game.returns()[player] / self._max_utility
                    break
                game.apply_action(self._random.choice(game.legal_actions()))
        return total / _ROLLOUTS


def material_balance(game: str, text: str, player: int) -> float:
    """The player's material lead, -1 to 1, from open_spiel's text of the position."""
    board = text.partition(" ")[0]
    if "\n" in board:
        board = "".join(row[1:] for row in board.splitlines())
    ahead = sum(value * board.count(piece) for piece, value in _PIECE_VALUES[game].items())
    return math.tanh((ahead if player == 0 else -ahead) / _CLEAR_LEAD)


def _check_applies(game: LoadedGame) -> None:
    facts = game.facts
    reasons = {
        "players move at the same time": facts.order == "simultaneous",
        f"it has {facts.players} player{'s' * (facts.players != 1)}, not 2": facts.players != 2,
        "it hides information": not facts.perfect_information,
        "chance has a part in it": not facts.deterministic,
        "one player's gain is not the other's loss": not facts.zero_sum,
        "it pays rewards on the way": not facts.terminal_rewards,
    }
    for reason, holds in reasons.items():
        if holds:
            sequential = facts.order == "sequential"
            instead = "use mcts:200 or random" if sequential else "use random"
            raise UsageError(f"minimax does not apply to {facts.name}: {reason}: {instead}")
