"""Runs as JSON, downloads, health, and that the description tells of all there is."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from arena_tui.broker.protocol import STORE, RunInfo, RunMeta
from arena_tui.errors import StoreError
from arena_tui.events import AgentInfo, LogEvent, RunStart
from arena_tui.folds.totals import SUMMARY
from arena_tui.services.http.app import make_app
from arena_tui.services.http.openapi import describe
from arena_tui.services.runtime import Runtime
from tests.services.http.served import LIMITS, Served, serving
from tests.services.http.test_streams import end, play
from tests.waiting import until


@pytest.fixture(params=["in-process", "redis"])
async def served(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Served]:
    url = "memory:" if request.param == "in-process" else request.getfixturevalue("redis_url")
    async with serving(tmp_path / "a.duckdb", url) as made:
        yield made


async def test_runs_are_listed_newest_first_a_page_at_a_time(served: Served) -> None:
    for run_id in ("a", "b", "c"):
        await play(served, run_id)
    await end(served, "a")

    page = (await served.http.get("/runs?limit=2&offset=1")).json()

    assert [each["run_id"] for each in page["runs"]] == ["b", "a"]
    assert page["total"] == 3
    assert page["runs"][1].keys() == set(SUMMARY)
    assert [each["status"] for each in page["runs"]] == ["running", "finished"]


async def test_a_filter_is_the_one_of_the_command_line(served: Served) -> None:
    for run_id in ("a", "b"):
        await play(served, run_id)
    await end(served, "a")

    found = (await served.http.get("/runs", params={"filter": "status:finished events>9"})).json()
    wrong = await served.http.get("/runs", params={"filter": "bogus>9"})

    assert [each["run_id"] for each in found["runs"]] == ["a"]
    assert (wrong.status_code, wrong.json()["error"][:16]) == (400, "no field 'bogus'")


async def test_many_questions_at_once_leave_the_dashboard_a_reader_of_the_store(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    await play(served, "a")
    history = served.runtime.history
    assert history is not None
    count = history.count
    asking: list[int] = []
    most = 0

    async def counted(where: str, parameters: list[object]) -> int:
        nonlocal most
        asking.append(1)
        most = max(most, len(asking))
        found = await count(where, parameters)
        asking.pop()
        return found

    monkeypatch.setattr(history, "count", counted)
    answers = await asyncio.gather(*(served.http.get("/runs?filter=event") for _ in range(30)))

    assert {each.status_code for each in answers} == {200}
    assert most == 2


async def test_one_run_has_what_each_agent_used(served: Served) -> None:
    with served.runtime.sink.run("g", ["x", "y"], run_id="abcdef") as run:
        run.turn(1, player="x")
        run.llm_response("hi", input_tokens=5, output_tokens=7, cost_usd=0.25)
        run.action("a1")
        run.end({"x": 1, "y": 0})
    await until(lambda: stored(served, "abcdef"))

    found = (await served.http.get("/runs/cdef")).json()

    assert (found["run_id"], found["status"], found["winners"]) == ("abcdef", "finished", ["x"])
    assert found["tallies"]["x"] == {
        "actions": 1, "errors": 0, "input_tokens": 5, "output_tokens": 7,
        "cached_input_tokens": None, "reasoning_tokens": None, "cost_usd": 0.25,
    }  # fmt: skip
    assert (await served.http.get("/runs/none")).status_code == 404


async def stored(served: Served, run_id: str) -> bool:
    response = await served.http.get(f"/runs/{run_id}")
    return response.status_code == 200 and response.json()["status"] == "finished"


@pytest.mark.parametrize("is_over", [True, False])
async def test_a_download_is_what_there_is_by_now(served: Served, is_over: bool) -> None:
    await play(served, "r", 1, 50)
    if is_over:
        await end(served, "r")
    (held,) = await served.runtime.broker.runs()

    whole = await served.http.get("/runs/r/events.jsonl")
    part = await served.http.get(f"/runs/r/events.jsonl?from=5&to={held.epoch}-48")

    lines = [json.loads(line) for line in whole.content.splitlines()]
    assert [each["seq"] for each in lines] == list(range(1, 51 + is_over))
    assert part.content.splitlines() == whole.content.splitlines()[4:48]


async def test_a_download_of_a_run_that_is_let_go_meanwhile_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(tmp_path / "a.duckdb") as served:
        broker, runtime = served.runtime.broker, served.runtime
        await play(served, "r", 1, 50)
        held, consuming = await broker.runs(), runtime.consuming
        await end(served, "r")

        @asynccontextmanager
        async def after_it_is_let_go(make: Any) -> AsyncIterator[Any]:
            await broker.reap("r")
            async with consuming(make) as consumption:
                yield consumption

        monkeypatch.setattr(runtime, "consuming", after_it_is_let_go)
        monkeypatch.setattr(runtime.history, "lengths", lengths_before(runtime, held))
        whole = await served.http.get("/runs/r/events.jsonl")

    assert [json.loads(line)["seq"] for line in whole.content.splitlines()] == list(range(1, 52))


def lengths_before(runtime: Runtime, held: Sequence[RunInfo]) -> Any:
    """The first time, how much of the run was stored when the broker held this."""
    answers = [{held[0].epoch: held[0].last_seq}]
    lengths = runtime.history.lengths  # type: ignore[union-attr]

    async def answer(run_id: str) -> dict[int, int]:
        return answers.pop() if answers else await lengths(run_id)

    return answer


async def test_without_a_store_a_download_is_what_the_broker_holds() -> None:
    async with serving(None) as served:
        await served.runtime.broker.open_run(RunMeta(run_id="r"))
        for _ in range(LIMITS.capacity + 5):
            await served.runtime.broker.publish("r", LogEvent())

        whole = await served.http.get("/runs/r/events.jsonl")
        listed = (await served.http.get("/runs")).json()
        filtered = await served.http.get("/runs?filter=a")
        await served.runtime.broker.close_run("r")
        ended = (await served.http.get("/runs")).json()

    lines = [json.loads(line) for line in whole.content.splitlines()]
    assert (lines[0]["kind"], lines[-1]["seq"]) == ("gap", LIMITS.capacity + 5)
    assert [(each["run_id"], each["events"]) for each in listed["runs"]] == [("r", 1_005)]
    assert [listed["runs"][0]["status"], ended["runs"][0]["status"]] == ["running", "ended"]
    assert filtered.status_code == 503


async def test_it_is_ready_while_broker_and_store_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(tmp_path / "a.duckdb") as served:
        before = await served.http.get("/health")
        consumer = served.runtime.running("persister").consumer

        async def refuse(*_: object) -> None:
            raise StoreError("the disk is full")

        monkeypatch.setattr(consumer, "handle", refuse)
        with served.runtime.sink.run("g"):
            pass
        await until(lambda: served.runtime.consumers()[0].last_error)
        after = await served.http.get("/health")
        monkeypatch.undo()

    assert (before.status_code, before.json()["ready"]) == (200, True)
    assert (after.status_code, after.json()["problems"]) == (503, ["the disk is full"])


async def test_the_accounts_are_given_as_lines_that_add_up(served: Served) -> None:
    await play(served, "a")
    await end(served, "a")
    await served.runtime.instruments.sample()

    answer = await served.http.get("/stats")

    found = [json.loads(line) for line in answer.text.splitlines()]
    (run,) = (each for each in found if each["type"] == "run")
    (store,) = (each for each in found if each["type"] == "store")
    assert answer.headers["content-type"] == "application/jsonl"
    assert (found[0]["type"], found[0]["discrepancies"]) == ("broker", [])
    assert run["published"] == run["last_seq"] == run["stored"] == store["published"]
    assert [each["name"] for each in found if each["type"] == "consumer"][:1] == [STORE]


async def test_the_description_tells_of_every_path(tmp_path: Path) -> None:
    async with serving(tmp_path / "a.duckdb") as served:
        answered = (await served.http.get("/openapi.json")).json()
        app = make_app(served.runtime, served.server.streams, [])

    paths = {route.path.replace(":path", "") for route in app.routes}  # type: ignore[attr-defined]
    assert answered == json.loads(json.dumps(describe()))
    assert answered["paths"].keys() == paths | {"/metrics"}


async def test_a_run_whose_producer_is_gone_is_silent(tmp_path: Path) -> None:
    async with serving(tmp_path / "a.duckdb") as served:
        broker = served.runtime.broker
        await broker.open_run(RunMeta(run_id="r"))
        await broker.publish("r", RunStart(game="g", agents=[AgentInfo(id="x")]))
        await broker.settled(["r"])
    async with serving(tmp_path / "a.duckdb") as served:
        found = (await served.http.get("/runs")).json()
        frames = await served.frames("/runs/r/events")

    assert [each["status"] for each in found["runs"]] == ["silent"]
    assert [each.event for each in frames] == ["run_start", "end"]
