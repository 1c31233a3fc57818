"""Producers and stores on a Redis server, accounting for every event. Injects no faults."""

from __future__ import annotations

import asyncio
import os
import socket
from collections import Counter
from pathlib import Path
from types import TracebackType
from typing import Any

from msgspec import Struct

from arena_tui.broker.protocol import STORE, Limits, RunMeta
from arena_tui.broker.redis.broker import RedisBroker
from arena_tui.broker.timing import Timing
from arena_tui.broker_url import BrokerUrl
from arena_tui.codec import sealed
from arena_tui.config import Config
from arena_tui.events import LogEvent, RunEnd
from arena_tui.services.runtime import Runtime
from arena_tui.store.database import Database
from arena_tui.store.verify import verify_store

LIMITS = Limits(capacity=2_000, retain=50, closed_runs=3)
"""A process holds 50 events of a run: a consumer further behind has to read from the server."""

QUICK = Timing(block_s=0.2, look_s=0.1, gone_s=3.0, ack_s=0.02, sweep_s=0.02, withheld_s=0.0)
"""Shortened intervals for work that is otherwise done every few seconds."""

_AT_MOST_S = 30


class Producer:
    """Publishes events numbered from 1 in each run; stores and reads nothing."""

    def __init__(self, url: str, limits: Limits = LIMITS) -> None:
        self.broker = RedisBroker(BrokerUrl(url), limits, reading=False, timing=QUICK)
        self.published: Counter[str] = Counter()

    async def __aenter__(self) -> Producer:
        await self.broker.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.broker.aclose()

    async def publish(self, run_id: str, count: int, padding: str = "") -> int:
        """Publish the run's next events; the very first opens it.

        Returns, once the server has replied, how many it refused: none or all.
        """
        batch = []
        for _ in range(count):
            self.published[run_id] += 1
            event = LogEvent(text=f"{self.published[run_id]}{padding}")
            batch.append((run_id, *sealed(event)))
        async with asyncio.timeout(_AT_MOST_S):
            before = (await self.broker.stats()).refused.events
            refused = (await self.broker.publish_all(batch)).events
            await self.broker.flush()
            refused += (await self.broker.stats()).refused.events - before
        self.published[run_id] -= refused
        return refused

    async def end(self, run_id: str) -> None:
        self.published[run_id] += 1
        await self.broker.publish(run_id, RunEnd())

    async def join(self, run_id: str) -> None:
        """Open a run that another producer may have opened."""
        await self.broker.open_run(RunMeta(run_id=run_id))


class Account(Struct, frozen=True, kw_only=True):
    """What a store holds of one run.

    Attributes:
        numbers: Numbers of the stored events, in order.
        gaps: First seq, last seq and reason of each gap, in order.
        raw: Quarantined entries.
    """

    numbers: list[int]
    lost: int
    gaps: list[tuple[int, int, str]]
    raw: list[bytes]

    @property
    def stored(self) -> int:
        return len(self.numbers)

    def check(self, published: int) -> None:
        """Assert that every event is stored once or in a gap."""
        print(f"published {published} = stored {self.stored} + lost {self.lost}; gaps {self.gaps}")
        assert self.numbers == sorted(set(self.numbers)), self.numbers
        assert self.stored + self.lost == published, (self.stored, self.lost, published)


class Station:
    """A process with a store: may be opened again on the same file after it was closed."""

    def __init__(self, url: str, db: Path, limits: Limits = LIMITS) -> None:
        self._config = Config(broker=BrokerUrl(url), db=str(db))
        self._limits = limits
        self.runtime: Runtime

    async def __aenter__(self) -> Station:
        self.runtime = Runtime(self._config, self._limits, timing=QUICK)
        await self.runtime.open()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        async with asyncio.timeout(_AT_MOST_S):
            await self.runtime.aclose()

    @property
    def database(self) -> Database:
        assert self.runtime.database is not None
        return self.runtime.database

    @property
    def consumer(self) -> str:
        """Name of its persister on the server."""
        return f"{socket.gethostname()}:{os.path.realpath(str(self._config.db))} {STORE}"

    async def stop_storing(self) -> None:
        """Stop the persister between two commits; the process goes on reading."""
        await self.runtime.running(STORE).stop()

    async def store_again(self) -> None:
        """Start a persister at the stored cursors."""
        await self.runtime.running(STORE).start()

    async def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        return await self.database.read(lambda c: c.execute(query, values).fetchall())

    async def has(self, run_id: str, number: int) -> None:
        """Return once this event of the run is stored."""
        query = "SELECT 1 FROM events WHERE run_id = ? AND payload->>'text' LIKE ?"
        async with asyncio.timeout(_AT_MOST_S):
            while not await self.rows(query, run_id, f"{number}%"):
                pass

    async def accounts_for(self, run_id: str, published: int) -> None:
        """Return once `published` events are stored or recorded as lost."""
        query = "SELECT events + lost FROM runs WHERE run_id = ?"
        async with asyncio.timeout(_AT_MOST_S):
            while await self.rows(query, run_id) != [(published,)]:
                pass

    async def arrived(self, run_id: str, seq: int) -> None:
        """Return once this process has read up to `seq`."""
        async with asyncio.timeout(_AT_MOST_S):
            while not any(
                info.meta.run_id == run_id and info.last_seq >= seq
                for info in await self.runtime.broker.runs()
            ):
                await asyncio.sleep(0)

    async def warnings(self) -> str:
        return "\n".join(map(str, (await self.runtime.broker.stats()).warnings))

    async def account(self, run_id: str) -> Account:
        """What is stored of the run, after checking that the store is whole."""
        verdicts = await self.database.read(verify_store)
        problems = [f"{each.run_id}: {problem}" for each in verdicts for problem in each.problems]
        assert not problems, problems
        of_run = "FROM {} WHERE run_id = ? ORDER BY epoch, {}"
        texts = await self.rows("SELECT payload->>'text' " + of_run.format("events", "seq"), run_id)
        gaps = await self.rows(
            "SELECT from_seq, to_seq, reason " + of_run.format("gaps", "from_seq, to_seq"), run_id
        )
        raw = await self.rows("SELECT raw " + of_run.format("quarantine", "seq"), run_id)
        return Account(
            numbers=[int(text.partition(" ")[0]) for (text,) in texts if text is not None],
            lost=sum(max(0, last - first + 1) for first, last, _ in gaps),
            gaps=gaps,
            raw=[bytes(each) for (each,) in raw],
        )
