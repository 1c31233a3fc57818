"""Any order of publish, subscribe, read, ack, close and reap, against a model."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from arena_tui.broker.attached.broker import AttachedBroker
from arena_tui.broker.memory import InProcessBroker
from arena_tui.broker.protocol import BrokerProtocol, Cursor, Limits, RunMeta, Subscription
from arena_tui.broker.redis.broker import RedisBroker
from arena_tui.broker_url import BrokerUrl
from arena_tui.config import Config
from arena_tui.events import Delivery, Gap, LogEvent
from arena_tui.services.http.owner import OwnerServer
from arena_tui.services.runtime import Runtime
from tests.conftest import SERVERS, arrived
from tests.faults.accounts import FULL


class Model:
    """One consumer: its cursors, and what it was delivered and lost of each run."""

    def __init__(self, subscription: Subscription, start: dict[str, int], durable: bool) -> None:
        self.subscription = subscription
        self.start = start
        self.cursor = dict(start)
        self.durable = durable
        self.acked = dict(start)
        self.lost: set[tuple[str, int]] = set()
        self.delivered: dict[str, int] = {}
        self.in_gaps: dict[str, int] = {}


class BrokerMachine(RuleBasedStateMachine):
    """The real broker against a model: the newest seq per run, and cursors per consumer."""

    runs: Bundle[str] = Bundle("runs")
    closed: Bundle[str] = Bundle("closed")
    consumers: Bundle[Model] = Bundle("consumers")

    @initialize(capacity=st.integers(2, 12), decoded=st.integers(2, 40), data=st.data())
    def setup(self, capacity: int, decoded: int, data: Any) -> None:
        retain = data.draw(st.integers(1, capacity))
        self.loop = asyncio.new_event_loop()
        self.limits = Limits(capacity=capacity, retain=retain, decoded=decoded, closed_runs=3)
        self.broker = self.wait(self.make())
        self.model: dict[str, int] = {}
        self.everyone: list[Model] = []
        self.epochs: dict[str, int] = {}
        self.lost: set[tuple[str, int]] = set()
        self.names = 0

    async def make(self) -> BrokerProtocol:
        return InProcessBroker(self.limits, clock=lambda: 1.0)

    def wait(self, awaitable: Any) -> Any:
        return self.loop.run_until_complete(awaitable)

    def held(self) -> dict[str, tuple[int, int]]:
        return {i.meta.run_id: (i.first_seq, i.last_seq) for i in self.wait(self.broker.runs())}

    @rule(target=runs)
    def open_run(self) -> str:
        run_id = f"run{len(self.model)}"
        self.model[run_id] = 0
        info = self.wait(self.broker.open_run(RunMeta(run_id=run_id)))
        self.epochs[run_id] = info.epoch
        return run_id

    @rule(run_id=runs, count=st.integers(1, 30))
    def publish(self, run_id: str, count: int) -> None:
        for _ in range(count):
            self.model[run_id] += 1
            seq = self.wait(self.broker.publish(run_id, LogEvent(text="x")))
            assert seq == self.model[run_id]
        self.wait(arrived(self.broker))

    @rule(target=closed, run_id=consumes(runs))
    def close_run(self, run_id: str) -> str:
        self.model[run_id] += 1
        self.wait(self.broker.close_run(run_id))
        self.wait(arrived(self.broker))
        return run_id

    @rule(run_id=consumes(closed))
    def reap(self, run_id: str) -> None:
        for consumer in self.everyone:  # else its overflow would be part of another gap
            while consumer.durable and self.take(consumer, 40):
                pass
        if run_id in self.held():
            self.wait(self.broker.reap(run_id))

    @rule(target=consumers, durable=st.booleans(), oldest=st.booleans())
    def subscribe(self, durable: bool, oldest: bool) -> Model:
        start = {run: (first - 1 if oldest else last) for run, (first, last) in self.held().items()}
        self.names += 1
        subscription = self.broker.subscribe(
            f"c{self.names}", start="oldest" if oldest else "newest", durable=durable
        )
        consumer = Model(subscription, start, durable)
        self.everyone.append(consumer)
        return consumer

    @rule(target=consumers, run_id=runs)
    def subscribe_to_one(self, run_id: str) -> Any:
        if run_id not in self.held():
            return multiple()
        first, _ = self.held()[run_id]
        self.names += 1
        subscription = self.broker.subscribe(f"c{self.names}", runs=[run_id], start="oldest")
        consumer = Model(subscription, {run_id: first - 1}, durable=False)
        self.everyone.append(consumer)
        return consumer

    @rule(consumer=consumers, limit=st.integers(1, 40))
    def read(self, consumer: Model, limit: int) -> None:
        self.take(consumer, limit)

    def take(self, consumer: Model, limit: int) -> int:
        """Read once and update the model; returns the number of deliveries."""
        deliveries = self.wait(self.some(consumer, limit))
        for each in deliveries:
            expected = consumer.cursor.get(each.run_id, 0) + 1
            if isinstance(each, Gap):
                assert each.from_seq == expected
                assert each.count > 0
                consumer.in_gaps[each.run_id] = consumer.in_gaps.get(each.run_id, 0) + each.count
                consumer.cursor[each.run_id] = each.to_seq
                if consumer.durable and each.reason == "trimmed":
                    consumer.lost |= {
                        (each.run_id, seq) for seq in range(each.from_seq, each.to_seq + 1)
                    }
                    self.lost |= consumer.lost
            else:
                assert each.seq == expected
                consumer.delivered[each.run_id] = consumer.delivered.get(each.run_id, 0) + 1
                consumer.cursor[each.run_id] = each.seq
        return len(deliveries)

    async def some(self, consumer: Model, limit: int) -> list[Delivery]:
        """Read what is available now, recovering from the server where needed."""
        found = consumer.subscription.read_nowait(limit)
        if not found and limit and await self.lag_of(consumer):
            found = await asyncio.wait_for(anext(consumer.subscription), 20)
        return found

    async def lag_of(self, consumer: Model) -> int:
        stats = await self.broker.stats()
        return next((s.lag for s in stats.consumers if s.name == consumer.subscription.name), 1)

    @rule(consumer=consumers)
    def cancel_a_waiting_read(self, consumer: Model) -> None:
        if self.wait(self.lag_of(consumer)):
            return

        async def cancel() -> None:
            waiting = asyncio.ensure_future(anext(consumer.subscription))
            await asyncio.sleep(0)
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)

        self.wait(cancel())

    @rule(consumer=consumers)
    def ack(self, consumer: Model) -> None:
        if consumer.durable:
            consumer.subscription.ack(
                {run: Cursor(self.epochs[run], seq) for run, seq in consumer.cursor.items()}
            )
            consumer.acked |= consumer.cursor

    @rule(consumer=consumes(consumers))
    def unsubscribe(self, consumer: Model) -> None:
        while self.take(consumer, 40):  # its losses count even after it closes
            pass
        consumer.subscription.close()
        self.everyone.remove(consumer)

    @invariant()
    def everything_is_accounted_for(self) -> None:
        for consumer in getattr(self, "everyone", []):
            for run, cursor in consumer.cursor.items():
                moved = cursor - consumer.start.get(run, 0)
                got = consumer.delivered.get(run, 0) + consumer.in_gaps.get(run, 0)
                assert moved == got

    @invariant()
    def no_run_holds_more_than_its_capacity(self) -> None:
        if hasattr(self, "broker"):
            for first, last in self.held().values():
                assert last - first + 1 <= self.limits.capacity

    @invariant()
    def lag_is_what_is_left_to_read(self) -> None:
        if not hasattr(self, "broker"):
            return
        stats = self.wait(self.broker.stats())
        assert [s.delivered for s in stats.consumers] == [
            sum(consumer.delivered.values()) for consumer in self.everyone
        ]
        assert [s.in_gaps for s in stats.consumers] == [
            sum(consumer.in_gaps.values()) for consumer in self.everyone
        ]

    @invariant()
    def the_accounts_add_up(self) -> None:
        if not hasattr(self, "broker"):
            return
        stats = self.wait(self.broker.stats())
        for each in stats.consumers:
            assert each.published == each.delivered + each.in_gaps + each.skipped + each.lag
        held = sum(each.held for each in stats.runs)
        assert stats.published == held + stats.trimmed + stats.let_go + stats.unheld

    @invariant()
    def no_durable_consumer_speaks_for_another(self) -> None:
        if not hasattr(self, "broker"):
            return
        durable = [each for each in self.everyone if each.durable]
        for run in self.wait(self.broker.stats()).runs:
            assert {each.name: each.lag for each in run.consumers} == {
                each.subscription.name: self.model[run.run_id] - each.acked.get(run.run_id, 0)
                for each in durable
            }
            assert all(each.lag_peak >= each.lag for each in run.consumers)

    def teardown(self) -> None:
        if hasattr(self, "broker"):
            self.everyone_leaves()
            self.loop.close()

    def everyone_leaves(self) -> None:
        """Read to the end, check all accounts, and close the broker."""
        try:
            for consumer in self.everyone:
                while self.take(consumer, 7):
                    pass
            stats = self.wait(self.broker.stats())
            assert [each.lag for each in stats.consumers] == [0] * len(self.everyone)
            assert stats.overflow == len(self.lost)
            assert [each.overflow for each in stats.consumers] == [
                len(consumer.lost) for consumer in self.everyone
            ]
            assert {run.run_id: run.overflow for run in stats.runs} == {
                run.run_id: sum(lost == run.run_id for lost, _ in self.lost) for run in stats.runs
            }
        finally:
            self.wait(self.broker.aclose())


TestBrokerMachine = BrokerMachine.TestCase
TestBrokerMachine.settings = settings(
    max_examples=150 if FULL else 50, stateful_step_count=40, deadline=None
)


SHARED = settings(max_examples=25 if FULL else 10, stateful_step_count=30, deadline=None)


class MirrorMachine(BrokerMachine):
    """Caches less than its limits, so that durable consumers recover from upstream."""

    @property
    def cached(self) -> Limits:
        return Limits(capacity=max(2, self.limits.capacity // 2), retain=1)


@pytest.mark.parametrize("server", SERVERS)
def test_the_broker_on_redis_keeps_to_the_model(server: str, request: Any) -> None:
    class RedisMachine(MirrorMachine):
        async def make(self) -> BrokerProtocol:
            url = BrokerUrl(request.getfixturevalue("redis_url_of")(server))
            broker = RedisBroker(url, self.limits, held=self.cached, clock=lambda: 1.0)
            await broker.start()
            return broker

    run_state_machine_as_test(RedisMachine, settings=SHARED)


def test_the_broker_of_an_attached_process_keeps_to_the_model(tmp_path: Path) -> None:
    class OwnerMachine(MirrorMachine):
        async def make(self) -> BrokerProtocol:
            store = str(tmp_path / "arena.duckdb")
            self.owner = Runtime(Config(db=None), self.limits)
            self.server = OwnerServer(self.owner, store)
            await self.owner.open()
            await self.server.start()
            broker = AttachedBroker(store, self.limits, held=self.cached, clock=lambda: 1.0)
            await broker.start()
            return broker

        def teardown(self) -> None:
            if hasattr(self, "broker"):
                self.everyone_leaves()
                self.wait(self.server.aclose())
                self.wait(self.owner.aclose())
                self.loop.close()

    run_state_machine_as_test(OwnerMachine, settings=SHARED)
