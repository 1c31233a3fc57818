"""Opens, supervises and closes what a process runs: broker, producers, store, consumers."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import time
from collections.abc import Collection, Coroutine, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from arena_tui.broker.memory import InProcessBroker
from arena_tui.broker.protocol import STORE, BrokerProtocol, Limits
from arena_tui.broker.timing import Timing
from arena_tui.config import Config
from arena_tui.consumers.protocol import Consumer
from arena_tui.producers.follow import Follower
from arena_tui.producers.sink import MultiRunBrokerSink
from arena_tui.services.consumption import Consumption
from arena_tui.services.games import Games

if TYPE_CHECKING:
    from arena_tui.consumers.persister import Persister
    from arena_tui.store.database import Database
    from arena_tui.store.history import History

__all__ = ["Runtime"]

_GIVE_UP_S = 10.0
_LOOK_EVERY_S = 0.1

C = TypeVar("C", bound=Consumer)


class Runtime:
    """Everything behind the screen. Create and use it on one event loop; `aclose` it at the end.

    Args:
        config: The settings in force.
        producer: Whether this process only publishes: with a shared broker it then neither stores
            nor reads.
        limits: How much the broker holds.
        give_up_s: How long `aclose` waits for a failing server or durable consumer.
        timing: Intervals and timeouts of a shared broker's background work.

    Attributes:
        broker, sink, games: Set from the start.
        database, history, storing: Set once `open` has returned; `storing` runs the persister.
        notices: Messages for the user, oldest first.
    """

    def __init__(
        self,
        config: Config,
        limits: Limits | None = None,
        *,
        producer: bool = False,
        give_up_s: float = _GIVE_UP_S,
        timing: Timing | None = None,
    ) -> None:
        self.config = config
        self.broker = _broker(config, limits, producer, timing)
        self.sink = MultiRunBrokerSink(self.broker)
        self.database: Database | None = None
        self.history: History | None = None
        self.storing: Consumption[Persister] | None = None
        self.notices: list[str] = []
        self.games = Games(self.sink, self.notices)
        self._follower: Follower | None = None
        self._storing_here = config.db is not None and not (producer and self.broker.shared)
        self._opening = asyncio.Lock()
        self._started = False
        self._give_up_s = give_up_s
        self._consumptions: list[Consumption[Any]] = []

    async def open(self) -> None:
        """Start the broker, open the configured store and start storing. Idempotent.

        Raises:
            BrokerError: The broker cannot be reached.
            StoreError: The store cannot be opened; the broker runs without it.
        """
        async with self._opening:
            await self._open()

    async def consume(
        self, consumer: C, runs: Collection[str] | None = None, *, polled: bool = False
    ) -> Consumption[C]:
        """Run a consumer until the runtime is closed; it starts at once, even before `open`.

        Add a durable consumer that must miss nothing of a shared broker before `open`: once
        started, the broker reaps closed runs that no durable consumer waits for.

        Args:
            runs: The runs to subscribe to; None: all, including future ones.
            polled: Start no task; deliveries are handled when `catch_up` is called.

        Raises:
            Exception: Whatever its `start` or `broker.subscribe` raises.
        """
        told = self.notices.append if consumer.name != STORE else _in_the_truth_bar
        consumption = Consumption(consumer, self.broker, runs, polled=polled, on_failure=told)
        await consumption.start()
        self._consumptions.append(consumption)
        return consumption

    def follow(self, files: Sequence[Path]) -> None:
        """Publish the lines of these JSON Lines files, and lines appended later."""
        self._follower = Follower(self.broker, files, self.notices, self.catch_up)
        self._follower.start()

    def release(self, consumption: Consumption[Any]) -> None:
        """Stop running a polled consumer."""
        consumption.close()
        self._consumptions.remove(consumption)

    async def catch_up(self) -> None:
        """Hand every polled consumer its pending deliveries.

        Raises:
            Exception: Whatever a consumer raised, after all others were served.
        """
        failed: Exception | None = None
        for each in [each for each in self._consumptions if each.polled]:
            try:
                await each.catch_up()
            except Exception as error:  # noqa: BLE001 - raised after the last
                failed = error
        if failed is not None:
            raise failed

    async def _open(self) -> None:
        refused: Exception | None = None
        if self._storing_here and self.database is None:
            # Before the broker: a shared one reaps closed runs that no durable consumer waits for.
            try:
                await self._open_store()
            except Exception as error:  # noqa: BLE001 - raised once the broker has started
                refused = error
        try:
            await self.broker.start()
            self._started = True
        except BaseException:
            await self._close_store()
            raise
        if refused is not None:
            raise refused

    async def _open_store(self) -> None:
        assert self.config.db is not None
        from arena_tui.consumers.persister import Persister
        from arena_tui.store.database import Database
        from arena_tui.store.history import History

        database = await _finished(asyncio.to_thread(Database, self.config.db))
        try:
            self.storing = await self.consume(Persister(database))
        except BaseException:
            await database.aclose()
            raise
        self.database, self.history = database, History(database)
        self.notices += database.notices

    async def _close_store(self) -> None:
        if self.storing is not None and self.database is not None:
            await self.storing.stop()
            self._consumptions.remove(self.storing)
            await self.database.aclose()
            self.database = self.history = self.storing = None

    async def aclose(self) -> str | None:
        """End this process's games and runs, store what they published, and close.

        Returns a message about lost events, or None. Waits at most `give_up_s` for a failing
        server or durable consumer. Events that other processes published to a shared broker stay
        there for the next start.
        """
        if self._follower is not None:
            await self._follower.aclose()
        if self.games.playing:
            await asyncio.to_thread(self.games.stop)
        if self._started or not self.broker.shared:  # a server never reached is not waited for
            await self._settle()
        stats = await self.broker.stats()
        unsent = stats.unsent + self.sink.stats().queued
        await self.broker.aclose()
        for each in self._consumptions:
            await each.stop()
        if self.database is not None:
            await self.database.aclose()
        told = []
        if unsent:
            told.append(f"{unsent:,} events could not be published: {stats.link or 'given up'}")
        if refused := self.sink.stats().refused:
            told.append(f"{refused.events:,} events were refused: {refused.why}")
        return "; ".join([*told, *self._unkept()]) or None

    async def _settle(self) -> None:
        """Publish everything and end the runs; wait for all acks unless the broker is shared."""
        began = time.monotonic()
        durable = [each for each in self._consumptions if each.consumer.durable]
        await self._patiently(self.sink.aclose(), durable, began)
        if not self.broker.shared:
            runs = [info.meta.run_id for info in await self.broker.runs()]
            await asyncio.gather(
                *(
                    self._patiently(self.broker.settled(runs, each.consumer.name), [each], began)
                    for each in durable
                )
            )

    async def _patiently(
        self,
        work: Coroutine[None, None, None],
        needed: Sequence[Consumption[Any]],
        began: float,
    ) -> None:
        """Wait for `work`; cancel it once the server or a `needed` consumer has failed for
        `give_up_s`, not counting failures before closing `began`."""
        task = asyncio.create_task(work)
        cut_off_s = 0.0
        try:
            while not task.done() and cut_off_s <= self._give_up_s:
                await asyncio.wait([task], timeout=_LOOK_EVERY_S)
                is_cut_off = (await self.broker.stats()).link is not None
                cut_off_s = cut_off_s + _LOOK_EVERY_S if is_cut_off else 0.0
                closing_s = time.monotonic() - began
                if any(min(each.failing_s, closing_s) > self._give_up_s for each in needed):
                    break
        finally:
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    def _unkept(self) -> list[str]:
        """A message for each durable consumer that never acked some events."""
        if self.broker.shared:
            return []
        return [
            f"{each.unacked:,} events could not be "
            f"{'stored' if each is self.storing else f'kept by {each.consumer.name}'}: "
            f"{each.health.last_error}"
            for each in self._consumptions
            if each.unacked
        ]


def _in_the_truth_bar(_: str) -> None:
    """No notice: the truth bar shows a store failure for as long as it lasts."""


async def _finished(opening: Coroutine[None, None, Database]) -> Database:
    """Wait for the store to open; if cancelled, close it, since it holds threads and a lock."""
    task = asyncio.create_task(opening)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        while not task.done():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait([task])
        if task.exception() is None:
            task.result().close()
        raise


def _broker(
    config: Config, limits: Limits | None, producer: bool, timing: Timing | None
) -> BrokerProtocol:
    if config.broker.kind == "memory":
        return InProcessBroker(limits)
    from arena_tui.broker.redis.broker import RedisBroker  # takes 100 ms to import

    return RedisBroker(
        config.broker, limits, store=_store_name(config.db), reading=not producer, timing=timing
    )


def _store_name(db: str | None) -> str | None:
    """The store's name to other processes; None if it does not outlive this one."""
    if db is None or db == ":memory:":
        return None
    return f"{socket.gethostname()}:{os.path.realpath(db)}"
