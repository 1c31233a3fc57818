"""Files that are missing, growing, truncated, replaced, or full of bad lines."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeAlias

import msgspec
import pytest

from arena_tui.broker.forwarded import Forwarded
from arena_tui.broker.memory import InProcessBroker
from arena_tui.broker.protocol import STORE, Cursor, Limits, RunMeta
from arena_tui.config import Config
from arena_tui.errors import BrokerError
from arena_tui.events import Envelope, LogEvent, RunEnd
from arena_tui.folds.accounts import Account
from arena_tui.producers import follow as follow_module
from arena_tui.producers.follow import Follower
from arena_tui.producers.lines import LINE_MAX_BYTES
from arena_tui.services.runtime import Runtime
from arena_tui.store.database import Database
from arena_tui.store.history import read_runs
from arena_tui.store.verify import verify_store
from tests.waiting import until

BEGUN = datetime(2026, 1, 1, tzinfo=UTC)
BEGUN_MS = 1_767_225_600_000
POLL_S = 0.001


def line(run_id: str, turn: int, **fields: Any) -> bytes:
    """A line of a run that began at 2026-01-01 and has one turn per second."""
    ts = (BEGUN + timedelta(seconds=turn)).isoformat()
    return (
        msgspec.json.encode({"run_id": run_id, "kind": "log", "turn": turn, "ts": ts} | fields)
        + b"\n"
    )


def lines(run_id: str, turns: range) -> bytes:
    return b"".join(line(run_id, turn) for turn in turns)


def too_deep(run_id: str) -> bytes:
    """A line that is JSON, but no event."""
    deep: list[Any] = []
    for _ in range(600):
        deep = [deep]
    return line(run_id, 0, kind="observation", data=deep)


def append(path: Path, data: bytes) -> None:
    with path.open("ab") as file:
        file.write(data)


class Following:
    """Files followed into a broker, and what was published of them."""

    def __init__(self, *paths: Path, limits: Limits | None = None) -> None:
        self.broker = InProcessBroker(limits)
        self.follower = Follower(self.broker, paths, poll_s=POLL_S)
        self._everything = self.broker.subscribe("test")
        self._got: list[Envelope] = []

    @property
    def warned(self) -> list[str]:
        return [str(each) for each in self.broker.warnings.newest()]

    @property
    def got(self) -> list[Envelope]:
        while batch := self._everything.read_nowait():
            self._got += [each for each in batch if isinstance(each, Envelope)]
        return self._got

    def turns(self, run_id: str) -> list[int | None]:
        """The turns of the run's events; asserts that their seqs are dense from 1."""
        own = [each for each in self.got if each.run_id == run_id]
        assert [each.seq for each in own] == list(range(1, len(own) + 1))
        return [each.event.turn for each in own]

    async def has(self, run_id: str, *turns: int) -> None:
        """Wait until the run has as many turns, and assert that they are these."""
        await until(lambda: len(self.turns(run_id)) >= len(turns))
        assert self.turns(run_id) == list(turns)


Follow: TypeAlias = Callable[..., Awaitable[Following]]


@pytest.fixture
async def follow() -> AsyncIterator[Follow]:
    begun: list[Following] = []

    async def begin(*paths: Path, **options: Any) -> Following:
        following = Following(*paths, **options)
        begun.append(following)
        following.follower.start()
        return following

    yield begin
    for following in begun:
        await following.follower.aclose()
        await following.broker.aclose()


async def test_a_file_is_read_and_then_what_is_added_to_it(tmp_path: Path, follow: Follow) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(lines("a", range(3)))
    following = await follow(path)
    await following.has("a", 0, 1, 2)

    append(path, lines("a", range(3, 5)) + lines("b", range(1)))

    await following.has("a", 0, 1, 2, 3, 4)
    await following.has("b", 0)
    assert following.warned == []


async def test_a_run_of_which_nothing_more_comes_is_silent_all_the_time(
    tmp_path: Path, follow: Follow
) -> None:
    """Also while its file is looked at for more, which happens several times a second."""
    path = tmp_path / "x.jsonl"
    path.write_bytes(lines("a", range(3)))
    following = await follow(path)
    await until(lambda: following.follower.is_silent("a"))
    often, before = 1e-6, sys.getswitchinterval()

    sys.setswitchinterval(often)
    try:
        assert all(following.follower.is_silent("a") for _ in range(50_000))
    finally:
        sys.setswitchinterval(before)

    append(path, lines("a", range(3, 5)))
    await following.has("a", 0, 1, 2, 3, 4)


