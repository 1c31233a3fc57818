"""The broker on Redis Streams: many processes, one set of runs. Composes writer, reader, ledger.

What is published goes to the server through the one `Writer` and comes back through the one
`Reader` into this process's `Ledger`; from there on everything is as in process.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Collection,
    Iterable,
    Mapping,
    Sequence,
)
from itertools import islice
from threading import get_ident

from msgspec.structs import replace

from arena_tui.broker.ledger import HEARTBEAT_S, Ledger, RunStream
from arena_tui.broker.protocol import (
    BrokerStats,
    Cursor,
    Limits,
    Outgoing,
    RunInfo,
    RunMeta,
    Start,
    Subscription,
)
from arena_tui.broker.redis.link import FAILURES, Link
from arena_tui.broker.redis.reader import Reader
from arena_tui.broker.redis.scripts import ACK, BEAT, REAP, STORES, acks_key, meta_key
from arena_tui.broker.redis.writer import Writer
from arena_tui.broker.subscription import LedgerSubscription
from arena_tui.broker_url import BrokerUrl
from arena_tui.codec import sealed
from arena_tui.errors import BrokerError, RunClosedError, RunExistsError
from arena_tui.events import Delivery, Event, Gap, RunEnd, RunStatus, check_run_id

__all__ = ["RedisBroker"]

_ACK_EVERY_S = 0.5
_ACK_RUNS = 500
_AGAIN_S = 1.0
_CANCEL_AGAIN_S = 0.1
_STORE_TTL_S = 3_600
"""A store that has given no sign for an hour no longer keeps events from being trimmed."""

_log = logging.getLogger(__name__)


class RedisBroker:
    """See `BrokerProtocol`. Everything belongs to the thread of the loop that made it.

    Args:
        url: The server's.
        limits: How much the server holds of a run.
        held: How much of a run is held in this process; a durable consumer that is further behind
            is served from the server.
        store: Names the store of this process to other processes; the server waits for its acks
            with trimming, for an hour after its last sign of life. None: forgotten on closing.
        reading: False for a process that only publishes.
        clock: Seconds since 1970; injected in tests.
    """

    def __init__(
        self,
        url: BrokerUrl,
        limits: Limits | None = None,
        *,
        held: Limits | None = None,
        store: str | None = None,
        reading: bool = True,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.limits = limits or Limits()
        self.name = f"redis {url.place}"
        self.shared = True
        self._clock = clock
        held = held or replace(self.limits, capacity=2 * self.limits.retain)
        self._ledger = Ledger(self.limits, clock, upstream=self, held=held)
        self._link = Link(url, self._ledger.warn)
        self._writer = Writer(self._link, self.limits)
        self._reader = Reader(self._link, self._ledger, self._writer.newest) if reading else None
        self._store = store or f"pid {os.getpid()} {id(self):x}"
        self._lasting = store is not None
        self._acks: dict[str, Cursor] = {}
        self._storing = False
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        self._ledger.check_thread()
        if self._tasks:
            return
        facts = await self._link.check()
        for risk, advice in self._link.risks(facts):
            self._ledger.warn(f"{risk}: {advice}")
        work = {"writer": self._writer.run}
        if self._reader is not None:
            try:
                await self._reader.catch_up()
            except FAILURES as error:
                raise BrokerError(self._link.refusal(error)) from None
            work |= {"reader": self._reader.run, "watch": self._reader.watch}
            work["acks"] = self._send_acks
        self._tasks = [
            asyncio.create_task(self._keep(*each), name=each[0]) for each in work.items()
        ]

    async def open_run(self, meta: RunMeta, epoch: int | None = None) -> RunInfo:
        self._ledger.check_thread()
        check_run_id(meta.run_id)
        given = await self._writer.open(meta, epoch)
        if given is None:
            raise RunExistsError(f"run {meta.run_id} is already open: use another id")
        stream = self._ledger.streams.get(meta.run_id)
        if stream is None:
            stream = self._ledger.attach(meta, given, 1, None)
            if self._reader is not None:
                self._reader.follow_own(stream)
        return self._ledger.info(stream, HEARTBEAT_S)

    async def publish(self, run_id: str, event: Event) -> int:
        if get_ident() != self._ledger.thread:
            self._ledger.check_thread()
        return await self._writer.publish(run_id, *sealed(event))

    async def publish_all(self, batch: Sequence[Outgoing]) -> int:
        self._ledger.check_thread()
        return await self._writer.publish_all(batch)

    async def heartbeat(self, run_ids: Iterable[str]) -> None:
        self._ledger.check_thread()
        runs = list(run_ids)
        for run_id in runs:
            if stream := self._ledger.streams.get(run_id):
                stream.alive_at = self._clock()
        if runs:
            with contextlib.suppress(*FAILURES):  # the writer tells
                await self._link.call(BEAT, [meta_key(run_id) for run_id in runs])

    def subscribe(
        self,
        name: str,
        runs: Collection[str] | None = None,
        start: Start = "oldest",
        durable: bool = False,
    ) -> Subscription:
        self._storing |= durable
        return self._ledger.subscribe(name, runs, start, durable)

    def stream(self, run_id: str, from_seq: int = 1) -> AsyncIterator[Delivery]:
        return self._ledger.stream(run_id, from_seq)

    async def close_run(
        self, run_id: str, status: RunStatus = "stopped", reason: str | None = None
    ) -> None:
        with contextlib.suppress(RunClosedError):
            await self.publish(run_id, RunEnd(status=status, reason=reason))

    async def settled(self, run_ids: Iterable[str]) -> None:
        wanted = list(run_ids)
        if self._storing:
            await self.arrived(wanted)
            await self._ledger.settled(wanted)

    async def arrived(self, run_ids: Iterable[str] | None = None) -> None:
        """Return when what this process has published, to these runs or to all, can be read."""
        wanted = list(self._writer.runs if run_ids is None else run_ids)
        while self._reader is not None and not all(map(self._has_arrived, wanted)):
            self._reader.arrived.clear()
            await self._reader.arrived.wait()

    async def reap(self, run_id: str) -> None:
        """Forget it here and on the server, whoever has not stored it yet."""
        self._ledger.check_thread()
        stream = self._ledger.get(run_id)
        if not stream.closed:
            raise BrokerError(f"run {run_id} is still open: close it first")
        await self._link.retrying(
            "reap", lambda: self._link.call(REAP, [meta_key(run_id)], [run_id])
        )
        if run_id in self._ledger.streams:
            self._ledger.reap(run_id)

    async def runs(self) -> list[RunInfo]:
        away = self._link.problem is not None  # then silence says nothing of the producers
        heartbeat_s = float("inf") if away else HEARTBEAT_S
        return [self._ledger.info(stream, heartbeat_s) for stream in self._ledger.streams.values()]

    async def stats(self) -> BrokerStats:
        stats = self._ledger.stats()
        return replace(stats, link=self._link.problem, unsent=self._writer.unsent)

    async def aclose(self) -> None:
        self._ledger.close()
        self._link.closing = True
        await _end(self._tasks)
        self._writer.abandon()
        with contextlib.suppress(*FAILURES):
            await self._leave()
        await self._link.aclose()

    async def fetch(self, gap: Gap) -> list[Delivery]:
        """See `Upstream`."""
        assert self._reader is not None
        return await self._reader.fetch(gap)

    def acked(self, subscription: LedgerSubscription, cursors: Mapping[str, Cursor]) -> None:
        """See `Upstream`."""
        self._acks.update(cursors)

    def ahead(self, run_id: str, cursor: Cursor) -> None:
        """See `Upstream`."""
        if self._reader is not None:
            self._reader.ahead(run_id, cursor)

    async def _keep(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        """A task that ends by a bug is said so, and begun again."""
        while True:
            try:
                await work()
            except Exception as error:  # noqa: BLE001 - whatever it is, events must not stand still
                _log.exception("the %s of %s failed", name, self.name)
                self._ledger.warn(f"the {name} of {self.name} failed and is started again: {error}")
                await asyncio.sleep(_AGAIN_S)

    async def _send_acks(self) -> None:
        """Tell the server what is stored, so that it may let go of it."""
        while True:
            await asyncio.sleep(_ACK_EVERY_S)
            if self._storing:
                await self._link.retrying("acks", self._ack, forever=True)

    async def _ack(self) -> None:
        """Also a sign of life, when there is nothing new."""
        limits = self.limits
        cursors = dict(islice(self._acks.items(), _ACK_RUNS))
        args: list[str | int] = [self._store, _STORE_TTL_S, limits.retain, limits.closed_runs]
        for run_id, cursor in cursors.items():
            args += [run_id, *cursor]
        await self._link.call(ACK, (), args)
        for run_id, cursor in cursors.items():
            if self._acks[run_id] == cursor:
                del self._acks[run_id]

    async def _leave(self) -> None:
        while self._storing and self._acks:
            await self._ack()
        if self._storing and not self._lasting:
            await self._link.control.delete(acks_key(self._store))
            await self._link.command(self._link.control, "SREM", STORES, self._store)

    def _has_arrived(self, run_id: str) -> bool:
        """Whether what this process has published has come back."""
        assert self._reader is not None
        newest = self._writer.newest(run_id)
        stream: RunStream | None = self._ledger.streams.get(run_id)
        if newest is None:
            return True
        if stream is None:
            return run_id in self._reader.known  # it came, and is reaped
        position = stream.log.position_of(newest)
        return position is not None and position <= stream.log.last


async def _end(tasks: Collection[asyncio.Task[None]]) -> None:
    """Cancel, again and again: `asyncio.wait_for`, which the client library uses, may swallow a
    cancellation before Python 3.12 (https://github.com/python/cpython/issues/86296)."""
    while pending := [task for task in tasks if not task.done()]:
        for task in pending:
            task.cancel()
        await asyncio.wait(pending, timeout=_CANCEL_AGAIN_S)
