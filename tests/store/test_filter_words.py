"""What a filter of runs is completed to."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from arena_tui.events import AgentInfo, RunStart
from arena_tui.store.changes import Tag
from arena_tui.store.database import Database
from arena_tui.store.filter_words import read_filter_words
from tests.envelopes import envelope
from tests.store_fixture import store

AT = datetime(2026, 3, 14, tzinfo=UTC)


async def test_values_are_those_of_the_store_the_newest_first(database: Database) -> None:
    old = RunStart(ts=AT, game="chess", label="night", agents=[AgentInfo(id="a", name="alpha")])
    new = RunStart(ts=AT + timedelta(hours=1), game="go", tags=["sweep"])
    await store(database, [envelope("old", 1, 1, old), envelope("new", 1, 1, new)])

    assert database.read_now(read_filter_words) == {
        "game": ["go", "chess"], "label": ["night"], "tag": ["sweep"], "agent": ["alpha"],
    }  # fmt: skip


async def test_tags_that_people_gave_are_among_them(database: Database) -> None:
    await store(database, [envelope("a", 1, 1, RunStart(ts=AT, game="go", tags=["sweep"]))])
    await database.change(Tag("a", "odd", AT))

    assert database.read_now(read_filter_words)["tag"] == ["odd", "sweep"]