async def test_a_run_is_not_silent_while_its_file_is_read_on(
    tmp_path: Path, follow: Follow
) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(lines("a", range(1)))
    following = await follow(path)
    await until(lambda: following.follower.is_silent("a"))
    store = following.broker.subscribe(STORE, durable=True)
    is_read = False

    append(path, lines("a", range(1, 60_000)))
    while len(following.got) < 30_000:  # what waits to be published is less than the rest
        is_read = is_read or not following.follower.is_silent("a")
        assert not (is_read and following.follower.is_silent("a"))
        for each in store.read_nowait():
            store.ack({"a": Cursor(each.epoch, each.last_seq)})
        await asyncio.sleep(0)
    assert is_read
    store.close()

    await until(lambda: following.follower.is_silent("a"))


async def test_a_file_that_does_not_exist_is_waited_for(tmp_path: Path, follow: Follow) -> None:
    path = tmp_path / "later.jsonl"
    following = await follow(path)
    await until(lambda: following.warned)
    told = following.warned

    path.write_bytes(lines("a", range(2)))

    await following.has("a", 0, 1)
    assert told == ["later.jsonl does not exist yet: waiting for it"]
    assert following.warned == []


async def test_a_line_counts_once_its_newline_is_there(tmp_path: Path, follow: Follow) -> None:
    path, other = tmp_path / "x.jsonl", tmp_path / "other.jsonl"
    whole = line("a", 1)
    path.write_bytes(line("a", 0) + whole[:20])
    following = await follow(path, other)
    await following.has("a", 0)

    append(path, whole[20:-1])
    other.write_bytes(line("b", 0))
    await following.has("b", 0)
    held_back = following.turns("a")
    append(path, b"\n")

    await following.has("a", 0, 1)
    assert held_back == [0]
    assert following.follower.refused == 0


async def test_a_file_cut_short_is_read_from_its_beginning(tmp_path: Path, follow: Follow) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(lines("a", range(3)) + b"half a li")
    following = await follow(path)
    await following.has("a", 0, 1, 2)

    path.write_bytes(lines("b", range(1)))

    await following.has("b", 0)
    assert following.warned == ["x.jsonl was cut short: reading it from its beginning"]


async def test_a_file_that_is_rotated_is_read_to_its_end_and_then_the_new_one(
    tmp_path: Path, follow: Follow
) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(lines("a", range(2)))
    following = await follow(path)
    await following.has("a", 0, 1)

    path.rename(tmp_path / "x.jsonl.1")
    append(tmp_path / "x.jsonl.1", line("a", 2)[:-1])  # the last line has no newline
    path.write_bytes(lines("a", range(3, 5)))

    await following.has("a", 0, 1, 2, 3, 4)
    assert following.warned == ["x.jsonl was replaced: reading it from its beginning"]
    assert {each.epoch for each in following.got} == {BEGUN_MS}


async def test_a_file_written_out_anew_each_time_adds_only_what_is_new(
    tmp_path: Path, follow: Follow
) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(lines("a", range(2)) + line("ended", 0) + line("ended", 1, kind="run_end"))
    following = await follow(path)
    await following.has("ended", 0, 1)

    for count in range(3, 6):
        fresh = tmp_path / "x.tmp"
        fresh.write_bytes(
            line("ended", 0)
            + line("ended", 1, kind="run_end")
            + line("a", 0)
            + too_deep("a")
            + lines("a", range(1, count))
        )
        fresh.replace(path)
        await following.has("a", *range(count))
    await following.has("ended", 0, 1)

    assert following.follower.refused == 3


async def test_a_file_written_out_anew_in_pieces_adds_only_what_is_new(
    tmp_path: Path, follow: Follow
) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(lines("a", range(5)))
    following = await follow(path)
    await following.has("a", 0, 1, 2, 3, 4)

    for piece in (lines("a", range(2)), line("b", 0), lines("a", range(6))):
        fresh = tmp_path / "x.tmp"
        fresh.write_bytes(piece + line("mark", len(piece)))
        fresh.replace(path)
        await until(lambda: following.turns("mark")[-1:] == [len(piece)])  # noqa: B023

    assert following.turns("a") == [0, 1, 2, 3, 4, 5]
    assert following.turns("b") == [0]


