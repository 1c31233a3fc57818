"""A recording holds every event once, whatever was killed, cut short or refused."""

from __future__ import annotations

import asyncio
import json
import os
import random
import resource
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from arena_tui.broker.protocol import Cursor
from arena_tui.consumers.lines import Recorder
from arena_tui.errors import RecordingError
from arena_tui.events import Delivery, Gap, LogEvent
from tests.envelopes import envelope
from tests.waiting import until

EVENTS = 8_000
STEPS = 14
"""Calls of the system before a child kills itself: four open the file, five write a batch."""

KILLED_RECORDER = """
import asyncio, os, signal, sys
from pathlib import Path
from arena_tui.broker.protocol import Limits
from arena_tui.config import Config
from arena_tui.consumers.lines import Recorder
from arena_tui.producers.follow import Follower
from arena_tui.services.runtime import Runtime

source, path, steps, events = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])

def die():
    os.kill(os.getpid(), signal.SIGKILL)

def counted(call):
    def work(*arguments):
        global steps
        steps -= 1
        if steps == 0:
            if call is pwrite:
                pwrite(arguments[0], arguments[1][:len(arguments[1]) // 2], arguments[2])
            die()
        return call(*arguments)
    return work

pwrite = os.pwrite
os.pwrite, os.fsync, os.ftruncate = counted(os.pwrite), counted(os.fsync), counted(os.ftruncate)
Path.replace = counted(Path.replace)

class Telling(Recorder):
    # Prints how many events are recorded in all, each time that there are more.
    batch_events, batch_interval_s = 20, 0.001

    async def start(self):
        self.at = dict(await super().start())
        return self.at

    async def handle(self, batch):
        self.at |= await super().handle(batch)
        total = sum(cursor.seq for cursor in self.at.values())
        print(total, flush=True)
        if total == events:
            die()
        return self.at

async def main():
    runtime = Runtime(Config(db=None), Limits(capacity=1_000_000))
    recorder = Telling(Path(path), "in-process")
    await runtime.consume(lambda _: recorder)
    await runtime.open()
    settled = lambda: runtime.broker.settled(["run0", "run1", "run2"])
    follower = Follower(runtime.broker, [Path(source)], settled)
    follower.start()
    await asyncio.Event().wait()

asyncio.run(main())
"""


def logs(run_id: str, *seqs: int, epoch: int = 7) -> list[Delivery]:
    return [envelope(run_id, epoch, seq, LogEvent(text=f"{run_id} {seq}")) for seq in seqs]


def recorded(path: Path) -> list[dict[str, Any]]:
    data = path.read_bytes()
    assert data == b"" or data.endswith(b"\n")
    return [json.loads(line) for line in data.splitlines()]


