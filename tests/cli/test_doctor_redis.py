"""What `doctor` finds out about a Redis server, and its advice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import redis
from msgspec.structs import replace

import arena_tui
from arena_tui.broker.redis.advice import Facts
from arena_tui.broker.redis.broker import RedisBroker
from arena_tui.broker.redis.examine import Report, Silent, examine
from arena_tui.broker.stats import StoreSeen
from arena_tui.broker_url import BrokerUrl
from arena_tui.cli.doctor_redis import findings_of
from arena_tui.cli.findings import Finding
from arena_tui.codec import sealed
from arena_tui.events import LogEvent
from tests.cli.test_commands import arena, lines
from tests.redis_fixture import MakeRedis

URL = BrokerUrl("redis://127.0.0.1")
GOOD = Report(
    facts=Facts(product="redis", version="7.0.15", memory=2_000_000, memory_max=0,
                policy="noeviction", aof=True),
    risks=(), ping_ms=0.2, skew_ms=0.05, skew_error_ms=0.1, stores=(), runs_closed=2,
    open_runs=(Silent(run_id="busy", silent_s=4.9),), delivery_ms=0.5, delivery_problem=None,
)  # fmt: skip


def found(report: Report, check: str) -> Finding:
    [finding] = [each for each in findings_of(URL, report) if each.check == check]
    return finding


def test_a_server_with_nothing_wrong() -> None:
    findings = list(findings_of(URL, GOOD))

    assert [f"{each.check}: {each.detail}" for each in findings if each.ok] == [
        "broker: redis://127.0.0.1:6379/0: redis 7.0.15, answers in 0.20 ms",
        "memory: 2.0 MB used, no limit (maxmemory 0)",
        "kept: on disk (AOF): outlives the server's end",
        "clock: the server's is as here, as far as can be told (± 0.10 ms)",
        "delivery: 0.5 ms from publishing to reading (median)",
        "stores: none has been there within the hour",
        "runs: 1 open, 2 closed",
    ]
    assert all(each.ok for each in findings)


@pytest.mark.parametrize(
    ("skew_ms", "error_ms", "ok", "said"),
    [
        (5_000.0, 0.1, False, "the server's is 5,000.0 ms ahead (± 0.10 ms)"),
        (-1_200.0, 150.0, False, "the server's is 1,200.0 ms behind (± 150.00 ms)"),
        (1_100.0, 150.0, True, "the server's is 1,100.0 ms ahead (± 150.00 ms)"),
        (1_900.0, 2_000.0, True, "the server's is as here, as far as can be told (± 2000.00 ms)"),
    ],
)
def test_a_clock_is_judged_against_how_well_it_can_be_read(
    skew_ms: float, error_ms: float, ok: bool, said: str
) -> None:
    clock = found(replace(GOOD, skew_ms=skew_ms, skew_error_ms=error_ms), "clock")

    assert (clock.detail, clock.ok, bool(clock.advice)) == (said, ok, not ok)


@pytest.mark.parametrize(
    ("silent_s", "lag", "said", "advice"),
    [
        (0.4, 120, "h:/db: last heard 0 s ago, 120 events behind", ""),
        (0.4, 5_000, "h:/db: last heard 0 s ago, 5,000 events behind", "cannot keep up"),
        (600.0, 0, "h:/db: last heard 10 min ago, 0 events behind", ""),
        (600.0, 7, "h:/db: last heard 10 min ago, 7 events behind", "start arena-tui persist"),
        (None, 7, "h:/db: not heard of, 7 events behind", "start arena-tui persist"),
    ],
)
def test_a_store_that_is_about_to_lose_events_is_not_good(
    silent_s: float | None, lag: int, said: str, advice: str
) -> None:
    seen = StoreSeen(name="h:/db", silent_s=silent_s, lag=lag, lag_most=lag)

    store = found(replace(GOOD, stores=(seen,)), "stores")

    assert store.detail == said
    assert store.ok is not bool(advice)
    assert advice in store.advice


def test_silent_producers_are_named() -> None:
    silent = [Silent(run_id=f"run-{number}", silent_s=16.0 + number) for number in range(5)]

    runs = found(replace(GOOD, open_runs=(*silent, *GOOD.open_runs)), "runs")

    assert not runs.ok
    assert runs.detail == (
        "6 open, 2 closed; no sign of life: run-0 (last 16 s ago), run-1 (last 17 s ago), "
        "run-2 (last 18 s ago) and 2 more"
    )


def test_a_server_that_is_nearly_full_is_not_good() -> None:
    facts = replace(GOOD.facts, memory=9_000_000, memory_max=10_000_000)

    memory = found(replace(GOOD, facts=facts), "memory")

    assert (memory.ok, memory.detail) == (False, "9.0 MB used of 10.0 MB, noeviction beyond it")


def test_what_the_server_may_not_tell_is_no_fault() -> None:
    report = replace(GOOD, facts=Facts(product="redis", version="unknown"))

    assert found(report, "memory").ok
    assert [each.check for each in findings_of(URL, report) if each.check == "kept"] == []


def doctor(folder: Path, url: str) -> tuple[int, dict[str, dict[str, Any]]]:
    done = arena(folder, "doctor", "--broker", url, "--json")
    assert done.stderr == ""
    return done.returncode, {finding["check"]: finding for finding in lines(done.stdout)}


def test_a_real_server_is_looked_at_and_left_as_it_was(
    make_redis: MakeRedis, tmp_path: Path
) -> None:
    server = make_redis(aof=True)
    with arena_tui.connect(server.url, store=False) as agent, agent.run(game="test"):
        agent.run(game="test").turn(1)
        code, findings = doctor(tmp_path, server.url)
    with redis.Redis.from_url(server.url) as client:
        left = list(client.scan_iter("arena:doctor*"))

    assert code == 0, findings
    assert f"{server.url}/0: " in findings["broker"]["detail"]
    assert findings["runs"]["detail"] == "2 open, 0 closed"
    assert "no limit" in findings["memory"]["detail"]
    assert "from publishing to reading" in findings["delivery"]["detail"]
    assert "log" in findings
    assert left == []


async def test_who_watches_never_sees_it(redis_url: str) -> None:
    watcher = RedisBroker(BrokerUrl(redis_url))
    await watcher.start()
    subscription = watcher.subscribe("dashboard")

    report = await examine(BrokerUrl(redis_url))
    await watcher.publish_all([("after", *sealed(LogEvent()))])
    batch = await anext(subscription)

    assert report.delivery_ms is not None
    assert [each.run_id for each in batch] == ["after"]
    assert [info.meta.run_id for info in await watcher.runs()] == ["after"]
    await watcher.aclose()


async def test_a_store_is_seen_with_what_it_lacks(redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as client:
        watcher = RedisBroker(BrokerUrl(redis_url))
        await watcher.start()
        for run_id in ("one", "two"):
            await watcher.publish_all([(run_id, *sealed(LogEvent()))] * 3)
        await watcher.flush()
        epoch = {info.meta.run_id: info.epoch for info in await watcher.runs()}
        client.sadd("arena:consumers", "h:/db persister", "long gone")
        seconds, micros = client.time()
        at = int(seconds) * 1_000 + int(micros) // 1_000 - 20_000
        client.hset("arena:acks:h:/db persister", mapping={"": str(at), "one": f"{epoch['one']}-2"})

        report = await examine(BrokerUrl(redis_url))
        await watcher.aclose()

    here, gone = report.stores
    assert (here.name, here.lag, here.lag_most) == ("h:/db persister", 4, 3)
    assert here.silent_s is not None
    assert here.silent_s >= 20
    assert gone == StoreSeen(name="long gone", silent_s=None, lag=6, lag_most=3)
    assert {run.run_id for run in report.open_runs} == {"one", "two"}


def test_a_server_that_is_not_there_is_a_finding_and_the_rest_is_looked_at(tmp_path: Path) -> None:
    code, findings = doctor(tmp_path, "redis://127.0.0.1:1")

    assert code == 1
    assert not findings["broker"]["ok"]
    assert "cannot reach redis 127.0.0.1:1" in findings["broker"]["advice"]
    assert findings["disk"]["ok"]


def test_a_server_that_does_not_answer_is_a_finding(make_redis: MakeRedis, tmp_path: Path) -> None:
    server = make_redis()
    server.pause()

    code, findings = doctor(tmp_path, server.url)

    assert code == 1
    assert "does not answer: is it stopped" in findings["broker"]["advice"]
    assert findings["disk"]["ok"]


def test_a_replica_and_a_full_server_take_no_events(make_redis: MakeRedis, tmp_path: Path) -> None:
    server = make_redis()
    replica = make_redis(extra=("--replicaof", f"127.0.0.1 {server.port}"))
    full = make_redis(extra=("--maxmemory", "1kb"))

    _, of_replica = doctor(tmp_path, replica.url)
    _, of_full = doctor(tmp_path, full.url)

    assert "is a read-only replica" in of_replica["delivery"]["advice"]
    assert "is full (maxmemory)" in of_full["delivery"]["advice"]
    assert not of_full["memory"]["ok"]
