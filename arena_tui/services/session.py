"""What one dashboard opens, plays, samples and closes. Knows nothing of how it is shown."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from arena_tui.config import Config
from arena_tui.consumers.feed import Feed, Frame
from arena_tui.consumers.protocol import ConsumerFactory
from arena_tui.consumers.ratings import RatingsConsumer
from arena_tui.errors import StoreLockedError
from arena_tui.events import utc_now
from arena_tui.folds.alerts import Alert
from arena_tui.services.connect import PROCESS
from arena_tui.services.games import Games
from arena_tui.services.http.address import Listening
from arena_tui.services.playables import Playable
from arena_tui.services.prices import PriceBook
from arena_tui.services.runtime import Runtime
from arena_tui.services.scripts.scripts import ScriptPane, Scripts
from arena_tui.services.scripts.spec import ScriptSpec
from arena_tui.services.sharing import is_owned, is_shareable, make_runtime, place_of
from arena_tui.services.trouble_watch import TroubleWatch
from arena_tui.store.place import may_only_be_read

if TYPE_CHECKING:
    from arena_tui.broker.protocol import Cursor
    from arena_tui.services.http.server import HttpServer
    from arena_tui.services.metrics.textfile import MetricsFile
    from arena_tui.services.playback.player import Player
    from arena_tui.store.history import History

_NOTICE_S: Final = 60.0
_GOOD_NEWS_S: Final = 10.0
_GOOD_NEWS: Final = frozenset({"link_restored", "consumer_restored", "overflow_over"})
_SCRIPTS_END_S: Final = 2.5


class Session:
    """Everything behind one dashboard: `begin`, then `open`; `sample` now and then; `aclose`.

    It may be created anywhere; everything else happens on one event loop.

    Args:
        playables: Games and scripts to start on opening.
        continuous: Whether a new game starts when one of `playables` ends.
        follow: JSON Lines files to show as they grow.
        consumers: Make what else consumes the events, a recorder say.
        installed: Whether to run the consumers of installed packages.
        no_log: Why nothing is logged, and what to do; None if all is well.
        listening: How to answer over HTTP as well; None: not at all.
        metrics: A file for metrics, which needs the extra `serve`.

    Attributes:
        runtime, scripts, prices, feed, ratings: Set by `begin`.
        wall: The time of day; set by `begin`.
        seen: How many runs and events there were, once it is closed.
        frame: The newest one.
        alerts: The troubles that are new in it.
    """

    runtime: Runtime
    scripts: Scripts
    prices: PriceBook
    feed: Feed
    wall: Callable[[], datetime]
    seen: tuple[int, int] = (0, 0)
    ratings: RatingsConsumer

    def __init__(
        self, config: Config, playables: Sequence[Playable] = (), continuous: bool = False,
        follow: Sequence[Path] = (), consumers: Sequence[ConsumerFactory] = (),
        installed: bool = False, no_log: str | None = None, listening: Listening | None = None,
        metrics: Path | None = None,
    ) -> None:  # fmt: skip
        self.config = config
        self.frame = Frame()
        self.alerts: tuple[Alert, ...] = ()
        self._playables = playables
        self._continuous = continuous
        self._follow = follow
        self._consumers = consumers
        self._installed = installed
        self._no_log = no_log
        self._listening = listening
        self._server: HttpServer | None = None
        self._metrics = metrics
        self._metrics_file: MetricsFile | None = None
        self._noticed = 0  # the number of the newest warning
        self._noticed_at = 0.0

    @property
    def url(self) -> str | None:
        """Where it answers over HTTP; None where it does not."""
        return None if self._server is None else self._server.address.url

    @property
    def history(self) -> History | None:
        return self.runtime.history

    @property
    def games(self) -> Games:
        return self.runtime.games

    @property
    def note(self) -> str | None:
        """The newest warning, for a minute, or ten seconds if it is good news, unless it was
        withdrawn; the log keeps them all."""
        newest = next(reversed(self.runtime.broker.warnings.newest()), None)
        if newest is None or newest.number < self._noticed:
            return None
        if newest.number > self._noticed:
            self._noticed, self._noticed_at = newest.number, self._monotonic()
        lasts_s = _GOOD_NEWS_S if newest.code in _GOOD_NEWS else _NOTICE_S
        return str(newest) if self._monotonic() - self._noticed_at <= lasts_s else None

    async def begin(
        self, monotonic: Callable[[], float], wall: Callable[[], datetime] = utc_now
    ) -> None:
        """Do what is quick: take connections of this process, and fold their events.

        `monotonic` is the clock for durations, in seconds; `wall` the time of day."""
        self._monotonic, self.wall = monotonic, wall
        await self._begin(attached=is_owned(self.config))

    async def _begin(self, attached: bool) -> None:
        config, read_from = self.config, self._store_to_read()
        if read_from is not None:
            config = replace(config, db=None)
        self.runtime = make_runtime(
            config, attached and read_from is None, consumers=self._consumers,
            installed=self._installed, read_from=read_from,
        )  # fmt: skip
        self.scripts = Scripts(config, self.runtime.broker.warnings)
        self._watch = TroubleWatch(config.notify, self.runtime.broker.warnings)
        if read_from is not None:
            self.runtime.broker.warnings.add("store_read_only", path=read_from)
        if self._no_log is not None:
            self.runtime.broker.warnings.add("no_log", why=self._no_log)
        self.prices = PriceBook(dict(config.prices), self.runtime.broker.warnings)
        make_feed = partial(Feed, clock=self._monotonic, wall=self.wall, prices=self.prices)
        self.feed = (await self.runtime.consume(make_feed)).consumer
        self.ratings = (await self.runtime.consume(RatingsConsumer)).consumer
        PROCESS.offer(self.runtime)

    def _store_to_read(self) -> str | None:
        """The store, if it may only be read and nothing is to be stored in it at once."""
        path = self.config.db
        nothing_to_store = not (self._playables or self._follow)
        return path if path and nothing_to_store and may_only_be_read(path) else None

    async def open(self) -> None:
        """Reach the broker, open the store, start serving, following and playing; raises
        ArenaError."""
        try:
            await self._open()
        finally:
            await self._begin_metrics()
        if self._listening is not None:
            from arena_tui.services.http.server import HttpServer

            self._server = HttpServer(self.runtime, self._listening)
            await self._server.start()
        self.runtime.following.add(self._follow)
        for playable in self._playables:
            await self.play(playable, self._continuous)

    async def play(self, playable: Playable, continuous: bool = False) -> None:
        """Start games, or a script; raises ArenaError if that cannot be played."""
        if isinstance(playable, ScriptSpec):
            await self.scripts.start(playable)
        else:
            await self.games.start(playable, continuous)

    async def _open(self) -> None:
        """Open what was begun; anew, if another process has opened the store meanwhile."""
        try:
            await self.runtime.open()
        except StoreLockedError:
            if not is_shareable(self.config):
                raise
            PROCESS.withdraw(self.runtime)
            await self.prices.aclose()
            await self.runtime.aclose()
            await self._begin(attached=True)
            await self.runtime.open()

    async def _begin_metrics(self) -> None:
        if self._metrics is not None:
            from arena_tui.services.metrics.textfile import metrics_file

            self._metrics_file = metrics_file(self.runtime, self._metrics)
            await self._metrics_file.start()

    def clear(self) -> None:
        """Show no longer what has ended: scripts, and runs, those included of which nothing more
        comes."""
        self.scripts.clear()
        self.feed.clear(self.runtime.following.is_silent)

    async def sample(self) -> Frame:
        """Fold new events, and sample them."""
        await self.runtime.catch_up()
        queued = self.runtime.sink.stats().queued
        self.frame = await self.feed.frame(self.runtime.consumers(), queued, place_of(self.runtime))
        self.alerts = self._watch.look(self.frame.panes, self._monotonic())
        return self.frame

    def script_panes(self) -> tuple[ScriptPane, ...]:
        """A snapshot of each script."""
        sink = self.runtime.sink
        seen = (pane.run_id for pane in self.frame.panes)
        return self.scripts.panes(
            {run_id for run_id in seen if not (sink.is_open(run_id) or run_id in sink.ended)}
        )

    def player(self, run_id: str, at: Cursor | None = None) -> Player:
        """A player of one run, live or stored, that opens at a position; close it."""
        from arena_tui.services.playback.player import Player
        from arena_tui.services.playback.tape import RunTape

        return Player(RunTape(run_id, self.runtime), self.history, at)

    def is_played(self, run_id: str) -> bool:
        """Whether more of an unended run may arrive here, as far as is known."""
        silent = self.runtime.following.is_silent(run_id)
        return self.feed.view(run_id) is not None and not silent

    async def delete(self, run_id: str) -> None:
        """Delete a stored run; see `Runtime.delete`."""
        await self.runtime.delete(run_id)
        self.feed.forget(run_id)
        self.ratings.forget(run_id)

    def unsaved(self) -> str | None:
        return self.runtime.unsaved() if hasattr(self, "runtime") else None

    async def aclose(self, within_s: float) -> str | None:
        """End scripts and games, store what they played, and close; see `Runtime.aclose`."""
        if not hasattr(self, "runtime"):
            return None
        began = time.monotonic()
        await self.scripts.aclose(min(_SCRIPTS_END_S, within_s / 3))
        within_s -= time.monotonic() - began
        PROCESS.withdraw(self.runtime)
        await self.prices.aclose()
        await self._watch.aclose()
        if self._server is not None:
            await self._server.aclose()
        unsaved = await self.runtime.aclose(within_s)
        self.seen = self.feed.runs_seen, (await self.runtime.broker.stats()).published
        if self._metrics_file is not None:
            await self._metrics_file.aclose()
        return unsaved
