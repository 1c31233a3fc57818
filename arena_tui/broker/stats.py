"""Snapshots of a broker's counters."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from arena_tui.broker.refused import Refused
from arena_tui.broker.warned import Code, Warned


class RunProgress(Struct, frozen=True, kw_only=True):
    """One durable consumer's progress in one run, in events.

    Attributes:
        lag: Published and not acked; lag_peak: its maximum so far.
        overflow: Lost because the broker evicted them before this consumer read them.
    """

    name: str
    lag: int
    lag_peak: int
    overflow: int


class RunStats(Struct, frozen=True, kw_only=True):
    """Counters of one run's log, in events.

    Attributes:
        overflow: Events that any durable consumer lost, each counted once; trimming alone is no
            loss.
        consumers: Progress of the durable consumers.
    """

    run_id: str
    held: int
    high_water: int
    trimmed: int
    overflow: int
    consumers: tuple[RunProgress, ...]


class ConsumerStats(Struct, frozen=True, kw_only=True):
    """One consumer's progress in all its runs, in events.

    Attributes:
        published: All that there was for it to read since it subscribed, counted where it arrives:
            `published == delivered + in_gaps + skipped + lag`.
        skipped: Published, but before its start cursor.
        lag: Published and not yet delivered; lag_peak: its maximum so far.
        lag_s: Seconds since the oldest event not yet delivered arrived here.
        overflow: Lost by this consumer because the broker evicted them.
    """

    name: str
    durable: bool
    published: int = 0
    delivered: int = 0
    in_gaps: int = 0
    skipped: int = 0
    lag: int = 0
    lag_peak: int = 0
    lag_s: float = 0.0
    overflow: int = 0


class StoreSeen(Struct, frozen=True, kw_only=True):
    """One durable consumer as a server knows it.

    Attributes:
        silent_s: Seconds since its last ack; None when its acks have expired.
        lag: Events of all runs it has not acked; lag_most: those of the run with the most.
    """

    name: str
    silent_s: float | None
    lag: int
    lag_most: int


class ServerStats(Struct, frozen=True, kw_only=True):
    """How a server does; None where its user may not ask.

    Attributes:
        ping_ms: One round trip.
        memory, memory_max: Bytes; a `memory_max` of 0 is no limit; policy: what happens beyond it.
        aof: Whether it writes an append-only file.
        clients: Connections to it, of whatever program.
        stores: Its durable consumers, those of this process included, by identity.
    """

    product: str
    version: str
    ping_ms: float
    memory: int | None = None
    memory_max: int | None = None
    policy: str | None = None
    aof: bool | None = None
    clients: int | None = None
    stores: tuple[StoreSeen, ...] = ()


class BrokerStats(Struct, frozen=True, kw_only=True):
    """A snapshot of all counters since the broker started.

    Attributes:
        published: What the runs hold, and what was `trimmed`, `let_go` or is `unheld`.
        let_go: Held of a run until that was let go, or its stream made anew.
        unheld: Published as far as consumers here can tell, but never in a log here.
        warnings: The newest of each code, of the whole process, oldest first.
        warned: How many warnings there were of each code.
        link: Current problem of the connection to the server; None when there is none.
        unsent: Events accepted here that the server has not acknowledged.
        refused: Events refused for good after `publish_all` had returned.
        failures: Failures of background work here, whose cause was set aside.
    """

    capacity: int
    published: int
    trimmed: int
    overflow: int
    runs: tuple[RunStats, ...]
    consumers: tuple[ConsumerStats, ...]
    warnings: tuple[Warned, ...] = ()
    warned: Mapping[Code, int] = {}
    let_go: int = 0
    unheld: int = 0
    link: str | None = None
    unsent: int = 0
    refused: Refused = Refused()
    failures: int = 0
