"""Samples a runtime's figures once a second, whoever looks: accounts first of all."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from arena_tui.broker.protocol import BrokerProtocol
from arena_tui.broker.tasks import cancel_until_done, restart_on_failure
from arena_tui.consumers.protocol import ConsumerInfo
from arena_tui.services.self_check import SelfCheck

_EVERY_S: Final = 1.0


class Instruments:
    """Belongs to one runtime.

    Args:
        consumers: A snapshot of every consumer.
    """

    def __init__(
        self, broker: BrokerProtocol, consumers: Callable[[], Sequence[ConsumerInfo]]
    ) -> None:
        self._broker = broker
        self._consumers = consumers
        self._check = SelfCheck(broker.warnings)
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Sample in the background until `aclose`. Idempotent."""
        if self._task is None:
            self._task = asyncio.create_task(
                restart_on_failure("instruments", self._run, self._broker.warnings),
                name="instruments",
            )

    async def aclose(self) -> None:
        if self._task is not None:
            await cancel_until_done([self._task])

    async def sample(self) -> None:
        """Take one sample."""
        stats = await self._broker.stats()
        infos = self._consumers()  # nothing is awaited in between: they belong together
        # Of one that is stopped, a batch may be on disk that it never came to count.
        self._check.check(stats, [info for info in infos if info.state != "stopped"])

    async def _run(self) -> None:
        while True:
            await self.sample()
            await asyncio.sleep(_EVERY_S)
