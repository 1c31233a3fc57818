"""The guarantees every broker gives producers and consumers. Contains no implementation.

Guarantees of every backend, enforced by the contract suite:

1.  Seqs of a run are dense from 1 and delivered strictly increasing; all consumers see the same
    envelopes. `run_end` is a run's last event and closes it; it travels in the stream.
2.  Publishing never waits for a consumer. A run holds at most `Limits.capacity` events, and in a
    process's memory at most `Limits.run_bytes` bytes; the oldest are evicted first.
3.  A consumer that fell behind the oldest event held receives one `Gap` for the events it missed
    and continues. Per run and consumer, always: `cursor - start == delivered + in gaps`.
4.  Events that every durable consumer has acked are trimmed, except the newest `Limits.retain`.
    Evicting an event that a durable consumer has neither read nor acked is an overflow: logged
    once per episode, delivered to that consumer as a gap, and counted per consumer; the run counts
    each event once, however many consumers lost it.
5.  When a durable consumer's lag in a run rises past 50, 80 or 100 % of capacity, that is logged
    once per crossing. Acks, lag, high-water mark and overflow are per consumer.
6.  Cancelling a consumer at any await leaves the broker usable and loses no delivery: the cursor
    advances only when a batch is returned.
7.  A server keeps what a durable consumer has not acked until an hour after its last sign of life.
    Two of one identity, in whatever processes, are one to it: what either acked, both have.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from typing import Final, Literal, NamedTuple, Protocol, TypeAlias

from msgspec import Struct

from arena_tui.broker.refused import Refused
from arena_tui.broker.stats import BrokerStats, ConsumerStats
from arena_tui.broker.warnings import Warnings
from arena_tui.events import AgentInfo, Delivery, Event, RunStart, RunStatus

RunState: TypeAlias = Literal["open", "silent", "closed"]


class Cursor(NamedTuple):
    """How far a consumer has read one run: everything up to and including `seq` of `epoch`."""

    epoch: int
    seq: int


NO_CURSOR: Final = Cursor(0, 0)
"""Before the first event of any run."""

Start: TypeAlias = Literal["oldest", "newest"] | Mapping[str, Cursor]
"""Where a subscription begins: at the oldest event held, at the next one published, or after the
given cursors, at nothing before them (a run without one starts at its first event; events already
evicted are a gap)."""

Outgoing: TypeAlias = tuple[str, Event, bytes]
"""Run id, sealed event and its JSON (see `codec.sealed`), on the way to the broker."""

STORE: Final = "persister"
"""Name of the durable consumer that writes the store, the only one that throttles producers."""


class Limits(Struct, frozen=True, kw_only=True):
    """How much a broker holds.

    Attributes:
        capacity: Events a run holds at most.
        retain: Newest events a run keeps after all durable consumers acked them.
        run_bytes: Bytes of JSON a process holds of a run at most; a server has its own limit.
        decoded: Newest events of all runs that a process holds decoded, for consumers that keep up;
            one that is further behind has them decoded again.
        closed_runs: Closed and fully acked runs a process keeps for late joiners; older ones are
            reaped.
        closed_run_bytes, closed_run_s: How much of such a run a server keeps, and for how long.
        silent_run_s: After so long without a sign of life, a server treats an open run like one.
    """

    capacity: int = 10_000
    retain: int = 1_000
    run_bytes: int = 32 * 1024 * 1024
    decoded: int = 32_768
    closed_runs: int = 64
    closed_run_bytes: int = 1024 * 1024
    closed_run_s: int = 300
    silent_run_s: int = 3_600


class RunMeta(Struct, frozen=True, kw_only=True):
    """Metadata of a run, known before its first event."""

    run_id: str
    game: str = ""
    label: str | None = None
    agents: tuple[AgentInfo, ...] = ()

    @classmethod
    def of(cls, run_id: str, event: Event) -> RunMeta:
        """Take the metadata from the run's first event, which need not be `run_start`."""
        if not isinstance(event, RunStart):
            return cls(run_id=run_id)
        return cls(run_id=run_id, game=event.game, label=event.label, agents=tuple(event.agents))


class RunInfo(Struct, frozen=True, kw_only=True):
    """One run as the broker holds it.

    Attributes:
        state: `silent` when open but without a sign of life for three heartbeat intervals.
        first_seq: Oldest event held; `last_seq + 1` when none is.
        silent_s: Seconds since the producer's last sign of life.
        ended: Last cursor of each earlier stream of the run, as far as recorded.
    """

    meta: RunMeta
    epoch: int
    state: RunState
    first_seq: int
    last_seq: int
    silent_s: float
    ended: tuple[Cursor, ...] = ()


class Subscription(Protocol):
    """A cursor on each run it follows, for one reader at a time; ends with these or the broker.

    Attributes:
        batch_max: Most deliveries of one batch, as it is iterated over.
    """

    name: str
    batch_max: int

    def __aiter__(self) -> AsyncIterator[list[Delivery]]: ...

    async def __anext__(self) -> list[Delivery]: ...

    def read_nowait(self, limit: int = 1_000) -> list[Delivery]:
        """Up to `limit` deliveries available now; empty when it is up to date."""

    def ack(self, cursors: Mapping[str, Cursor]) -> None:
        """Acknowledge everything up to these cursors as committed; durable subscriptions only.

        Only what the broker holds is acked: a cursor beyond a run's newest event counts as one at
        it, and one of an unknown run is left out.
        """

    def stats(self) -> ConsumerStats:
        """A snapshot of its counters."""

    def unread(self) -> dict[str, int]:
        """Events published and not yet delivered, by run. Takes the longer the more there are."""

    def close(self) -> None:
        """Unsubscribe; the broker no longer keeps events for this consumer. Idempotent."""


