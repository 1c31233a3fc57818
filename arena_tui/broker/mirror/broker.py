"""A broker whose log is elsewhere: many processes share one set of runs. Composes its parts only.

Events go to the log through the one `Writer` and come back, read upstream, into this process's
`Ledger`, a local cache, which serves consumers as the in-process broker does.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Sequence
from threading import get_ident
from typing import NamedTuple, Protocol

from msgspec.structs import replace

from arena_tui.broker.ledger import Ledger
from arena_tui.broker.mirror.acks import AckRegister, Acks
from arena_tui.broker.mirror.link import Link
from arena_tui.broker.mirror.outlet import Outlet
from arena_tui.broker.mirror.positions import RunPositions
from arena_tui.broker.mirror.writer import Writer
from arena_tui.broker.own_log import own_log
from arena_tui.broker.protocol import (
    NO_CURSOR,
    Cursor,
    Limits,
    Outgoing,
    RunInfo,
    RunMeta,
    Start,
    Subscription,
)
from arena_tui.broker.recovery import Answer
from arena_tui.broker.refused import Refused
from arena_tui.broker.stats import BrokerStats, ServerStats
from arena_tui.broker.stream import HEARTBEAT_S
from arena_tui.broker.tasks import cancel_until_done, restart_on_failure
from arena_tui.broker.timing import Timing
from arena_tui.codec import sealed
from arena_tui.errors import BrokerError, RunClosedError, RunExistsError
from arena_tui.events import Delivery, Event, Gap, RunEnd, RunStatus, check_run_id

_log = own_log(__name__)


class Upstream(Protocol):
    """The log, but for what a `Writer` and `Acks` ask of it. Asking may raise `Link.errors`."""

    async def connect(self) -> None:
        """Reach the log; raises BrokerError if it cannot be used."""

    async def catch_up(self) -> None:
        """Attach the runs that there are."""

    def tasks(self) -> dict[str, Callable[[], Awaitable[None]]]:
        """What goes on as long as the broker is open, by name."""

    async def until_caught_up(self) -> None:
        """Return when what the log has now of the known runs has been read."""

    async def recover(self, gap: Gap) -> Answer:
        """See `Recover`."""

    async def claim(self, run_id: str) -> bool:
        """See `BrokerProtocol.claim`."""

    async def beat(self, run_ids: Sequence[str]) -> None:
        """Report these runs as alive."""

    async def reap(self, run_id: str) -> None:
        """Delete the run, even if a consumer has yet to ack it."""

    async def server(self) -> ServerStats | None:
        """See `BrokerProtocol.server`."""

    async def aclose(self) -> None:
        """Close every connection."""


class Local(NamedTuple):
    """This process's side of a mirror.

    Attributes:
        arrived: Set whenever something of the log has been read here.
    """

    ledger: Ledger
    positions: RunPositions
    writer: Writer
    acks: Acks
    arrived: asyncio.Event
    timing: Timing

    def furthest(self, run_id: str) -> Cursor:
        """The newest event of the run known to this process's producers and durable consumers; a
        log that has lost events must not reuse seqs up to there."""
        return max(self.writer.newest(run_id) or NO_CURSOR, self.acks.furthest_start(run_id))


def cache(limits: Limits, held: Limits | None, clock: Callable[[], float]) -> Ledger:
    """A ledger that holds of a remote log what consumers here are likely to need."""
    return Ledger(limits, clock, held=held or replace(limits, capacity=limits.retain))


class MirrorBroker:
    """See `BrokerProtocol`. All methods must be called on the thread of the loop that made it.

    Args:
        make_upstream: Makes the way to the log, given this process's side.
        reading: False for a process that only publishes.
    """

    def __init__(
        self, ledger: Ledger, link: Link, outlet: Outlet, register: AckRegister,
        make_upstream: Callable[[Local], Upstream], *, reading: bool, timing: Timing,
        key_of: Callable[[str], str] = str,
    ) -> None:  # fmt: skip
        self.limits = ledger.limits
        self.name = link.place
        self.shared = True
        self.warnings = ledger.warnings
        self._ledger = ledger
        self._link = link
        self._writer = Writer(link, outlet, timing)
        self._acks = Acks(link, register, timing)
        self._positions = RunPositions(ledger, key_of)
        self._arrived = asyncio.Event()
        self._upstream = make_upstream(
            Local(ledger, self._positions, self._writer, self._acks, self._arrived, timing)
        )
        self._own = f"pid {os.getpid()} {id(self):x}"
        self._reading = reading
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        self._ledger.check_thread()
        if self._tasks:
            return
        await self._upstream.connect()
        work = {"writer": self._writer.run, **self._upstream.tasks()}
        if self._reading:
            try:
                await self._upstream.catch_up()
            except self._link.errors as error:
                raise BrokerError(self._link.refusal(error)) from None
            work["acks"] = self._acks.run
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
        return stream.info(self._ledger.clock(), HEARTBEAT_S)

    async def claim(self, run_id: str) -> bool:
        self._ledger.check_thread()
        try:
            return await self._upstream.claim(run_id)
        except self._link.errors as error:
            _log.warning("run id %s is used unseen: %s", run_id, self._link.explain(error))
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
                stream.on_alive(self._ledger.clock())
        with contextlib.suppress(*self._link.errors):  # the writer reports it
            await self._upstream.beat(runs)

    def subscribe(
        self, name: str, runs: Collection[str] | None = None, start: Start = "oldest",
        durable: bool = False, unfinished: Collection[str] = (), identity: str | None = "",
        replace: bool = False,
    ) -> Subscription:  # fmt: skip
        recover = self._upstream.recover
        if not durable:
            return self._ledger.subscribe(name, runs, start, durable, recover)
        known_as = f"{self._own} {name}" if identity is None else identity or name
        missing = () if isinstance(start, str) else start.keys() & set(unfinished)
        subscription = self._ledger.subscribe(
            name, runs, start, durable, recover, self._acks, known_as, missing, replace
        )
        held = self._ledger.streams.values()
        self._acks.add(known_as, start, held, lasting=identity is not None)
        return subscription

    def stream(self, run_id: str, from_seq: int = 1) -> AsyncIterator[Delivery]:
        return self._ledger.stream(run_id, from_seq, self._upstream.recover)

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
        """Return when all that this process published, of these runs (None: all), is in the log
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
        return await self._acks.known()

    async def forget(self, identity: str) -> None:
        await self._acks.forget(identity)

    async def reap(self, run_id: str) -> None:
        """Evict the run here and delete it in the log, even if a store has yet to ack it."""
        self._ledger.check_thread()
        stream = self._ledger.get(run_id)
        if not stream.closed:
            raise BrokerError(f"run {run_id} is still open: close it first")
        await self._link.retry("reap", lambda: self._upstream.reap(run_id))
        self._writer.ended.pop(run_id, None)  # it is gone because it was to go
        if run_id in self._ledger.streams:
            self._ledger.reap(run_id)

    async def runs(self, *, caught_up: bool = False) -> list[RunInfo]:
        if caught_up and self._reading:
            await self._upstream.until_caught_up()
        away = self._link.problem is not None  # then silence says nothing about producers
        heartbeat_s = float("inf") if away else HEARTBEAT_S
        now = self._ledger.clock()
        return [stream.info(now, heartbeat_s) for stream in self._ledger.streams.values()]

    @property
    def unsent(self) -> int:
        return self._writer.unsent

    async def stats(self) -> BrokerStats:
        return replace(
            self._ledger.stats(), link=self._link.problem, unsent=self.unsent,
            refused=self._writer.late.refused, failures=self._link.failures.count,
        )  # fmt: skip

    async def server(self) -> ServerStats | None:
        try:
            return await self._upstream.server()
        except self._link.errors:  # whoever publishes or reads reports it
            return None

    async def aclose(self) -> None:
        self._ledger.close()
        self._arrived.set()
        self._link.stop_retrying()
        try:
            await cancel_until_done(self._tasks)
        finally:  # also when its caller waits no longer
            self._writer.fail_pending()
            try:
                with contextlib.suppress(*self._link.errors):
                    await self._acks.aclose()
            finally:
                await self._upstream.aclose()
