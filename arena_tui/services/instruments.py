"""Samples a runtime's figures once a second, whoever looks: accounts first of all."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from itertools import count
from typing import Final, Protocol

from arena_tui.broker.protocol import STORE, BrokerProtocol
from arena_tui.broker.stats import BrokerStats, ServerStats
from arena_tui.broker.tasks import cancel_until_done, restart_on_failure
from arena_tui.config import Config
from arena_tui.consumers.persister_stats import PersisterStats
from arena_tui.consumers.protocol import ConsumerInfo
from arena_tui.folds.gauges import SECONDS, FlowGauges, Growth, RunGauges, level_of
from arena_tui.services.brokers import server_of
from arena_tui.services.disk import Disk
from arena_tui.services.following import Following
from arena_tui.services.panel import ConsumerGauge, LoopGauge, Panel, StoreGauge
from arena_tui.services.self_check import SelfCheck
from arena_tui.services.storing import Storing

_TICK_S: Final = 0.1
_TICKS: Final = 10
"""Ticks from one sample to the next; each tells how late the loop is."""

_SERVER_EVERY_S: Final = 5.0
_SERVER_WITHIN_S: Final = 5.0


class Sampled(Protocol):
    """What of a runtime is sampled."""

    broker: BrokerProtocol
    config: Config
    storing: Storing
    following: Following

    def consumers(self) -> Sequence[ConsumerInfo]: ...


class Instruments:
    """Belongs to one runtime and its loop.

    Args:
        lags: By consumer, what it has yet to ack, or to be delivered, of each run.
        clock: Monotonic seconds.

    Attributes:
        lags: See above.
        panel: The newest sample.
    """

    def __init__(
        self, sampled: Sampled, lags: Callable[[], Mapping[str, Mapping[str, int]]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        self.panel = Panel()
        self._sampled = sampled
        self.lags = lags
        self._broker = sampled.broker
        self._clock = clock
        self._sampled_at = clock()
        self._check = SelfCheck(sampled.broker.warnings)
        self._runs = RunGauges()
        self._flows = FlowGauges()
        path = sampled.config.db
        self._disk = None if path in (None, ":memory:") else Disk(path)
        self._stored = Growth(0)
        self._late_ms: deque[float] = deque(maxlen=SECONDS)
        self._held_back_s = 0.0
        self._ask_server = server_of(sampled.broker)
        self._server: ServerStats | None = None
        self._taken = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Sample in the background until `aclose`. Idempotent."""
        if self._tasks:
            return
        work: dict[str, Callable[[], Awaitable[None]]] = {"instruments": self._run}
        if self._ask_server is not None:
            work["instruments of the server"] = partial(self._watch_server, self._ask_server)
        self._tasks = [
            asyncio.create_task(restart_on_failure(name, run, self._broker.warnings), name=name)
            for name, run in work.items()
        ]

    async def aclose(self) -> None:
        await cancel_until_done(self._tasks)

    async def next(self) -> Panel:
        """The next sample that is taken in the background, within about a second."""
        await self._taken.wait()
        return self.panel

    async def sample(self) -> None:
        """Take one sample: check the accounts, and set the panel."""
        sampled, now = self._sampled, self._clock()
        seconds = max(1, round(now - self._sampled_at))
        self._sampled_at = now
        run_infos = await self._broker.runs()
        stats = await self._broker.stats()
        infos = sampled.consumers()  # nothing is awaited in between: they belong together
        # Of one that is stopped, a batch may be on disk that it never came to count.
        off = self._check.check(stats, [info for info in infos if info.state != "stopped"])
        marks = sampled.config.gauges.marks
        self.panel = Panel(
            at=time.time(), marks=marks, broker=stats,
            consumers=self._consumers(infos, stats.capacity, seconds),
            runs=self._runs.sample(stats, run_infos, marks, seconds),
            store=self._store(infos, stats, seconds), server=self._server,
            loop=self._loop(seconds), attached=tuple(sampled.storing.attached()),
            discrepancies=off,
        )  # fmt: skip
        self._taken.set()  # whoever waits goes on; whoever comes now waits for the next
        self._taken.clear()

    def _consumers(
        self, infos: Sequence[ConsumerInfo], capacity: int, seconds: int
    ) -> tuple[ConsumerGauge, ...]:
        marks = self._sampled.config.gauges.marks
        fullest = {name: max(lags.values(), default=0) for name, lags in self.lags().items()}
        flows = self._flows.sample(infos, fullest, capacity, seconds)
        gauges = [
            ConsumerGauge(info=info, flow=flow, level=level_of(flow.fullest, marks))
            for info, flow in zip(infos, flows, strict=True)
        ]
        return tuple(sorted(gauges, key=lambda gauge: gauge.severity, reverse=True))

    def _store(
        self, infos: Sequence[ConsumerInfo], stats: BrokerStats, seconds: int
    ) -> StoreGauge | None:
        info = next((each for each in infos if each.name == STORE), None)
        if info is None or not isinstance(info.stats, PersisterStats):
            return None
        own = info.stats
        self._stored.add(own.stored, seconds)
        return StoreGauge(
            account=info.account(stats.published), state=info.state, last_error=info.last_error,
            batch=own.batch, commit_p50_ms=own.commit_p50_ms, commit_p99_ms=own.commit_p99_ms,
            per_second=tuple(self._stored.values),
            disk=None if self._disk is None else self._disk.sample(self._sampled_at),
        )  # fmt: skip

    def _loop(self, seconds: int) -> LoopGauge:
        sinks = [sink.stats() for sink in self._sampled.following.sinks]
        waited, self._held_back_s = self._held_back_s, sum(each.blocked_s for each in sinks)
        return LoopGauge(
            lag_ms=tuple(self._late_ms), queued=sum(each.queued for each in sinks),
            queued_peak=max((each.queued_peak for each in sinks), default=0),
            held_back=round(max(0.0, self._held_back_s - waited) / seconds),
            held_back_s=self._held_back_s, unsent=self._broker.unsent,
        )  # fmt: skip

    async def _run(self) -> None:
        late_ms = 0.0
        for tick in count(1):
            if tick % _TICKS == 1:
                self._late_ms.append(late_ms)
                late_ms = 0.0
                await self.sample()
            due = self._clock() + _TICK_S
            await asyncio.sleep(_TICK_S)
            late_ms = max(late_ms, (self._clock() - due) * 1_000)

    async def _watch_server(self, ask: Callable[[], Awaitable[ServerStats | None]]) -> None:
        while True:
            try:
                async with asyncio.timeout(_SERVER_WITHIN_S):
                    self._server = await ask()
            except TimeoutError:
                self._server = None
            await asyncio.sleep(_SERVER_EVERY_S)
