"""Opens, supervises and closes what a process runs: broker, producers, store, consumers."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from msgspec.structs import replace

from arena_tui.broker.protocol import STORE, Limits
from arena_tui.broker.tasks import keep_quiet_of_lost_connections
from arena_tui.broker.timing import Timing
from arena_tui.config import Config
from arena_tui.consumers.checked import made
from arena_tui.consumers.protocol import Consumer, ConsumerFactory, ConsumerInfo, Context
from arena_tui.errors import BrokerError, StoreError
from arena_tui.producers.sink import MultiRunBrokerSink
from arena_tui.producers.sink_stats import SinkStats
from arena_tui.services.brokers import StandIn, make_broker, stored_elsewhere
from arena_tui.services.closing import Closing
from arena_tui.services.consumption import Consumption
from arena_tui.services.following import Following
from arena_tui.services.games import Games
from arena_tui.services.instruments import Instruments
from arena_tui.services.names import Names
from arena_tui.services.running import Running
from arena_tui.services.storing import Sharing, Storing
from arena_tui.services.waits import from_thread

if TYPE_CHECKING:
    from arena_tui.store.history import History
    from arena_tui.store.reading import Store

_GIVE_UP_S = 10.0
_GAMES_STOP_S = 5.0

C = TypeVar("C", bound=Consumer)
T = TypeVar("T")


class Runtime:
    """Everything behind the screen. Create and use it on one event loop; `aclose` it at the end.

    Args:
        producer: Whether this process only publishes: with a shared broker it then neither stores
            nor reads.
        consumers: Make consumers that run from `open` until `aclose`.
        installed: Whether to run the consumers of installed packages, if it stores in a file.
        read_from: A store to read only, when the config names none to store in.
        share: Makes what shares a store's file with other processes while it is open here.
        stand_in: Another process has the store open: this one is attached to that, and this opens
            it here when that one ends. Closed with the runtime.
        give_up_s: How long `aclose` waits while nothing is published and no durable consumer
            makes progress.

    Attributes:
        broker, sink, names, games: Set from the start.
        storing: Its store.
        stand_in: See above.
        following: The files that it follows.
        instruments: Its figures.
    """

    def __init__(
        self, config: Config, limits: Limits | None = None, *,
        consumers: Iterable[ConsumerFactory] = (), producer: bool = False,
        installed: bool = False, read_from: str | None = None, give_up_s: float = _GIVE_UP_S,
        timing: Timing | None = None, share: Callable[[Runtime], Awaitable[Sharing]] | None = None,
        stand_in: StandIn | None = None,
    ) -> None:  # fmt: skip
        self.config = config
        consumers = tuple(consumers)
        self.stand_in = stand_in
        reads = bool(consumers) or not producer
        self.broker = make_broker(config, limits, reads, timing, stand_in)
        self.sink = MultiRunBrokerSink(self.broker, event_max_bytes=config.event_max_bytes)
        self.names = Names(self.broker, self.sink, lambda: self.history)
        self.following = Following(
            self.broker, self.sink, self.catch_up, lambda: self.history, config.event_max_bytes
        )
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._closed = False
        self._opening = asyncio.Lock()
        self._started = False
        self._give_up_s = give_up_s
        self._running = Running(self.broker, Context(self.broker, config, lambda: self.history))
        if producer and self.broker.shared:
            config = replace(config, db=None)
        self.storing = Storing(
            config, self.broker, self._running, installed=installed, read_from=read_from,
            elsewhere=stand_in is not None,
        )  # fmt: skip
        self._share = share
        self._store_elsewhere = stored_elsewhere(self.broker)
        self.games = Games(
            self.sink, self.broker, lambda: None if self.storing.only_read else self.history
        )
        self.instruments = Instruments(self)
        self._to_start = deque(self._running.add(partial(made, make)) for make in consumers)

    @property
    def database(self) -> Store | None:
        """The store, if there is one and it can be read."""
        return self.storing.database

    @property
    def history(self) -> History | None:
        """What is stored, if a store is open."""
        return self.storing.history

    async def open(self) -> None:
        """Start the consumers, open the configured store, and start the broker. Idempotent.

        Raises:
            ConsumerError: One of the consumers cannot start.
            BrokerError: The broker cannot be reached.
            StoreError: The store cannot be opened; the broker runs without it.
        """
        async with self._opening:
            keep_quiet_of_lost_connections(asyncio.get_running_loop())
            await self._open()

    async def consume(self, make: Callable[[Context], C]) -> Consumption[C]:
        """Make a consumer and run it until the runtime is closed; it starts at once.

        A durable one that must miss nothing of a shared broker is given to the runtime when that
        is made: once started, the broker reaps closed runs that no durable consumer waits for.

        Raises:
            ConsumerError: It cannot start.
            UsageError: A durable consumer of that name runs already.
            BrokerError: The runtime is closed.
        """
        if self._closed:
            raise BrokerError("the runtime is closed: nothing more can be consumed")
        return await self._running.consume(make)

    @contextlib.asynccontextmanager
    async def consuming(self, make: Callable[[Context], C]) -> AsyncIterator[Consumption[C]]:
        """Run a consumer as long as the context lasts; see `consume`. What it has in hand at the
        end counts as not handled."""
        consumption = await self.consume(make)
        try:
            yield consumption
        finally:
            await self._running.drop(consumption)

    def lend(self, makers: Iterable[ConsumerFactory]) -> list[Consumption[Any]]:
        """Run consumers of somebody else, all or none; from a thread other than the loop's."""
        return from_thread(self._loop, self._thread, self._running.lend(makers))

    def take_back(self, lent: Iterable[Consumption[Any]]) -> str | None:
        """Stop what was lent, once it has all that was published; from another thread.

        Returns what the durable ones could not keep, or None.
        """
        return from_thread(self._loop, self._thread, self._take_back(lent))

    async def _take_back(self, lent: Iterable[Consumption[Any]]) -> str | None:
        closing = Closing(self._give_up_s)
        await closing.save("publishing", self.sink.flush(), self._left)
        await self._running.settle(closing, lent)
        for each in lent:
            await closing.let_go(f"the consumer {each.consumer.name}", self._running.drop(each))
        return "; ".join(self._running.unkept(closing.why, lent)) or None

    def running(self, name: str) -> Consumption[Any]:
        """The consumer of that name as it runs; raises KeyError if there is none."""
        return self._running.get(name)

    def consumers(self) -> tuple[ConsumerInfo, ...]:
        """A snapshot of every consumer, and of the store, wherever it is open."""
        infos = self._running.infos()
        return infos if self._store_elsewhere is None else (*infos, self._store_elsewhere())

    def lags(self) -> dict[str, dict[str, int]]:
        """See `Running.lags`."""
        return self._running.lags()

    def sinks(self) -> list[SinkStats]:
        """The counters of each of its sinks."""
        return [sink.stats() for sink in self.following.sinks]

    async def delete(self, run_id: str) -> None:
        """Delete a stored run; one that a file has left open is let go of first.

        Raises:
            UsageError: More of it arrives.
            StoreError: It cannot be deleted.
        """
        if self.history is None:
            raise StoreError("no store is open")
        async with self.following.letting_go(run_id) as is_let_go:
            if is_let_go:
                self.running(STORE).consumer.forget(run_id)
            await self.history.delete(run_id)

    async def catch_up(self) -> None:
        """See `Running.catch_up`."""
        await self._running.catch_up()

    async def _open(self) -> None:
        while self._to_start:
            await self._to_start[0].start()
            self._to_start.popleft()
        refused: Exception | None = None
        # Before the broker: a shared one reaps closed runs that no durable consumer waits for.
        try:
            await self.storing.open()
        except Exception as error:  # noqa: BLE001 - raised once the broker has started
            refused = error
        try:
            await self.broker.start()
            self._started = True
            self.instruments.start()
        except BaseException:
            await self.storing.abandon()
            raise
        if refused is not None:
            raise refused
        if self._share is not None and self.storing.may_be_shared:
            await self.storing.share(await self._share(self))

    async def aclose(self, within_s: float | None = None) -> str | None:
        """End this process's games and runs, store what they published, and close.

        Returns a message about lost events, or None. Always ends: once nothing more was published
        or stored for `give_up_s`, or after `within_s`, what is left is given up and counted; a
        step that fails is logged and the next begins. Events that other processes published to a
        shared broker stay there for the next start, and storing them keeps nothing open.
        """
        self._closed = True
        closing = Closing(self._give_up_s, within_s)
        self.storing.leave()
        await closing.save("following files", self.following.aclose(), self._left)
        if self.games.playing:
            patience_s = _GAMES_STOP_S if within_s is None else min(_GAMES_STOP_S, within_s / 3)
            stopping = asyncio.to_thread(self.games.stop, patience_s)
            await closing.save("ending the games", stopping, self._left)
        if self._started or not self.broker.shared:  # a server never reached is not waited for
            await self._settle(closing)
        else:
            await self.sink.aclose(publish=False)
        await self.instruments.aclose()
        stats = await self.broker.stats()
        unsent = self.unsent
        await closing.let_go("sharing the store", self.storing.stop_sharing(), share=0.3)
        await closing.let_go("the broker", self.broker.aclose(), share=0.5)
        for each in self._running:
            await closing.let_go(f"the consumer {each.consumer.name}", each.stop(), share=0.5)
        told: list[str] = []
        if not await closing.let_go("the store", self.storing.close(told)):
            closing.why = closing.why or "the store does not answer"
        if self.stand_in is not None:
            told += filter(None, [await self.stand_in.aclose(within_s)])
        if unsent:
            told.append(f"{unsent:,} events could not be published: {stats.link or closing.why}")
        refused = stats.refused
        for sink in self.following.sinks:
            refused = refused.plus(*sink.stats().refused)
        if refused:
            told.append(f"{refused.events:,} events were refused: {refused.why}")
        return "; ".join([*told, *self._running.unkept(closing.why, self._running)]) or None

    def forsake(self) -> None:
        """In a forked child: close its copies of sockets, and leave all else to the parent."""
        self.storing.forsake()
        if self.stand_in is not None:
            self.stand_in.forsake()
        forsake = getattr(self.broker, "forsake", None)
        if forsake is not None:
            forsake()

    @property
    def unsent(self) -> int:
        """Events of this process that are not published."""
        return self.broker.unsent + sum(sink.stats().queued for sink in self.following.sinks)

    def unsaved(self) -> str | None:
        """What would be lost if the process ended now; from any thread, as far as it can be known
        while the loop goes on."""
        unsent = self.unsent
        told = [f"{unsent:,} events are not published"] if unsent else []
        return "; ".join([*told, *self._running.unkept("it took too long", self._running)]) or None

    async def _settle(self, closing: Closing) -> None:
        """Publish everything and end the runs; wait for all acks unless the broker is shared."""
        async with self._running.releasing():
            await closing.save("publishing", self.sink.aclose(), self._left)
            if not self.broker.shared:
                await self._running.settle(closing, self._running)

    def _left(self) -> dict[str, int]:
        """What is not published, and what each durable consumer has not acked.

        Of a shared broker only the runs that this process ended, once nothing more is unsent: to
        any other run others may publish, so that its figure falls for ever.
        """
        left = {"": self.unsent}
        for consumer in [each.consumer for each in self._running.durable()]:
            lags = self.broker.lags(consumer.name)
            if not self.broker.shared:
                left[consumer.name] = sum(lags.values())
            elif not left[""]:
                own = [lag for run_id, lag in lags.items() if run_id in self.sink.ended]
                left[consumer.name] = sum(own)
        return left