def places(path: Path) -> list[tuple[str, int]]:
    return [(line["run_id"], line["seq"]) for line in recorded(path)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "all.jsonl"


@pytest.fixture
async def recorder(path: Path) -> AsyncIterator[Recorder]:
    recorder = Recorder(path, "redis here")
    await recorder.start()
    yield recorder
    await recorder.aclose()


def record_and_die(source: Path, path: Path, steps: int) -> int:
    """Record until the child kills itself, after so many steps or at the end; returns how many
    events it had told to be recorded."""
    done = subprocess.run(
        [sys.executable, "-c", KILLED_RECORDER, str(source), str(path), str(steps), str(EVENTS)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == -signal.SIGKILL, done.stderr
    return int((done.stdout.split() or ["0"])[-1])


def test_killed_between_any_two_steps_it_has_every_event_once(tmp_path: Path, path: Path) -> None:
    source = tmp_path / "games.jsonl"
    events = [
        {"run_id": f"run{number % 3}", "kind": "log", "text": f"{number} " + "x" * (number % 90)}
        for number in range(EVENTS)
    ]
    source.write_text("".join(json.dumps(event) + "\n" for event in events))

    for steps in [*random.Random(9).sample(range(1, STEPS + 1), STEPS), 0]:
        told = record_and_die(source, path, steps)
        assert not path.exists() or path.read_bytes().count(b"\n") >= told

    assert told == EVENTS
    found: dict[str, list[str]] = {}
    for line in recorded(path):
        found.setdefault(line["run_id"], []).append(line["text"])
        assert line["seq"] == len(found[line["run_id"]])
    assert found == {
        run_id: [str(event["text"]) for event in events if event["run_id"] == run_id]
        for run_id in ("run0", "run1", "run2")
    }


async def test_what_was_not_noted_with_the_cursors_is_cut_off(path: Path) -> None:
    before = Recorder(path, "redis here")
    await before.start()
    await before.handle(logs("a", 1, 2))
    await before.aclose()
    with path.open("ab") as file:
        file.write(b'{"run_id":"a","epoch":7,"seq":3,"kind":"log"}\n' * 20 + b'{"run_id":"a","ep')

    recorder = Recorder(path, "redis here")
    start = await recorder.start()
    cursors = await recorder.handle(logs("a", 2, 3, 4))
    await recorder.aclose()

    assert start == {"a": Cursor(7, 2)}
    assert cursors == {"a": Cursor(7, 4)}
    assert places(path) == [("a", 1), ("a", 2), ("a", 3), ("a", 4)]


async def test_a_batch_handed_over_again_is_recorded_once(recorder: Recorder, path: Path) -> None:
    batch = [*logs("a", 1, 2), *logs("b", 1), *logs("a", 3)]

    cursors = [await recorder.handle(batch), await recorder.handle([*batch[1:], *logs("b", 2)])]

    assert cursors == [
        {"a": Cursor(7, 3), "b": Cursor(7, 1)},
        {"a": Cursor(7, 3), "b": Cursor(7, 2)},
    ]
    assert places(path) == [("a", 1), ("a", 2), ("b", 1), ("a", 3), ("b", 2)]
    assert (recorder.stats().recorded, recorder.stats().lost) == (5, 0)


async def test_a_gap_is_a_line_in_its_place(recorder: Recorder, path: Path) -> None:
    await recorder.handle([*logs("a", 1), Gap("a", 7, 2, 4, "trimmed")])
    cursors = await recorder.handle([Gap("a", 7, 3, 9, "trimmed"), *logs("a", 10)])

    lines = recorded(path)
    gap = {"run_id": "a", "epoch": 7, "kind": "gap", "reason": "trimmed"}
    assert lines[1:3] == [gap | {"from_seq": 2, "to_seq": 4}, gap | {"from_seq": 5, "to_seq": 9}]
    assert [line.get("seq") for line in lines] == [1, None, None, 10]
    assert cursors == {"a": Cursor(7, 10)}
    assert (recorder.stats().recorded, recorder.stats().lost) == (2, 8)


async def test_a_loss_of_unknown_length_is_a_line_and_counted_apart(
    recorder: Recorder, path: Path
) -> None:
    await recorder.handle([Gap("a", 7, 1, 3, "trimmed"), Gap("a", 7, 4, 3, "unknown")])

    stats = recorder.stats()
    assert b'"reason":"unknown"' in path.read_bytes().splitlines()[-1]
    assert (stats.recorded, stats.lost, stats.lost_unknown) == (0, 3, 1)


async def test_a_loss_of_unknown_length_is_recorded_once_however_often_it_is_told(
    path: Path,
) -> None:
    loss, later = Gap("a", 7, 3, 2, "unknown"), Gap("a", 7, 4, 3, "unknown")
    counted = 0

    for batch in [
        [*logs("a", 1, 2), loss], [loss], [loss, *logs("a", 3)], [loss, later], [later, later],
    ]:  # fmt: skip
        recorder = Recorder(path, "redis here")
        await recorder.start()
        await recorder.handle(batch)
        counted += recorder.stats().lost_unknown
        await recorder.aclose()

    assert [line["kind"] for line in recorded(path)] == ["log", "log", "gap", "log", "gap"]
    assert counted == 2


async def test_a_run_whose_loss_is_fully_told_is_not_waited_for(path: Path) -> None:
    before, after = Recorder(path, "redis here"), Recorder(path, "redis here")
    await before.start()
    await before.handle([
        *logs("open", 1),
        *logs("unknown", 1), Gap("unknown", 7, 2, 1, "unknown"),
        *logs("reset", 1), Gap("reset", 7, 2, 9, "reset"),
        *logs("anew", 1), Gap("anew", 7, 2, 9, "reset"), *logs("anew", 1, epoch=8),
    ])  # fmt: skip
    await before.aclose()

    await after.start()
    await after.aclose()

    assert sorted(after.unfinished) == ["anew", "open"]


async def test_a_stream_made_anew_goes_on_and_the_old_one_is_over(
    recorder: Recorder, path: Path
) -> None:
    reset = Gap("a", 7, 3, 2, "unknown")

    await recorder.handle([*logs("a", 1, 2), reset, *logs("a", 1, epoch=8)])
    cursors = await recorder.handle([*logs("a", 2), reset, *logs("a", 1, 2, epoch=8)])

    assert [(line["epoch"], line["kind"]) for line in recorded(path)] == [
        (7, "log"), (7, "log"), (7, "gap"), (8, "log"), (8, "log"),
    ]  # fmt: skip
    assert cursors == {"a": Cursor(8, 2)}


async def test_a_stream_made_anew_before_its_first_event_is_no_line(
    recorder: Recorder, path: Path
) -> None:
    cursors = await recorder.handle([Gap("a", 7, 1, 0, "reset")])

    assert (cursors, path.read_bytes()) == ({}, b"")


async def test_a_disk_that_refuses_half_a_batch_leaves_no_half_line(
    recorder: Recorder, path: Path
) -> None:
    await recorder.handle(logs("a", 1))
    size = path.stat().st_size
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 130, before[1]))
    try:
        with pytest.raises(RecordingError, match="File too large: make room there"):
            await recorder.handle(logs("a", *range(2, 30)))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    torn = path.stat().st_size
    cursors = await recorder.handle(logs("a", *range(2, 30)))

    assert torn == size + 130
    assert cursors == {"a": Cursor(7, 29)}
    assert [seq for _, seq in places(path)] == list(range(1, 30))


async def start_and_close(path: Path) -> None:
    recorder = Recorder(path, "redis here")
    try:
        await recorder.start()
    finally:
        await recorder.aclose()


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("notes.txt", "is not a recording, notes.txt.cursors is missing beside it"),
        ("shorter.jsonl", "is shorter than shorter.jsonl.cursors says: remove that one"),
        ("damaged.jsonl", "damaged.jsonl.cursors is damaged"),
        ("no/such/folder", "No such file or directory: give another file"),
        ("folder", "Is a directory: give another file"),
        ("pipe", "not a regular file: give another name"),
    ],
)
async def test_a_file_it_cannot_go_on_with_is_left_alone(
    tmp_path: Path, name: str, why: str
) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "shorter.jsonl").write_text("{}\n")
    (tmp_path / "shorter.jsonl.cursors").write_text('{"offset":4,"cursors":{}}')
    (tmp_path / "damaged.jsonl.cursors").write_text("{")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    before = {each.name: each.read_text() for each in tmp_path.iterdir() if each.is_file()}

    with pytest.raises(RecordingError, match=why):
        await start_and_close(tmp_path / name)

    after = {each: (tmp_path / each).read_text() for each in before}
    assert after == before


async def test_two_do_not_record_into_one_file(recorder: Recorder, path: Path) -> None:
    with pytest.raises(RecordingError, match="another process records into"):
        await start_and_close(path)

    await recorder.handle(logs("a", 1))
    assert places(path) == [("a", 1)]


async def written_to(path: Path) -> None:
    """Return when the file has grown."""
    size = path.stat().st_size
    await until(lambda: path.stat().st_size > size)


async def test_a_batch_cancelled_half_way_is_whole_or_not_there(path: Path) -> None:
    choose = random.Random(3)
    recorder = Recorder(path, "redis here")
    await recorder.start()
    at = 0

    for count in range(30):
        handling = asyncio.create_task(recorder.handle(logs("a", *range(at + 1, at + 200))))
        if count % 2:
            await written_to(path)
        else:
            for _ in range(choose.randrange(1, 40)):
                await asyncio.sleep(0)
        handling.cancel()
        await asyncio.wait([handling])
        await recorder.aclose()
        at = (await recorder.start()).get("a", Cursor(7, at)).seq
    await recorder.aclose()

    assert at > 0
    assert [seq for _, seq in places(path)] == list(range(1, at + 1))
