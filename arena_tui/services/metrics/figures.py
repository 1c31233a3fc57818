"""One snapshot of all that metrics tell, taken at one instant. Knows no format."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Protocol

from msgspec import Struct
from msgspec.structs import replace

from arena_tui.broker.protocol import STORE
from arena_tui.broker.stats import BrokerStats
from arena_tui.consumers.metrics import OTHER, Meter, Metered
from arena_tui.consumers.persister_stats import PersisterStats
from arena_tui.consumers.protocol import ConsumerInfo
from arena_tui.consumers.sse import SSE
from arena_tui.folds.accounts import Account
from arena_tui.folds.words import StateWord
from arena_tui.producers.sink_stats import SinkStats
from arena_tui.services.runtime import Runtime

NAMES_MAX: Final = 50
"""Consumers that have a name of their own in metrics; any others are added up as `other`."""


class Listeners(Protocol):
    """Those whom an HTTP server answers for as long as they listen; see `services.http.clients`."""

    dropped: int

    def __len__(self) -> int: ...


class Streams(Protocol):
    """The event streams of an HTTP server; see `services.http.streams`."""

    sent: int

    @property
    def clients(self) -> Listeners: ...


class Stored(Struct, frozen=True, kw_only=True):
    """The store: where every event is, and how its consumer does."""

    account: Account
    info: ConsumerInfo
    quarantined: int


class Clients(Struct, frozen=True, kw_only=True):
    """The clients of event streams; lag is that of all in events, and the largest in seconds.

    Attributes:
        refused: Requests that were refused, by reason.
    """

    connected: int
    sent: int
    dropped: int
    lag: int
    lag_s: float
    refused: Mapping[str, int]


class Figures(Struct, frozen=True, kw_only=True):
    """What there is to tell.

    Attributes:
        time: When, in seconds since 1970.
        unsent: Events of this process that are not published, or not acknowledged by the server.
        refused: Events that can never be published.
        consumers: By name, or the name of their group.
        fullest: By durable consumer, the most events of one run that it has yet to ack.
        metered, states: What the consumer of metrics counts.
        stored: None without a store.
        clients: None without a server.
    """

    time: float
    broker: BrokerStats
    sinks: tuple[SinkStats, ...]
    unsent: int
    refused: int
    consumers: Mapping[str, Sequence[ConsumerInfo]]
    fullest: Mapping[str, int]
    metered: Metered
    states: Mapping[StateWord, int]
    stored: Stored | None
    clients: Clients | None


class Sampler:
    """Takes figures of one runtime, with whose consumer of metrics it counts.

    What it says is stored never falls. The ledger takes what a subscription has yet to skip, since
    the store has it already, for acked, and so for stored; here it is in flight until it is read.
    """

    def __init__(
        self, runtime: Runtime, streams: Streams | None, refused: Callable[[], Mapping[str, int]]
    ) -> None:
        self._runtime = runtime
        self._streams = streams
        self._refused = refused
        self._meter: Meter | None = None
        self._names: set[str] = set()
        self._stored = 0

    async def start(self) -> None:
        """Count from now on, if nobody does; raises BrokerError once the runtime is closed."""
        try:
            self._meter = self._runtime.running(Meter.name).consumer
        except KeyError:
            self._meter = (await self._runtime.consume(Meter)).consumer

    async def sample(self) -> Figures:
        """What there is to tell now; `start` it before."""
        assert self._meter is not None, "it was not started"
        runtime = self._runtime
        states = await self._meter.states()
        stats = await runtime.broker.stats()
        infos = runtime.consumers()  # nothing is awaited in between: they belong together
        sinks = runtime.following.sinks
        of_sinks = tuple(sink.stats() for sink in sinks)
        return Figures(
            time=time.time(), broker=stats, sinks=of_sinks, unsent=runtime.unsent,
            refused=stats.refused.events + sum(each.refused.events for each in of_sinks),
            consumers=self._by_name(infos), fullest=_fullest(stats), metered=self._meter.stats(),
            states=states, stored=self._of_store(stats.published, infos),
            clients=self._of_clients(infos),
        )  # fmt: skip

    def _by_name(self, infos: Sequence[ConsumerInfo]) -> Mapping[str, Sequence[ConsumerInfo]]:
        named: dict[str, list[ConsumerInfo]] = {}
        for each in infos:
            name = each.group or each.name
            if name != SSE:
                if len(self._names) < NAMES_MAX:
                    self._names.add(name)
                named.setdefault(name if name in self._names else OTHER, []).append(each)
        return named

    def _of_store(self, published: int, infos: Sequence[ConsumerInfo]) -> Stored | None:
        info = next((each for each in infos if each.name == STORE), None)
        if info is None or not isinstance(info.stats, PersisterStats):
            return None
        account = info.account(published)
        self._stored = max(self._stored, account.stored - info.lag)
        stored = min(self._stored, account.stored)
        in_flight = account.in_flight + account.stored - stored
        account = replace(account, stored=stored, in_flight=in_flight)
        return Stored(account=account, info=info, quarantined=info.stats.quarantined)

    def _of_clients(self, infos: Sequence[ConsumerInfo]) -> Clients | None:
        streams = self._streams
        if streams is None:
            return None
        clients = [each for each in infos if each.group == SSE]
        return Clients(
            connected=len(streams.clients), sent=streams.sent,
            dropped=streams.clients.dropped,
            lag=sum(each.lag for each in clients),
            lag_s=max((each.lag_s for each in clients), default=0.0),
            refused=self._refused(),
        )  # fmt: skip


def _fullest(stats: BrokerStats) -> Mapping[str, int]:
    fullest: dict[str, int] = {}
    for run in stats.runs:
        for each in run.consumers:
            fullest[each.name] = max(fullest.get(each.name, 0), each.lag)
    return fullest
