"""The dashboard's consumer: folds every run, and samples immutable frames. Paints nothing."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Literal, Protocol

from msgspec import Struct

from arena_tui.broker.protocol import (
    STORE,
    BrokerProtocol,
    BrokerStats,
    Cursor,
    RunInfo,
    RunState,
    RunStats,
)
from arena_tui.consumers.protocol import Consumer, Health
from arena_tui.events import Delivery, Envelope, Gap, RunStart
from arena_tui.folds.view import Pane, RunView

if TYPE_CHECKING:
    from arena_tui.consumers.persister import Persister, PersisterStats  # imports DuckDB: 50 ms

_RUNS_EVERY_S = 1.0
_FINISHED_KEPT = 200
_SECONDS = 60


class Truth(Struct, frozen=True, kw_only=True):
    """Where every event is: `published == stored + in_flight + lost`.

    Attributes:
        store: `off`, or the state of the persister.
        store_error: Why storing fails; None while it works.
        lag_s: Age of the oldest event not yet stored, seconds.
        queued: Events emitted by game threads but not yet published.
        behind: Events published but not yet folded here.
        per_second: Events published in each of the last seconds, newest last.
        overflow: Events a durable consumer lost.
        warnings: The newest warnings.
        link: What is wrong with the connection to the broker's server; None while it works.
        lost_unknown: Gaps of unknown length, whose events are no part of `lost`.

    It begins with this process: what earlier ones stored or lost is in the store. With a shared
    broker, `published` counts the events this process has seen, and `stored` includes those stored
    before it connected.
    """

    published: int = 0
    stored: int = 0
    in_flight: int = 0
    lost: int = 0
    store: str = "off"
    store_error: str | None = None
    lag_s: float = 0.0
    queued: int = 0
    behind: int = 0
    per_second: tuple[int, ...] = ()
    overflow: int = 0
    warnings: tuple[str, ...] = ()
    link: str | None = None
    lost_unknown: int = 0


class Frame(Struct, frozen=True, kw_only=True):
    """Everything the screen shows of live runs, at one instant; panes in order of appearance."""

    number: int = 0
    panes: tuple[Pane, ...] = ()
    truth: Truth = Truth()


class FeedStats(Struct, frozen=True, kw_only=True):
    """Counters of one feed.

    Attributes:
        frames: Frames sampled.
        runs: Runs it holds a fold of.
    """

    frames: int
    runs: int


class Storing(Protocol):
    """The running persister: its counters and health."""

    @property
    def consumer(self) -> Persister: ...

    @property
    def health(self) -> Health: ...


class Feed(Consumer):
    """The dashboard's consumer: `handle` folds deliveries, `frame` samples the folds.

    It is polled, so the cost of the screen depends on frames, not on events.

    Args:
        clock: Monotonic seconds.
    """

    name = "dashboard"
    durable = False
    batch_events = 1_000
    batch_interval_s = 0.1

    def __init__(self, broker: BrokerProtocol, clock: Callable[[], float] = time.monotonic) -> None:
        self._broker = broker
        self._clock = clock
        self._views: dict[str, RunView] = {}
        self._panes: dict[str, tuple[object, Pane]] = {}
        self._states: dict[str, RunState] = {}
        self._states_at = float("-inf")
        self._second_at = clock()
        self._published = 0
        self._per_second: deque[int] = deque(maxlen=_SECONDS)
        self._frames = 0
        self._runs_seen = 0

    async def start(self) -> Literal["oldest"]:
        self._views.clear()
        self._panes.clear()
        return "oldest"

    async def handle(self, batch: Sequence[Delivery]) -> Mapping[str, Cursor]:
        now = self._clock()
        for delivery in batch:
            view = self._views.get(delivery.run_id)
            if isinstance(delivery, Gap) and delivery.reason == "reaped":
                self._forget(delivery.run_id)  # it ended unseen, and is in History
                continue
            if view is None:
                self._runs_seen += 1
                view = RunView(delivery.run_id, self._runs_seen, now)
                self._views[delivery.run_id] = view
                if isinstance(delivery, Envelope) and isinstance(delivery.event, RunStart):
                    self._take_place(view, delivery.event)
                elif isinstance(delivery, Gap) and self._broker.shared and not delivery.unknown:
                    view.begin_at(delivery.to_seq + 1)
                    continue
            view.add(delivery, now)
        return {}

    def stats(self) -> FeedStats:
        return FeedStats(frames=self._frames, runs=len(self._views))

    def view(self, run_id: str) -> RunView | None:
        """The fold of one live or recently finished run."""
        return self._views.get(run_id)

    def _take_place(self, view: RunView, start: RunStart) -> None:
        """Let the next game of a series replace the finished one, which is in History."""
        for run_id, old in self._views.items():
            totals = old.totals
            same = (totals.game, totals.label, totals.agents) == (
                start.game,
                start.label,
                start.agents,
            )
            if same and totals.status == "finished":
                view.number = old.number
                self._forget(run_id)
                return

    def clear_finished(self) -> None:
        """Drop the runs that have ended; they stay in the store."""
        for run_id, view in list(self._views.items()):
            if view.totals.status != "running":
                self._forget(run_id)

    async def frame(self, storing: Storing | None = None, queued: int = 0) -> Frame:
        """Sample a frame; panes that did not change are the same objects as before."""
        now = self._clock()
        stats = await self._broker.stats()
        if now - self._states_at >= _RUNS_EVERY_S:
            self._states_at = now
            infos = await self._broker.runs()
            self._states = {info.meta.run_id: info.state for info in infos}
            self._introduce(infos)
            self._limit_finished()
        seconds = int(now - self._second_at)
        if seconds > 0:
            self._second_at += seconds
            rate = round((stats.published - self._published) / seconds)
            self._per_second += [rate] * min(seconds, _SECONDS)
            self._published = stats.published
            for view in self._views.values():
                view.end_seconds(seconds)
        by_run = {each.run_id: each for each in stats.runs}
        own = next((c for c in stats.consumers if c.name == self.name), None)
        durable = next((c for c in stats.consumers if c.name == STORE), None)
        self._frames += 1
        persister = storing.consumer if storing else None
        health = storing.health if storing else None
        counters = persister.stats() if persister else None
        stored, lost = stored_and_lost(stats, counters)
        return Frame(
            number=self._frames,
            panes=tuple(
                self._pane(view, by_run.get(run_id), stats.capacity, now, seconds > 0, persister)
                for run_id, view in self._views.items()
            ),
            truth=Truth(
                published=stats.published,
                stored=stored,
                in_flight=stats.published - stored - lost,
                lost=lost,
                store=health.state if health else "off",
                store_error=health.last_error if health else None,
                lag_s=durable.lag_s if durable else 0.0,
                queued=queued,
                behind=own.lag if own else 0,
                per_second=tuple(self._per_second),
                overflow=stats.overflow,
                warnings=stats.warnings,
                link=stats.link,
                lost_unknown=counters.lost_unknown if counters else 0,
            ),
        )

    def _introduce(self, infos: Iterable[RunInfo]) -> None:
        """Fill in the metadata of runs whose `run_start` this consumer missed."""
        for info in infos:
            view = self._views.get(info.meta.run_id)
            if view is not None and view.partial:
                view.introduce(info.meta)

    def _pane(
        self,
        view: RunView,
        stats: RunStats | None,
        capacity: int,
        now: float,
        second_over: bool,
        persister: Persister | None,
    ) -> Pane:
        run_id = view.totals.run_id
        held, waiting, lost = (stats.held, stats.lag(STORE), stats.overflow) if stats else (0, 0, 0)
        lag = None if persister is None else waiting
        state = self._states.get(run_id, "open")
        live = view.totals.status == "running"
        key = (view.version, held, lag, lost, state)
        known = self._panes.get(run_id)
        if known is not None and known[0] == key and not (second_over and live):
            return known[1]
        stored = persister.totals(run_id) if persister is not None and view.partial else None
        pane = view.pane(now, state, held, capacity, lag, lost, stored)
        self._panes[run_id] = (key, pane)
        return pane

    def _limit_finished(self) -> None:
        over = [run for run, view in self._views.items() if view.totals.status != "running"]
        for run_id in over[:-_FINISHED_KEPT]:
            self._forget(run_id)

    def _forget(self, run_id: str) -> None:
        self._views.pop(run_id, None)
        self._panes.pop(run_id, None)


def stored_and_lost(stats: BrokerStats, counters: PersisterStats | None) -> tuple[int, int]:
    """How many published events are stored, and how many lost; the others are in flight."""
    if counters is None:
        return 0, 0
    held = sum(each.lag(STORE) for each in stats.runs)
    rest = stats.published - counters.lost
    return rest - max(0, min(held, rest)), counters.lost
