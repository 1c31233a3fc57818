"""What is exported can be imported again: the same runs, and the same bytes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from arena_tui.codec import encode_line, sealed
from arena_tui.errors import EventError, StoreError, UsageError
from arena_tui.events import Delivery, Envelope, Event, Gap, LogEvent, OtherEvent, RunEnd
from arena_tui.services.import_lines import lines_of
from arena_tui.services.importing import Import, Imported
from arena_tui.store.appending import append_archived, decode_batch, encode_batch
from arena_tui.store.archive_files import Format, write_file
from arena_tui.store.archive_lines import Archived, decode_archived, encode_archived, read_archive
from arena_tui.store.changes import Bookmark
from arena_tui.store.database import Database
from arena_tui.store.history import read_runs
from arena_tui.store.partial_file import appearing
from tests.envelopes import envelope
from tests.events_strategies import stored_events, texts
from tests.faults.accounts import FULL
from tests.store_fixture import problems, store

AT = datetime(2026, 3, 14, 12, tzinfo=UTC)

Refusals = list[tuple[int, str]]


def place(each: Envelope) -> tuple[int, int]:
    return each.epoch, each.seq


def is_storable(event: Event) -> bool:
    try:
        sealed(event)
    except EventError:
        return False
    return True


@st.composite
def runs(draw: st.DrawFn) -> list[tuple[list[Delivery], list[Bookmark]]]:
    """A few runs, each of one or more epochs of events and gaps, with bookmarks."""
    parts = st.lists(
        st.one_of(stored_events.filter(is_storable), st.integers(0, 5_000)), min_size=1, max_size=6
    )
    found = []
    for number in range(draw(st.integers(1, 3))):
        run_id = f"run{number}"
        deliveries: list[Delivery] = []
        for epoch in sorted(draw(st.sets(st.integers(0, 2**52), min_size=1, max_size=3))):
            seq = 1
            for part in draw(parts):
                if not isinstance(part, int):
                    event, raw = sealed(part)
                    deliveries.append(Envelope(run_id, epoch, seq, event, raw))
                    seq += 1
                elif part:
                    deliveries.append(Gap(run_id, epoch, seq, seq + part - 1, "trimmed"))
                    seq += part
                elif not isinstance(deliveries[-1] if deliveries else None, Gap):
                    deliveries.append(Gap(run_id, epoch, seq, seq - 1, "unknown"))
            if draw(st.booleans()):
                deliveries.append(envelope(run_id, epoch, seq, RunEnd(ts=AT)))
        events = [each for each in deliveries if isinstance(each, Envelope)]
        marked = []
        if events:
            marked = draw(st.lists(st.sampled_from(events), max_size=2, unique_by=place))
        marks = [Bookmark(run_id, each.epoch, each.seq, draw(texts), AT) for each in marked]
        found.append((deliveries, marks))
    return found


def export(database: Database, folder: Path, name: str, form: Format = "jsonl") -> Path:
    totals = database.read_now(partial(read_runs, limit=1_000))[::-1]
    path = folder / name
    with appearing(str(path)) as fresh:
        write_file(fresh, name, form, read_archive(database.read_now, totals))
    return path


def import_into(database: Database, *paths: Path) -> tuple[Imported, Refusals]:
    refused: Refusals = []

    async def append(archived: Sequence[Archived]) -> None:
        await database.write(partial(append_archived, archived=archived))

    async def nobody() -> set[str]:
        return set()

    async def take() -> Imported:
        importing = Import(database, append, nobody)
        for path in paths:
            with lines_of(str(path)) as lines:
                await importing.take(lines, lambda *each: refused.append(each), lambda: None)
        return importing.figures

    return asyncio.run(take()), refused


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Database]:
    """An empty store."""
    with closing(Database(str(tmp_path / "other.duckdb"))) as opened:
        yield opened


def written(folder: Path, *lines: bytes | str, name: str = "lines.jsonl") -> Path:
    path = folder / name
    given_lines = [each.encode() if isinstance(each, str) else each for each in lines]
    path.write_bytes(b"".join(each + b"\n" for each in given_lines))
    return path


def logs(count: int, run_id: str = "a", first: int = 1, text: str = "") -> list[Delivery]:
    return [
        envelope(run_id, 7, seq, LogEvent(ts=AT, text=f"{text}{seq}"))
        for seq in range(first, first + count)
    ]


@settings(
    max_examples=15 if FULL else 6, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(runs())
def test_an_export_that_is_imported_is_exported_to_the_same_bytes(
    tmp_path: Path, given_runs: list[tuple[list[Delivery], list[Bookmark]]]
) -> None:
    with closing(Database(":memory:")) as database:
        asyncio.run(store(database, *(deliveries for deliveries, _ in given_runs)))
        for _, marks in given_runs:
            for mark in marks:
                asyncio.run(database.change(mark))
        was = database.read_now(lambda c: c.execute("FROM runs ORDER BY ALL").fetchall())
        first = export(database, tmp_path, "first.jsonl").read_bytes()
        columns = export(database, tmp_path, "first.parquet", "parquet").read_bytes()
        unsound = problems(database)

    for name in ("first.jsonl", "first.parquet"):
        with closing(Database(":memory:")) as database:
            _, refused = import_into(database, tmp_path / name)

            assert refused == []
            assert export(database, tmp_path, "again.jsonl").read_bytes() == first
            assert export(database, tmp_path, "again.parquet", "parquet").read_bytes() == columns
            assert problems(database) == unsound == []
            now = database.read_now(lambda c: c.execute("FROM runs ORDER BY ALL").fetchall())
            assert now == was
            done, _ = import_into(database, tmp_path / name)
            assert (done.events, done.runs, done.missing) == (0, 0, 0)
            assert export(database, tmp_path, "again.jsonl").read_bytes() == first


def test_each_compression_holds_the_same_lines(
    database: Database, tmp_path: Path, other: Database
) -> None:
    hostile = OtherEvent(ts=AT, name="=1+1", extra={"data": '",\\\x01\x02\n\r\x1b[0m ünï'})
    asyncio.run(store(database, [*logs(3_000), envelope("a", 7, 3_001, hostile)]))
    plain = export(database, tmp_path, "a.jsonl").read_bytes()

    for name in ("b.jsonl.gz", "c.jsonl.zst"):
        packed = export(database, tmp_path, name)
        assert packed.stat().st_size < len(plain) / 2
        done, refused = import_into(other, packed)
        assert (done.events + done.repeated, refused) == (3_001, [])
    assert export(other, tmp_path, "d.jsonl").read_bytes() == plain


def test_a_spreadsheet_computes_nothing_of_what_is_exported(
    database: Database, tmp_path: Path
) -> None:
    event = OtherEvent(ts=AT, name="=cmd", agent_id="+1", turn=2, extra={"a": 'x"y'})
    asyncio.run(store(database, [envelope("a", 7, 1, event), Gap("a", 7, 2, 3, "trimmed")]))

    assert export(database, tmp_path, "a.csv", "csv").read_text().splitlines() == [
        "run_id,epoch,seq,turn,kind,agent_id,ts,payload",
        "a,7,1,2,'=cmd,'+1,2026-03-14T12:00:00+00:00,"
        '"{""kind"":""=cmd"",""ts"":""2026-03-14T12:00:00Z"",""agent_id"":""+1"",""turn"":2,'
        '""a"":""x\\""y""}"',
        'a,7,2,,gap,,,"{""kind"":""gap"",""from_seq"":2,""to_seq"":3,""reason"":""trimmed""}"',
    ]


def test_a_longer_file_adds_the_rest_and_a_run_that_differs_is_refused_in_one_line(
    database: Database, tmp_path: Path
) -> None:
    asyncio.run(store(database, logs(2_000), logs(5, "b")))
    lines = [encode_line(each) for each in (*logs(3_000), *logs(9, "b", text="other "))]

    done, refused = import_into(database, written(tmp_path, *lines))

    assert (done.runs, done.events, done.repeated, done.refused) == (1, 1_000, 2_000, 9)
    assert refused == [(3_001, "run b does not fit: its event 7-1 is another one in the store: "
                        "delete the stored run to import this one")]  # fmt: skip
    assert problems(database) == []
    counts = database.read_now(lambda c: c.execute("SELECT run_id, events FROM runs").fetchall())
    assert sorted(counts) == [("a", 3_000), ("b", 5)]


def test_bad_lines_are_refused_by_number_and_leave_a_gap(
    database: Database, tmp_path: Path
) -> None:
    good = [encode_line(each) for each in logs(5)]
    bad = [
        b'{"run_id":"a","epoch":7}', b'{"run_id":"a","epoch":7,"seq":"x","kind":"log"}',
        b'{"run_id":"a","epoch":7,"kind":"gap","from_seq":9,"to_seq":2,"reason":"reset"}',
        b'{"run_id":"a","epoch":7,"kind":"bookmark","at_seq":1,"created_at":"soon"}',
        b'{"run_id":"a b","epoch":7,"seq":1,"kind":"log"}', b"[]", b'{"epoch', b"\xff\xfe",
        b'{"run_id":"a","epoch":-7,"seq":1,"kind":"log"}',
        b'{"run_id":"never","epoch":7,"kind":"bookmark","at_seq":1,'
        b'"created_at":"2026-01-01T00:00:00Z"}',
    ]  # fmt: skip

    done, refused = import_into(database, written(tmp_path, good[0], *bad, *good[3:]))

    assert [number for number, _ in refused] == list(range(2, 2 + len(bad)))
    assert all("\n" not in why for _, why in refused)
    assert (done.events, done.missing, done.refused) == (3, 2, len(bad))
    assert problems(database) == []
    again, _ = import_into(database, written(tmp_path, *good))
    assert (again.events, again.repeated, again.in_gaps) == (0, 3, 2)


def test_lines_of_producers_are_numbered_the_same_each_time(
    database: Database, tmp_path: Path
) -> None:
    lines = [
        '{"run_id":"a","kind":"run_start","game":"g","ts":"2026-03-14T12:00:00Z"}',
        '{"run_id":"a","kind":"log","text":"no time of its own"}',
        '{"run_id":"a","kind":"gap","from_seq":1}',
        '{"run_id":"a","kind":"run_end","ts":"2026-03-14T12:00:01Z"}',
    ]
    first, _ = import_into(database, written(tmp_path, *lines[:3]))
    again, refused = import_into(database, written(tmp_path, *lines))

    assert (first.events, again.events, again.repeated, refused) == (3, 1, 3, [])
    rows = database.read_now(
        lambda c: c.execute("SELECT epoch, seq, kind FROM events ORDER BY ALL").fetchall()
    )
    epoch = int(AT.timestamp() * 1_000)
    kinds = ("run_start", "log", "gap", "run_end")
    assert rows == [(epoch, seq, kind) for seq, kind in enumerate(kinds, 1)]
    assert problems(database) == []


def test_an_import_that_fails_half_way_is_completed_by_the_next(
    database: Database, tmp_path: Path
) -> None:
    path = written(tmp_path, *[encode_line(each) for each in logs(25_000)])
    batches: list[int] = []

    async def fail_at_last(archived: Sequence[Archived]) -> None:
        batches.append(len(archived))
        if len(batches) == 3:
            raise StoreError("the disk is full")
        await database.write(partial(append_archived, archived=archived))

    async def nobody() -> set[str]:
        return set()

    async def take() -> None:
        with lines_of(str(path)) as lines:
            await Import(database, fail_at_last, nobody).take(lines, lambda *_: None, lambda: None)

    with pytest.raises(StoreError, match="full"):
        asyncio.run(take())
    assert problems(database) == []
    done, _ = import_into(database, path)

    assert batches == [10_000, 10_000, 5_000]
    assert (done.events, done.repeated) == (5_000, 20_000)
    assert problems(database) == []


def test_a_run_that_is_played_is_left_alone(database: Database, tmp_path: Path) -> None:
    async def append(archived: Sequence[Archived]) -> None:
        await database.write(partial(append_archived, archived=archived))

    async def live() -> set[str]:
        return {"a"}

    refused: Refusals = []

    async def take() -> Imported:
        path = written(tmp_path, *[encode_line(each) for each in (*logs(2), *logs(2, "b"))])
        with lines_of(str(path)) as lines:
            importing = Import(database, append, live)
            await importing.take(lines, lambda *each: refused.append(each), lambda: None)
        return importing.figures

    done = asyncio.run(take())

    assert (done.runs, done.events, done.refused) == (1, 2, 2)
    assert refused == [(0, "run a is being played: import it when it has ended")]


def test_what_goes_to_another_process_comes_out_as_it_was() -> None:
    archived: list[Archived] = [
        *logs(2), Gap("a", 7, 3, 4, "reset"), Gap("a", 7, 5, 4, "unknown"),
        Bookmark("a", 7, 2, 'a "note"\n', AT),
    ]  # fmt: skip

    assert decode_batch(encode_batch(archived)) == archived
    assert decode_archived(encode_archived(archived[-1])) == archived[-1]


@pytest.mark.parametrize("damage", ["cut", "flipped"])
@pytest.mark.parametrize("name", ["a.jsonl.gz", "a.jsonl.zst", "a.parquet"])
def test_a_damaged_file_is_said_in_one_line(
    name: str, damage: str, database: Database, tmp_path: Path, other: Database
) -> None:
    asyncio.run(store(database, logs(3_000)))
    form: Format = "parquet" if name.endswith("parquet") else "jsonl"
    path = export(database, tmp_path, name, form)
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    if damage == "cut":
        del data[middle:]
    else:
        data[middle : middle + 64] = bytes(64)
    path.write_bytes(data)

    with pytest.raises(UsageError) as raised:
        import_into(other, path)

    assert str(raised.value).startswith((f"{path}: ", f"cannot read {path}: "))
    assert "\n" not in str(raised.value)
    assert problems(other) == []


def test_a_gap_line_is_what_events_print(database: Database, tmp_path: Path) -> None:
    gap = Gap("a", 7, 3, 9, "trimmed")
    asyncio.run(store(database, [*logs(2), gap, envelope("a", 7, 10, RunEnd(ts=AT))]))

    exported = export(database, tmp_path, "a.jsonl").read_bytes().splitlines()

    assert exported[2] == encode_line(gap)
    assert [msgspec.json.decode(each).get("seq") for each in exported] == [1, 2, None, 10]