async def test_what_is_written_just_before_a_rotation_is_read(
    tmp_path: Path, follow: Follow, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, moved = tmp_path / "x.jsonl", tmp_path / "x.jsonl.1"
    path.write_bytes(line("a", 0))
    look, late = Path.stat, list[bytes]()

    def look_late(self: Path, **options: Any) -> os.stat_result:
        found = look(self, **options)
        if self == path and os.path.lexists(moved) and not late:
            late.append(line("a", 1))
            append(moved, late[0])
        return found

    following = await follow(path)
    await following.has("a", 0)
    monkeypatch.setattr(Path, "stat", look_late)

    path.rename(moved)
    path.write_bytes(line("a", 2))

    await following.has("a", 0, 1, 2)


async def test_a_run_begun_again_in_a_shortened_file_is_not_taken_for_the_old_one(
    tmp_path: Path, follow: Follow
) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(lines("a", range(5)))
    following = await follow(path)
    await following.has("a", 0, 1, 2, 3, 4)

    path.write_bytes(lines("a", range(100, 102)))

    await following.has("a", 0, 1, 2, 3, 4, 100, 101)


async def test_without_times_nobody_can_tell_so_everything_is_shown(
    tmp_path: Path, follow: Follow
) -> None:
    path = tmp_path / "x.jsonl"
    timeless = b'{"run_id":"a","kind":"log","turn":%d}\n'
    path.write_bytes(timeless % 1 + timeless % 2)
    following = await follow(path)
    await following.has("a", 1, 2)

    path.write_bytes(timeless % 1)

    await following.has("a", 1, 2, 1)
    assert {each.epoch for each in following.got} == {1}


async def test_bad_lines_are_named_then_counted_and_stop_nothing(
    tmp_path: Path, follow: Follow, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(
        line("a", 0) + b"\nbad\n" * 5 + line("a", 1) + b"x" * LINE_MAX_BYTES * 2 + b"\n"
    )
    following = await follow(path)
    await until(lambda: following.follower.refused == 6)
    append(path, b'{"run_id":"a"}\n' + line("a", 2))

    await following.has("a", 0, 1, 2)
    await until(lambda: following.warned[-1:] == ["x.jsonl: 7 lines are not events: see the log"])
    assert [text.partition(": ")[0] for text in following.warned] == [
        "x.jsonl line 3", "x.jsonl line 5", "x.jsonl line 7", "x.jsonl",
    ]  # fmt: skip
    logged = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert [text.partition(": ")[0] for text in logged] == [
        f"x.jsonl line {number}" for number in (3, 5, 7, 9, 11, 13, 14)
    ]


async def test_a_file_of_something_else_does_not_fill_the_log(
    tmp_path: Path, follow: Follow, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(b"bad\n" * 5_000 + line("a", 0))
    following = await follow(path)

    await following.has("a", 0)

    await until(lambda: "5,000 lines" in following.warned[-1])
    assert len(following.warned) == 4
    assert len(caplog.records) == 1_001


async def test_events_after_the_end_of_their_run_are_bad_lines(
    tmp_path: Path, follow: Follow
) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(line("a", 0) + line("a", 1, kind="run_end") + line("a", 2) + line("b", 0))
    following = await follow(path)

    await following.has("b", 0)

    assert following.turns("a") == [0, 1]
    assert ["line 3: run a has ended" in text for text in following.warned] == [True]


async def test_an_event_too_deep_opens_no_run(tmp_path: Path, follow: Follow) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(too_deep("deep") + line("a", 0))
    following = await follow(path)

    await following.has("a", 0)

    assert [info.meta.run_id for info in await following.broker.runs()] == ["a"]
    assert following.follower.refused == 1


async def test_several_files_are_followed_and_one_named_twice_only_once(
    tmp_path: Path, follow: Follow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.jsonl").write_bytes(lines("a", range(2)))
    (tmp_path / "b.jsonl").write_bytes(lines("b", range(2)))
    (tmp_path / "link.jsonl").symlink_to("b.jsonl")
    following = await follow(
        Path("a.jsonl"), tmp_path / "a.jsonl", Path("b.jsonl"), Path("link.jsonl")
    )

    await following.has("a", 0, 1)
    await following.has("b", 0, 1)
    append(tmp_path / "a.jsonl", line("a", 2))

    await following.has("a", 0, 1, 2)
    assert following.turns("b") == [0, 1]


async def test_a_run_in_two_files_goes_on_as_one(tmp_path: Path, follow: Follow) -> None:
    first, second = tmp_path / "1.jsonl", tmp_path / "2.jsonl"
    first.write_bytes(line("a", 0))
    following = await follow(first, second)
    await following.has("a", 0)

    second.write_bytes(line("a", 1))

    await following.has("a", 0, 1)


async def test_a_run_the_broker_has_already_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(line("a", 1))
    following = Following(path)
    await following.broker.open_run(RunMeta(run_id="a"), 7)
    await following.broker.publish("a", LogEvent(turn=0))
    following.follower.start()

    await following.has("a", 0, 1)

    await following.follower.aclose()


async def test_a_run_that_the_broker_had_of_a_newer_epoch_begins_after_that(
    tmp_path: Path,
) -> None:
    path, db = tmp_path / "x.jsonl", tmp_path / "arena.duckdb"
    path.write_bytes(b"")
    newer = 10**15  # later than the times of the lines
    async with storing(path, db) as runtime:
        await runtime.broker.open_run(RunMeta(run_id="a"), newer)
        await runtime.broker.publish("a", LogEvent())
        await runtime.broker.close_run("a", "finished", None)
        await runtime.broker.settled(["a"])
        await runtime.broker.reap("a")
        append(path, lines("a", range(3)))
        await published(runtime, 5)

    database = Database(str(db))
    epochs = database.read_now(
        lambda each: each.execute(
            "SELECT list(DISTINCT epoch ORDER BY epoch) FROM events "
            "UNION ALL SELECT list(epoch) FROM chains"
        ).fetchall()
    )
    database.close()
    assert epochs == [([newer, newer + 1],), ([newer + 1],)]


async def test_a_named_pipe_can_be_followed_and_holds_up_no_other_file(
    tmp_path: Path, follow: Follow
) -> None:
    path, other = tmp_path / "pipe", tmp_path / "x.jsonl"
    os.mkfifo(path)
    other.write_bytes(line("b", 0))
    following = await follow(path, other)
    await following.has("b", 0)

    for turn in range(3):
        await asyncio.to_thread(path.write_bytes, line("a", turn))

    await following.has("a", 0, 1, 2)
    assert following.warned == []


async def test_a_file_that_cannot_be_read_is_told_and_tried_again(
    tmp_path: Path, follow: Follow
) -> None:
    path = tmp_path / "x.jsonl"
    path.mkdir()
    following = await follow(path)
    await until(lambda: following.warned)
    told = following.warned

    path.rmdir()
    path.write_bytes(line("a", 0))

    await following.has("a", 0)
    assert told == ["cannot read x.jsonl: Is a directory: trying again"]
    assert following.warned == []


async def test_a_run_of_a_file_is_not_ended_when_following_ends(
    tmp_path: Path, follow: Follow
) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(lines("a", range(1_000)))
    following = await follow(path)
    await until(lambda: following.got)

    await following.follower.aclose()

    count = len(following.got)
    assert following.turns("a") == list(range(count))
    assert not any(isinstance(each.event, RunEnd) for each in following.got)
    append(path, line("a", 1_000))
    assert [info.state for info in await following.broker.runs()] == ["open"]


async def test_following_that_never_began_ends_at_once(tmp_path: Path) -> None:
    following = Following(tmp_path / "x.jsonl")

    await following.follower.aclose()
    await following.follower.aclose()


async def test_a_failure_of_the_broker_is_told_and_other_files_are_followed_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Failing(Forwarded):
        async def begin_again(self, meta: RunMeta, epoch: int) -> int:
            raise BrokerError("gone")

    paths = [tmp_path / "x.jsonl", tmp_path / "y.jsonl"]
    paths[0].write_bytes(2 * line("a", 0, kind="run_start"))
    paths[1].write_bytes(b"")
    broker = InProcessBroker()
    broker.forwarded = Failing(broker.ledger)
    follower = Follower(broker, paths, poll_s=POLL_S)
    follower.start()

    await until(broker.warnings.newest)
    paths[1].write_bytes(line("b", 0))
    await until(lambda: "b" in broker.ledger.streams)

    assert caplog.messages == ["x.jsonl is no longer followed: see the log, start again"]
    assert "gone" in caplog.text
    await follower.aclose()


@asynccontextmanager
async def storing(path: Path, db: Path) -> AsyncIterator[Runtime]:
    """Follow the file into a store while the block runs."""
    runtime = Runtime(Config(db=str(db)))
    await runtime.open()
    runtime.following.add([path])
    yield runtime
    assert await runtime.aclose() is None


async def published(runtime: Runtime, count: int) -> None:
    async def is_published() -> bool:
        return (await runtime.broker.stats()).published >= count

    await until(is_published)


def stored(db: Path) -> dict[str, tuple[int, str]]:
    """Events and status of each run of a clean store."""
    database = Database(str(db))
    assert [verdict for verdict in database.read_now(verify_store) if verdict.problems] == []
    runs: dict[str, tuple[int, str]] = {
        each.run_id: (each.events, each.status) for each in database.read_now(read_runs)
    }
    database.close()
    return runs


@pytest.mark.parametrize("timeless", [False, True], ids=["with times", "without"])
async def test_a_file_followed_again_is_stored_once(tmp_path: Path, timeless: bool) -> None:
    path, db = tmp_path / "x.jsonl", tmp_path / "arena.duckdb"

    def some(run_id: str, turns: range) -> bytes:
        data = lines(run_id, turns)
        return data.replace(b'"ts":', b'"at":') if timeless else data

    path.write_bytes(some("a", range(1_500)) + b"bad\n")
    for round_number in range(1, 4):
        async with storing(path, db) as runtime:
            append(path, some("a", range(100)) + some(f"b{round_number}", range(10)))
            await published(runtime, 1_500 + 110 * round_number)

    assert stored(db) == {
        "a": (1_800, "running"), "b1": (10, "running"), "b2": (10, "running"),
        "b3": (10, "running"),
    }  # fmt: skip


async def test_what_is_stored_already_is_counted_as_that(tmp_path: Path) -> None:
    path, db = tmp_path / "x.jsonl", tmp_path / "arena.duckdb"
    path.write_bytes(lines("a", range(5)))
    async with storing(path, db) as runtime:
        await published(runtime, 5)

    append(path, lines("a", range(5, 7)))
    async with storing(path, db) as runtime:
        await published(runtime, 7)
        await until(lambda: not runtime.running(STORE).unacked)
        account = runtime.running(STORE).info().account(7)

    assert account == Account(published=7, stored=2, already_stored=5)


async def test_what_an_earlier_version_stored_is_told_by_its_times(tmp_path: Path) -> None:
    path, db = tmp_path / "x.jsonl", tmp_path / "arena.duckdb"
    path.write_bytes(lines("a", range(5)))
    async with storing(path, db) as runtime:
        await published(runtime, 5)
    database = Database(str(db))
    await database.write(lambda connection: connection.execute("DELETE FROM chains").fetchall())
    database.close()

    append(path, lines("a", range(5, 7)))
    for _ in range(2):
        async with storing(path, db) as runtime:
            await published(runtime, 7)

    assert stored(db) == {"a": (7, "running")}


async def test_a_file_followed_again_goes_on_where_it_was_left_in_the_middle(
    tmp_path: Path,
) -> None:
    path, db = tmp_path / "x.jsonl", tmp_path / "arena.duckdb"
    path.write_bytes(lines("a", range(4_000)) + line("a", 4_000, kind="run_end"))
    async with storing(path, db) as runtime:
        await published(runtime, 1)
    ((first, _),) = stored(db).values()

    async with storing(path, db) as runtime:
        await published(runtime, 4_001)

    assert 1 <= first <= 4_001
    assert stored(db) == {"a": (4_001, "finished")}


async def test_a_big_file_is_read_without_a_warning_and_nobody_misses_any_of_it(
    tmp_path: Path,
) -> None:
    path, db = tmp_path / "x.jsonl", tmp_path / "arena.duckdb"
    path.write_bytes(lines("a", range(30_000)))
    runtime = Runtime(Config(db=str(db)))
    screen = runtime.broker.subscribe("screen")
    seen: list[int] = []

    async def read() -> None:
        while batch := screen.read_nowait():
            seen.extend(each.seq for each in batch if isinstance(each, Envelope))

    await runtime.open()
    assert isinstance(runtime.broker, InProcessBroker)
    follower = Follower(runtime.broker, [path], read, poll_s=POLL_S)
    follower.start()
    await published(runtime, 30_000)
    await read()
    warnings = (await runtime.broker.stats()).warnings
    await follower.aclose()
    assert await runtime.aclose() is None

    assert seen == list(range(1, 30_001))
    assert warnings == ()
    assert stored(db) == {"a": (30_000, "running")}


async def test_a_run_whose_file_is_silent_is_not_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, now = tmp_path / "x.jsonl", [1_000.0]
    path.write_bytes(line("a", 0))
    monkeypatch.setattr(follow_module, "HEARTBEAT_S", 0.001)
    broker = InProcessBroker(clock=lambda: now[0])
    follower = Follower(broker, [path], poll_s=POLL_S)
    follower.start()
    await until(broker.runs)

    now[0] += 3_600

    async def is_open() -> bool:
        return [info.state for info in await broker.runs()] == ["open"]

    await until(is_open)
    await follower.aclose()
