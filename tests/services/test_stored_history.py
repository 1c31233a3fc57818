"""`arena_tui.history()`: the same rows as the commands print, whoever has the store open."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import nanoarrow as na
import pytest

import arena_tui
from arena_tui.errors import StoreError, UnknownRunError, UsageError
from arena_tui.events import Delivery, Gap, LogEvent, RunEnd, RunStart
from arena_tui.store.database import Database
from tests.cli.test_commands import arena, lines
from tests.cli.test_shared_store import OWNER
from tests.envelopes import envelope
from tests.programs import started
from tests.store_fixture import store
from tests.waiting import until_blocking

AT = datetime(2026, 11, 28, 12, 3, 14, 159000, tzinfo=UTC)
LARGE = 9_500


def deliveries() -> list[Delivery]:
    """A large run of two epochs, with gaps, between two small ones."""
    large: list[Delivery] = [
        envelope("b", 5, seq, LogEvent(ts=AT, text=f"{seq}é")) for seq in range(1, LARGE)
    ]
    large[4_000:4_500] = [Gap("b", 5, 4_001, 4_500, "trimmed")]
    return [
        envelope("a", 1, 1, RunStart(ts=AT, game="chess", tags=["x"])),
        envelope("a", 1, 2, RunEnd(ts=AT)),
        *large,
        Gap("b", 5, LARGE, LARGE - 1, "unknown"),
        envelope("b", 6, 1, RunStart(ts=AT, game="go")),
        envelope("b", 6, 2, LogEvent(ts=AT, turn=7, agent_id="me", text="again")),
        envelope("c", 7, 1, LogEvent(ts=AT)),
    ]  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A closed store of `deliveries`."""
    folder = tmp_path_factory.mktemp("stored")
    database = Database(str(folder / "arena.duckdb"))
    asyncio.run(store(database, deliveries()))
    database.close()
    return folder


@pytest.fixture
def closed(folder: Path) -> arena_tui.History:
    return arena_tui.history(str(folder / "arena.duckdb"))


def as_printed(row: dict[str, Any]) -> dict[str, Any]:
    """As JSON has it: times as text."""
    return {
        name: value.isoformat().replace("+00:00", "Z") if isinstance(value, datetime) else value
        for name, value in row.items()
    }


@pytest.mark.parametrize("words", [[], ["game:chess"], ["--limit", "2"], ["nothing at all"]])
def test_runs_are_those_that_the_command_lists(
    closed: arena_tui.History, folder: Path, words: list[str]
) -> None:
    limit = int(words[1]) if words[:1] == ["--limit"] else None
    text = "" if limit else " ".join(words)

    runs = closed.runs(text, limit)

    printed = lines(arena(folder, "runs", "--json", *words).stdout)
    assert [as_printed(each) for each in runs] == printed
    assert [as_printed(closed.run(each["run_id"])) for each in runs] == printed


@pytest.mark.parametrize(
    ("run", "kinds", "first", "last"),
    [
        (None, (), 1, None),
        ("b", (), 3_999, 8_003),
        ("b", ("run_start",), 2, 5_000),
        (None, ("log", "run_end"), 1, 2),
        ("a", (), 1, None),
        ("b", (), 20_000, None),
    ],
)
def test_events_are_those_that_the_command_prints(
    closed: arena_tui.History, folder: Path, run: str | None, kinds: tuple[str, ...], first: int,
    last: int | None,
) -> None:  # fmt: skip
    events = closed.events(run, kinds, first, last)

    words = [word for kind in kinds for word in ("--kind", kind)]
    words += ["--from", str(first), *(["--to", str(last)] if last else [])]
    printed = lines(arena(folder, "events", "--json", *([run] if run else []), *words).stdout)
    assert [as_printed(each) for each in events] == printed
    assert len(list(events)) == len(printed)


def test_events_of_all_runs_that_match(closed: arena_tui.History) -> None:
    assert {each["run_id"] for each in closed.events(filter="game:chess")} == {"a"}


def test_runs_are_a_table(closed: arena_tui.History) -> None:
    table = na.ArrayStream(closed.runs()).read_all()

    rows = [dict(each) for each in table.to_pylist()]
    assert [each["run_id"] for each in rows] == [each["run_id"] for each in closed.runs()]
    (chess,) = na.ArrayStream(closed.runs("game:chess")).read_all().to_pylist()
    assert chess["tags"] == '["x"]'
    assert chess["started_at"] == AT
    assert chess["cost_usd"] is None
    assert na.ArrayStream(closed.runs("nothing")).read_all().to_pylist() == []


