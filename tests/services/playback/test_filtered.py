"""Which events of a run a filter shows, wherever they are, and the rows of their list."""

from __future__ import annotations

from collections.abc import AsyncIterator
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arena_tui.events import Event, LogEvent
from arena_tui.folds.event_filter import read_event_filter
from arena_tui.services.playback import seeker
from arena_tui.services.playback.filtered import Filtered, MatchRows
from arena_tui.services.runtime import Runtime
from tests.services.playback.test_player import (
    RUN,
    START,
    game,
    nothing,
    publish,
    stored,
    tape_of,
    unstored,
)

TURNS = 100
EVENTS: list[Event] = game(TURNS)[:-1]
WHOLE = game(TURNS)
ACTIONS = [place for place, each in enumerate(EVENTS, start=1) if each.kind == "action"]


@pytest.fixture(params=["at hand", "stored", "trimmed"])
async def source(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Runtime]:
    """The same run in a broker only, in a store only, and in both; read in small parts."""
    monkeypatch.setattr(seeker, "SPAN", 70)
    monkeypatch.setattr(seeker, "MATCHED_AT_ONCE", 70)
    if request.param == "at hand":
        async with unstored() as runtime:
            await publish(runtime, EVENTS)
            yield runtime
    else:
        async with stored(WHOLE if request.param == "stored" else EVENTS) as runtime:
            if request.param == "stored":
                await runtime.broker.reap(RUN)
            yield runtime


async def test_places_and_events_are_those_that_match(source: Runtime) -> None:
    tape = tape_of(source)
    await tape.open()
    filtered = Filtered(tape)
    filtered.keep("kind=action", read_event_filter("kind=action"))
    await filtered.read_on(nothing)
    row = filtered.row_of(ACTIONS[50])
    filtered.want(row - 3, row + 3)
    await filtered.read_on(nothing)
    read = [filtered.get(each) for each in ACTIONS[49:52]]
    kinds, agents = await filtered.words()
    tape.close()

    assert list(filtered.rows.places) == ACTIONS
    assert [each and each.event.kind for each in read] == ["action"] * 3
    assert (filtered.beside(1, 1), filtered.beside(ACTIONS[3], -1)) == (ACTIONS[0], ACTIONS[2])
    assert (filtered.beside(ACTIONS[-1], 1), filtered.beside(ACTIONS[0], -1)) == (None, None)
    assert {"action", "observation"} <= set(kinds)
    assert agents == ["x"]


async def test_a_live_run_grows_and_an_empty_filter_ends_it() -> None:
    async with stored(EVENTS) as runtime:
        tape = tape_of(runtime)
        await tape.open()
        filtered = Filtered(tape)
        filtered.keep("needle", read_event_filter("needle"))
        await filtered.read_on(nothing)
        none = list(filtered.rows.places)
        await publish(runtime, [LogEvent(ts=START, text="-"), LogEvent(ts=START, text="needle")])
        await filtered.read_on(nothing)
        while filtered.known and not filtered.rows.places:
            tape.pump()
            await runtime.catch_up()
            await filtered.read_on(nothing)
        found = list(filtered.rows.places)
        filtered.keep("", ())
        tape.close()

    assert none == []
    assert found == [len(EVENTS) + 2]
    assert (filtered.is_on, filtered.lacking, filtered.count(7), filtered.row_of(7)) == (
        False, False, 7, 6,
    )  # fmt: skip


@given(st.sets(st.integers(1, 40)), st.integers(0, 5))
def test_rows_and_places_lead_to_each_other(matching: set[int], more: int) -> None:
    last = max(matching, default=0) + more
    rows = MatchRows()
    rows.add(sorted(matching)[:3])
    rows.add(sorted(matching)[3:])
    shown = [rows.at(row, last) for row in range(rows.count(last))]

    assert [each.place for each in shown if not each.hidden] == sorted(matching)
    assert sum(each.hidden or 1 for each in shown) == last
    assert all(rows.row_of(each.place) == row for row, each in enumerate(shown))
    assert not any(one.hidden and other.hidden for one, other in pairwise(shown))
