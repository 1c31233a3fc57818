"""Plays what the store lacks of a tournament, round by round. Shows nothing.

What was played is told by the store alone: each run's `config` says of which tournament it is, and
which game of it. A game counts once its run has finished, crashed, or reached its last turn; one
that was stopped otherwise, or whose process died, is played again as another run.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import groupby
from typing import Final

from msgspec import Struct

from arena_tui.broker.protocol import STORE, BrokerProtocol
from arena_tui.errors import StoreError
from arena_tui.events import new_run_id
from arena_tui.folds.standings import Game, order_is_settled
from arena_tui.folds.totals import RunTotals
from arena_tui.games.play import GameResult, Player
from arena_tui.games.schedule import Meeting, Table, schedule
from arena_tui.games.specs import Fixture, turn_cap
from arena_tui.games.tournament import Remaining, TournamentSpec
from arena_tui.producers.sink import MultiRunBrokerSink
from arena_tui.services.closing import Closing
from arena_tui.store.exclusive import Exclusive
from arena_tui.store.history import History, read_tournament

_GIVE_UP_S: Final = 10.0
"""How long the store may make no progress."""


class Begun(Struct, frozen=True, kw_only=True):
    """A tournament as far as it has come.

    Attributes:
        id: Sortable by when it began.
        seed: Determines all games' seeds.
        over: The games that are over, by number.
    """

    id: str
    seed: int
    meetings: tuple[Meeting, ...]
    over: dict[int, Game]

    @property
    def games(self) -> list[Game]:
        """Those that are over, in the order of the schedule."""
        return [self.over[index] for index in sorted(self.over)]


def begun(
    spec: TournamentSpec, tables: Sequence[Table], runs: Sequence[RunTotals],
    fresh: tuple[str, int] | None = None,
) -> Begun | None:  # fmt: skip
    """The newest tournament among these runs of its entry, or the `fresh` one of this id and seed;
    None if there is neither."""
    named = fresh or max((of for run in runs if (of := _of(run))), default=None)
    if named is None:
        return None
    meetings = tuple(schedule(tables, spec.agents, spec.rounds, named[1]))
    over = games_over(named[0], meetings, runs)
    return Begun(id=named[0], seed=named[1], meetings=meetings, over=over)


class Tournament:
    """One tournament: `open`, then `start`; `stop` and `join` from any thread.

    Args:
        tables: The games with their seats; see `check_tournament`.
        sink, broker: Where the games are published, and what they reach the store by.
        history: The store that keeps them.
        on_finished: Called in a worker thread for each game that is over.

    Attributes:
        begun: How it stood when it was opened; set by `open`.
        settled: Whether it ended early, with the order of all settled.
    """

    begun: Begun

    def __init__(
        self, spec: TournamentSpec, tables: Sequence[Table], sink: MultiRunBrokerSink,
        broker: BrokerProtocol, history: History,
        on_finished: Callable[[Game], None] = lambda _: None,
    ) -> None:  # fmt: skip
        self.spec = spec
        self.settled = False
        self._tables = tables
        self._sink = sink
        self._broker = broker
        self._history = history
        self._on_finished = on_finished
        self._over: dict[int, Game] = {}
        self._runs: list[str] = []
        self._alone = Exclusive(history.path, f"tournament-{spec.entry}", "plays this tournament")
        self._loop = asyncio.get_running_loop()
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._player: Player | None = None
        self._thread = threading.Thread(target=self._play, name="tournament", daemon=True)

    @property
    def playing(self) -> int:
        """How many games are being played; 1 at least while it runs."""
        player = self._player
        return max(1, player.playing if player else 0) if self._thread.is_alive() else 0

    @property
    def running(self) -> bool:
        return self._thread.is_alive()

    async def open(self) -> None:
        """Look up in the store what was played; until all is over, nobody else plays it there.

        Raises:
            StoreError: It cannot be read, or lacks what has been published; or another plays it.
        """
        self._alone.take()
        try:
            await self._open()
        except BaseException:
            self._alone.release()
            raise

    async def _open(self) -> None:
        spec = self.spec
        found = None if spec.new else begun(spec, self._tables, await self._read(None))
        if found is None:
            seed = secrets.randbits(31) if spec.seed is None else spec.seed
            found = begun(spec, self._tables, [], (new_run_id(), seed))
        assert found is not None
        self.begun, self._over = found, dict(found.over)

    def start(self) -> None:
        """Start playing; may be called once."""
        self._thread.start()

    def stop(self) -> None:
        """Ask all games to end; never blocks, may be called from any thread."""
        self._stop.set()
        if self._thread.ident is None:
            self._alone.release()
        with self._lock:
            if self._player is not None:
                self._player.stop()

    def join(self, timeout_s: float | None = None) -> bool:
        """Wait for all games to end; return whether they have."""
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
        return not self.running

    async def so_far(self) -> Begun:
        """How it stands by the store; raises StoreError if that lacks a game that was played."""
        fresh = self.begun.id, self.begun.seed
        stored = begun(self.spec, self._tables, await self._read(self._runs), fresh)
        assert stored is not None
        return stored

    async def _read(self, run_ids: Iterable[str] | None) -> list[RunTotals]:
        """What is stored of tournaments like it, once these runs are, None: all that have ended."""
        if run_ids is None:
            infos = await self._broker.runs(caught_up=True)
            run_ids = [info.meta.run_id for info in infos if info.state == "closed"]
        await self._sink.flush()
        closing = Closing(_GIVE_UP_S)
        settled = self._broker.settled(run_ids, STORE)
        await closing.save("storing", settled, partial(self._broker.lags, STORE))
        if closing.why:
            raise StoreError(f"the store lacks games that were played ({closing.why}): mend what "
                             "the log says of it, then start this again")  # fmt: skip
        return await self._history.read(partial(read_tournament, entry=self.spec.entry))

    def _play(self) -> None:
        try:
            self._play_portions()
            if not self._stop.is_set():  # who plays it next reads what is stored
                with contextlib.suppress(StoreError):
                    reading = self._read(list(self._runs))
                    asyncio.run_coroutine_threadsafe(reading, self._loop).result()
        finally:
            self._alone.release()

    def _play_portions(self) -> None:
        for fixtures in self._portions():
            remaining = Remaining(
                fixtures=tuple(fixtures), parallel=self.spec.parallel, seed=self.begun.seed
            )
            player = Player(remaining, self._sink.run, on_finished=self._note)
            with self._lock:
                self._player = player
                if self._stop.is_set():
                    return
            player.start()
            player.join()
            if self._stop.is_set():
                return

    def _portions(self) -> Iterator[list[Fixture]]:
        """What is left to play: all at once, or round by round until the order is settled."""
        if not self.spec.until_settled:
            yield self._left(self.begun.meetings)
            return
        newest = max(self._over, default=-1)
        for _, played in groupby(self.begun.meetings, key=lambda meeting: meeting.round):
            meetings = list(played)
            if left := self._left(meetings):
                yield left
            # It was not settled then, or not asked for, where games of later rounds are over.
            if newest <= meetings[-1].index and order_is_settled(list(self._over.values())):
                self.settled = True
                return

    def _left(self, meetings: Iterable[Meeting]) -> list[Fixture]:
        config = {
            "tournament": {"entry": self.spec.entry, "id": self.begun.id, "seed": self.begun.seed}
        }
        return [
            Fixture(index=each.index, spec=self.spec.game_spec(each.game, each.agents),
                    seed=each.seed, config=config)
            for each in meetings if each.index not in self._over
        ]  # fmt: skip

    def _note(self, result: GameResult) -> None:
        if result.run_id is not None:
            self._runs.append(result.run_id)
        if not self._counts(result):
            return
        meeting = self.begun.meetings[result.index]
        scores = tuple(result.outcome.values()) or (None,) * len(meeting.agents)
        game = Game(index=result.index, run_id=result.run_id, game=meeting.game,
                    agents=meeting.agents, scores=scores, status=result.status,
                    reason=result.reason)  # fmt: skip
        with self._lock:
            self._over[game.index] = game
        self._on_finished(game)

    def _counts(self, result: GameResult) -> bool:
        """Whether that game is over for good."""
        meeting = self.begun.meetings[result.index]
        limit = self.spec.game_spec(meeting.game, meeting.agents).turn_limit
        return is_over(result.status, result.reason, limit)


def is_over(status: str, reason: str | None, max_turns: object) -> bool:
    """Whether a game that ended so is not played again."""
    if status == "stopped":
        return isinstance(max_turns, int) and reason == turn_cap(max_turns)
    return status in ("finished", "crashed")


def games_over(
    tournament: str, meetings: Sequence[Meeting], runs: Iterable[RunTotals]
) -> dict[int, Game]:
    """The games of a tournament that are over, by number; of one played twice, the first."""
    over: dict[int, Game] = {}
    for run in runs:
        index, of = run.config.get("index"), _of(run)
        if of is None or of[0] != tournament or not isinstance(index, int):
            continue
        if index in over or not 0 <= index < len(meetings) or run.status == "running":
            continue
        meeting = meetings[index]
        if len(run.agents) == len(meeting.agents) and is_over(
            run.status, run.reason, run.config.get("max_turns")
        ):
            over[index] = Game(
                index=index, run_id=run.run_id, game=meeting.game, agents=meeting.agents,
                scores=tuple(run.outcome.get(agent.id) for agent in run.agents),
                status=run.status, reason=run.reason, cost_usd=run.cost_usd,
                duration_s=run.duration_s,
            )  # fmt: skip
    return over


def _of(run: RunTotals) -> tuple[str, int] | None:
    """Id and seed of the tournament that the run belongs to."""
    match run.config.get("tournament"):
        case {"id": str(found), "seed": int(seed)}:
            return found, seed
    return None
