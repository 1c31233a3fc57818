"""The Broker screen at fixed moments: calm, under pressure and in overflow, by real consumers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from arena_tui.broker.protocol import Cursor
from arena_tui.consumers.protocol import Consumer
from arena_tui.events import Delivery, LogEvent
from arena_tui.services.instruments import Instruments
from arena_tui.services.panel import LoopGauge, Panel
from tests.tui.scenario import NOW, Scenario


class Webhook(Consumer):
    """Durable, and takes nothing."""

    name = "webhook"
    durable = True
    resumes = True  # so that nobody who leaves waits for it
    batch_events = batch_max = 1  # else what it has in hand depends on the machine

    async def start(self) -> Mapping[str, Cursor]:
        return {}

    async def handle(self, batch: Sequence[Delivery]) -> Mapping[str, Cursor]:
        raise OSError("hooks.example: 503 Service Unavailable")


class BrokerScenario(Scenario):
    """Samples by hand, once a second of its clock, and measures nothing.

    Args:
        backlog: Events published after a webhook has begun to fail.
    """

    def __init__(self, backlog: int = 0) -> None:
        super().__init__()
        self._backlog = backlog

    async def play_all(self) -> None:
        await self.runtime.open()
        await self.runtime.instruments.aclose()
        self.runtime.instruments = Fixed(self.runtime, self.runtime.instruments.lags, self.clock)
        await super().play_all()
        if self._backlog:
            await self.runtime.consume(lambda _: Webhook())
        broker = self.runtime.broker
        for _ in range(5 if self._backlog else 0):
            for number in range(self._backlog // 5):
                await broker.publish(self.tapes[5].run_id, LogEvent(ts=NOW, text=str(number)))
            await broker.settled([tape.run_id for tape in self.tapes], "persister")
            await self.settle()

    async def sample(self) -> None:
        await self.runtime.catch_up()
        for name in ("ratings", "persister"):  # else it is chance how far behind each one is
            await self.runtime.broker.settled([tape.run_id for tape in self.tapes], name)
        await self.runtime.instruments.sample()
        await super().sample()


class Fixed(Instruments):
    """What depends on this machine is the same everywhere."""

    async def sample(self) -> None:
        await super().sample()
        self.panel = fixed(self.panel)


def fixed(panel: Panel) -> Panel:
    assert panel.broker is not None
    at = NOW.timestamp()
    warnings = tuple(replace(each, time=at) for each in panel.broker.warnings)
    consumers = tuple(
        replace(each, info=replace(each.info, lag_s=12.0 if each.info.lag else 0.0))
        for each in panel.consumers
    )
    store = panel.store and replace(panel.store, batch=240, commit_p50_ms=3.1, commit_p99_ms=9.2)
    loop = LoopGauge(lag_ms=(1.0, 2.0, 1.0, 4.0), queued_peak=512)
    return replace(
        panel, at=at, broker=replace(panel.broker, warnings=warnings), consumers=consumers,
        store=store, loop=loop,
    )  # fmt: skip
