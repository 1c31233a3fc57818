"""All hits of a text in a run, wherever its events are, and in all runs."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Sequence
from typing import Any, ClassVar

import pytest

from arena_tui.broker.protocol import Limits
from arena_tui.codec import sealed
from arena_tui.config import Config
from arena_tui.events import Event, LogEvent
from arena_tui.folds.totals import RunTotals
from arena_tui.services.all_hits import AllHits
from arena_tui.services.playback import hits as module
from arena_tui.services.playback.hits import RunHits
from arena_tui.services.playback.tape import RunTape
from arena_tui.services.runtime import Runtime
from arena_tui.store.filters import parse_filter
from arena_tui.store.reading import Reader
from arena_tui.store.searching import Hit, Search, Sizes
from tests.services.playback.test_player import (
    RUN,
    START,
    beginning,
    game,
    nothing,
    publish,
    stored,
    tape_of,
    unstored,
)
from tests.waiting import until

TURNS = 1_000


def last_turns() -> list[Event]:
    """A game that is not over, with a text in some of its events."""
    events = game(TURNS)[:-1]
    for place in range(7, len(events), 7):
        events[place] = LogEvent(ts=events[place].ts, text=f"lines\nof a Needle at {place + 1}")
    return events


EVENTS = last_turns()
WHOLE = [*EVENTS, game(TURNS)[-1]]
PLACES = [place + 1 for place in range(7, len(EVENTS), 7)]


@pytest.fixture(params=["at hand", "stored", "trimmed"])
async def source(request: pytest.FixtureRequest) -> AsyncIterator[Runtime]:
    """The same run in a broker only, in a store only, and in both."""
    if request.param == "at hand":
        async with unstored() as runtime:
            await publish(runtime, EVENTS)
            yield runtime
    else:
        async with stored(WHOLE) as runtime:
            if request.param == "stored":
                await runtime.broker.reap(RUN)
            yield runtime


async def hits_in(tape: RunTape, text: str) -> RunHits:
    found = RunHits(tape)
    found.look_for(text)
    await found.read_on(nothing)
    return found


async def test_all_places_are_found_in_order_with_their_lines(source: Runtime) -> None:
    tape = tape_of(source)
    await tape.open()
    found = await hits_in(tape, "nEEDLE")
    tape.close()

    assert list(found.places) == PLACES
    assert [hit.seq for hit in found.hits] == PLACES
    assert found.hits[0].text == f"of a Needle at {PLACES[0]}"
    assert found.counted == f"{len(PLACES):,} hits"
    assert found.news() == f"{len(PLACES):,} hits: h lists them"
    assert found.news() is None


async def test_what_comes_meanwhile_is_found_once() -> None:
    async with stored(EVENTS) as runtime:
        tape = tape_of(runtime)
        await tape.open()
        found = RunHits(tape)
        found.look_for("needle")
        await found.read_next()
        await publish(runtime, [LogEvent(ts=START, text="a needle"), LogEvent(ts=START, text="-")])
        await source_of(tape, found)
        early = list(found.places)
        await found.read_on(nothing)
        tape.close()

    assert early == [len(EVENTS) + 1]
    assert list(found.places) == [*PLACES, len(EVENTS) + 1]


async def source_of(tape: RunTape, found: RunHits) -> None:
    """Hand on what is new, as the player does."""
    while not (news := tape.pump()):
        await asyncio.sleep(0)
    found.extend(news)


async def test_a_gap_is_looked_through_in_the_store_and_what_was_is_not_again() -> None:
    runtime = Runtime(Config(db=":memory:"), Limits(capacity=2_000, retain=2_000, decoded=500))
    await runtime.open()
    await publish(runtime, EVENTS[:500])
    await runtime.broker.settled([RUN])
    tape = tape_of(runtime)
    await tape.open()
    found = await hits_in(tape, "needle")
    before = list(found.places)
    for start in range(500, len(EVENTS), 500):  # without a look at the broker meanwhile
        some = EVENTS[start : start + 500]
        await runtime.broker.publish_all([(RUN, *sealed(each)) for each in some])
        await runtime.broker.settled([RUN])
    await runtime.catch_up()
    found.extend(tape.pump())
    (gap,) = tape.seek.missed
    steps = 0
    while found.lacking:
        await found.read_next()
        steps += 1
    tape.close()
    await runtime.aclose()

    assert before == [each for each in PLACES if each <= 500]
    assert [each for each in PLACES if gap.from_seq <= each <= gap.to_seq]
    assert list(found.places) == PLACES
    assert steps == 3, "where the gap is, its events, and that nothing is left"
    assert found.news() == f"{len(PLACES):,} hits: h lists them"


async def test_large_events_are_looked_at_one_by_one() -> None:
    async with unstored() as runtime:
        large = "needle " + "x" * 200_000
        await publish(runtime, [beginning(1)[0], *[LogEvent(ts=START, text=large)] * 5])
        tape = tape_of(runtime)
        await tape.open()
        found = RunHits(tape)
        found.look_for("needle")
        counts = []
        while found.lacking:
            await found.read_next()
            counts.append(len(found.hits))
        tape.close()

    assert counts == [0, 1, 2, 3, 4, 5, 5]


async def test_a_cancelled_search_goes_on_and_misses_nothing() -> None:
    async with stored(WHOLE) as runtime:
        await runtime.broker.reap(RUN)
        tape = tape_of(runtime)
        await tape.open()
        found = RunHits(tape)
        found.look_for("needle")
        for steps in range(1, 12):
            reading = asyncio.ensure_future(found.read_on(nothing))
            for _ in range(steps):
                await asyncio.sleep(0)
            reading.cancel()
            await asyncio.wait([reading])
        await found.read_on(nothing)
        tape.close()

    assert list(found.places) == PLACES


class Batches(Search):
    """A search in small batches, which notes the first hit of each, and waits with the fourth."""

    firsts: ClassVar[list[int]] = []
    go_on: ClassVar[threading.Event]

    def __init__(self, text: str, runs: Sequence[RunTotals], **limits: Any) -> None:
        super().__init__(text, runs, Sizes(500, 500), **limits)

    def read(self, reader: Reader) -> list[Hit]:
        found = super().read(reader)
        self.firsts.append(found[0].seq)
        if len(self.firsts) == 4:
            self.go_on.wait()
        return found


async def test_a_cancelled_search_begins_no_batch_that_it_had(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "Search", Batches)
    monkeypatch.setattr(Batches, "firsts", [])
    monkeypatch.setattr(Batches, "go_on", threading.Event(), raising=False)
    async with stored(WHOLE) as runtime:
        await runtime.broker.reap(RUN)
        tape = tape_of(runtime)
        await tape.open()
        found = RunHits(tape)
        found.look_for("needle")
        while len(Batches.firsts) < 3:
            await found.read_next()
        reading = asyncio.ensure_future(found.read_next())
        await until(lambda: len(Batches.firsts) == 4)
        reading.cancel()
        await asyncio.sleep(0)
        Batches.go_on.set()
        await asyncio.wait([reading])
        was_cancelled = reading.cancelled()
        await found.read_on(nothing)
        tape.close()

    assert was_cancelled
    assert Batches.firsts.count(PLACES[0]) == 1
    assert list(found.places) == PLACES


async def test_a_list_ends_when_it_is_full(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "HITS_MAX", 20)
    async with stored(WHOLE) as runtime:
        await runtime.broker.reap(RUN)
        tape = tape_of(runtime)
        await tape.open()
        found = await hits_in(tape, "needle")
        tape.close()

    assert list(found.places) == PLACES[:20]
    assert found.counted == "the first 20 hits"


async def test_another_text_and_none_forget_what_was_found(source: Runtime) -> None:
    tape = tape_of(source)
    await tape.open()
    found = await hits_in(tape, "needle")
    before = found.places
    found.look_for("nosuch")
    await found.read_on(nothing)
    none = found.counted, list(found.places), found.news()
    found.look_for("")
    tape.close()

    assert before
    assert none == ("no hits", [], None)
    assert not found.lacking


async def test_all_runs_that_match_are_looked_at_newest_first() -> None:
    async with stored(EVENTS) as runtime:
        history = runtime.history
        assert history is not None
        found = AllHits(history, "NEEDLE", *parse_filter("game:chess"))
        before = found.where
        await found.read_on(nothing)
        none = AllHits(history, "needle", *parse_filter("game:nosuch"))
        await none.read_on(nothing)

    assert before == "looking for the runs"
    assert [hit.seq for hit in found.hits] == PLACES
    assert found.where == "1 of 1 run looked at"
    assert (none.counted, none.where) == ("no hits", "0 of 0 runs looked at")
