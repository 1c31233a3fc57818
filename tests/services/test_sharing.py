"""One store, many processes: who has it open, who is attached, and how it changes hands."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from arena_tui.broker.attached.broker import AttachedBroker
from arena_tui.broker_url import BrokerUrl
from arena_tui.config import Config
from arena_tui.errors import StoreError, UsageError
from arena_tui.events import Envelope
from arena_tui.services.playables import parse_playable
from arena_tui.services.runtime import Runtime
from arena_tui.services.session import Session
from arena_tui.services.sharing import is_owned, make_runtime, open_runtime, place_of
from arena_tui.store.verify import verify_store
from tests.waiting import until


@asynccontextmanager
async def showing(path: str, **options: object) -> AsyncIterator[Session]:
    """A dashboard without its screen."""
    session = Session(Config(db=path), **options)  # type: ignore[arg-type]
    await session.begin(asyncio.get_running_loop().time)
    await session.open()
    try:
        yield session
    finally:
        await session.aclose(20)


async def shown(session: Session) -> dict[str, tuple[str, int]]:
    """State and number of events of each pane."""
    frame = await session.sample()
    return {pane.run_id: (pane.state, pane.events) for pane in frame.panes}


async def play(runtime: Runtime, run_id: str, turns: int = 10, ends: bool = True) -> None:
    run = runtime.sink.run(run_id, ["a"], run_id=run_id)
    for turn in range(turns):
        run.turn(turn)
    if ends:
        run.end()
    await runtime.sink.flush()


async def read_all(runtime: Runtime, run_id: str) -> list[int]:
    """The seqs that are stored of a run."""
    assert runtime.history is not None
    (epoch,) = await runtime.history.lengths(run_id)
    found = await runtime.history.window(run_id, 1, 1_000, epoch)
    return [each.seq for each in found if isinstance(each, Envelope)]


async def test_of_many_that_come_at_once_one_has_the_store_open(path: str) -> None:
    runtimes = await asyncio.gather(*(open_runtime(Config(db=path)) for _ in range(4)))
    attached = [isinstance(each.broker, AttachedBroker) for each in runtimes]
    for number, each in enumerate(runtimes):
        await play(each, f"r{number}")
    stored = [await read_all(runtimes[0], f"r{number}") for number in range(4)]
    for each in runtimes:
        assert await each.aclose() is None

    assert sorted(attached) == [False, True, True, True]
    assert stored == [list(range(1, 13))] * 4
    assert not is_owned(Config(db=path))


async def test_two_dashboards_show_each_other_s_games(path: str) -> None:
    async with showing(path) as first, showing(path) as second:
        await play(first.runtime, "one")
        await play(second.runtime, "two")
        expected = {"one": ("finished", 12), "two": ("finished", 12)}

        await until(lambda: _shows(first, expected))
        await until(lambda: _shows(second, expected))
        truth = (await second.sample()).truth
        await until(lambda: _is_all_stored(second))

    assert truth.account.lost == 0


async def _shows(session: Session, expected: dict[str, tuple[str, int]]) -> bool:
    return await shown(session) == expected


async def _is_all_stored(session: Session) -> bool:
    truth = (await session.sample()).truth
    return (truth.store, truth.account.stored) == ("ok", 24)


async def test_the_title_says_who_has_the_store_and_how_many_share_it(path: str) -> None:
    async with showing(path) as first:
        alone = (await first.sample()).place
        async with showing(path) as second:
            # both are in this process, which does not count itself
            places = (await first.sample()).place, (await second.sample()).place

    assert (alone, *places) == ("in-process", "in-process", f"attached to {os.getpid()}")


async def test_a_run_is_deleted_and_marked_from_any_of_them(path: str) -> None:
    async with showing(path) as first, showing(path) as second:
        await play(first.runtime, "one")
        await play(second.runtime, "two", ends=False)
        await until(lambda: _shows(second, {"one": ("finished", 12), "two": ("running", 11)}))

        await second.delete("one")
        with pytest.raises(UsageError, match="run two is not over"):
            await second.delete("two")

        assert first.runtime.history is not None
        assert [each.run_id for each in await first.runtime.history.runs()] == ["two"]


async def test_a_file_given_to_the_second_is_followed_by_whoever_has_the_store(
    path: str, tmp_path: Path
) -> None:
    file = tmp_path / "lines.jsonl"
    lines = [{"run_id": "f", "kind": "log", "text": str(number)} for number in range(3)]
    file.write_text("".join(json.dumps(each) + "\n" for each in lines[:1]))
    async with showing(path) as first, showing(path, follow=[file]) as second:
        await until(lambda: _shows(first, {"f": ("running", 1)}))
        await first.aclose(20)
        with file.open("a") as more:
            more.write(json.dumps(lines[1]) + "\n")
        await until(lambda: _shows(second, {"f": ("running", 2)}))

        async def has_both() -> bool:
            return await read_all(second.runtime, "f") == [1, 2]

        await until(has_both)


async def test_who_is_left_takes_over_without_a_gap(path: str) -> None:
    async with showing(path) as first, showing(path) as second:
        await play(first.runtime, "theirs", ends=False)
        await play(second.runtime, "ours", ends=False)
        await until(lambda: _shows(second, {"theirs": ("running", 11), "ours": ("running", 11)}))

        await first.aclose(20)
        run = second.runtime.sink
        run.emit("ours", (await _newest(second)).event)
        await run.flush()

        expected = {"theirs": ("stopped", 12), "ours": ("running", 12)}
        await until(lambda: _shows(second, expected))
        frame = await second.sample()
        stats = await second.runtime.broker.stats()

    assert place_of(second.runtime) == "in-process"
    assert [pane.lost for pane in frame.panes] == [0, 0]
    assert [each.overflow for each in stats.consumers] == [0] * len(stats.consumers)
    async with showing(path) as third:
        assert third.runtime.history is not None
        verdicts = await third.runtime.history.read(verify_store)
    assert [(each.run_id, each.ok, each.gaps) for each in verdicts] == [
        ("ours", True, 0), ("theirs", True, 0),
    ]  # fmt: skip


async def _newest(session: Session) -> Envelope:
    async for each in session.runtime.broker.stream("ours", 2):
        assert isinstance(each, Envelope)
        return each
    raise AssertionError


async def test_games_of_an_attached_dashboard_are_stored_by_the_owner(path: str) -> None:
    async with showing(path) as first, showing(path) as second:
        await second.play(parse_playable("synth a b max_turns=3"))
        await until(lambda: _has_finished(first))
        history = first.runtime.history
        assert history is not None

        async def is_stored() -> bool:
            return [each.status for each in await history.runs()] == ["finished"]

        await until(is_stored)


async def _has_finished(session: Session) -> bool:
    return [state for state, _ in (await shown(session)).values()] == ["finished"]


async def test_a_store_that_a_server_s_runs_fill_is_read_and_not_published_to(
    path: str, redis_url: str
) -> None:
    config = Config(db=path, broker=BrokerUrl(redis_url))
    persisting = make_runtime(config, attached=False)
    await persisting.open()
    try:
        assert is_owned(Config(db=path))
        with pytest.raises(StoreError, match=r"stores the runs of redis 127\.0\.0\.1:\d+: give"):
            await open_runtime(Config(db=path))
    finally:
        await persisting.aclose()


async def test_who_cannot_take_the_store_over_keeps_its_events_until_somebody_does(
    path: str,
) -> None:
    owner = await open_runtime(Config(db=path))
    attached = make_runtime(Config(db=path), attached=True, producer=True)
    await attached.open()
    run = attached.sink.run("g", run_id="r")
    run.turn(1)
    await attached.sink.flush()
    os.rename(path, f"{path}.away")
    os.mkdir(path)  # nobody can open that
    await owner.aclose()

    run.turn(2)
    await until(lambda: attached.broker.unsent)
    os.rmdir(path)
    os.rename(f"{path}.away", path)
    await attached.sink.flush()

    assert attached.broker.unsent == 0
    assert await attached.aclose() is None