class BrokerProtocol(Protocol):
    """One bounded stream per run, one cursor per consumer. See the module for the guarantees.

    Attributes:
        name: For display: `in-process`, `redis 127.0.0.1:6379`.
        shared: Whether other processes publish to and read from it, too.
        warnings: Takes the warnings of the whole process, not the broker's alone.
    """

    limits: Limits
    name: str
    shared: bool
    warnings: Warnings

    async def start(self) -> None:
        """Connect and start the background tasks; `subscribe` may be called before. Idempotent.

        Raises:
            BrokerError: The server cannot be reached, or is not supported.
        """

    async def open_run(self, meta: RunMeta, epoch: int | None = None) -> RunInfo:
        """Create the run's stream.

        `epoch` defaults to the present time; passing an earlier run's epoch continues what is
        stored of that run when the same events are published again.

        Raises:
            RunExistsError: The broker holds a run of that id.
        """

    async def claim(self, run_id: str) -> bool:
        """Reserve the id for a new run of this process; of several who ask, one has it.

        False when it is taken: by an open run with a producer, or by one that has ended, as far as
        the broker remembers. An open run whose producer is gone is handed over. True also when the
        server does not answer.
        """

    async def publish(self, run_id: str, event: Event) -> int:
        """Append one event, return its seq; never waits for a consumer.

        Raises:
            EventError: The event cannot be accepted.
            UnknownRunError: The run was never opened.
            RunClosedError: The run has ended.
        """

    async def publish_all(self, batch: Sequence[Outgoing]) -> Refused:
        """Append sealed events in order; a run is opened by its first event.

        Returns how many can never be published, because their run has ended say; each is logged.
        """

    async def heartbeat(self, run_ids: Iterable[str]) -> None:
        """Report that the producer of these runs is alive, though it may be silent."""

    def subscribe(
        self,
        name: str,
        runs: Collection[str] | None = None,
        start: Start = "oldest",
        durable: bool = False,
        unfinished: Collection[str] = (),
        identity: str | None = "",
        replace: bool = False,
    ) -> Subscription:
        """Create a cursor on these runs, or on all present and future ones.

        A durable consumer acks; events it has not acked are held as long as capacity allows. Of an
        `unfinished` run, which has a start cursor and a server has not, it gets an unknown gap.

        Its `identity` is the name by which a server knows it across restarts; empty: `name`. None:
        it does not outlive its subscription, and is forgotten when that is closed.

        With `replace`, a durable subscription of this name here is closed, and what is held for it
        is held for the new one. Had its caller closed it before, events that all others have acked
        would be trimmed in between, and be a gap.

        Raises:
            UnknownRunError: A run named in `runs` is not held.
            UsageError: There is a durable consumer of that name or identity here already.
        """

    def stream(self, run_id: str, from_seq: int = 1) -> AsyncIterator[Delivery]:
        """Replay from `from_seq`, then the live tail; ends with the run.

        It begins in the run's newest stream and does not tell of earlier ones: `subscribe` does.

        Raises:
            UnknownRunError: The broker holds no such run.
            BrokerError: `from_seq` is past the next event.
        """

    async def close_run(
        self, run_id: str, status: RunStatus = "stopped", reason: str | None = None
    ) -> None:
        """End the run with a `run_end` event unless it has one. Idempotent.

        Raises:
            UnknownRunError: The broker holds no such run.
        """

    async def flush(self) -> None:
        """Return when all that was published here has reached the server, or was refused for good.

        `publish_all` does not wait for the events of a run that the server refuses for a while.
        """

    async def settled(self, run_ids: Iterable[str], consumer: str | None = None) -> None:
        """Return when every durable consumer, or this one, has acked all events of these runs."""

    def lags(self, consumer: str) -> dict[str, int]:
        """Events this durable consumer has yet to ack, by run; fully acked runs are left out."""

    async def known_consumers(self) -> dict[str, bool]:
        """By identity, the durable consumers known across restarts; whether events are kept for
        each, or it has been silent for too long."""

    async def forget(self, identity: str) -> None:
        """Keep nothing more for this durable consumer; does nothing when there is none.

        One that is running is known again from its next sign of life on, with what it has acked.
        """

    async def reap(self, run_id: str) -> None:
        """Evict a closed run; consumers that had not read all of it get a gap.

        Raises:
            BrokerError: The run is still open.
        """

    async def runs(self, *, caught_up: bool = False) -> list[RunInfo]:
        """The open and recently closed runs, by start time.

        Args:
            caught_up: Whether to wait until all has been read here that the broker holds of them
                now; a run is closed once its end has been read.
        """

    @property
    def unsent(self) -> int:
        """Events accepted from this process and not on the server yet; from any thread."""

    async def stats(self) -> BrokerStats:
        """A snapshot of all counters."""

    async def aclose(self) -> None:
        """End every iterator and release all resources. Idempotent."""
