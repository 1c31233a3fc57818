"""Event streams: every event once and in order, from wherever a client goes on."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import httpx
import pytest

from arena_tui.broker.protocol import RunMeta
from arena_tui.consumers.protocol import ConsumerInfo
from arena_tui.events import LogEvent, OtherEvent, RunEnd, RunStart
from tests.services.http.served import LIMITS, Frame, Served, serving
from tests.waiting import until

EVENTS = 60


@pytest.fixture(params=["in-process", "redis"])
async def served(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Served]:
    url = "memory:" if request.param == "in-process" else request.getfixturevalue("redis_url")
    async with serving(tmp_path / "a.duckdb", url) as made:
        yield made


async def play(served: Served, run_id: str, first: int = 1, last: int = EVENTS) -> None:
    """Publish these events of a run and have them stored: the broker keeps the newest ten."""
    broker = served.runtime.broker
    if first == 1:
        await broker.open_run(RunMeta(run_id=run_id))
        await broker.publish(run_id, RunStart(game="test"))
    for number in range(max(first, 2), last + 1):
        await broker.publish(run_id, LogEvent(text=f"event {number}\nof {run_id}"))
    await broker.settled([run_id])


async def end(served: Served, run_id: str) -> None:
    await served.runtime.broker.publish(run_id, RunEnd())
    await served.runtime.broker.settled([run_id])


async def tail(served: Served, path: str, last_id: str = "") -> bytes:
    """A stream that ends, as it is, without what differs from one connection to the next."""
    headers = {"Last-Event-ID": last_id} if last_id else {}
    response = await served.http.get(path, headers=headers, timeout=30)
    retry, _, rest = response.content.partition(b"\n\n")
    assert retry.startswith(b"retry: ")
    return rest.replace(b":\n\n", b"")


def seqs(frames: Sequence[Frame], run_id: str) -> list[int]:
    return [each.place[1] for each in frames if each.data != "{}" and each.json["run_id"] == run_id]


async def take(stream: AsyncIterator[Frame], count: int) -> list[Frame]:
    async with asyncio.timeout(30):
        return [await anext(stream) for _ in range(count)]


async def test_a_trimmed_run_is_streamed_whole_then_ends(served: Served) -> None:
    await play(served, "r")
    await end(served, "r")

    frames = await served.frames("/runs/r/events")
    again = await served.http.get("/runs/r/events", headers={"Last-Event-ID": frames[-1].id})

    (held,) = await served.runtime.broker.runs()
    assert held.first_seq > EVENTS - 12
    assert seqs(frames, "r") == list(range(1, EVENTS + 2))
    assert [each.id for each in frames] == [
        *(f"{held.epoch}-{seq}" for seq in range(1, EVENTS + 2)),
        f"{held.epoch}-{EVENTS + 1}-end",
    ]
    assert [frames[0].event, frames[1].event, frames[-2].event] == ["run_start", "log", "run_end"]
    assert frames[-1].event == "end"
    assert again.status_code == 204


@pytest.mark.parametrize("path", ["/runs/r/events", "/events?runs=r,s"])
async def test_the_tail_after_any_event_is_the_same_to_the_byte(served: Served, path: str) -> None:
    for run_id in ("r", "s"):
        await play(served, run_id)
    for run_id in ("r", "s"):
        await end(served, run_id)

    whole = await tail(served, path)
    ends = [at + 2 for at in range(len(whole)) if whole.startswith(b"\n\n", at)]
    for at in random.Random(7).sample(ends[:-1], 20):
        last_id = whole[:at].rpartition(b"id: ")[2].partition(b"\n")[0].decode()
        assert await tail(served, path, last_id) == whole[at:]


async def test_a_client_that_comes_back_gets_the_rest_and_then_what_is_live(
    served: Served,
) -> None:
    await play(served, "r")
    (held,) = await served.runtime.broker.runs()

    async with served.stream("/runs/r/events", f"{held.epoch}-7") as stream:
        stored = await take(stream, EVENTS - 7)
        await play(served, "r", EVENTS + 1, EVENTS + 500)
        live = await take(stream, 500)
        await end(served, "r")
        last = await take(stream, 2)

    assert seqs([*stored, *live], "r") == list(range(8, EVENTS + 501))
    assert [each.event for each in last] == ["run_end", "end"]


async def test_from_seq_begins_there(served: Served) -> None:
    await play(served, "r")
    await end(served, "r")

    frames = await served.frames(f"/runs/r/events?from_seq={EVENTS}")

    assert seqs(frames, "r") == [EVENTS, EVENTS + 1]


async def test_a_client_told_all_but_the_end_is_told_the_end(served: Served) -> None:
    await play(served, "r")
    await end(served, "r")
    (held,) = await served.runtime.broker.runs()

    frames = await served.frames("/runs/r/events", f"{held.epoch}-{EVENTS + 1}")

    assert [each.event for each in frames] == ["end"]


async def test_several_runs_come_in_one_stream_that_ends_with_the_last(served: Served) -> None:
    for run_id in ("a", "b"):
        await play(served, run_id)
    await end(served, "a")

    async with served.stream("/events?runs=a,b") as stream:
        frames = await take(stream, 2 * EVENTS + 1)
        await end(served, "b")
        frames += [each async for each in stream]

    assert seqs(frames, "a") == seqs(frames, "b") == list(range(1, EVENTS + 2))
    assert frames[-1].event == "end"
    again = await served.http.get("/events?runs=a,b", headers={"Last-Event-ID": frames[-1].id})
    assert again.status_code == 204


async def test_the_stream_of_all_runs_begins_now_and_has_runs_yet_to_begin(served: Served) -> None:
    await play(served, "old")

    async with served.stream("/events") as stream:
        await first_heard(served)
        await play(served, "old", EVENTS + 1, EVENTS + 3)
        await play(served, "new")
        frames = await take(stream, 3 + EVENTS)

    assert seqs(frames, "old") == [EVENTS + 1, EVENTS + 2, EVENTS + 3]
    assert seqs(frames, "new") == list(range(1, EVENTS + 1))


async def test_the_stream_of_all_runs_goes_on_with_what_came_meanwhile(served: Served) -> None:
    """Some of it a run that began, ended and was let go while the client was away."""
    await play(served, "open")
    await play(served, "over")
    await end(served, "over")
    async with served.stream("/events") as stream:
        await first_heard(served)
        await play(served, "open", EVENTS + 1, EVENTS + 1)
        (seen,) = await take(stream, 1)

    await play(served, "open", EVENTS + 2, EVENTS + 100)
    await play(served, "brief")
    await end(served, "brief")
    await served.runtime.broker.reap("brief")
    async with served.stream("/events", seen.id) as stream:
        frames = await take(stream, 99 + EVENTS + 1)
        await play(served, "next")
        frames += await take(stream, EVENTS)

    assert seqs(frames, "open") == list(range(EVENTS + 2, EVENTS + 101))
    assert seqs(frames, "brief") == list(range(1, EVENTS + 2))
    assert seqs(frames, "over") == []
    assert seqs(frames, "next") == list(range(1, EVENTS + 1))


async def test_what_is_let_go_while_a_client_is_sent_what_is_stored_still_comes(
    served: Served,
) -> None:
    """Of a run that it has in part, and of one that it has never heard of."""
    broker = served.runtime.broker
    await play(served, "part")
    async with served.stream("/events") as stream:
        await first_heard(served)
        await play(served, "part", EVENTS + 1, EVENTS + 1)
        (seen,) = await take(stream, 1)
    await play(served, "much", last=2)
    for _ in range(200):
        await broker.publish("much", LogEvent(text="x" * 60_000))
    await broker.settled(["much"])

    async with served.stream("/events", seen.id) as stream:
        frames = await take(stream, 1)
        await play(served, "brief")
        for run_id in ("part", "brief"):
            await end(served, run_id)
            await broker.reap(run_id)
        frames += await take(stream, 201 + 1 + EVENTS + 1)

    assert seqs(frames, "much") == list(range(1, 203))
    assert seqs(frames, "part") == [EVENTS + 2]
    assert seqs(frames, "brief") == list(range(1, EVENTS + 2))


async def test_a_client_of_all_runs_that_comes_back_is_not_sent_what_was_before_it_came_first(
    tmp_path: Path,
) -> None:
    async with serving(tmp_path / "a.duckdb") as served:
        await play(served, "old")
        await end(served, "old")
        await served.runtime.broker.reap("old")
        async with served.http.stream("GET", "/events", timeout=30) as response:
            text = await anext(response.aiter_text())
        last_id = text.partition("id: ")[2].partition("\n")[0]
        async with served.stream("/events", last_id) as stream:
            await first_heard(served)
            await play(served, "new")
            frames = await take(stream, EVENTS)

    assert seqs(frames, "new") == list(range(1, EVENTS + 1))


async def test_real_loss_is_a_gap_in_its_place(tmp_path: Path) -> None:
    async with serving(None) as served:
        broker = served.runtime.broker
        await broker.open_run(RunMeta(run_id="r"))
        for _ in range(LIMITS.capacity + 5):
            await broker.publish("r", LogEvent())
        await broker.publish("r", RunEnd())

        frames = await served.frames("/runs/r/events")

    (held,) = await broker.runs()
    assert frames[0].event == "gap"
    assert frames[0].id == f"{held.epoch}-{held.first_seq - 1}"
    assert (frames[0].json["from_seq"], frames[0].json["to_seq"]) == (1, held.first_seq - 1)
    assert seqs(frames[1:], "r") == list(range(held.first_seq, LIMITS.capacity + 7))


@pytest.mark.parametrize("kind", ["end", "gap", "message", "evil\nid: 1-1", "<script>", "x" * 99])
async def test_a_kind_that_would_mislead_a_client_is_named_other(tmp_path: Path, kind: str) -> None:
    async with serving(tmp_path / "a.duckdb") as served:
        await served.runtime.broker.open_run(RunMeta(run_id="r"))
        await served.runtime.broker.publish("r", OtherEvent(name=kind))
        await end(served, "r")

        frames = await served.frames("/runs/r/events")

    assert [each.event for each in frames] == ["other", "run_end", "end"]
    assert frames[0].json["kind"] == kind


async def test_an_open_stream_is_a_consumer_like_any_and_goes_with_its_client(
    served: Served,
) -> None:
    await play(served, "r")

    async with served.stream("/runs/r/events") as stream:
        await take(stream, EVENTS)
        (info,) = clients(served)
        assert (info.durable, info.state, info.lag) == (False, "ok", 0)

    await until_no_client(served)


async def test_a_server_that_closes_ends_the_stream_without_saying_that_the_run_is_over(
    served: Served,
) -> None:
    await play(served, "r")

    async with served.stream("/runs/r/events") as stream:
        frames = await take(stream, EVENTS)
        await served.server.aclose()
        frames += await rest(stream)

    assert frames[-1].event == "log"


async def rest(stream: AsyncIterator[Frame]) -> list[Frame]:
    """What comes until the server ends the connection, however it does."""
    frames = []
    try:
        async for each in stream:
            frames.append(each)
    except httpx.RemoteProtocolError:
        pass
    return frames


def clients(served: Served) -> list[ConsumerInfo]:
    return [each for each in served.runtime.consumers() if each.name.startswith("sse ")]


async def first_heard(served: Served) -> None:
    """Return once the server has subscribed for its client."""
    await until(lambda: bool(clients(served)))


async def until_no_client(served: Served) -> None:
    await until(lambda: not clients(served))


@pytest.mark.parametrize(
    ("path", "last_id", "status"),
    [
        ("/runs/none/events", "", 404),
        ("/runs/r/events", "7", 400),
        ("/runs/r/events", "a-b", 400),
        ("/runs/r/events", "9" * 40 + "-1", 400),
        ("/runs/r/events", "²-1", 400),
        ("/runs/r/events?from_seq=x", "", 400),
        ("/runs/r%0a/events", "", 404),
        ("/events?runs=", "", 400),
        ("/events?runs=r,none", "", 404),
        ("/events?runs=r", "1-2", 400),
        ("/events?runs=" + "r," * 51, "", 400),
    ],
)
async def test_a_stream_that_cannot_be_is_refused_in_one_line(
    tmp_path: Path, path: str, last_id: str, status: int
) -> None:
    async with serving(tmp_path / "a.duckdb") as served:
        await play(served, "r")
        headers = {"Last-Event-ID": last_id.encode()} if last_id else {}
        response = await served.http.get(path, headers=headers)  # type: ignore[arg-type]

    assert response.status_code == status
    (line,) = response.text.splitlines()
    assert line.startswith('{"error":"')
