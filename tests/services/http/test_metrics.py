"""`/metrics`: figures that agree with the ledger whenever they are asked for, in a few series."""

from __future__ import annotations

import asyncio
import json
import threading
from contextlib import AsyncExitStack
from functools import partial
from itertools import count, pairwise
from pathlib import Path

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from arena_tui.broker.protocol import STORE, Limits, RunMeta
from arena_tui.config import Config
from arena_tui.events import LlmResponse, LogEvent, RunEnd, RunStart
from arena_tui.services.metrics.exporter import Exporter
from arena_tui.services.metrics.figures import NAMES_MAX
from arena_tui.services.runtime import Runtime
from arena_tui.store.history import read_runs
from arena_tui.store.verify import verify_store
from tests.faults.accounts import FULL
from tests.own_consumers import Onlooker
from tests.services.http.served import Served, serving
from tests.services.metrics.read import ACCOUNT, Series, falling, parsed, promtool
from tests.waiting import until

ANSWER = LlmResponse(text="x", input_tokens=100, output_tokens=10, cost_usd=0.25)
PUBLISHED = "arena_broker_published_total"
PLENTY = Limits()
SCRAPES = 30 if FULL else 10


@pytest.fixture(params=["memory", "redis"])
def broker_url(request: pytest.FixtureRequest) -> str:
    return "memory:" if request.param == "memory" else request.getfixturevalue("redis_url")


async def scraped(served: Served) -> Series:
    return parsed((await served.http.get("/metrics")).text)


async def played(served: Served, run_id: str, answers: int = 2) -> None:
    """Publish a run with so many answers, and end it."""
    broker = served.runtime.broker
    await broker.open_run(RunMeta(run_id=run_id))
    await broker.publish(run_id, RunStart(game="test"))
    for _ in range(answers):
        await broker.publish(run_id, ANSWER)
    await broker.publish(run_id, RunEnd())


async def at_rest(served: Served, events: int) -> Series:
    """The metrics once so many events are published, stored and counted."""

    async def reached() -> Series | None:
        found = await scraped(served)
        counted = sum(value for key, value in found.items() if key.startswith("arena_events_"))
        counted += found['arena_consumer_in_gaps_total{consumer="metrics"}']
        resting = found["arena_persister_in_flight_events"] == 0
        return found if counted == events and resting and found[PUBLISHED] == events else None

    return await until(reached)


async def test_prometheus_accepts_what_is_answered_in_either_format() -> None:
    async with serving(":memory:") as served:
        await played(served, "a")
        plain = await served.http.get("/metrics")
        open_metrics = await served.http.get(
            "/metrics", headers={"accept": "application/openmetrics-text;version=1.0.0"}
        )

    assert plain.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert open_metrics.headers["content-type"].startswith("application/openmetrics-text")
    assert len(list(text_string_to_metric_families(open_metrics.text))) > 40
    assert len(parsed(plain.text)) > 100
    checked = promtool("check", "metrics", text=plain.text)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


async def test_refused_requests_are_counted_by_reason() -> None:
    async with serving(":memory:") as served:
        for _ in range(3):
            await served.http.get("/runs", headers={"Host": "evil.example"})
        found = await scraped(served)

    assert found['arena_http_refused_total{reason="host"}'] == 3
    assert found['arena_http_refused_total{reason="token"}'] == 0


async def test_at_rest_the_figures_are_those_of_the_accounts_and_of_the_store(
    tmp_path: Path, broker_url: str
) -> None:
    async with serving(tmp_path / "a.duckdb", broker_url) as served:
        for run_id in "abc":
            await played(served, run_id)
        found = await at_rest(served, 12)
        runtime = served.runtime
        published = (await runtime.broker.stats()).published
        account = runtime.running(STORE).info().account(published)
        assert runtime.database is not None
        runs = await runtime.database.read(read_runs)
        verdicts = await runtime.database.read(verify_store)

    assert [found[name] for name in (PUBLISHED, *ACCOUNT)] == [
        account.published, account.stored, account.already_stored, account.in_flight, account.lost,
    ] == [12, 12, 0, 0, 0]  # fmt: skip
    assert all(each.ok for each in verdicts)
    assert sum(each.events for each in verdicts) == found["arena_persister_stored_total"]
    assert sum(each.input_tokens or 0 for each in runs) == 600
    assert found['arena_tokens_total{direction="input"}'] == 600
    assert found['arena_tokens_total{direction="output"}'] == 60
    assert found["arena_cost_usd_total"] == sum(each.cost_usd or 0 for each in runs) == 1.5
    assert found['arena_runs{state="finished"}'] == 3
    assert found['arena_runs_ended_total{state="finished"}'] == 3
    assert found['arena_consumer_delivered_total{consumer="persister"}'] == 12


async def test_each_scrape_under_load_adds_up_and_no_counter_falls(
    tmp_path: Path, broker_url: str
) -> None:
    async with serving(tmp_path / "a.duckdb", broker_url, PLENTY) as served:
        sink = served.runtime.sink

        enough = threading.Event()

        def emit() -> int:
            for number in count():
                sink.emit(f"r{number % 20}", LogEvent(text="x"))
                if enough.is_set():
                    return number + 1
            return 0

        emitting = asyncio.ensure_future(asyncio.to_thread(emit))
        scrapes = [await scraped(served) for _ in range(SCRAPES)]
        enough.set()
        events = await emitting
        await sink.flush()
        scrapes.append(await at_rest(served, events))

    assert any(each["arena_persister_in_flight_events"] for each in scrapes)
    for each in scrapes:
        assert each[PUBLISHED] == sum(each[name] for name in ACCOUNT)
    for before, after in pairwise(scrapes):
        assert falling(before, after) == []


