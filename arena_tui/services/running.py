"""The consumers that a runtime runs: one set, in which each has its own task and state."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Final, TypeVar

from arena_tui.broker.protocol import STORE, BrokerProtocol
from arena_tui.consumers.checked import made
from arena_tui.consumers.protocol import Consumer, ConsumerFactory, ConsumerInfo, Context
from arena_tui.services.closing import Closing
from arena_tui.services.consumption import RETRY_S, Consumption

_LOOK_EVERY_S: Final = 0.1

C = TypeVar("C", bound=Consumer)


class Running:
    """All consumers of one broker. Belongs to its loop."""

    def __init__(self, broker: BrokerProtocol, context: Context) -> None:
        self._broker = broker
        self._context = context
        self._all: list[Consumption[Any]] = []

    def __iter__(self) -> Iterator[Consumption[Any]]:
        return iter(list(self._all))

    def add(
        self, make: Callable[[Context], C], retry_s: Sequence[float] = RETRY_S
    ) -> Consumption[C]:
        """Make a consumer that is yet to be started."""
        consumption = Consumption(make(self._context), self._broker, retry_s=retry_s)
        self._all.append(consumption)
        return consumption

    async def consume(self, make: Callable[[Context], C]) -> Consumption[C]:
        """Make a consumer and start it; it is forgotten if it cannot start."""
        consumption = self.add(make)
        try:
            await consumption.start()
        except BaseException:
            self._all.remove(consumption)
            raise
        return consumption

    async def lend(self, makers: Iterable[ConsumerFactory]) -> list[Consumption[Any]]:
        """Make and start consumers of somebody else, all or none."""
        lent: list[Consumption[Any]] = []
        try:
            for make in makers:
                lent.append(await self.consume(partial(made, make)))
        except BaseException:
            for each in lent:
                await self.drop(each)
            raise
        return lent

    async def drop(self, consumption: Consumption[Any]) -> None:
        """Stop a consumer and forget it."""
        try:
            await consumption.stop()
        finally:
            self._all.remove(consumption)

    def get(self, name: str) -> Consumption[Any]:
        """The consumer of that name; raises KeyError if there is none."""
        for each in self._all:
            if each.consumer.name == name:
                return each
        raise KeyError(name)

    def durable(self) -> list[Consumption[Any]]:
        """Those that ack."""
        return [each for each in self._all if each.consumer.durable]

    def infos(self) -> tuple[ConsumerInfo, ...]:
        """A snapshot of each."""
        return tuple(each.info() for each in self._all)

    def lags(self) -> dict[str, dict[str, int]]:
        """What each consumer has yet to ack, or to be delivered, by run; without those that come
        and go, of which there may be hundreds."""
        alone = [each for each in self._all if each.consumer.durable or not each.consumer.group]
        return {each.consumer.name: each.lags() for each in alone}

    async def catch_up(self) -> None:
        """Hand every polled consumer its pending deliveries, and forget those that were closed.

        Raises:
            Exception: Whatever a consumer raised, after all others were served.
        """
        failed: Exception | None = None
        self._all = [each for each in self._all if not each.closed]
        for each in [each for each in self._all if each.consumer.polled]:
            try:
                await each.catch_up()
            except Exception as error:  # noqa: BLE001 - raised after the last
                failed = error
        if failed is not None:
            raise failed

    async def settle(self, closing: Closing, some: Iterable[Consumption[Any]]) -> None:
        """Wait until those of them that are durable have acked all that was published."""
        runs = [info.meta.run_id for info in await self._broker.runs()]
        names = {each.consumer.name: each for each in some if each.consumer.durable}
        await asyncio.gather(
            *(
                closing.save(name, self._broker.settled(runs, name), partial(_unacked, each))
                for name, each in names.items()
            )
        )

    @asynccontextmanager
    async def releasing(self) -> AsyncIterator[None]:
        """While this is open, stop each that fails and resumes at its next start: who leaves would
        wait for it in vain."""
        task = asyncio.create_task(self._release_failing())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])

    async def _release_failing(self) -> None:
        while True:
            for each in self:
                if each.consumer.resumes and each.health.state == "error":
                    await each.stop()
            await asyncio.sleep(_LOOK_EVERY_S)

    def unkept(self, why: str | None, some: Iterable[Consumption[Any]]) -> list[str]:
        """A message for each of these that has not acked some events, for a reason: of a shared
        broker, which keeps them, it may just not have come to that. Nor is one needed by those that
        resume at their next start."""
        told = []
        for each in some:
            if each.consumer.resumes:
                continue
            name, unacked = each.consumer.name, each.unacked
            reason = each.health.last_error or why
            done = "stored" if name == STORE else f"kept by {name}"
            if not unacked or (self._broker.shared and reason is None):
                continue
            if self._broker.shared:
                told.append(f"{unacked:,} events stay on {self._broker.name}, "
                            f"not {done} yet: {reason}")  # fmt: skip
            else:
                told.append(f"{unacked:,} events could not be {done}: {reason}")
        return told


def _unacked(consumption: Consumption[Any]) -> dict[str, int]:
    return {consumption.consumer.name: consumption.unacked}
