"""Owners that come, leave and die at any moment: each event published is stored once, in order.

An owner that dies loses what it has not stored: its store is closed with whatever was committed,
and its connections are cut. In the end every event of every producer is in the store.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from arena_tui.broker.attached.broker import AttachedBroker
from arena_tui.broker.timing import Timing
from arena_tui.codec import sealed
from arena_tui.config import Config
from arena_tui.events import LogEvent
from arena_tui.services.runtime import Runtime
from arena_tui.services.sharing import make_runtime
from arena_tui.store.database import Database
from arena_tui.store.verify import verify_store
from tests.faults.accounts import FULL
from tests.waiting import pause

RUNS = ("a", "b", "c")
PRODUCERS = 3
AT_MOST_S = 20
QUICK = Timing(backoff_s=(0.0, 0.01))


class OwnersMachine(RuleBasedStateMachine):
    @initialize()
    def setup(self) -> None:
        self.folder = TemporaryDirectory()
        self.path = str(Path(self.folder.name) / "arena.duckdb")
        self.loop = asyncio.new_event_loop()
        self.owner: Runtime | None = None
        self.sent: dict[tuple[int, str], int] = {}
        self.publishing: list[asyncio.Task[Any]] = []
        self.wait(self.own())
        self.producers = [self.wait(self.attached()) for _ in range(PRODUCERS)]

    def wait(self, work: Any) -> Any:
        return self.loop.run_until_complete(asyncio.wait_for(work, AT_MOST_S))

    async def attached(self) -> AttachedBroker:
        broker = AttachedBroker(self.path, reading=False, timing=QUICK)
        await broker.start()
        return broker

    async def own(self) -> None:
        if self.owner is None:
            self.owner = make_runtime(Config(db=self.path), attached=False)
            await self.owner.open()

    @rule(
        batch=st.lists(
            st.tuples(st.integers(0, PRODUCERS - 1), st.sampled_from(RUNS), st.integers(1, 40)),
            min_size=1, max_size=6,
        ),
        turns=st.integers(0, 30),
    )  # fmt: skip
    def publish(self, batch: list[tuple[int, str, int]], turns: int) -> None:
        for producer, run_id, count in batch:
            before = self.sent.get((producer, run_id), 0)
            self.sent[producer, run_id] = before + count
            events = [
                (run_id, *sealed(LogEvent(text=f"{producer} {number}")))
                for number in range(before, before + count)
            ]
            work = self.producers[producer].publish_all(events)
            self.publishing.append(self.loop.create_task(work))
        self.wait(self.pass_on(turns))

    async def pass_on(self, turns: int) -> None:
        for _ in range(turns):
            await pause(0.001)

    @rule(turns=st.integers(0, 30))
    def the_owner_dies(self, turns: int) -> None:
        self.wait(self.pass_on(turns))
        if self.owner is not None:
            self.wait(self.owner.storing.abandon())
            self.wait(self.owner.aclose(1))
            self.owner = None

    @rule()
    def the_owner_leaves(self) -> None:
        if self.owner is not None:
            assert self.wait(self.owner.aclose()) is None
            self.owner = None

    @rule(turns=st.integers(0, 30))
    def another_comes(self, turns: int) -> None:
        self.wait(self.own())
        self.wait(self.pass_on(turns))

    def teardown(self) -> None:
        if not hasattr(self, "producers"):
            return
        try:
            self.wait(self.own())
            for refused in self.wait(self.published()):
                assert refused.events == 0
            for each in self.producers:
                self.wait(each.flush())
                assert each.unsent == 0
                self.wait(each.aclose())
            self.the_owner_leaves()
            self.check_store()
        finally:
            self.loop.close()
            self.folder.cleanup()

    async def published(self) -> list[Any]:
        return list(await asyncio.gather(*self.publishing))

    def check_store(self) -> None:
        database = Database(self.path, only_read=True)
        try:
            verdicts = database.read_now(verify_store)
            rows = database.read_now(lambda each: each.execute(
                "SELECT run_id, payload->>'text' FROM events ORDER BY run_id, epoch, seq"
            ).fetchall())  # fmt: skip
        finally:
            database.close()
        assert [each for each in verdicts if each.problems or each.gaps] == []
        stored: dict[tuple[int, str], list[int]] = {}
        for run_id, text in rows:
            producer, number = map(int, text.split())
            stored.setdefault((producer, run_id), []).append(number)
        assert stored == {key: list(range(count)) for key, count in self.sent.items()}


def test_every_event_is_stored_once_and_in_order_whoever_owns_the_store() -> None:
    run_state_machine_as_test(
        OwnersMachine,
        settings=settings(max_examples=60 if FULL else 8, stateful_step_count=15, deadline=None),
    )
