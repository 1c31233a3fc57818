"""The games this process plays, each in its own threads."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, Union

from arena_tui.broker.protocol import BrokerProtocol
from arena_tui.errors import ArenaError, UsageError
from arena_tui.producers.run import Run
from arena_tui.producers.sink import MultiRunBrokerSink

if TYPE_CHECKING:
    from arena_tui.folds.standings import Game
    from arena_tui.games.forking import ForkSpec
    from arena_tui.games.play import GameResult
    from arena_tui.games.specs import GameSpec
    from arena_tui.games.tournament import TournamentSpec
    from arena_tui.services.tournament import Tournament
    from arena_tui.store.history import History


Series: TypeAlias = Union["GameSpec", "TournamentSpec"]
"""One game or more."""


class Playing(Protocol):
    """Games being played; all of it from any thread."""

    @property
    def playing(self) -> int: ...
    def stop(self) -> None: ...
    def join(self, timeout_s: float | None = None) -> bool: ...


class Games:
    """Starts and stops games.

    Args:
        history: The reader of the store that keeps what is played, if one does.
    """

    def __init__(
        self, sink: MultiRunBrokerSink, broker: BrokerProtocol,
        history: Callable[[], History | None],
    ) -> None:  # fmt: skip
        self._sink = sink
        self._broker = broker
        self._history = history
        self._playing: list[Playing] = []

    @property
    def playing(self) -> int:
        """Number of games still running."""
        self._playing = [each for each in self._playing if each.playing]
        return sum(each.playing for each in self._playing)

    async def start(self, series: Series, continuous: bool = False) -> None:
        """Start playing; a game is loaded in a thread.

        Raises:
            ArenaError: It cannot be played; the message says why.
        """
        from arena_tui.games.tournament import TournamentSpec

        if isinstance(series, TournamentSpec):
            self.begin(await self.enter(series))
        else:
            from arena_tui.games.play import Player

            player = await asyncio.to_thread(
                partial(Player, series, self._sink.run, continuous=continuous)
            )
            player.start()
            self._playing.append(player)

    async def fork(self, fork: ForkSpec) -> str:
        """Start games that go on from a turn of another run; returns the run of the first.

        Raises:
            ArenaError: They cannot be played; the message says why.
        """
        from arena_tui.games.forking import check_fork
        from arena_tui.games.play import Player

        loop = asyncio.get_running_loop()
        begun: asyncio.Future[str] = loop.create_future()

        def tell(run_id: str | None, why: str | None = None) -> None:
            if begun.done():
                return
            if run_id is None:
                begun.set_exception(ArenaError(f"the game did not begin: {why}"))
            else:
                begun.set_result(run_id)

        def open_run(*words: Any, **named: Any) -> Run:
            run = self._sink.run(*words, **named)
            loop.call_soon_threadsafe(tell, run.id)
            return run

        def finished(result: GameResult) -> None:
            loop.call_soon_threadsafe(tell, result.run_id, result.reason)

        await asyncio.to_thread(check_fork, fork)
        player = Player(fork, open_run, on_finished=finished)
        player.start()
        self._playing.append(player)
        return await begun

    async def enter(
        self, spec: TournamentSpec, on_finished: Callable[[Game], None] = lambda _: None
    ) -> Tournament:
        """A tournament that is yet to `begin`; `on_finished` is called in worker threads.

        Raises:
            UsageError: It cannot be played, or nothing is stored here.
            StoreError: What was played cannot be read.
        """
        from arena_tui.games.tournament import check_tournament
        from arena_tui.services.tournament import Tournament

        history = self._history()
        if history is None:
            raise UsageError("a tournament needs a store, which tells what was played: "
                             "leave out --no-store, or give another --db")  # fmt: skip
        tables = await asyncio.to_thread(check_tournament, spec)
        tournament = Tournament(spec, tables, self._sink, self._broker, history, on_finished)
        await tournament.open()
        return tournament

    def begin(self, tournament: Tournament) -> None:
        """Play what the store lacks of it."""
        tournament.start()
        self._playing.append(tournament)

    def stop(self, within_s: float) -> None:
        """Ask all games to end, and wait for them."""
        until = time.monotonic() + within_s
        for each in self._playing:
            each.stop()
        for each in self._playing:
            each.join(max(0.0, until - time.monotonic()))
