"""Plays games in worker threads, each in its own `Run`. Knows nothing of brokers, only `open_run`.

player = Player(GameSpec.parse("connect_four mcts:200 random games=8 parallel=2"), arena.run)
player.start()
player.join()
"""

from __future__ import annotations

import secrets
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Protocol

import msgspec
from msgspec.structs import asdict

from arena_tui.events import AgentInfo
from arena_tui.games.specs import GameSpec, Played, derive_seed
from arena_tui.games.synth import play_synth, synth_agents
from arena_tui.producers.run import Run

if TYPE_CHECKING:
    from arena_tui.games.open_spiel import Match

_PAUSE_BETWEEN_GAMES_S = 3.0
_CONSECUTIVE_CRASHES_MAX = 3
_RESULTS_KEPT = 1000


class OpenRun(Protocol):
    """Makes a `Run` that is not yet entered; called from worker threads."""

    def __call__(
        self,
        game: str,
        agents: Sequence[str | AgentInfo] = (),
        *,
        seed: int | None = None,
        label: str | None = None,
        config: Mapping[str, Any] | None = None,
    ) -> Run: ...


class GameResult(msgspec.Struct, frozen=True, kw_only=True):
    """The result of one game.

    Attributes:
        index: The game's number, from 0.
        run_id: Its run; None if no run could be opened.
        seed: The game's seed; with the same agents it reproduces the game.
        status: `finished`, `stopped` (turn cap or `stop`), or `crashed`.
        turns: Turns played; None if it crashed.
        outcome: Returns by agent id.
        reason: Why it did not finish.
    """

    index: int
    run_id: str | None
    seed: int
    status: Literal["finished", "stopped", "crashed"]
    turns: int | None = None
    outcome: dict[str, float] = {}
    reason: str | None = None


class Player:
    """Plays a spec's games in `parallel` worker threads, each one game at a time.

    Guarantees: game `i` has the seed `derive_seed(seed, "game", i)`, regardless of scheduling. A
    game that raises ends as `crashed`, with an `error` event, and the others continue. After `stop`
    no game starts, and running ones end promptly as `stopped`, even during a long search. With
    `continuous`, games are played until `stop` or three consecutive crashes. `on_finished` is
    called in the worker thread, once per game; an exception it raises ends that worker.

    Attributes:
        spec: The games to play.
        seed: The seed from which all games' seeds derive; the spec's, or a random one.

    Raises:
        UsageError: The spec cannot be played; the message says why.
        MissingExtraError: It needs open_spiel, which is not installed.
    """

    def __init__(
        self,
        spec: GameSpec,
        open_run: OpenRun,
        *,
        continuous: bool = False,
        on_finished: Callable[[GameResult], None] | None = None,
    ) -> None:
        check_spec(spec)
        self.spec = spec
        self.seed = secrets.randbits(31) if spec.seed is None else spec.seed
        self._open_run = open_run
        self._continuous = continuous
        self._on_finished = on_finished
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._next_index = 0
        self._consecutive_crashes = 0
        self._matches: set[Match] = set()
        self._results: deque[GameResult] = deque(maxlen=_RESULTS_KEPT if continuous else None)
        workers = spec.parallel if continuous else min(spec.parallel, spec.games)
        self._threads = [
            threading.Thread(target=self._work, name=f"{spec.game} {number}", daemon=True)
            for number in range(workers)
        ]

    @property
    def results(self) -> list[GameResult]:
        """Results so far, by game number; in continuous play only the newest 1,000."""
        with self._lock:
            return sorted(self._results, key=lambda result: result.index)

    @property
    def running(self) -> bool:
        return any(thread.is_alive() for thread in self._threads)

    def start(self) -> None:
        """Start the workers; may be called once."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Ask all games to end; never blocks, may be called from any thread."""
        self._stop.set()
        with self._lock:
            matches = list(self._matches)
        for match in matches:
            match.close()

    def join(self, timeout_s: float | None = None) -> bool:
        """Wait for all games to end; return whether they have."""
        end = None if timeout_s is None else time.monotonic() + timeout_s
        for thread in self._threads:
            if thread.ident is not None:
                thread.join(None if end is None else max(0.0, end - time.monotonic()))
        return not self.running

    def _work(self) -> None:
        while (index := self._take_index()) is not None:
            result = self._play_safely(index)
            with self._lock:
                self._results.append(result)
                crashed = result.status == "crashed"
                self._consecutive_crashes = self._consecutive_crashes + 1 if crashed else 0
            if self._on_finished is not None:
                self._on_finished(result)
            if self._continuous and (self.spec.delay_s or self.spec.is_synth or crashed):
                self._stop.wait(_PAUSE_BETWEEN_GAMES_S)

    def _take_index(self) -> int | None:
        """Claim the next game's number; None if no more games start."""
        with self._lock:
            gave_up = self._continuous and self._consecutive_crashes >= _CONSECUTIVE_CRASHES_MAX
            all_started = not self._continuous and self._next_index >= self.spec.games
            if self._stop.is_set() or gave_up or all_started:
                return None
            self._next_index += 1
            return self._next_index - 1

    def _play_safely(self, index: int) -> GameResult:
        seed = derive_seed(self.seed, "game", index)
        runs: list[Run] = []
        try:
            play = self._play_synth if self.spec.is_synth else self._play_match
            played = play(index, seed, runs)
        except Exception as error:  # noqa: BLE001  (a game runs third-party code; the others continue)
            run_id = runs[0].id if runs else None
            reason = f"{type(error).__name__}: {error}"[:500]
            return GameResult(
                index=index, run_id=run_id, seed=seed, status="crashed", reason=reason
            )
        return GameResult(index=index, run_id=runs[0].id, seed=seed, **asdict(played))

    def _play_match(self, index: int, seed: int, runs: list[Run]) -> Played:
        from arena_tui.games.open_spiel import Match  # noqa: PLC0415  (loads nothing for synth)

        match = Match(self.spec.game, self.spec.agents, seed)
        with self._lock:
            self._matches.add(match)
        try:
            if self._stop.is_set():
                match.close()
            name = match.game.facts.name
            with self._new_run(index, seed, name, match.agents, runs) as run:
                return match.play(run, self.spec.turn_limit, self.spec.delay_s, self._stop)
        finally:
            match.close()
            with self._lock:
                self._matches.discard(match)

    def _play_synth(self, index: int, seed: int, runs: list[Run]) -> Played:
        agents = synth_agents(self.spec.agents)
        with self._new_run(index, seed, self.spec.game, agents, runs) as run:
            return play_synth(run, self.spec, seed, self._stop.wait)

    def _new_run(
        self, index: int, seed: int, name: str, agents: Sequence[AgentInfo], runs: list[Run]
    ) -> Run:
        spec = self.spec
        config: dict[str, Any] = {"game": spec.game, "index": index, "max_turns": spec.turn_limit}
        if spec.delay_s:
            config["delay_s"] = spec.delay_s
        runs.append(self._open_run(name, agents, seed=seed, label=spec.label, config=config))
        return runs[-1]


def check_spec(spec: GameSpec) -> None:
    """Check that the game loads and every agent applies to it; plays nothing.

    Raises:
        UsageError: The spec cannot be played; the message says why.
        MissingExtraError: It needs open_spiel, which is not installed.
    """
    if not spec.is_synth:
        from arena_tui.games.open_spiel import Match  # noqa: PLC0415

        Match(spec.game, spec.agents).close()
