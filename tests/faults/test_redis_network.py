"""A bad network between producers, server and reader: every event arrives once, in order."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable

import arena_tui
from arena_tui.broker.protocol import RunMeta
from arena_tui.broker.redis.broker import RedisBroker
from arena_tui.broker.timing import Timing
from arena_tui.broker_url import BrokerUrl
from arena_tui.events import LogEvent
from arena_tui.producers.sink import MultiRunBrokerSink
from tests.faults.accounts import FULL, Tally, entries, link_of, reached
from tests.faults.proxy import Proxy
from tests.redis_fixture import MakeRedis
from tests.waiting import pause, until

ROUNDS = 10 if FULL else 2
THREADS, RUNS, BURST = 4, 8, 60
RETRIES_MAX = 25
"""Most reconnections once the network is good again; five are needed."""


IMPATIENT = Timing(block_s=0.4, command_s=0.4, backoff_s=(0.01, 0.2))
"""Shorter timeouts than the default."""


class Faults:
    """Network faults; each method injects one and returns once the network works again."""

    def __init__(self, proxy: Proxy, chance: random.Random) -> None:
        self._proxy = proxy
        self._chance = chance
        self.all: list[Callable[[], Awaitable[None]]] = [
            self.lose_replies, self.lose_replies, self.half_open, self.reset, self.trickle,
            self.refuse,
        ]  # fmt: skip

    async def lose_replies(self) -> None:
        """Execute commands, drop their replies, then break the connections."""
        enough = self._proxy.replies_dropped + self._chance.randint(1, 6)
        self._proxy.drop_replies()
        await until(lambda: self._proxy.replies_dropped >= enough)
        self._proxy.pass_through()
        self._proxy.reset()

    async def half_open(self) -> None:
        """Drop all bytes and close nothing, until several reconnections hang, too."""
        enough = self._proxy.connections_ever + self._chance.randint(2, 5)
        self._proxy.half_open()
        await until(lambda: self._proxy.connections_ever >= enough)
        self._proxy.pass_through()

    async def reset(self) -> None:
        """Break all connections, twice."""
        for _ in range(2):
            await until(lambda: self._proxy.connections >= 2)
            self._proxy.reset()

    async def trickle(self) -> None:
        """Send replies byte by byte and break off somewhere."""
        self._proxy.trickle()
        for _ in range(self._chance.randint(50, 2_000)):
            await asyncio.sleep(0)
        self._proxy.reset()
        self._proxy.pass_through()

    async def refuse(self) -> None:
        """Break all connections and refuse new ones for a while."""
        enough = self._proxy.connections_ever + self._chance.randint(2, 8)
        self._proxy.refuse()
        self._proxy.reset()
        await until(lambda: self._proxy.connections_ever >= enough)
        self._proxy.pass_through()


async def test_whatever_the_network_does_every_event_arrives_once(make_redis: MakeRedis) -> None:
    server = make_redis()
    chance = random.Random(7)
    async with Proxy(server.port) as proxy:
        arena = await asyncio.to_thread(arena_tui.connect, proxy.url, store=False)
        running = [arena.run("synth", run_id=f"r{number}") for number in range(RUNS)]
        reader = RedisBroker(BrokerUrl(proxy.url), timing=IMPATIENT)
        await reader.start()
        tally = Tally()
        subscription = reader.subscribe("all", start={}, durable=True)
        reading = asyncio.create_task(tally.read(subscription, RUNS))
        emitted = 0

        def play(number: int, first: int) -> None:
            for count in range(first, first + BURST):
                for run in running[number::THREADS]:
                    run.log(str(count))

        for run in running:
            run.__enter__()
        faults = Faults(proxy, chance)
        for _ in range(ROUNDS):
            for fault in chance.sample(faults.all, len(faults.all)):
                threads = [asyncio.to_thread(play, number, emitted) for number in range(THREADS)]
                await asyncio.gather(fault(), *threads)
                emitted += BURST
                if chance.random() < 0.5:  # else one fault follows directly on another
                    sent = RUNS * (emitted + 1)
                    await until(lambda sent=sent: tally.delivered >= sent)

        good_since = proxy.connections_ever
        await asyncio.to_thread(arena.close)
        async with asyncio.timeout(120):
            await reading
        retries = proxy.connections_ever - good_since
        await until(lambda: reached(reader))
        await reader.aclose()

    published = RUNS * (emitted + 2)
    in_server = {run.id: list(entries(server.url, run.id)) for run in running}
    print(
        f"{ROUNDS * len(faults.all)} faults, {proxy.connections_ever} connections, "
        f"{proxy.replies_dropped} replies and {proxy.bytes_lost:,} bytes lost: "
        f"published {published:,}, in the server {sum(map(len, in_server.values())):,}, {tally}; "
        f"connections made anew afterwards {retries}"
    )
    texts = [str(count) for count in range(emitted)]
    for stream in in_server.values():
        assert [each.seq for each in stream] == list(range(1, emitted + 3))
        assert [each.text for each in stream] == ["run_start", *texts, "run_end"]
    assert tally.texts == {run.id: texts for run in running}
    assert (tally.delivered, tally.in_gaps) == (published, 0)
    assert (tally.duplicates, tally.jumps) == (0, 0)
    assert retries <= RETRIES_MAX


async def test_producers_of_one_run_are_each_told_the_right_seqs(make_redis: MakeRedis) -> None:
    server = make_redis()
    chance = random.Random(11)
    async with Proxy(server.port) as proxy:
        producers = [
            RedisBroker(BrokerUrl(proxy.url), reading=False, timing=IMPATIENT) for _ in range(3)
        ]
        for producer in producers:
            await producer.start()
        await producers[0].open_run(RunMeta(run_id="r"))
        faults = Faults(proxy, chance)
        publishing: dict[str, asyncio.Task[int]] = {}
        for fault in (faults.lose_replies, faults.half_open, faults.reset, faults.lose_replies):
            happening = asyncio.ensure_future(fault())
            while not happening.done():
                for number, producer in enumerate(producers):
                    text = f"{number} {len(publishing)}"
                    event = LogEvent(text=text)
                    publishing[text] = asyncio.create_task(producer.publish("r", event))
                await pause(0.002)
            await happening
        async with asyncio.timeout(120):
            told = {text: await task for text, task in publishing.items()}
        for producer in producers:
            await producer.aclose()

    stream = list(entries(server.url, "r"))
    print(f"4 faults: published {len(told):,}, in the server {len(stream):,}")
    assert [each.seq for each in stream] == list(range(1, len(told) + 1))
    assert {each.text: each.seq for each in stream} == told
    for number in range(len(producers)):
        own = [int(each.text.split()[1]) for each in stream if each.text[0] == str(number)]
        assert own == sorted(own)


async def test_a_slow_link_gets_less_at_a_time_and_all_of_it_in_the_end(
    make_redis: MakeRedis,
) -> None:
    server = make_redis()
    async with Proxy(server.port) as proxy:
        broker = RedisBroker(BrokerUrl(proxy.url), reading=False, timing=IMPATIENT)
        await broker.start()
        await broker.open_run(RunMeta(run_id="r"))
        proxy.throttle(1_000_000)

        async with asyncio.timeout(60):
            seqs = await asyncio.gather(
                *(broker.publish("r", LogEvent(text=f"{count:4000}")) for count in range(300))
            )
        tries = proxy.connections_ever
        await broker.aclose()

    stream = list(entries(server.url, "r"))
    print(
        f"published {len(seqs):,} of 4 kB at 1 MB/s, in the server {len(stream):,}, {tries} tries"
    )
    assert tries > 3
    assert seqs == [each.seq for each in stream] == list(range(1, 301))
    assert [int(each.text) for each in stream] == list(range(300))


async def test_the_link_is_said_to_be_well_when_who_asked_in_vain_has_left(
    make_redis: MakeRedis,
) -> None:
    server = make_redis()
    async with Proxy(server.port) as proxy:
        broker = RedisBroker(BrokerUrl(proxy.url), reading=False, timing=IMPATIENT)
        await broker.start()
        proxy.half_open()
        opening = asyncio.create_task(broker.open_run(RunMeta(run_id="r")))
        await until(lambda: link_of(broker))

        opening.cancel()
        await asyncio.wait([opening])

        assert (await broker.stats()).link is None
        await broker.aclose()


async def test_events_that_were_queued_when_the_sink_closed_are_published(
    make_redis: MakeRedis,
) -> None:
    server = make_redis()
    async with Proxy(server.port) as proxy:
        broker = RedisBroker(BrokerUrl(proxy.url), reading=False, timing=IMPATIENT)
        await broker.start()
        sink = MultiRunBrokerSink(broker)
        proxy.refuse()
        proxy.reset()
        for count in range(500):
            sink.emit("r", LogEvent(text=str(count)))
        closing = asyncio.create_task(sink.aclose())
        await until(lambda: link_of(broker))

        proxy.pass_through()
        async with asyncio.timeout(60):
            await closing
        await broker.aclose()

    texts = [each.text for each in entries(server.url, "r")]
    assert texts == [*map(str, range(500)), "run_end"]
