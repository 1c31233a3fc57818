"""Each event is committed once, whatever the broker repeats and the disk refuses."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import random
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import duckdb
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from arena_tui.broker.memory import InProcessBroker
from arena_tui.broker.protocol import Cursor, Limits, RunMeta
from arena_tui.consumers.persister import Persister
from arena_tui.errors import StoreError
from arena_tui.events import (
    AgentInfo,
    Delivery,
    Envelope,
    ErrorEvent,
    Fork,
    Gap,
    LlmResponse,
    LogEvent,
    RunEnd,
    RunStart,
    TurnStart,
)
from arena_tui.folds.accounts import run_account
from arena_tui.folds.totals import RunTotals
from arena_tui.services.consumption import Consumption
from arena_tui.store import arrow
from arena_tui.store import rows as store_rows
from arena_tui.store.database import Connection, Database
from arena_tui.store.history import read_run, read_runs
from arena_tui.store.rows import load_cursors
from arena_tui.store.windows import read_window
from tests.envelopes import envelope
from tests.events_strategies import stored_events
from tests.store_fixture import problems, store
from tests.waiting import until

T = TypeVar("T")
AT = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)


def logs(run_id: str, *seqs: int, epoch: int = 7) -> list[Delivery]:
    return [envelope(run_id, epoch, seq, LogEvent(ts=AT, text=f"{run_id} {seq}")) for seq in seqs]


def rows(database: Database, query: str) -> list[tuple[Any, ...]]:
    return database.read_now(lambda connection: connection.execute(query).fetchall())


def seqs(database: Database) -> list[tuple[Any, ...]]:
    return rows(database, "SELECT run_id, epoch, seq FROM events ORDER BY ALL")


async def test_a_run_is_folded_into_its_row(database: Database) -> None:
    end = datetime(2026, 1, 2, 3, 5, 5, tzinfo=UTC)
    events = [
        RunStart(ts=AT, game="chess", agents=[AgentInfo(id="a", spec="mcts:9")], seed=-3,
                 label="l", tags=["t"], config={"depth": [1, {"x": None}]}),
        Fork(ts=AT, parent_run_id="parent", parent_seq=4),
        TurnStart(ts=AT, turn=3),
        LlmResponse(ts=AT, input_tokens=10, output_tokens=2, cost_usd=0.25),
        LlmResponse(ts=AT, input_tokens=5),
        ErrorEvent(ts=AT, message="oh"),
        RunEnd(ts=end, status="crashed", outcome={"a": 0.5}, reason="fell over"),
    ]  # fmt: skip

    await store(database, [envelope("run", 7, n, event) for n, event in enumerate(events, 1)])

    assert database.read_now(lambda c: read_run(c, "run")) == RunTotals(
        run_id="run", epoch=7, seq=7, game="chess", label="l",
        agents=[AgentInfo(id="a", spec="mcts:9")], tags=["t"], seed=-3,
        config={"depth": [1, {"x": None}]}, status="crashed", outcome={"a": 0.5},
        reason="fell over", turns=3, events=7, errors=1, lost=0, input_tokens=15, output_tokens=2,
        cost_usd=0.25, started_at=AT, ended_at=end, last_at=end, parent_run_id="parent",
    )  # fmt: skip
    assert problems(database) == []


async def test_a_batch_delivered_again_is_stored_once(database: Database) -> None:
    batch = [*logs("a", 1, 2), Gap("a", 7, 3, 5, "trimmed"), *logs("b", 1), *logs("a", 6)]

    await store(database, batch, batch)
    await store(database, batch[1:], [*batch, *logs("a", 7)])

    assert seqs(database) == [("a", 7, 1), ("a", 7, 2), ("a", 7, 6), ("a", 7, 7), ("b", 7, 1)]
    assert rows(database, "SELECT from_seq, to_seq, reason FROM gaps") == [(3, 5, "trimmed")]
    assert problems(database) == []


async def test_a_gap_that_reaches_back_is_stored_from_the_cursor_on(database: Database) -> None:
    await store(database, logs("a", 1, 2, 3), [Gap("a", 7, 2, 9, "trimmed"), *logs("a", 10)])

    assert rows(database, "SELECT from_seq, to_seq FROM gaps") == [(4, 9)]
    assert problems(database) == []


async def test_a_lost_stream_goes_on_in_a_new_epoch(database: Database) -> None:
    reset = Gap("a", 7, 3, 2, "unknown")

    await store(database, logs("a", 1, 2), [reset], [reset, *logs("a", 1, 2, epoch=8)], [reset])

    assert seqs(database) == [("a", 7, 1), ("a", 7, 2), ("a", 8, 1), ("a", 8, 2)]
    assert rows(database, "SELECT epoch, from_seq, to_seq, reason FROM gaps") == [
        (7, 3, 2, "unknown")
    ]
    assert database.read_now(load_cursors) == {"a": Cursor(8, 2)}
    assert problems(database) == []


async def test_a_loss_of_unknown_length_is_counted_apart_and_once(database: Database) -> None:
    loss = Gap("a", 7, 3, 2, "unknown")

    await store(database, logs("a", 1, 2), [loss], [loss, *logs("a", 3, 4)], [loss, *logs("a", 4)])

    totals = database.read_now(lambda c: read_run(c, "a"))
    assert (totals.lost, totals.lost_unknown, totals.seq, totals.events) == (0, 1, 4, 4)
    assert problems(database) == []


async def test_a_loss_of_unknown_length_is_counted_once_however_often_it_is_told(
    database: Database,
) -> None:
    persister = Persister(database)

    for _ in range(3):
        await persister.handle([*logs("a", 1, 2), Gap("a", 7, 3, 2, "unknown")])

    assert persister.stats().lost_unknown == 1


async def test_what_is_delivered_again_does_not_stay_in_flight(database: Database) -> None:
    persister = Persister(database)
    batch = [*logs("a", 1, 2), Gap("a", 7, 3, 5, "trimmed")]

    for _ in range(2):
        await persister.handle(batch)

    counters = persister.stats()
    assert (counters.stored, counters.repeated, counters.lost) == (4, 2, 6)


async def test_a_commit_that_reached_the_disk_although_it_failed_is_counted(path: str) -> None:
    database = Refusing(path)
    persister = Persister(database)
    batch = [*logs("a", 1, 2), Gap("a", 7, 3, 5, "trimmed"), Gap("a", 7, 6, 5, "unknown")]

    database.refusing = "after"
    with pytest.raises(StoreError):
        await persister.handle(batch)
    database.refusing = ""
    await persister.handle(batch)
    database.close()

    counters = persister.stats()
    assert (counters.stored, counters.repeated) == (2, 0)
    assert (counters.lost, counters.lost_unknown) == (3, 1)


async def test_a_loss_of_unknown_length_told_late_does_not_move_the_cursor_back(
    database: Database,
) -> None:
    await store(database, logs("a", 1, 2, 3), [Gap("a", 7, 2, 1, "unknown")], logs("a", 3, 4))

    assert seqs(database) == [("a", 7, seq) for seq in (1, 2, 3, 4)]
    assert problems(database) == []


async def test_only_runs_that_may_have_lost_something_untold_are_unfinished(
    database: Database,
) -> None:
    persister = Persister(database, broker="redis here", clock=lambda: AT)
    end = envelope("ended", 7, 2, RunEnd(ts=AT))
    await persister.handle([
        *logs("open", 1), *logs("ended", 1), end,
        *logs("unknown", 1), Gap("unknown", 7, 2, 1, "unknown"),
        *logs("reset", 1), Gap("reset", 7, 2, 9, "reset"),
        *logs("trimmed", 1), Gap("trimmed", 7, 2, 9, "trimmed"),
        *logs("anew", 1), Gap("anew", 7, 2, 9, "reset"), *logs("anew", 1, epoch=8),
    ])  # fmt: skip

    await persister.start()

    assert sorted(persister.unfinished) == ["anew", "open", "trimmed"]


async def test_an_id_used_again_is_a_running_run_again(database: Database) -> None:
    end = envelope("a", 7, 2, RunEnd(ts=AT, status="finished", outcome={"x": 1.0}))
    await store(database, [*logs("a", 1), end])
    finished = database.read_now(lambda c: read_run(c, "a"))

    await store(database, logs("a", 1, epoch=8))

    again = database.read_now(lambda c: read_run(c, "a"))
    assert (finished.status, finished.outcome) == ("finished", {"x": 1.0})
    assert (again.status, again.outcome, again.ended_at, again.events) == ("running", {}, None, 3)
    assert problems(database) == []


async def test_a_run_that_begins_again_by_an_earlier_clock_is_stored_too(path: str) -> None:
    future = 9_999_999_999_999
    before = Database(path)
    await store(before, logs("a", 1, 2, epoch=future))
    before.close()

    async with Scene(path, Limits(closed_runs=1)) as scene:
        await scene.publish(3)
        await scene.broker.close_run("a")
        await scene.settled()
        await scene.broker.reap("a")
        await scene.broker.open_run(RunMeta(run_id="a"), epoch=1)
        await scene.publish(2)
        await scene.settled()

        assert seqs(scene.database) == [
            *(("a", future, seq) for seq in (1, 2)),
            *(("a", future + 1, seq) for seq in (1, 2, 3, 4)),
            *(("a", future + 2, seq) for seq in (1, 2)),
        ]
        assert problems(scene.database) == []


async def test_what_a_newer_stream_has_replaced_is_stored_no_more(database: Database) -> None:
    newer = logs("a", 1, 2, epoch=8)

    await store(database, logs("a", 1, 2), newer, [*logs("a", 3), Gap("a", 7, 4, 9, "trimmed")])

    assert seqs(database) == [("a", 7, 1), ("a", 7, 2), ("a", 8, 1), ("a", 8, 2)]
    assert rows(database, "SELECT * FROM gaps") == []
    assert problems(database) == []


async def test_entries_set_aside_at_one_place_are_each_kept_once(database: Database) -> None:
    aside = [Gap("a", 7, 2, 1, "quarantined", raw) for raw in (b"9-0 foo", b"9-1 foo")]

    await store(database, [*logs("a", 1), *aside], aside)

    assert rows(database, "SELECT raw FROM quarantine ORDER BY 1") == [(b"9-0 foo",), (b"9-1 foo",)]
    assert rows(database, "SELECT from_seq, to_seq FROM gaps") == [(2, 1), (2, 1)]
    assert problems(database) == []


async def test_a_run_whose_first_news_is_a_gap(database: Database) -> None:
    await store(database, [Gap("a", 7, 1, 40, "trimmed")])
    await store(database, logs("a", 41))

    totals = database.read_now(lambda c: read_run(c, "a"))
    assert (totals.events, totals.lost, totals.seq) == (1, 40, 41)
    assert problems(database) == []


async def test_numbers_at_the_edge_are_kept(database: Database) -> None:
    responses = [
        LlmResponse(ts=AT, input_tokens=2**53, cost_usd=1e308),
        LlmResponse(ts=AT, turn=2**31 - 1, cost_usd=1e308),
        LlmResponse(ts=datetime(9999, 12, 31, tzinfo=UTC), turn=-(2**31), cost_usd=None),
        LlmResponse(ts=datetime(1, 1, 1, tzinfo=UTC), agent_id="nul \x00", output_tokens=0),
        RunStart(ts=AT, seed=-(2**63)),
    ]
    batch = [envelope("a", 7, n, event) for n, event in enumerate(responses, 1)]

    await store(database, batch)

    assert database.read_now(lambda c: read_window(c, "a", 1, 9, 7)) == batch
    assert problems(database) == []


class Refusing(Database):
    """A store whose commits fail while `refusing`: before, or after, they are made."""

    refusing = ""

    async def write(self, work: Callable[[Connection], T]) -> T:
        if self.refusing == "before":
            raise StoreError("the disk is full")
        result = await super().write(work)
        if self.refusing == "after":
            raise StoreError("nobody knows")
        return result


class Scene:
    """A broker, a store that may refuse, and a persister at work."""

    def __init__(self, path: str, limits: Limits | None = None) -> None:
        self.broker = InProcessBroker(limits)
        self.database = Refusing(path)
        self.persister = Persister(self.database)
        self.persister.batch_interval_s = 0.001
        self.storing = Consumption(self.persister, self.broker, retry_s=(0.001,))

    async def __aenter__(self) -> Scene:
        await self.storing.start()
        await self.broker.open_run(RunMeta(run_id="a"))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.broker.aclose()
        await self.storing.stop()
        self.database.close()

    async def publish(self, count: int) -> None:
        for _ in range(count):
            await self.broker.publish("a", LogEvent())

    async def settled(self) -> None:
        async with asyncio.timeout(20):
            await self.broker.settled(["a"])


@pytest.mark.parametrize("refusing", ["before", "after"])
async def test_a_refused_commit_is_tried_again_and_said(
    path: str, refusing: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with Scene(path) as scene:
        await scene.publish(5)
        await scene.settled()
        scene.database.refusing = refusing
        await scene.publish(5)
        await until(lambda: scene.storing.info().failures >= 3)
        refused, stored = scene.storing.info(), scene.persister.stats().stored
        held = run_account((await scene.broker.stats()).runs[0], "persister").in_flight
        scene.database.refusing = ""
        await scene.settled()

        recovered = scene.storing.info()
        assert (refused.state, stored, held) == ("error", 5, 5)
        assert refused.last_error in ("the disk is full", "nobody knows")
        assert (recovered.state, recovered.last_error) == ("ok", None)
        assert scene.persister.stats().stored == 10
        assert seqs(scene.database) == [("a", e, s) for _, e, s in seqs(scene.database)]
        assert [seq for _, _, seq in seqs(scene.database)] == list(range(1, 11))
        assert problems(scene.database) == []
    messages = [record.getMessage() for record in caplog.records]
    assert sum("held and tried again" in message for message in messages) == 1
    assert sum("works again" in message for message in messages) == 1


async def test_what_overflows_while_the_store_refuses_is_a_stored_gap(path: str) -> None:
    async with Scene(path, Limits(capacity=10, retain=2)) as scene:
        scene.database.refusing = "before"
        await scene.publish(1)
        await until(lambda: scene.storing.info().state == "error")
        await scene.publish(30)
        scene.database.refusing = ""
        await scene.settled()

        counters = scene.persister.stats()
        assert (counters.stored, counters.lost) == (11, 20)
        assert rows(scene.database, "SELECT from_seq, to_seq, reason FROM gaps") == [
            (2, 21, "trimmed")
        ]
        assert problems(scene.database) == []


async def test_cancelled_anywhere_it_goes_on_at_its_cursor(path: str) -> None:
    choose = random.Random(4)
    async with Scene(path) as scene:
        for _ in range(25):
            await scene.publish(20)
            for _ in range(choose.randrange(1, 12)):
                await asyncio.sleep(0)
            await scene.storing.stop()
            await scene.storing.start()
        await scene.settled()

        assert [seq for _, _, seq in seqs(scene.database)] == list(range(1, 501))
        assert problems(scene.database) == []


async def test_a_bug_in_the_persister_loses_nothing(
    path: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise KeyError("a bug")

    async with Scene(path, Limits(closed_runs=1)) as scene:
        with monkeypatch.context() as patched:
            patched.setattr(store_rows, "update_runs", fail)
            await scene.publish(3)
            await scene.broker.close_run("a")
            for run_id in "bcd":
                await scene.broker.open_run(RunMeta(run_id=run_id))
                await scene.broker.close_run(run_id)
            await until(lambda: scene.storing.info().failures >= 2)
            state = scene.storing.info().state
        await scene.broker.settled("abcd")

        assert state == "error"
        assert scene.persister.stats().stored == 7
        assert problems(scene.database) == []
    assert any(record.exc_info for record in caplog.records)


async def test_an_event_no_commit_can_take_is_set_aside_raw(
    database: Database, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    append = arrow.append_events

    def picky(connection: Connection, envelopes: list[Envelope], table: str) -> None:
        if any(each.seq in (3, 90) for each in envelopes):
            raise duckdb.ConversionException("cannot take 3 and 90")
        append(connection, envelopes, table)

    monkeypatch.setattr(arrow, "append_events", picky)
    persister = Persister(database)
    batch = [*logs("a", *range(1, 101)), *logs("b", 1, 2)]

    cursors = await persister.handle(batch)
    await persister.handle(batch)

    assert cursors == {"a": Cursor(7, 100), "b": Cursor(7, 2)}
    assert rows(database, "SELECT from_seq, to_seq, reason FROM gaps ORDER BY 1") == [
        (3, 3, "quarantined"),
        (90, 90, "quarantined"),
    ]
    aside = rows(database, "SELECT run_id, epoch, seq, error, raw FROM quarantine ORDER BY seq")
    assert [row[:4] for row in aside] == [
        ("a", 7, 3, "cannot take 3 and 90"),
        ("a", 7, 90, "cannot take 3 and 90"),
    ]
    assert b'"text":"a 3"' in aside[0][4]
    assert persister.stats().quarantined == 2
    assert "quarantined event 3 of run a: cannot take 3 and 90" in caplog.messages
    assert problems(database) == []


async def test_an_event_that_is_no_text_is_set_aside(database: Database) -> None:
    unsealed = Envelope("a", 7, 2, LogEvent(ts=AT), b'{"kind":"log","text":"\xff"}')

    await store(database, [*logs("a", 1), unsealed, *logs("a", 3)])

    assert rows(database, "SELECT seq FROM quarantine") == [(2,)]
    assert seqs(database) == [("a", 7, 1), ("a", 7, 3)]
    assert problems(database) == []


async def test_a_full_disk_is_said_and_waited_for(
    small_disk: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ballast = small_disk / "ballast"
    ballast.write_bytes(b"\x00" * 7_400_000)  # leaves no megabyte, and then room for a checkpoint
    with caplog.at_level(logging.ERROR, "arena_tui"):
        async with Scene(str(small_disk / "a.duckdb")) as scene:
            published = 0
            while scene.storing.info().state != "error":
                await scene.broker.publish("a", LogEvent(text=os.urandom(20_000).hex()))
                published += 1
                await until(
                    lambda published=published: (
                        published == scene.persister.stats().stored
                        or scene.storing.info().state == "error"
                    )
                )
            error = scene.storing.info().last_error
            acked = scene.persister.stats().stored
            ballast.unlink()
            await scene.settled()

            assert "No space left" in str(error)
            assert scene.storing.info().state == "ok"
            assert acked < published == scene.persister.stats().stored
            assert [seq for _, _, seq in seqs(scene.database)] == list(range(1, published + 1))
            assert problems(scene.database) == []
    with contextlib.closing(Database(str(small_disk / "a.duckdb"))) as again:
        assert (problems(again), again.warnings.newest()) == ([], ())


def deliveries() -> st.SearchStrategy[list[Delivery]]:
    """Runs of events, gaps and now and then a new epoch, interleaved as a broker may do it."""
    step = st.tuples(
        st.sampled_from("abc"),
        st.one_of(stored_events, st.integers(1, 5), st.just("epoch"), st.just("end")),
    )

    def build(steps: list[tuple[str, Any]]) -> list[Delivery]:
        at: dict[str, tuple[int, int]] = {}
        ended: set[str] = set()
        found: list[Delivery] = []
        for run_id, what in steps:
            epoch, seq = at.get(run_id, (100, 0))
            if what == "epoch":
                if seq:
                    found.append(Gap(run_id, epoch, seq + 1, seq, "reset"))
                    at[run_id] = epoch + 1, 0
                    ended.discard(run_id)
            elif run_id in ended:
                continue
            elif isinstance(what, int):
                found.append(Gap(run_id, epoch, seq + 1, seq + what, "trimmed"))
                at[run_id] = epoch, seq + what
            else:
                event = RunEnd(ts=AT, status="stopped") if what == "end" else what
                found.append(envelope(run_id, epoch, seq + 1, event))
                at[run_id] = epoch, seq + 1
                if what == "end":
                    ended.add(run_id)
        return found

    return st.lists(step, min_size=1, max_size=40).map(build)


def everything(database: Database) -> dict[str, Any]:
    return {
        "runs": database.read_now(lambda c: read_runs(c, sort="run_id")),
        "events": rows(database, "FROM events ORDER BY run_id, epoch, seq"),
        "gaps": rows(database, "SELECT * EXCLUDE noted_at FROM gaps ORDER BY ALL"),
    }


@given(deliveries(), st.randoms(use_true_random=False))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@example([], random.Random(0))
def test_splits_and_redeliveries_change_nothing(
    batch: list[Delivery], choose: random.Random
) -> None:
    async def compare() -> None:
        whole, parts = Database(":memory:"), Database(":memory:")
        await store(whole, batch)
        persister = Persister(parts)
        start = 0
        while start < len(batch):
            end = start + choose.randint(1, 12)
            again = [each for each in batch[:start] if _current(each, batch[:start])]
            kept = again[len(again) - choose.randint(0, len(again)) :]
            if choose.random() < 0.3:
                persister = Persister(parts)
            await persister.handle([*kept, *batch[start:end]])
            start = end
        assert everything(whole) == everything(parts)
        assert problems(whole) == problems(parts) == []
        for totals in whole.read_now(read_runs):
            folded = RunTotals(run_id=totals.run_id)
            for each in batch:
                if each.run_id == totals.run_id:
                    folded.add_gap(each) if isinstance(each, Gap) else folded.add(each)
            assert totals == folded
        whole.close()
        parts.close()

    asyncio.run(compare())


def _current(delivery: Delivery, delivered: list[Delivery]) -> bool:
    """Whether a broker could deliver it again: it is of the newest stream of its run."""
    newest = max(each.epoch for each in delivered if each.run_id == delivery.run_id)
    return delivery.epoch == newest