def test_events_are_a_stream_of_batches(closed: arena_tui.History) -> None:
    rows = na.ArrayStream(closed.events("b")).read_all().to_pylist()

    stored = [each for each in deliveries() if each.run_id == "b"]
    assert len(rows) == len(stored)
    places = [(each.epoch, each.first_seq) for each in stored]
    assert [(each["epoch"], each["seq"]) for each in rows] == places
    gap, event = rows[4_000], rows[-1]
    assert (gap["kind"], gap["ts"]) == ("gap", None)
    assert gap["payload"] == '{"kind":"gap","from_seq":4001,"to_seq":4500,"reason":"trimmed"}'
    assert (event["turn"], event["agent_id"], event["kind"], event["ts"]) == (7, "me", "log", AT)
    assert '"text":"again"' in event["payload"]


def test_pyarrow_reads_both(closed: arena_tui.History) -> None:
    pyarrow = pytest.importorskip("pyarrow")

    events, runs = pyarrow.table(closed.events()), pyarrow.table(closed.runs())

    assert events.num_rows == len(deliveries())
    assert events.to_pylist()[0]["ts"] == AT
    assert runs.num_rows == 3
    assert pyarrow.types.is_timestamp(runs.schema.field("started_at").type)


def test_a_batch_is_read_when_it_is_asked_for(tmp_path: Path) -> None:
    """The stream is ahead of its reader by less than one batch of 8,000."""
    path = tmp_path / "arena.duckdb"
    events = [envelope("r", 1, seq, LogEvent(ts=AT, text="x" * 900)) for seq in range(1, 20_001)]
    database = Database(str(path))
    asyncio.run(store(database, events))
    database.close()
    batches = na.ArrayStream(arena_tui.history(str(path)).events()).iter_chunks()
    assert len(next(batches)) == 8_000

    path.unlink()

    with pytest.raises(RuntimeError, match="no store at"):
        list(batches)


def test_reading_keeps_nobody_from_writing(tmp_path: Path) -> None:
    path = tmp_path / "arena.duckdb"
    with arena_tui.connect(db=str(path)) as arena, arena.run("g", run_id="one") as run:
        run.log("hello")
    history = arena_tui.history(str(path))
    assert len(history.runs()) == 1
    events = iter(history.events())
    next(events)

    script = "import sys, arena_tui\nwith arena_tui.connect(db=sys.argv[1]) as a, a.run('g'): pass"
    subprocess.run([sys.executable, "-c", script, str(path)], check=True, timeout=60)

    assert len(history.runs()) == 2


async def test_one_is_read_that_this_process_has_open_even_on_a_loop(tmp_path: Path) -> None:
    path = str(tmp_path / "arena.duckdb")
    with arena_tui.connect(db=path) as arena, arena_tui.history(path) as history:
        run = arena.run("g", run_id="live")
        run.log("hello")

        until_blocking(lambda: [each["kind"] for each in history.events()] == ["run_start", "log"])
        assert history.run("live")["status"] == "running"


def test_a_forked_child_reads_what_its_parent_has_open(tmp_path: Path) -> None:
    script = """
import os, sys, arena_tui
history = arena_tui.history(sys.argv[1])
with arena_tui.connect(db=sys.argv[1]) as arena:
    with arena.run("g", run_id="over") as run:
        run.log("hello")
    while not [each for each in history.runs() if each["status"] == "finished"]:
        pass
    if (child := os.fork()) == 0:
        kinds = [each["kind"] for each in history.events("over")]
        kinds += [each["kind"] for each in arena_tui.history(sys.argv[1]).events("over")]
        print(*kinds, flush=True)
        os._exit(0)
    os.waitpid(child, 0)
"""
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "arena.duckdb")],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "run_start log run_end run_start log run_end\n"


@pytest.fixture
def owner(folder: Path, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that has a copy of the store open."""
    path = shutil.copy(folder / "arena.duckdb", tmp_path)
    with started(OWNER, says="ready", env={**os.environ, "ARENA_DB": str(path)}) as process:
        yield process
        process.kill()


def test_events_come_once_and_whole_while_the_owner_is_killed(
    owner: subprocess.Popen[str], tmp_path: Path
) -> None:
    events = iter(arena_tui.history(str(tmp_path / "arena.duckdb")).events("b"))
    found = [next(events)]

    os.kill(owner.pid, signal.SIGKILL)
    owner.wait()
    found += events

    stored = [each for each in deliveries() if each.run_id == "b"]
    places = [(each.epoch, each.first_seq) for each in stored]
    assert [(each["epoch"], each.get("seq", each.get("from_seq"))) for each in found] == places


def test_what_cannot_be_read_is_said_as_to_a_program(
    closed: arena_tui.History, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="no field 'wrong': "):
        closed.events(filter="wrong>1")
    with pytest.raises(UnknownRunError, match="the store has no run 'none'"):
        closed.events("none")
    with pytest.raises(UsageError, match="give a file with db="):
        arena_tui.history(":memory:")
    with pytest.raises(StoreError, match=r"no store at .*, or give another store with db=$"):
        arena_tui.history(str(tmp_path / "none")).runs()
    closed.close()
    with pytest.raises(StoreError, match="this history is closed"):
        closed.runs()
