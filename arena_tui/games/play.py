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
from arena_tui.games.specs import Fixture, GameSpec, Played
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
        tags: Sequence[str] = (),
        config: Mapping[str, Any] | None = None,
    ) -> Run: ...


class Series(Protocol):
    """What a player plays: games numbered from 0, and how many of them at a time.

    `seed` determines the games' seeds; None means a random one each time.
    """

    @property
    def games(self) -> int: ...
    @property
    def parallel(self) -> int: ...
    @property
    def seed(self) -> int | None: ...

    def unchecked(self) -> Sequence[GameSpec]:
        """Those to check before the first game."""

    def fixture(self, number: int, seed: int) -> Fixture:
        """The game of that number; the same for the same seed."""


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
    """Plays a series in `parallel` worker threads, each one game at a time.

    Guarantees: each game is the series' fixture of its number, regardless of scheduling. A game
    that raises ends as `crashed`, with an `error` event, and the others continue. After `stop`
    no game starts, and running ones end promptly as `stopped`, even during a long search. With
    `continuous`, games are played until `stop` or three consecutive crashes. `on_finished` is
    called in the worker thread, once per game; an exception it raises ends that worker.

    Attributes:
        seed: The seed from which all games' seeds derive; the series', or a random one.

    Raises:
        UsageError: The series cannot be played; the message says why.
        MissingExtraError: It needs open_spiel, which is not installed.
    """

    def __init__(
        self,
        series: Series,
        open_run: OpenRun,
        *,
        continuous: bool = False,
        on_finished: Callable[[GameResult], None] | None = None,
    ) -> None:
        for spec in series.unchecked():
            check_spec(spec)
        self._series = series
        self.seed = secrets.randbits(31) if series.seed is None else series.seed
        self._open_run = open_run
        self._continuous = continuous
        self._on_finished = on_finished
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._next_number = 0
        self._consecutive_crashes = 0
        self._matches: set[Match] = set()
        self._results: deque[GameResult] = deque(maxlen=_RESULTS_KEPT if continuous else None)
        workers = series.parallel if continuous else min(series.parallel, series.games)
        self._threads = [
            threading.Thread(target=self._work, name=f"games {number}", daemon=True)
            for number in range(workers)
        ]

    @property
    def results(self) -> list[GameResult]:
        """Results so far, by game number; in continuous play only the newest 1,000."""
        with self._lock:
            return sorted(self._results, key=lambda result: result.index)

    @property
    def playing(self) -> int:
        """How many games are being played, or about to be."""
        return sum(thread.is_alive() for thread in self._threads)

    @property
    def running(self) -> bool:
        return self.playing > 0

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
        while (number := self._take_number()) is not None:
            fixture = self._series.fixture(number, self.seed)
            result = self._play_safely(fixture)
            with self._lock:
                self._results.append(result)
                crashed = result.status == "crashed"
                self._consecutive_crashes = self._consecutive_crashes + 1 if crashed else 0
            if self._on_finished is not None:
                self._on_finished(result)
            if self._continuous and (fixture.spec.delay_s or fixture.spec.is_synth or crashed):
                self._stop.wait(_PAUSE_BETWEEN_GAMES_S)

    def _take_number(self) -> int | None:
        """Claim the next game; None if no more games start."""
        with self._lock:
            gave_up = self._continuous and self._consecutive_crashes >= _CONSECUTIVE_CRASHES_MAX
            all_started = not self._continuous and self._next_number >= self._series.games
            if self._stop.is_set() or gave_up or all_started:
                return None
            self._next_number += 1
            return self._next_number - 1

    def _play_safely(self, fixture: Fixture) -> GameResult:
        index, seed = fixture.index, fixture.seed
        runs: list[Run] = []
        try:
            play = self._play_synth if fixture.spec.is_synth else self._play_match
            played = play(fixture, runs)
        except Exception as error:  # noqa: BLE001  (a game runs third-party code; the others continue)
            run_id = runs[0].id if runs else None
            reason = f"{type(error).__name__}: {error}"[:500]
            return GameResult(
                index=index, run_id=run_id, seed=seed, status="crashed", reason=reason
            )
        return GameResult(index=index, run_id=runs[0].id, seed=seed, **asdict(played))

    def _play_match(self, fixture: Fixture, runs: list[Run]) -> Played:
        from arena_tui.games.open_spiel import Match  # noqa: PLC0415  (loads nothing for synth)

        spec = fixture.spec
        start = None if fixture.origin is None else fixture.origin.position
        match = Match(spec.game, spec.agents, fixture.seed, start)
        with self._lock:
            self._matches.add(match)
        try:
            if self._stop.is_set():
                match.close()
            name = match.game.facts.name
            with self._new_run(fixture, name, match.agents, runs) as run:
                _tell_origin(fixture, run)
                return match.play(run, spec.turn_limit, spec.delay_s, self._stop)
        finally:
            match.close()
            with self._lock:
                self._matches.discard(match)

    def _play_synth(self, fixture: Fixture, runs: list[Run]) -> Played:
        spec = fixture.spec
        start = None if fixture.origin is None else fixture.origin.position
        with self._new_run(fixture, spec.game, synth_agents(spec.agents), runs) as run:
            _tell_origin(fixture, run)
            return play_synth(run, spec, fixture.seed, self._stop.wait,
                              at_a_time=len(self._threads), start=start)  # fmt: skip

    def _new_run(
        self, fixture: Fixture, name: str, agents: Sequence[AgentInfo], runs: list[Run]
    ) -> Run:
        spec = fixture.spec
        config: dict[str, Any] = {
            "game": spec.game, "index": fixture.index, "max_turns": spec.turn_limit,
        }  # fmt: skip
        if spec.delay_s:
            config["delay_s"] = spec.delay_s
        config |= fixture.config
        tags = () if fixture.origin is None else fixture.origin.tags
        run = self._open_run(
            name, agents, seed=fixture.seed, label=spec.label, tags=tags, config=config
        )
        runs.append(run)
        return run


def _tell_origin(fixture: Fixture, run: Run) -> None:
    """Record what the run goes on from, if it does."""
    if (origin := fixture.origin) is not None:
        run.fork(origin.run_id, origin.seq, origin.change)


def check_spec(spec: GameSpec) -> None:
    """Check that the game loads and every agent applies to it; plays nothing.

    Raises:
        UsageError: The spec cannot be played; the message says why.
        MissingExtraError: It needs open_spiel, which is not installed.
    """
    if not spec.is_synth:
        from arena_tui.games.open_spiel import Match  # noqa: PLC0415

        Match(spec.game, spec.agents).close()
