"""What the store remembers of runs that others publish."""

from __future__ import annotations

from arena_tui.broker.numbered import Numbered, Recalled
from arena_tui.codec import sealed
from arena_tui.events import Envelope, Event, LogEvent, RunEnd
from arena_tui.store.database import Database
from arena_tui.store.history import History
from arena_tui.store.past import StoredPast
from tests.envelopes import envelope
from tests.store_fixture import store


def numbered(producer: str, number: int, epoch: int, seq: int, event: Event) -> Envelope:
    """An event of the run `a` as the owner appends it for one of its producers."""
    event, raw = sealed(event)
    return Envelope("a", epoch, seq, event, Numbered(raw, producer, number))


async def recalled(database: Database) -> Recalled | None:
    return (await StoredPast(History(database)).recall(["a", "none"])).get("a")


async def test_how_far_each_producer_has_come_and_whether_the_run_is_over(
    database: Database,
) -> None:
    await store(database, [numbered("p", 1, 7, 1, LogEvent()), numbered("p", 2, 7, 2, LogEvent())])
    assert await recalled(database) == Recalled(7, 2, False, {"p": 2}, "p")

    await store(database, [numbered("q", 1, 7, 3, LogEvent())])
    assert await recalled(database) == Recalled(7, 3, False, {"p": 2, "q": 1}, None)

    await store(database, [numbered("p", 3, 7, 4, RunEnd())])
    assert await recalled(database) == Recalled(7, 4, True, {"p": 3, "q": 1}, None)


async def test_who_published_an_earlier_stream_leaves_the_newest_to_its_only_producer(
    database: Database,
) -> None:
    await store(database, [numbered("p", 1, 7, 1, LogEvent())])
    await store(database, [numbered("q", 1, 8, 1, LogEvent())])

    assert await recalled(database) == Recalled(8, 1, False, {"p": 1, "q": 1}, "q")


async def test_a_run_of_the_process_itself_has_no_numbers(database: Database) -> None:
    await store(database, [envelope("a", 7, 1, LogEvent())])

    assert await recalled(database) == Recalled(7, 1, False, {}, None)
