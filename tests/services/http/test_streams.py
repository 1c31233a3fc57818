"""The event stream of one run: every event once, from wherever a client goes on."""

from __future__ import annotations

import asyncio
from pathlib import Path

from arena_tui.broker.protocol import RunMeta
from arena_tui.events import LogEvent, RunEnd, RunStart
from tests.services.http.served import Served, serving


async def played(served: Served, run_id: str, events: int, end: bool = True) -> int:
    """Publish a run, trimmed to the newest ten events; returns its epoch."""
    broker = served.runtime.broker
    await broker.open_run(RunMeta(run_id=run_id))
    await broker.publish(run_id, RunStart(game="test"))
    for number in range(events - 2):
        await broker.publish(run_id, LogEvent(text=f"event {number}"))
    if end:
        await broker.publish(run_id, RunEnd())
    await broker.settled([run_id])
    return next(each.epoch for each in await broker.runs() if each.meta.run_id == run_id)


async def test_a_trimmed_run_is_streamed_whole_then_ends(tmp_path: Path) -> None:
    async with serving(tmp_path / "a.duckdb") as served:
        epoch = await played(served, "r", 50)

        frames = await served.frames("/runs/r/events")
        again = await served.http.get("/runs/r/events", headers={"Last-Event-ID": frames[-1].id})

    assert [each.place for each in frames[:-1]] == [(epoch, seq) for seq in range(1, 51)]
    assert [each.id for each in frames[:-1]] == [f"{epoch}-{seq}" for seq in range(1, 51)]
    assert [frames[0].event, frames[1].event, frames[49].event] == ["run_start", "log", "run_end"]
    assert frames[-1].event == "end"
    assert again.status_code == 204


async def test_a_client_that_comes_back_gets_the_rest_and_then_what_is_live(
    tmp_path: Path,
) -> None:
    async with serving(tmp_path / "a.duckdb") as served:
        epoch = await played(served, "r", 50, end=False)
        async with served.stream("/runs/r/events", last_id=f"{epoch}-7") as stream:
            stored = [await anext(stream) for _ in range(42)]
            await served.runtime.broker.publish("r", LogEvent(text="live"))
            live = await asyncio.wait_for(anext(stream), 20)

    assert [each.place[1] for each in stored] == list(range(8, 50))
    assert live.json["text"] == "live"
    assert live.place == (epoch, 50)
