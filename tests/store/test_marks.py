"""Bookmarks with notes, and tags that people give, wherever the run goes."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial

import pytest

from arena_tui.broker.protocol import Cursor
from arena_tui.errors import UsageError
from arena_tui.events import LogEvent, RunEnd, RunStart
from arena_tui.store.changes import Bookmark, Note, Tag, decode_change
from arena_tui.store.database import Database
from arena_tui.store.filters import parse_filter
from arena_tui.store.history import History, read_ids
from arena_tui.store.marks import read_marks, read_tags
from arena_tui.store.verify import verify_store
from tests.envelopes import envelope
from tests.store_fixture import store

AT = datetime(2026, 3, 14, 12, tzinfo=UTC)


@pytest.fixture
async def history(database: Database) -> History:
    await store(database, [
        envelope("a", 7, 1, RunStart(ts=AT, game="go", tags=["nightly"])),
        envelope("a", 7, 2, LogEvent(ts=AT, text="x")),
        envelope("a", 7, 3, RunEnd(ts=AT)),
        envelope("b", 7, 1, RunStart(ts=AT, game="go")),
    ])  # fmt: skip
    return History(database)


async def marks_of(history: History, run_id: str = "a") -> list[tuple[Cursor, str]]:
    return [tuple(each) for each in await history.read(partial(read_marks, run_id=run_id))]


async def found(history: History, text: str) -> list[str]:
    where, values = parse_filter(text)
    return sorted(await history.read(partial(read_ids, where=where, parameters=values)))


async def test_a_note_sets_a_bookmark_and_replaces_the_note_before(history: History) -> None:
    await history.change(Bookmark("a", 7, 3, "", AT))
    for text in ("first", "second"):
        assert await history.change(Note("a", 7, 2, text, AT))

    assert await marks_of(history) == [(Cursor(7, 2), "second"), (Cursor(7, 3), "")]
    assert not await history.change(Bookmark("a", 7, 2, "", AT))
    assert await marks_of(history) == [(Cursor(7, 3), "")]


async def test_a_tag_is_given_and_taken_and_stands_beside_the_producers(history: History) -> None:
    given = [await history.change(Tag("a", word, AT)) for word in ("odd", "best", "odd")]

    assert given == [True, True, False]
    assert await history.read(partial(read_tags, run_id="a")) == ["best"]
    assert (await history.run("a")).tags == ["nightly", "best"]
    assert (await history.run("b")).tags == []
    assert await found(history, "tag:best") == ["a"]
    assert await found(history, "tag:nightly") == ["a"]
    assert await found(history, "tag=odd") == []
    assert await found(history, "-tag:best") == ["b"]


async def test_a_tag_is_no_bookmark_and_nothing_that_verify_minds(history: History) -> None:
    await history.change(Tag("a", "best", AT))

    assert await marks_of(history) == []
    assert all(each.ok for each in await history.read(verify_store))


@pytest.mark.parametrize("word", ["", "x" * 101])
def test_a_tag_is_of_some_length(word: str) -> None:
    with pytest.raises(UsageError, match="not a change"):
        decode_change(b'{"type":"Tag","run_id":"a","word":"%s","at":"2026-03-14T12:00:00Z"}'
                      % word.encode())  # fmt: skip


@pytest.mark.parametrize("change", [
    b'{"type":"Tag","run_id":"a","word":"x","at":"9999-12-31T23:59:59-12:00"}',
    b'{"type":"Note","run_id":"a","epoch":7,"seq":1,"note":"x","at":"0001-01-01T00:00:00+12:00"}',
])  # fmt: skip
def test_a_time_that_the_calendar_has_not_in_utc_is_refused(change: bytes) -> None:
    with pytest.raises(UsageError, match="the time is out of range"):
        decode_change(change)