async def test_what_is_read_again_is_at_no_moment_taken_for_stored(tmp_path: Path) -> None:
    file, db = tmp_path / "a.jsonl", tmp_path / "a.duckdb"
    lines = [{"run_id": f"r{number % 3}", "kind": "log", "text": "x"} for number in range(9_000)]
    file.write_text("".join(json.dumps(each) + "\n" for each in lines))
    async with serving(db, limits=PLENTY) as served:
        served.runtime.following.add([file])
        await at_rest(served, 9_000)

    async with serving(db, limits=PLENTY) as served:
        served.runtime.following.add([file])
        scrapes: list[Series] = []

        async def all_read() -> bool:
            scrapes.append(await scraped(served))
            return scrapes[-1]["arena_persister_already_stored_total"] == 9_000

        await until(all_read)

    assert {each["arena_persister_stored_total"] for each in scrapes} == {0}
    assert all(each[PUBLISHED] == sum(each[name] for name in ACCOUNT) for each in scrapes)


async def test_a_loss_is_counted_as_the_accounts_have_it(tmp_path: Path) -> None:
    async with serving(tmp_path / "a.duckdb", limits=Limits(capacity=100, retain=10)) as served:
        store = served.runtime.running(STORE)
        await store.stop()
        await store.start()
        broker = served.runtime.broker
        await broker.open_run(RunMeta(run_id="a"))
        for _ in range(500):  # without letting the store have a turn
            await broker.publish("a", LogEvent())
        await broker.settled(["a"])
        found = await scraped(served)
        account = store.info().account((await broker.stats()).published)

    assert found["arena_persister_lost_total"] == account.lost == 400
    assert found["arena_broker_overflow_total"] == 400
    assert found['arena_warnings_total{code="overflow"}'] == 1
    assert found[PUBLISHED] == sum(found[name] for name in ACCOUNT) == 500


async def test_no_counter_of_events_falls_or_jumps_when_consumers_are_restarted(
    tmp_path: Path, broker_url: str
) -> None:
    async with serving(tmp_path / "a.duckdb", broker_url) as served:
        await played(served, "a")
        before = await at_rest(served, 4)
        for name in (STORE, "metrics"):
            await served.runtime.running(name).stop()
        await played(served, "b")
        for name in (STORE, "metrics"):
            await served.runtime.running(name).start()
        after = await at_rest(served, 8)

    # Its subscription is a new one, and begins at zero.
    assert [each for each in falling(before, after) if "_delivered_" not in each] == []
    assert before['arena_tokens_total{direction="input"}'] == 200
    assert after['arena_tokens_total{direction="input"}'] == 400
    assert after["arena_persister_stored_total"] == 8


async def test_neither_runs_nor_clients_nor_who_watches_one_run_add_a_series() -> None:
    async with serving(":memory:") as served, AsyncExitStack() as stack:
        await played(served, "r")
        before = await at_rest(served, 4)
        for number in range(500):
            await served.runtime.broker.open_run(RunMeta(run_id=f"r{number}"))
            await served.runtime.broker.publish(f"r{number}", RunStart(game=f"game {number}"))
        for number in range(90):
            await stack.enter_async_context(served.stream(f"/runs/r{number}/events"))
        await until(lambda: len(served.server.clients) == 90)
        during = await at_rest(served, 504)

        assert during.keys() == before.keys()
        assert during["arena_sse_clients"] == 90
        assert during['arena_runs{state="running"}'] == 500


async def test_consumers_beyond_a_number_are_added_up_under_one_name() -> None:
    async with serving(":memory:") as served:
        for number in range(NAMES_MAX + 30):
            await served.runtime.consume(partial(_onlooker, f"own {number}"))
        found = await scraped(served)
        await served.runtime.consume(partial(_onlooker, "own 1"))  # its name is taken, no matter
        again = await scraped(served)

    starting = [key for key in found if key.startswith("arena_consumer_lag_events")]
    states = {key: value for key, value in again.items() if 'state="ok"' in key}
    assert len(starting) == NAMES_MAX + 1
    assert states['arena_consumer_state{consumer="other",state="ok"}'] == 32
    assert states['arena_consumer_state{consumer="own 1",state="ok"}'] == 2


def _onlooker(name: str, _: object) -> Onlooker:
    return Onlooker(name)


async def test_a_failing_store_is_seen(tmp_path: Path) -> None:
    runtime = Runtime(Config(db=str(tmp_path / "a.duckdb")), give_up_s=0.1)
    await runtime.open()
    exporter = Exporter(runtime)
    await exporter.start()
    assert runtime.database is not None
    await runtime.database.aclose()
    await runtime.broker.open_run(RunMeta(run_id="a"))
    await runtime.broker.publish("a", LogEvent())

    async def failing() -> Series | None:
        found = parsed((await exporter.export()).text.decode())
        return None if found["arena_persister_up"] else found

    found = await until(failing)
    await runtime.aclose()

    assert found["arena_persister_failures_total"] >= 1
    assert found['arena_consumer_state{consumer="persister",state="error"}'] == 1
    assert found["arena_persister_in_flight_events"] == 1
    assert found['arena_warnings_total{code="consumer_failed"}'] == 1
