"""What every broker promises its producers and consumers. No implementation lives here.

Promises, for every backend (the contract suite holds each to them):

1.  Seqs of a run are dense from 1 and delivered strictly increasing; all consumers see the same
    envelopes. `run_end` is a run's last event and closes it; it travels in the stream.
2.  Publishing never waits for a consumer. A run holds at most `Limits.capacity` events, and in a
    process's memory at most `Limits.run_bytes` bytes; the oldest go first.
3.  A consumer that fell behind the oldest event held receives one `Gap` in their place and goes on.
    Per run and consumer: `cursor - start == delivered + in gaps`, always.
4.  What every durable consumer has acked is trimmed down to `Limits.retain` newest events. Having
    to let go of an event that a durable consumer has neither acked nor in hand is an overflow:
    logged once an episode, delivered to that consumer as a gap, and counted: by consumer, and for
    the run once, however many consumers lost it.
5.  When a durable consumer's lag in a run crosses 50, 80 and 100 % of capacity upwards, that is
    logged, once per crossing. Acks, lag, high-water mark and overflow are each consumer's own.
6.  Cancelling a consumer at any await leaves the broker usable and loses the consumer nothing:
    its cursor moves only when a batch is handed over.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from typing import Final, Literal, NamedTuple, Protocol, TypeAlias

from msgspec import Struct

from arena_tui.events import AgentInfo, Delivery, Event, RunStart, RunStatus

__all__ = [
    "STORE",
    "BrokerProtocol",
    "BrokerStats",
    "ConsumerStats",
    "Cursor",
    "Limits",
    "Outgoing",
    "RunInfo",
    "RunMeta",
    "RunProgress",
    "RunState",
    "RunStats",
    "Start",
    "Subscription",
]

RunState: TypeAlias = Literal["open", "lost", "closed"]


class Cursor(NamedTuple):
    """How far a consumer has read one run: everything up to and including `seq` of `epoch`."""

    epoch: int
    seq: int


Start: TypeAlias = Literal["oldest", "newest"] | Mapping[str, Cursor]
"""Where a subscription begins: at the oldest event held, at what comes next, or after the given
cursors (a run without one: from its first event, so that what is gone already is a gap)."""


Outgoing: TypeAlias = tuple[str, Event, bytes]
"""Run id, sealed event and its JSON (see `codec.sealed`), on the way to the broker."""

STORE: Final = "persister"
"""The durable consumer that writes the store: producers are held back for it, and for no other."""


class Limits(Struct, frozen=True, kw_only=True):
    """How much a broker holds.

    Attributes:
        capacity: Events a run holds at most.
        retain: Newest events a run keeps after all durable consumers acked them.
        run_bytes: Bytes of JSON of a run that a process holds at most; a server has its own limit.
        closed_runs: Closed and acked runs that a process keeps for late joiners; older ones are
            reaped.
        closed_run_bytes, closed_run_s: How much of such a run a server keeps, and for how long.
    """

    capacity: int = 10_000
    retain: int = 1_000
    run_bytes: int = 32 * 1024 * 1024
    closed_runs: int = 64
    closed_run_bytes: int = 1024 * 1024
    closed_run_s: int = 300


class RunMeta(Struct, frozen=True, kw_only=True):
    """What is known of a run before its first event."""

    run_id: str
    game: str = ""
    label: str | None = None
    agents: tuple[AgentInfo, ...] = ()

    @classmethod
    def of(cls, run_id: str, event: Event) -> RunMeta:
        """From the run's first event, which need not be its `run_start`."""
        if not isinstance(event, RunStart):
            return cls(run_id=run_id)
        return cls(run_id=run_id, game=event.game, label=event.label, agents=tuple(event.agents))


class RunInfo(Struct, frozen=True, kw_only=True):
    """One run as the broker holds it.

    Attributes:
        state: `lost` when open but without a sign of life for three heartbeat intervals.
        first_seq: Oldest event held; `last_seq + 1` when none is.
        silent_s: Seconds since the producer's last sign of life.
    """

    meta: RunMeta
    epoch: int
    state: RunState
    first_seq: int
    last_seq: int
    silent_s: float


class RunProgress(Struct, frozen=True, kw_only=True):
    """One durable consumer's progress in one run, in events.

    Attributes:
        lag: Published and not acked; lag_peak: the most this ever was.
        overflow: Lost because the broker had to let go of them before this consumer had them.
    """

    name: str
    lag: int
    lag_peak: int
    overflow: int


class RunStats(Struct, frozen=True, kw_only=True):
    """Fill of one run's log, in events.

    Attributes:
        overflow: Events that any durable consumer lost, each counted once; trimming alone is no
            loss.
        consumers: The durable ones.
    """

    run_id: str
    held: int
    high_water: int
    trimmed: int
    overflow: int
    consumers: tuple[RunProgress, ...]

    def lag(self, consumer: str) -> int:
        """Events that this durable consumer has yet to ack; 0 when there is no such consumer."""
        return next((each.lag for each in self.consumers if each.name == consumer), 0)


