"""What the instruments show of a runtime at one instant: values, nothing that moves."""

from __future__ import annotations

from msgspec import Struct

from arena_tui.broker.stats import BrokerStats, ServerStats
from arena_tui.consumers.protocol import ConsumerInfo
from arena_tui.folds.accounts import Account
from arena_tui.folds.gauges import Flow, RunGauge
from arena_tui.services.disk import DiskGauge
from arena_tui.store.owner import Attached


class ConsumerGauge(Struct, frozen=True, kw_only=True):
    """One consumer of this process, or the store wherever it is.

    Attributes:
        level: See `folds.gauges.level_of`, of the run in which it is furthest behind.
    """

    info: ConsumerInfo
    flow: Flow
    level: int

    @property
    def lag(self) -> int:
        """Events it has yet to ack or, if it is not durable, to be delivered."""
        return self.info.unacked if self.info.durable else self.info.lag

    @property
    def severity(self) -> tuple[bool, bool, int, int]:
        """The greater, the more trouble; calm ones are all alike, so that they keep their order."""
        lag = self.lag if self.level else 0
        return self.info.state == "error", self.flow.losing, self.level, lag


class StoreGauge(Struct, frozen=True, kw_only=True):
    """The store that is open here.

    Attributes:
        account: What became of all events published here.
        state, last_error: Of its persister.
        batch: Deliveries of the newest commit.
        commit_p50_ms, commit_p99_ms: What the newest commits took.
        per_second: Events stored in each of the last seconds, newest last.
        disk: None in memory.
    """

    account: Account
    state: str
    last_error: str | None
    batch: int
    commit_p50_ms: float
    commit_p99_ms: float
    per_second: tuple[int, ...]
    disk: DiskGauge | None


class LoopGauge(Struct, frozen=True, kw_only=True):
    """The event loop of this process and the producers in it.

    Attributes:
        lag_ms: How late the loop was at worst in each of the last seconds, newest last.
        queued: Events emitted and not yet published; queued_peak: most ever.
        held_back: Producers that waited for room within the last second, on average.
        held_back_s: Seconds that producers have waited for room so far.
        unsent: Events published and not yet on the server.
    """

    lag_ms: tuple[float, ...] = ()
    queued: int = 0
    queued_peak: int = 0
    held_back: int = 0
    held_back_s: float = 0.0
    unsent: int = 0


class Panel(Struct, frozen=True, kw_only=True):
    """All gauges, those in most trouble first.

    Attributes:
        at: Seconds since 1970.
        marks: Percent of capacity from which on a gauge is raised, high and full.
        broker: The broker's own counters; None before the first sample.
        server: The server's figures; None when there is none.
        attached: The other processes that use the store open here.
    """

    at: float = 0.0
    marks: tuple[float, float, float] = (50, 80, 100)
    broker: BrokerStats | None = None
    consumers: tuple[ConsumerGauge, ...] = ()
    runs: tuple[RunGauge, ...] = ()
    store: StoreGauge | None = None
    server: ServerStats | None = None
    loop: LoopGauge = LoopGauge()
    attached: tuple[Attached, ...] = ()
