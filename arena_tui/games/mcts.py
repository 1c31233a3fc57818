"""Monte-Carlo tree search for any game it applies to, by three searches with one face.

pyspiel's own search for perfect information, its information-set search for hidden information,
and a small open-loop search here for games that pay rewards on the way, which pyspiel's refuses.
"""

from __future__ import annotations

import math
import queue
import random
import threading
from typing import Protocol

from arena_tui.errors import UsageError
from arena_tui.games.agents import Agent, AgentClosedError
from arena_tui.games.spiel import GameState, LoadedGame, load_pyspiel

__all__ = ["OpenLoopAgent", "SearchAgent", "make_mcts"]

_EXPLORATION = 1.4
_MEMORY_MAX_MB = 128
_ROLLOUT_MAX_MOVES = 40


class Bot(Protocol):
    """A search of pyspiel; `step` runs without the GIL."""

    def step(self, state: GameState) -> int: ...


def make_mcts(game: LoadedGame, player: int, simulations: int, seed: int) -> Agent:
    """The tree search that fits the game.

    Raises:
        UsageError: None does.
    """
    facts = game.facts
    if facts.order == "simultaneous":
        raise UsageError(
            f"mcts does not apply to {facts.name}, where players move at the same time: use random"
        )
    if not facts.perfect_information:
        _check_resampling(game, seed)
        return SearchAgent(simulations, _information_set_bot(game, simulations, seed))
    if not facts.terminal_rewards:
        return OpenLoopAgent(game, simulations, seed)
    return SearchAgent(simulations, _bot(game, simulations, seed))


class SearchAgent:
    """A search in C++, run in a thread of its own so that `close` need not wait for it.

    A search that was left behind ends by itself; its thread is a daemon and is never joined.
    """

    def __init__(self, simulations: int, bot: Bot) -> None:
        self.spec = self.name = f"mcts:{simulations}"
        self._bot = bot
        self._answers: queue.SimpleQueue[int | Exception | None] = queue.SimpleQueue()
        self._closed = False

    def choose(self, state: GameState, player: int) -> int:
        if not self._closed:
            name = f"{self.name} search"
            threading.Thread(target=self._search, args=(state.clone(),), name=name,
                             daemon=True).start()  # fmt: skip
            answer = self._answers.get()
            if isinstance(answer, Exception):
                raise answer
            if answer is not None and not self._closed:
                return answer
        raise AgentClosedError(f"{self.name} was closed while it was choosing")

    def close(self) -> None:
        self._closed = True
        self._answers.put(None)

    def _search(self, state: GameState) -> None:
        try:
            self._answers.put(self._bot.step(state))
        except Exception as error:  # noqa: BLE001  (raised again in the thread that waits)
            self._answers.put(error)


class OpenLoopAgent:
    """UCT over the sequence of decisions, drawing chance anew each time; counts all rewards.

    Open-loop search: Perez et al., "Open Loop Search for General Video Game Playing", 2015.
    Rollouts are random and cut after 40 moves, where the rewards so far stand.
    """

    def __init__(self, game: LoadedGame, simulations: int, seed: int) -> None:
        self.spec = self.name = f"mcts:{simulations}"
        self._simulations = simulations
        self._random = random.Random(seed)
        self._players = game.facts.players
        self._closed = False

    def choose(self, state: GameState, player: int) -> int:
        root = _Node()
        for _ in range(self._simulations):
            if self._closed:
                raise AgentClosedError(f"{self.name} was closed while it was choosing")
            self._simulate(root, state.clone())
        actions = state.legal_actions(player)
        return max(actions, key=root.visits_of)

    def close(self) -> None:
        self._closed = True

    def _simulate(self, root: _Node, state: GameState) -> None:
        path, node = [root], root
        while not self._settle_chance(state):
            actions = state.legal_actions(state.current_player())
            untried = [action for action in actions if action not in node.children]
            if untried:
                action = self._random.choice(untried)
                node.children[action] = _Node(state.current_player())
            else:
                action = max(actions, key=node.value_of)
            state.apply_action(action)
            node = node.children[action]
            path.append(node)
            if untried:
                break
        for _ in range(_ROLLOUT_MAX_MOVES):
            if self._settle_chance(state):
                break
            state.apply_action(self._random.choice(state.legal_actions(state.current_player())))
        returns = state.returns()
        for node in path:
            node.add(returns)

    def _settle_chance(self, state: GameState) -> bool:
        """Draw until somebody has to decide; return whether the game is over."""
        while state.is_chance_node():
            actions, weights = zip(*state.chance_outcomes(), strict=True)
            state.apply_action(self._random.choices(actions, weights)[0])
        return state.is_terminal()


class _Node:
    """What is known of one sequence of decisions, for the player who made the last one."""

    def __init__(self, player: int = 0) -> None:
        self.children: dict[int, _Node] = {}
        self.visits = 0
        self._player = player
        self._total = self._square = 0.0

    def add(self, returns: list[float]) -> None:
        value = returns[self._player]
        self.visits += 1
        self._total += value
        self._square += value * value

    def visits_of(self, action: int) -> int:
        child = self.children.get(action)
        return child.visits if child else 0

    def value_of(self, action: int) -> float:
        """Upper confidence bound, on the scale of the returns seen below this node."""
        child = self.children[action]
        mean = self._total / self.visits
        spread = math.sqrt(max(self._square / self.visits - mean * mean, 1e-9))
        bonus = math.sqrt(math.log(self.visits) / child.visits)
        return child._total / child.visits + _EXPLORATION * spread * bonus


def _bot(game: LoadedGame, simulations: int, seed: int) -> Bot:
    pyspiel = load_pyspiel()
    bot: Bot = pyspiel.MCTSBot(
        game.rules, pyspiel.RandomRolloutEvaluator(1, seed), _exploration(game), simulations,
        _MEMORY_MAX_MB, True, seed, False,
    )  # fmt: skip
    return bot


def _information_set_bot(game: LoadedGame, simulations: int, seed: int) -> Bot:
    pyspiel = load_pyspiel()
    kind = game.rules.get_type()
    bot: Bot = pyspiel.ISMCTSBot(
        seed, pyspiel.RandomRolloutEvaluator(1, seed), _exploration(game), simulations,
        use_observation_string=not kind.provides_information_state_string,
        allow_inconsistent_action_sets=True,
    )  # fmt: skip
    return bot


def _exploration(game: LoadedGame) -> float:
    """UCT's constant, on the scale of the game's returns."""
    try:
        scale = max(abs(game.rules.min_utility()), abs(game.rules.max_utility()))
    except RuntimeError:
        scale = 1.0
    return _EXPLORATION * (scale if math.isfinite(scale) and scale > 0 else 1.0)


def _check_resampling(game: LoadedGame, seed: int) -> None:
    """Make sure that hidden information can be drawn anew, which the search lives by."""
    draw = random.Random(seed)
    state = game.rules.new_initial_state()
    while state.is_chance_node():
        actions, weights = zip(*state.chance_outcomes(), strict=True)
        state.apply_action(draw.choices(actions, weights)[0])
    try:
        state.resample_from_infostate(state.current_player(), draw.random)
    except RuntimeError:
        raise UsageError(
            f"mcts does not apply to {game.facts.name}: open_spiel cannot redraw its hidden "
            "information: use random"
        ) from None