class ConsumerStats(Struct, frozen=True, kw_only=True):
    """One consumer's progress in all its runs, in events.

    Attributes:
        lag: Published and not yet handed over; lag_peak: the most this ever was.
        lag_s: Age of the oldest event not yet handed over.
        overflow: Lost by this consumer because the broker had to let go of them.
    """

    name: str
    durable: bool
    delivered: int
    in_gaps: int
    lag: int
    lag_peak: int
    lag_s: float
    overflow: int


class BrokerStats(Struct, frozen=True, kw_only=True):
    """A snapshot of all counters since the broker started.

    Attributes:
        warnings: The newest high-water, overflow and connection warnings, oldest first.
        link: What is wrong with the connection to the server now; None when nothing is.
        unsent: Events taken in, of which the server has not said that it has them.
    """

    capacity: int
    published: int
    trimmed: int
    overflow: int
    runs: tuple[RunStats, ...]
    consumers: tuple[ConsumerStats, ...]
    warnings: tuple[str, ...]
    link: str | None = None
    unsent: int = 0


class Subscription(Protocol):
    """A cursor on every run it follows. Iterating yields batches and ends with its runs or the
    broker; one reader at a time."""

    name: str

    def __aiter__(self) -> AsyncIterator[list[Delivery]]: ...

    async def __anext__(self) -> list[Delivery]: ...

    def read_nowait(self, limit: int = 1_000) -> list[Delivery]:
        """Up to `limit` deliveries that are there now; empty when it is up to date."""
        ...

    def ack(self, cursors: Mapping[str, Cursor]) -> None:
        """Durable subscriptions: everything up to these cursors is safely kept."""
        ...

    def close(self) -> None:
        """Let go; the broker no longer counts with this consumer. Idempotent."""
        ...


class BrokerProtocol(Protocol):
    """One bounded stream a run; every consumer a cursor. See the module for the promises.

    Attributes:
        name: For people: `in-process`, `redis 127.0.0.1:6379`.
        shared: Whether other processes publish and read here, too.
    """

    limits: Limits
    name: str
    shared: bool

    async def start(self) -> None:
        """Begin to work; subscribing is possible before. Idempotent.

        Raises:
            BrokerError: The server cannot be reached, or is not one that will do.
        """
        ...

    async def open_run(self, meta: RunMeta, epoch: int | None = None) -> RunInfo:
        """Create the run's stream; `epoch` other than now makes a rerun of the same events
        continue what is stored of them.

        Raises:
            RunExistsError: The broker holds a run of that id.
        """
        ...

    async def publish(self, run_id: str, event: Event) -> int:
        """Append one event, return its seq; never waits for a consumer.

        Raises:
            EventError: The event cannot be accepted.
            UnknownRunError: Nobody opened the run.
            RunClosedError: The run has ended.
        """
        ...

    async def publish_all(self, batch: Sequence[Outgoing]) -> int:
        """Append sealed events, in order, opening runs at first sight.

        Returns how many were refused because their run had ended; each is logged.
        """
        ...

    async def heartbeat(self, run_ids: Iterable[str]) -> None:
        """The producer of these runs is alive though it may be silent."""
        ...

    def subscribe(
        self,
        name: str,
        runs: Collection[str] | None = None,
        start: Start = "oldest",
        durable: bool = False,
    ) -> Subscription:
        """A new cursor on these runs, or on all present and future ones.

        A durable consumer acks; what it has not acked is held as long as capacity allows.

        Raises:
            UnknownRunError: A run named in `runs` is not held.
            UsageError: There is a durable consumer of that name already.
        """
        ...

    def stream(self, run_id: str, from_seq: int = 1) -> AsyncIterator[Delivery]:
        """Replay from `from_seq`, then the live tail; ends with the run.

        Raises:
            UnknownRunError: The broker holds no such run.
            BrokerError: `from_seq` is past the next event.
        """
        ...

    async def close_run(
        self, run_id: str, status: RunStatus = "stopped", reason: str | None = None
    ) -> None:
        """End the run with a `run_end` event unless it has one. Idempotent.

        Raises:
            UnknownRunError: The broker holds no such run.
        """
        ...

    async def settled(self, run_ids: Iterable[str], consumer: str | None = None) -> None:
        """Return when every durable consumer, or this one, has acked all events of these runs."""
        ...

    def lags(self, consumer: str) -> dict[str, int]:
        """By run, how many events this durable consumer has yet to ack, where there are any."""
        ...

    async def reap(self, run_id: str) -> None:
        """Forget a closed run; consumers that had not read all of it get a gap.

        Raises:
            BrokerError: The run is still open.
        """
        ...

    async def runs(self) -> list[RunInfo]:
        """Runs held, by start time: open and recently closed."""
        ...

    async def stats(self) -> BrokerStats:
        """All counters, now."""
        ...

    async def aclose(self) -> None:
        """End every iterator and let go of everything. Idempotent."""
        ...
