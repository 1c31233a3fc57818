"""The broker on Redis Streams: many processes share one set of runs. Composes its parts only.

Events go to the server through the one `Writer` and come back through the one `Reader` into this
process's `Ledger`, a local cache, which serves consumers as the in-process broker does.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Sequence
from functools import partial
from threading import get_ident

from msgspec.structs import replace

from arena_tui.broker.ledger import Ledger
from arena_tui.broker.protocol import (
    Cursor,
    Limits,
    Outgoing,
    RunInfo,
    RunMeta,
    Start,
    Subscription,
)
from arena_tui.broker.redis.acks import Acks
from arena_tui.broker.redis.advice import FAILURES
from arena_tui.broker.redis.beats import Beats
from arena_tui.broker.redis.codec import NO_CURSOR
from arena_tui.broker.redis.link import Link
from arena_tui.broker.redis.names import claim
from arena_tui.broker.redis.positions import RunPositions
from arena_tui.broker.redis.reader import Reader
from arena_tui.broker.redis.scripts import REAP
from arena_tui.broker.redis.watcher import Watcher
from arena_tui.broker.redis.writer import Writer
from arena_tui.broker.refused import Refused
from arena_tui.broker.stats import BrokerStats
from arena_tui.broker.stream import HEARTBEAT_S
from arena_tui.broker.tasks import cancel_until_done, restart_on_failure
from arena_tui.broker.timing import Timing
from arena_tui.broker_url import BrokerUrl
from arena_tui.codec import sealed
from arena_tui.errors import BrokerError, RunClosedError, RunExistsError
from arena_tui.events import Delivery, Event, RunEnd, RunStatus, check_run_id

_log = logging.getLogger(__name__)


class RedisBroker:
    """See `BrokerProtocol`. All methods must be called on the thread of the loop that made it.

    Args:
        held: How much of a run this process caches; a consumer that is further behind, and awaits
            its batches, is served from the server.
        reading: False for a process that only publishes.
    """

    def __init__(
        self,
        url: BrokerUrl,
        limits: Limits | None = None,
        *,
        held: Limits | None = None,
        reading: bool = True,
        timing: Timing | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.limits = limits or Limits()
        self.name = f"redis {url.place}"
        self.shared = True
        timing = timing or Timing()
        self._clock = clock
        self._ledger = Ledger(
            self.limits, clock, held=held or replace(self.limits, capacity=self.limits.retain)
        )
        self.warnings = self._ledger.warnings
        self._link = Link(url, self.warnings, timing)
        self._writer = Writer(self._link, self.limits, timing)
        self._beats = Beats(self._link, self._writer)
        self._positions = RunPositions(self._ledger, self._link.keys)
        self._acks = Acks(self._link, self.limits, timing)
        self._arrived = asyncio.Event()
        self._watcher = Watcher(
            self._link, self._ledger, self._positions, timing,
            partial(_furthest, self._writer, self._acks), self._acks.resend, self._arrived,
        )  # fmt: skip
        self._reader = Reader(
            self._link, self._ledger, self._positions, self._watcher, timing, self._arrived
        )
        self._own = f"pid {os.getpid()} {id(self):x}"
        self._reading = reading
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        self._ledger.check_thread()
        if self._tasks:
            return
        facts = await self._link.check()
        if not self._reading and (why := self._link.advice.obstacle(facts)):
            raise BrokerError(why)
        for risk in self._link.advice.risks(facts):
            self.warnings.add("server_risk", risk=risk.what, advice=risk.remedy)
        work = {"writer": self._writer.run}
        if self._reading:
            try:
                await self._reader.catch_up()
            except FAILURES as error:
                raise BrokerError(self._link.advice.refusal(error)) from None
            work |= {"reader": self._reader.run, "watch": self._watcher.run, "acks": self._acks.run}
        self._tasks = [
            asyncio.create_task(restart_on_failure(f"{name} of {self.name}", task, self.warnings))
            for name, task in work.items()
        ]

    async def open_run(self, meta: RunMeta, epoch: int | None = None) -> RunInfo:
        self._ledger.check_thread()
        check_run_id(meta.run_id)
        given = await self._writer.open(meta, epoch)
        if given is None:
            raise RunExistsError(f"run {meta.run_id} is already open: use another id")
        stream = self._ledger.streams.get(meta.run_id)
        if stream is None:
            stream = self._ledger.attach(meta, given, 1)
            if self._reading:
                self._positions.follow(stream, Cursor(given, 0))
        return stream.info(self._clock(), HEARTBEAT_S)

    async def claim(self, run_id: str) -> bool:
        self._ledger.check_thread()
        try:
            return await claim(self._link, run_id)
        except FAILURES as error:
            _log.warning("run id %s is used unseen: %s", run_id, self._link.advice.explain(error))
            return True

    async def publish(self, run_id: str, event: Event) -> int:
        if get_ident() != self._ledger.thread:
            self._ledger.check_thread()
        return await self._writer.publish(run_id, *sealed(event))

    async def publish_all(self, batch: Sequence[Outgoing]) -> Refused:
        self._ledger.check_thread()
        return await self._writer.publish_all(batch)

    async def heartbeat(self, run_ids: Iterable[str]) -> None:
        self._ledger.check_thread()
        runs = list(run_ids)
        for run_id in runs:
            if stream := self._ledger.streams.get(run_id):
                stream.on_alive(self._clock())
        with contextlib.suppress(*FAILURES):  # the writer reports it
            await self._beats.send(runs)

    def subscribe(
        self, name: str, runs: Collection[str] | None = None, start: Start = "oldest",
        durable: bool = False, unfinished: Collection[str] = (), identity: str | None = "",
        replace: bool = False,
    ) -> Subscription:  # fmt: skip
        if not durable:
            return self._ledger.subscribe(name, runs, start, durable, self._reader.recover)
        known_as = f"{self._own} {name}" if identity is None else identity or name
        missing = () if isinstance(start, str) else start.keys() & set(unfinished)
        subscription = self._ledger.subscribe(
            name, runs, start, durable, self._reader.recover, self._acks, known_as, missing, replace
        )
        held = self._ledger.streams.values()
        self._acks.add(known_as, start, held, lasting=identity is not None)
        return subscription

    def stream(self, run_id: str, from_seq: int = 1) -> AsyncIterator[Delivery]:
        return self._ledger.stream(run_id, from_seq, self._reader.recover)

    async def close_run(
        self, run_id: str, status: RunStatus = "stopped", reason: str | None = None
    ) -> None:
        with contextlib.suppress(RunClosedError):
            await self.publish(run_id, RunEnd(status=status, reason=reason))

    async def settled(self, run_ids: Iterable[str], consumer: str | None = None) -> None:
        wanted = list(run_ids)
        if self._acks:
            await self.flush(wanted)
            await self._ledger.settled(wanted, consumer)

    def lags(self, consumer: str) -> dict[str, int]:
        return self._ledger.lags(consumer)

    async def flush(self, run_ids: Iterable[str] | None = None) -> None:
        """Return when all that this process published, of these runs (None: all), is on the server
        and has been read here, or the broker is closed."""
        if run_ids is None:
            await self._writer.flush()
        wanted = [*self._writer.runs, *self._writer.closed] if run_ids is None else list(run_ids)

        def has_arrived(run_id: str) -> bool:
            newest = self._writer.newest(run_id)
            return newest is None or self._positions.has_read(run_id, newest)

        while self._reading and not self._ledger.closed and not all(map(has_arrived, wanted)):
            self._arrived.clear()
            await self._arrived.wait()

    async def known_consumers(self) -> dict[str, bool]:
        return await self._link.retry("consumers", self._acks.known)

    async def forget(self, identity: str) -> None:
        await self._link.retry("forget", lambda: self._acks.forget(identity))

    async def reap(self, run_id: str) -> None:
        """Evict the run here and delete it on the server, even if a store has yet to ack it."""
        self._ledger.check_thread()
        stream = self._ledger.get(run_id)
        if not stream.closed:
            raise BrokerError(f"run {run_id} is still open: close it first")
        keys = [self._link.keys.meta(run_id)]
        await self._link.retry("reap", lambda: self._link.call(REAP, keys, [run_id]))
        self._writer.ended.pop(run_id, None)  # it is gone because it was to go
        if run_id in self._ledger.streams:
            self._ledger.reap(run_id)

    async def runs(self, *, caught_up: bool = False) -> list[RunInfo]:
        if caught_up and self._reading:
            await self._reader.until_caught_up()
        away = self._link.problem is not None  # then silence says nothing about producers
        heartbeat_s = float("inf") if away else HEARTBEAT_S
        now = self._clock()
        return [stream.info(now, heartbeat_s) for stream in self._ledger.streams.values()]

    @property
    def unsent(self) -> int:
        return self._writer.unsent

    async def stats(self) -> BrokerStats:
        stats = self._ledger.stats()
        return replace(
            stats,
            link=self._link.problem,
            unsent=self.unsent,
            refused=self._writer.late.refused,
            failures=self._link.failures.count,
        )

    async def aclose(self) -> None:
        self._ledger.close()
        self._arrived.set()
        self._link.stop_retrying()
        try:
            await cancel_until_done(self._tasks)
        finally:  # also when its caller waits no longer
            self._writer.fail_pending()
            try:
                with contextlib.suppress(*FAILURES):
                    await self._acks.aclose()
            finally:
                await self._link.aclose()


def _furthest(writer: Writer, acks: Acks, run_id: str) -> Cursor:
    """The newest event of the run known to this process's producers and durable consumers; a server
    that has lost events must not reuse seqs up to there."""
    return max(writer.newest(run_id) or NO_CURSOR, acks.furthest_start(run_id))
