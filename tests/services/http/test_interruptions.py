"""Whatever happens when, a client that always comes back ends with every event, once."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from pathlib import Path

import pytest

from arena_tui.broker.protocol import Limits, RunMeta
from arena_tui.events import LogEvent, RunEnd, RunStart
from tests.faults.accounts import FULL
from tests.services.http.served import Frame, Served, frames_in, serving
from tests.services.http.test_streams import EVENTS, clients, play, seqs, take
from tests.waiting import pause, until

LIMITS = Limits(capacity=2_000, retain=5)
SEEDS = range(40 if FULL else 2)
STEPS = 120


@pytest.fixture(params=["in-process", "redis"])
def broker_url(request: pytest.FixtureRequest) -> str:
    return "memory:" if request.param == "in-process" else request.getfixturevalue("redis_url")


class Returning:
    """A client that leaves now and then, at any moment, and goes on where it was."""

    def __init__(self, served: Served, path: str, chance: random.Random) -> None:
        self.path = path
        self.frames: list[Frame] = []
        self.times = 0
        self._served = served
        self._chance = chance
        self._last_id = ""

    async def until(self, enough: Callable[[], bool]) -> None:
        """Take frames until there are enough, or the stream is over."""
        while not enough():
            self.times += 1
            headers = {"Last-Event-ID": self._last_id} if self._last_id else {}
            request = self._served.http.stream("GET", self.path, headers=headers, timeout=30)
            async with request as response:
                assert response.status_code == 200, await response.aread()
                most = self._chance.choice((1, 2, 3, 150))
                await self._take(frames_in(response), most, enough)
            if self.frames and self.frames[-1].event == "end":
                return

    async def _take(
        self, stream: AsyncIterator[Frame], most: int, enough: Callable[[], bool]
    ) -> None:
        async with aclosing(stream):  # type: ignore[type-var]
            async for each in stream:
                self.frames.append(each)
                self._last_id = each.id
                most -= 1
                if most == 0 or each.event == "end" or enough():
                    return

    def seqs(self, run_id: str) -> list[int]:
        """What came of a run, in that order."""
        lines = [each.json for each in self.frames if each.data != "{}"]
        of_run = [each for each in lines if each["run_id"] == run_id]
        assert "gap" not in {each["kind"] for each in of_run}
        return [each["seq"] for each in of_run]


class Schedule:
    """Runs that begin, go on, end and are let go at random."""

    def __init__(self, served: Served, chance: random.Random) -> None:
        self.published: dict[str, int] = {}
        self.open: list[str] = []
        self._served = served
        self._chance = chance

    async def begin(self, run_id: str) -> None:
        await self._served.runtime.broker.open_run(RunMeta(run_id=run_id))
        self.published[run_id] = 0
        self.open.append(run_id)
        if self._chance.random() < 0.7:
            await self._publish(run_id, RunStart(game="test"))

    async def step(self) -> None:
        chance = self._chance.random()
        if chance < 0.1:
            await self.begin(f"run-{len(self.published)}")
        elif chance < 0.15 and len(self.open) > 2:
            await self.end(self._chance.choice(self.open))
        else:
            for _ in range(self._chance.choice((1, 1, 5, 30))):
                await self._publish(self._chance.choice(self.open), LogEvent(text="x"))
        if self._chance.random() < 0.3:
            await pause(self._chance.choice((0, 0, 0.01)))

    async def end(self, run_id: str) -> None:
        self.open.remove(run_id)
        await self._publish(run_id, RunEnd())
        if self._chance.random() < 0.5:
            await self._served.runtime.broker.settled([run_id])
            await self._served.runtime.broker.reap(run_id)

    async def _publish(self, run_id: str, event: LogEvent | RunStart | RunEnd) -> None:
        broker = self._served.runtime.broker
        await broker.publish(run_id, event)
        self.published[run_id] += 1


@pytest.mark.parametrize("seed", SEEDS)
async def test_every_event_comes_once_however_often_a_client_leaves(
    tmp_path: Path, broker_url: str, seed: int
) -> None:
    chance = random.Random(seed)
    async with serving(tmp_path / "a.duckdb", broker_url, LIMITS) as served:
        schedule = Schedule(served, chance)
        for run_id in ("first", "second", "third"):
            await schedule.begin(run_id)
        single = Returning(served, "/runs/first/events", chance)
        several = Returning(served, "/events?runs=first,second,third", chance)
        every = Returning(served, "/events", chance)
        before = dict(schedule.published)

        async def has_read() -> bool:
            """Whether what is published from now on is what comes after that: what a server has
            taken is read a moment later."""
            held = await served.runtime.broker.runs()
            return {each.meta.run_id: each.last_seq for each in held} == before

        await until(has_read)

        def has_all() -> bool:
            ended = {each.json["run_id"] for each in every.frames if each.event == "run_end"}
            return not schedule.open and ended >= schedule.published.keys()

        async with asyncio.timeout(60), asyncio.TaskGroup() as group:
            group.create_task(every.until(has_all))
            await until(lambda: clients(served))
            for each in (single, several):
                group.create_task(each.until(lambda: False))
            for _ in range(STEPS):
                await schedule.step()
            for run_id in list(schedule.open):
                await schedule.end(run_id)

    for client, run_ids in ((single, ["first"]), (several, ["first", "second", "third"])):
        for run_id in run_ids:
            assert client.seqs(run_id) == list(range(1, schedule.published[run_id] + 1))
    for run_id, published in schedule.published.items():
        came = list(dict.fromkeys(every.seqs(run_id)))
        assert came == list(range(before.get(run_id, 0) + 1, published + 1))
    assert every.times > 1


async def test_a_run_that_was_quiet_while_a_later_one_ended_is_not_forgotten(
    tmp_path: Path, broker_url: str
) -> None:
    async with serving(tmp_path / "a.duckdb", broker_url) as served:
        broker = served.runtime.broker
        async with served.stream("/events") as stream:
            await until(lambda: clients(served))
            await broker.open_run(RunMeta(run_id="quiet"))
            await broker.open_run(RunMeta(run_id="short"))
            await broker.publish("short", RunEnd())
            (seen,) = await take(stream, 1)
            await until(lambda: clients(served)[0].lag == 0)
            await broker.open_run(RunMeta(run_id="next"))
            await broker.publish("next", RunStart())
            (last,) = await take(stream, 1)
        await broker.publish("quiet", RunStart())
        await broker.publish("quiet", RunEnd())
        await broker.settled(["quiet"])

        for last_id in (seen.id, last.id):
            async with served.stream("/events", last_id) as stream:
                frames = await take(stream, 2)
                assert seqs(frames, "quiet") == [1, 2] or seqs(frames, "next") == [1]
                if seqs(frames, "quiet") != [1, 2]:
                    assert seqs(frames + await take(stream, 1), "quiet") == [1, 2]


async def test_a_client_that_leaves_before_the_first_event_goes_on_from_there(
    tmp_path: Path, broker_url: str
) -> None:
    async with serving(tmp_path / "a.duckdb", broker_url) as served:
        await play(served, "r")
        async with served.http.stream("GET", "/events", timeout=30) as response:
            blocks = response.aiter_text()
            text = await anext(blocks)
        last_id = text.partition("id: ")[2].partition("\n")[0]
        await play(served, "r", EVENTS + 1, EVENTS + 3)
        async with served.stream("/events", last_id) as stream:
            frames = await take(stream, 3)

    assert seqs(frames, "r") == [EVENTS + 1, EVENTS + 2, EVENTS + 3]
