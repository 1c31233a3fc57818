"""Monte Carlo tree search for sequential games.

Uses pyspiel's search where possible, and the open-loop search for games with hidden information,
where pyspiel's is not reproducible (it depends on hash-table order, which differs between
processes), and for games with intermediate rewards, which pyspiel's rejects.
"""

from __future__ import annotations

import atexit
import math
import queue
import random
import threading
from collections import Counter
from collections.abc import Callable
from typing import Protocol

from arena_tui.errors import UsageError
from arena_tui.games.open_loop import OpenLoopAgent, check_resampling
from arena_tui.games.protocol import Agent, AgentClosedError
from arena_tui.games.spiel import GameState, LoadedGame, load_pyspiel, sample_chance

_EXPLORATION = 1.4
_MEMORY_MAX_MB = 128
_MOVES_PER_TREE = 200_000
"""Rollout moves per tree; one second at 5 µs per move."""


class Bot(Protocol):
    """A search of pyspiel; `step` releases the GIL."""

    def step(self, state: GameState) -> int: ...


def make_mcts(game: LoadedGame, simulations: int, seed: int) -> Agent:
    """Make the tree search that suits the game.

    Raises:
        UsageError: No tree search applies to it.
    """
    facts = game.facts
    if facts.order == "simultaneous":
        raise UsageError(
            f"mcts does not apply to {facts.name}, where players move at the same time: use random"
        )
    if not facts.perfect_information:
        check_resampling(game, seed)
    if not facts.perfect_information or not facts.terminal_rewards:
        return OpenLoopAgent(game, simulations, seed)
    return SearchAgent(game, simulations, seed)


class SearchAgent:
    """pyspiel's C++ search in its own thread, so that `close` need not wait for it.

    The C++ code cannot be interrupted, and a process that exits while it runs crashes. A long
    search is therefore split into trees of about a second each, which vote on the move; `close`
    and process exit end it between two trees. On voting see Soejima et al., "Evaluating Root
    Parallelization in Go" (2010).
    """

    def __init__(self, game: LoadedGame, simulations: int, seed: int) -> None:
        self.spec = self.name = f"mcts:{simulations}"
        self._trees = math.ceil(simulations / _simulations_per_tree(game))
        pyspiel = load_pyspiel()
        self._bot: Bot = pyspiel.MCTSBot(
            game.rules, pyspiel.RandomRolloutEvaluator(1, seed), _exploration(game),
            math.ceil(simulations / self._trees), _MEMORY_MAX_MB, True, seed, False,
        )  # fmt: skip
        self._answers: queue.SimpleQueue[int | Exception | None] = queue.SimpleQueue()
        self._closed = False

    def choose(self, state: GameState, player: int) -> int:
        if not state.legal_actions(player):
            raise ValueError(f"player {player} has nothing to choose from here")
        if not self._closed and _SEARCHES.start(self._search, state.clone(), self.name):
            answer = self._answers.get()
            if isinstance(answer, Exception):
                raise answer
            if answer is not None and not self._closed:
                return answer
        raise AgentClosedError(self.name)

    def close(self) -> None:
        self._closed = True
        self._answers.put(None)

    def _search(self, state: GameState) -> None:
        votes: Counter[int] = Counter()
        try:
            for _ in range(self._trees):
                if self._closed or _SEARCHES.exiting:
                    return
                votes[self._bot.step(state)] += 1
            self._answers.put(votes.most_common(1)[0][0])
        except Exception as error:  # noqa: BLE001  (re-raised in the waiting thread)
            self._answers.put(error)


class _Searches:
    """All searches of the process; at exit, new ones are refused and running ones joined."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: set[threading.Thread] = set()
        self.exiting = False
        atexit.register(self.finish)

    def start(self, search: Callable[[GameState], None], state: GameState, name: str) -> bool:
        """Run the search in a thread; returns False if the process is exiting."""

        def run() -> None:
            search(state)
            with self._lock:
                self._running.discard(threading.current_thread())

        with self._lock:
            if self.exiting:
                return False
            thread = threading.Thread(target=run, name=f"{name} search", daemon=True)
            self._running.add(thread)
            thread.start()
        return True

    def finish(self) -> None:
        """Refuse new searches and wait for the running ones."""
        with self._lock:
            self.exiting = True
            running = list(self._running)
        for thread in running:
            thread.join()


_SEARCHES = _Searches()


def _simulations_per_tree(game: LoadedGame) -> int:
    """Simulations that take about a second, by the length of a random game, not by a clock."""
    rng, state, moves = random.Random(0), game.rules.new_initial_state(), 1
    while not state.is_terminal():
        chance = state.is_chance_node()
        legal = state.legal_actions()
        state.apply_action(sample_chance(state, rng) if chance else rng.choice(legal))
        moves += 1
    return max(50, _MOVES_PER_TREE // moves)


def _exploration(game: LoadedGame) -> float:
    """UCT's exploration constant, scaled to the game's returns."""
    try:
        scale = max(abs(game.rules.min_utility()), abs(game.rules.max_utility()))
    except RuntimeError:
        scale = 1.0
    return _EXPLORATION * (scale if math.isfinite(scale) and scale > 0 else 1.0)
