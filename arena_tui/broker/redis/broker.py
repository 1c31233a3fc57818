"""The broker on Redis Streams: a mirror of what a server holds. Composes its parts only."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence

from arena_tui.broker.mirror.broker import Local, MirrorBroker, cache
from arena_tui.broker.protocol import Cursor, Limits
from arena_tui.broker.recovery import Answer
from arena_tui.broker.redis.beats import Beats
from arena_tui.broker.redis.link import RedisLink
from arena_tui.broker.redis.lookup import stores_seen
from arena_tui.broker.redis.names import claim
from arena_tui.broker.redis.outlet import RedisOutlet
from arena_tui.broker.redis.reader import Reader
from arena_tui.broker.redis.register import RedisRegister
from arena_tui.broker.redis.scripts import REAP
from arena_tui.broker.redis.watcher import Watcher
from arena_tui.broker.stats import ServerStats
from arena_tui.broker.timing import Timing
from arena_tui.broker.warnings import Warnings
from arena_tui.broker_url import BrokerUrl
from arena_tui.errors import BrokerError
from arena_tui.events import Gap


class RedisBroker(MirrorBroker):
    """See `MirrorBroker`.

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
        limits, timing = limits or Limits(), timing or Timing()
        ledger = cache(limits, held, clock)
        link = RedisLink(url, ledger.warnings, timing)

        outlet = RedisOutlet(link, limits.capacity)

        def upstream(local: Local) -> _Server:
            return _Server(link, local, outlet, ledger.warnings, reading)

        super().__init__(
            ledger, link, outlet, RedisRegister(link, limits),
            upstream, reading=reading, timing=timing, key_of=link.keys.events,
        )  # fmt: skip


class _Server:
    """See `Upstream`."""

    def __init__(
        self, link: RedisLink, local: Local, outlet: RedisOutlet, warnings: Warnings, reading: bool
    ) -> None:
        self._link = link
        self._ledger = local.ledger
        self._warnings = warnings
        self._reading = reading
        self._beats = Beats(link, local.writer, outlet)
        self._watcher = Watcher(link, local)
        self._reader = Reader(link, local, self._watcher)

    async def connect(self) -> None:
        facts = await self._link.check()
        if not self._reading and (why := self._link.advice.obstacle(facts)):
            raise BrokerError(why)
        for risk in self._link.advice.risks(facts):
            self._warnings.add("server_risk", risk=risk.what, advice=risk.remedy)

    async def catch_up(self) -> None:
        await self._reader.catch_up()

    def tasks(self) -> dict[str, Callable[[], Awaitable[None]]]:
        return {"reader": self._reader.run, "watch": self._watcher.run} if self._reading else {}

    async def until_caught_up(self) -> None:
        await self._reader.until_caught_up()

    async def recover(self, gap: Gap) -> Answer:
        return await self._reader.recover(gap)

    async def claim(self, run_id: str) -> bool:
        return await claim(self._link, run_id)

    async def beat(self, run_ids: Sequence[str]) -> None:
        await self._beats.send(run_ids)

    async def reap(self, run_id: str) -> None:
        await self._link.call(REAP, [self._link.keys.meta(run_id)], [run_id])

    async def server(self) -> ServerStats:
        before = time.perf_counter()
        await self._link.control.ping()
        ping_ms = (time.perf_counter() - before) * 1_000
        facts = await self._link.facts()
        logs = [stream.log for stream in self._ledger.streams.values()]
        stores = await stores_seen(
            self._link, {log.run_id: Cursor(log.epoch, log.last) for log in logs}
        )
        return ServerStats(
            product=facts.product, version=facts.version, ping_ms=ping_ms, memory=facts.memory,
            memory_max=facts.memory_max, policy=facts.policy, aof=facts.aof,
            clients=facts.clients, stores=tuple(stores),
        )  # fmt: skip

    async def aclose(self) -> None:
        await self._link.aclose()
