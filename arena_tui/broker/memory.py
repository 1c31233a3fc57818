"""The in-process broker: one asyncio loop owns all state, and nothing waits for a reader."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Iterator, Sequence
from functools import partial
from threading import get_ident

from arena_tui.broker.chain import Traced
from arena_tui.broker.forwarded import Forwarded
from arena_tui.broker.ledger import Ledger
from arena_tui.broker.own_log import own_log
from arena_tui.broker.protocol import (
    Cursor,
    Limits,
    Outgoing,
    RunInfo,
    RunMeta,
    Start,
    Subscription,
)
from arena_tui.broker.recent import Recent
from arena_tui.broker.refused import Refused
from arena_tui.broker.stats import BrokerStats
from arena_tui.broker.stream import HEARTBEAT_S
from arena_tui.codec import sealed
from arena_tui.errors import RunClosedError
from arena_tui.events import Delivery, Event, RunEnd, RunStatus

_CLAIMED_KEPT = 100_000
"""Run ids that are remembered as taken when their runs have been reaped."""

_log = own_log(__name__)


class InProcessBroker:
    """See `BrokerProtocol`. All methods must be called on the thread of the loop that made it.

    Other threads publish through `MultiRunBrokerSink`; a call from one raises RuntimeError.

    Attributes:
        ledger: For whoever lets other processes use the broker.
        next_epoch: Gives the epoch of a stream that begins now.
        forwarded: For whoever forwards runs, and knows more of them than the broker.
    """

    def __init__(
        self, limits: Limits | None = None, clock: Callable[[], float] = time.time
    ) -> None:
        self.limits = limits or Limits()
        self.name = "in-process"
        self.shared = False
        self._clock = clock
        self.ledger = Ledger(self.limits, clock)
        self.warnings = self.ledger.warnings
        self.forwarded = Forwarded(self.ledger)
        self.next_epoch: Callable[[], int] = partial(next, _epochs(clock))
        self._claimed: Recent[str, None] = Recent(_CLAIMED_KEPT)

    async def start(self) -> None:
        """Do nothing: there is no server to connect to."""

    async def open_run(self, meta: RunMeta, epoch: int | None = None, first: int = 1) -> RunInfo:
        """See `BrokerProtocol.open_run`; `first`: the seq of its first event here, for one whose
        earlier events are stored and do not come again."""
        stream = self.ledger.open(meta, self.next_epoch() if epoch is None else epoch, first)
        return stream.info(self._clock(), HEARTBEAT_S)

    async def claim(self, run_id: str) -> bool:
        self.ledger.check_thread()
        if run_id in self._claimed or run_id in self.ledger.streams:
            return False
        self._claimed[run_id] = None
        return True

    async def publish(self, run_id: str, event: Event) -> int:
        ledger = self.ledger
        if get_ident() != ledger.thread:
            ledger.check_thread()
        event, raw = sealed(event)
        stream = ledger.streams.get(run_id) or ledger.get(run_id)
        if stream.closed:
            raise RunClosedError(run_id)
        return ledger.append(stream, event, raw)

    async def publish_all(self, batch: Sequence[Outgoing]) -> Refused:
        ledger = self.ledger
        ledger.check_thread()
        refused = Refused()
        for run_id, event, raw in batch:
            try:
                stream = ledger.streams.get(run_id)
                if stream is None:
                    at = raw.opens_at if type(raw) is Traced else None
                    at = at or Cursor(self.next_epoch(), 1)
                    stream = ledger.open(RunMeta.of(run_id, event), *at)
                if stream.closed:
                    raise RunClosedError(run_id)
                ledger.append(stream, event, raw)
            except Exception as error:  # noqa: BLE001 - what one event meets must not cost others
                refused = refused.plus(1, str(error))
                _log.error("refused a %s event: %s", event.kind, error)
        return refused

    async def heartbeat(self, run_ids: Iterable[str]) -> None:
        self.ledger.check_thread()
        for run_id in run_ids:
            if stream := self.ledger.streams.get(run_id):
                stream.on_alive(self._clock())

    def subscribe(
        self, name: str, runs: Collection[str] | None = None, start: Start = "oldest",
        durable: bool = False, unfinished: Collection[str] = (), identity: str | None = "",
        replace: bool = False,
    ) -> Subscription:  # fmt: skip
        # None is unfinished: a process has no runs of an earlier one.
        return self.ledger.subscribe(
            name, runs, start, durable, identity=identity or name, replace=replace
        )

    def stream(self, run_id: str, from_seq: int = 1) -> AsyncIterator[Delivery]:
        return self.ledger.stream(run_id, from_seq)

    async def close_run(
        self, run_id: str, status: RunStatus = "stopped", reason: str | None = None
    ) -> None:
        self.ledger.check_thread()
        stream = self.ledger.get(run_id)
        if not stream.closed:
            self.ledger.append(stream, *sealed(RunEnd(status=status, reason=reason)))

    async def settled(self, run_ids: Iterable[str], consumer: str | None = None) -> None:
        await self.ledger.settled(run_ids, consumer)

    def lags(self, consumer: str) -> dict[str, int]:
        return self.ledger.lags(consumer)

    async def known_consumers(self) -> dict[str, bool]:
        return {}

    async def forget(self, identity: str) -> None:
        """Do nothing: no consumer is known longer than it is subscribed."""

    async def reap(self, run_id: str) -> None:
        self.ledger.check_thread()
        self.ledger.reap(run_id)

    async def runs(self, *, caught_up: bool = False) -> list[RunInfo]:
        now = self._clock()
        return [stream.info(now, HEARTBEAT_S) for stream in self.ledger.streams.values()]

    async def flush(self) -> None:
        """Do nothing: what is published is here."""

    @property
    def unsent(self) -> int:
        return 0

    async def stats(self) -> BrokerStats:
        return self.ledger.stats()

    async def aclose(self) -> None:
        self.ledger.close()


def _epochs(clock: Callable[[], float]) -> Iterator[int]:
    """Milliseconds since 1970, strictly increasing."""
    epoch = 0
    while True:
        epoch = max(int(clock() * 1000), epoch + 1)
        yield epoch
