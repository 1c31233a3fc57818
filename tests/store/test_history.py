"""Windowed reads of the store, as screens and commands use them."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest

from arena_tui.broker.protocol import Cursor
from arena_tui.errors import UnknownRunError, UsageError
from arena_tui.events import (
    Action,
    Delivery,
    Envelope,
    ErrorEvent,
    Gap,
    GapReason,
    LlmResponse,
    LogEvent,
    RunEnd,
    RunStart,
    TurnStart,
)
from arena_tui.folds.density import Within, density_of
from arena_tui.folds.view import RunView
from arena_tui.store import windows
from arena_tui.store.appending import append_archived
from arena_tui.store.database import Database
from arena_tui.store.filters import parse_filter
from arena_tui.store.history import History, SortKey
from arena_tui.store.windows import WINDOW, read_nearest
from tests.envelopes import envelope
from tests.store_fixture import problems, store

AT = datetime(2026, 1, 2, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return AT + timedelta(seconds=seconds)


def log(run_id: str, seq: int, text: str = "", epoch: int = 7, **fields: Any) -> Envelope:
    return envelope(run_id, epoch, seq, LogEvent(ts=at(seq), text=text, **fields))


def places(deliveries: list[Delivery]) -> list[Any]:
    return [
        (each.from_seq, each.to_seq) if isinstance(each, Gap) else each.seq for each in deliveries
    ]


@pytest.fixture
def history(database: Database) -> History:
    return History(database)


async def test_a_window_is_in_order_with_its_gaps(database: Database, history: History) -> None:
    await store(
        database,
        [*(log("a", seq) for seq in range(1, 6)), Gap("a", 7, 6, 9, "trimmed"), log("a", 10)],
        [log("b", 1)],
    )

    assert places(await history.window("a", 4, 10, 7)) == [4, 5, (6, 9), 10]
    assert places(await history.window("a", 7, 8, 7)) == [(6, 9)]
    assert places(await history.window("a", 11, 99, 7)) == []
    assert places(await history.window("nobody", 1, 99, 7)) == []


async def test_a_window_never_holds_more_than_its_bound(
    database: Database, history: History
) -> None:
    await store(database, [log("a", seq) for seq in range(1, WINDOW + 500)])

    assert places(await history.window("a", 11, 10**9, 7)) == list(range(11, WINDOW + 11))


async def test_a_window_is_of_one_epoch_and_all_epochs_are_known_by_length(
    database: Database, history: History
) -> None:
    reset = Gap("a", 7, 3, 2, "unknown")
    await store(
        database, [log("a", 1), log("a", 2), reset], [log("a", n, epoch=9) for n in (1, 2, 3)]
    )

    assert places(await history.window("a", 1, 9, epoch=7)) == [1, 2, (3, 2)]
    assert places(await history.window("a", 2, 9, epoch=9)) == [2, 3]
    assert await history.lengths("a") == {7: 3, 9: 3}


class Meanwhile:
    """A reader, before each further query of which more is stored."""

    def __init__(self, reader: Any, more: Callable[[], None]) -> None:
        self._reader = reader
        self._more = more
        self._queries = 0

    def execute(self, query: str, parameters: object = None, /) -> Any:
        if self._queries:
            self._more()
        self._queries += 1
        return self._reader.execute(query, parameters)


def test_no_epoch_is_missed_while_another_begins(database: Database) -> None:
    asyncio.run(store(database, [log("a", seq) for seq in (1, 2, 3)]))

    def begin_another() -> None:
        asyncio.run(store(database, [log("a", seq, epoch=9) for seq in (1, 2)]))

    found = database.read_now(
        lambda reader: windows.read_lengths(Meanwhile(reader, begin_another), "a")
    )

    assert found == {7: 3}


@pytest.mark.parametrize("seed", range(30))
async def test_a_runs_lengths_are_those_of_its_events_and_gaps(
    database: Database, history: History, seed: int
) -> None:
    draw = random.Random(seed)
    reasons: tuple[GapReason, ...] = ("trimmed", "reset", "unknown", "quarantined", "reaped")
    for _ in range(12):
        batch: list[Delivery] = []
        epoch, seq = draw.randrange(1, 5), draw.randrange(1, 20)
        for _ in range(draw.randrange(1, 8)):
            if draw.random() < 0.3:
                end = seq + draw.choice((-1, -1, 0, 3))
                batch.append(Gap("a", epoch, seq, end, draw.choice(reasons)))
            elif draw.random() < 0.2:
                batch.append(envelope("a", epoch, seq, RunEnd(ts=at(seq))))
            else:
                batch.append(log("a", seq, epoch=epoch))
            seq += draw.randrange(3)  # some again
        if draw.random() < 0.5:
            await store(database, batch)
        else:
            await database.write(partial(append_archived, archived=batch))

        last: dict[int, int] = {}
        for stored_epoch, stored_seq in database.read_now(
            lambda reader: reader.execute(
                "SELECT epoch, seq FROM events "
                "UNION ALL SELECT epoch, greatest(from_seq, to_seq) FROM gaps"
            ).fetchall()
        ):
            last[stored_epoch] = max(stored_seq, last.get(stored_epoch, 0))
        assert await history.lengths("a") == last


@pytest.fixture
async def anew(database: Database, history: History) -> History:
    """A run of three epochs: 7 with four events, 9 with three and a loss, 11 with two."""
    await store(
        database,
        [
            envelope("a", 7, 1, RunStart(ts=at(1), game="chess")),
            envelope("a", 7, 2, TurnStart(ts=at(2), turn=1, player="x")),
            envelope("a", 7, 3, LlmResponse(ts=at(3), agent_id="x", text="rook", input_tokens=3)),
            envelope("a", 7, 4, RunEnd(ts=at(4))),
            envelope("a", 9, 1, TurnStart(ts=at(5), turn=2, player="x")),
            envelope("a", 9, 2, ErrorEvent(ts=at(6), message="rook lost")),
            envelope("a", 9, 3, LlmResponse(ts=at(7), agent_id="x", input_tokens=4)),
            Gap("a", 9, 4, 3, "unknown"),
            envelope("a", 11, 1, LogEvent(ts=at(8), text="rook")),
            envelope("a", 11, 2, TurnStart(ts=at(9), turn=3, player="x")),
        ],
    )
    return history


async def test_jumps_go_on_from_one_epoch_to_the_next_and_back(anew: History) -> None:
    turns = [Cursor(7, 2), Cursor(9, 1), Cursor(11, 2)]

    assert [await anew.next_of_kind("a", "turn_start", at, 1) for at in turns] == [*turns[1:], None]
    assert [await anew.next_of_kind("a", "turn_start", at, -1) for at in turns] == [
        None, *turns[:2],
    ]  # fmt: skip
    assert [await anew.turn("a", turn) for turn in (1, 2, 3)] == turns
    assert await anew.search("a", "rook", Cursor(7, 3)) == (9, 2)
    assert await anew.search("a", "rook", Cursor(9, 2)) == (11, 1)
    assert await anew.search("a", "rook", Cursor(9, 2), backwards=True) == (7, 3)


async def test_what_was_used_in_earlier_epochs_counts_in_a_later_one(
    anew: History,
) -> None:
    tallies = [await anew.tallies("a", at) for at in (Cursor(7, 9), Cursor(9, 2), Cursor(9, 3))]

    assert [each["x"].usage().input_tokens for each in tallies] == [3, 3, 7]


async def test_the_density_places_events_and_marks_of_all_epochs_one_after_the_other(
    anew: History,
) -> None:
    await anew.bookmark("a", 11, 2, "here", AT)

    density = await anew.density("a", 3)

    assert density.counts == (3, 3, 3)
    assert density.places == (1, 4, 7)
    assert [(mark.kind, mark.place, mark.slice) for mark in density.marks] == [
        ("error", 6, 1), ("gap", 8, 2), ("bookmark", 10, 2),
    ]  # fmt: skip


async def test_density_counts_every_event_in_its_slice(
    database: Database, history: History
) -> None:
    seconds = [0, 1, 2, 30, 99, 99.9]
    await store(
        database,
        [envelope("a", 7, n, LogEvent(ts=at(s))) for n, s in enumerate(seconds, 1)],
    )

    density = await history.density("a", 10)

    assert density.counts == (3, 0, 0, 1, 0, 0, 0, 0, 0, 2)
    assert density.places == (1, 4, 4, 4, 5, 5, 5, 5, 5, 5)
    assert (density.first_at, density.last_at) == (at(0), at(99.9))
    assert density.marks == ()


async def test_density_marks_errors_gaps_and_bookmarks_where_they_lie(
    database: Database, history: History
) -> None:
    await store(
        database,
        [
            Gap("a", 7, 1, 2, "trimmed"),
            envelope("a", 7, 3, LogEvent(ts=at(0))),
            envelope("a", 7, 4, ErrorEvent(ts=at(50))),
            Gap("a", 7, 5, 8, "quarantined"),
            envelope("a", 7, 9, LogEvent(ts=at(100))),
        ],
        [log("b", n) for n in range(1, 9)],
    )
    await history.bookmark("a", 7, 9, "here", AT)

    marks = (await history.density("a", 4)).marks

    assert [(mark.kind, mark.place, mark.slice, mark.note) for mark in marks] == [
        ("error", 4, 1, ""),
        ("gap", 1, 0, "trimmed"),
        ("gap", 5, 1, "quarantined"),
        ("bookmark", 9, 3, "here"),
    ]


@pytest.mark.parametrize("times", [[1, 9999], [9999, 1], [2026, 2026]])
async def test_density_of_unlikely_times(
    database: Database, history: History, times: list[int]
) -> None:
    await store(
        database,
        [
            envelope("a", 7, n, LogEvent(ts=datetime(year, 1, 1, tzinfo=UTC)))
            for n, year in enumerate(times, 1)
        ],
    )

    assert sum((await history.density("a", 7)).counts) == 2
    assert (await history.density("nobody", 3)).counts == (0, 0, 0)


@pytest.mark.parametrize("seed", range(5))
async def test_the_store_and_the_fold_tell_the_same_density(
    database: Database, history: History, seed: int
) -> None:
    draw = random.Random(seed)
    run: list[Delivery] = []
    seq = 0
    for _ in range(300):
        seq += 1
        kind = ErrorEvent if draw.random() < 0.1 else LogEvent
        if draw.random() < 0.1:
            run.append(Gap("a", 7, seq, seq := seq + draw.randrange(5), "trimmed"))
        else:
            run.append(envelope("a", 7, seq, kind(ts=at(draw.uniform(0, 100)))))
    await store(database, run)

    for slices in (1, 7, 98):
        part = Within(at(first := draw.uniform(0, 90)), at(draw.uniform(first, 100)))
        assert await history.density("a", slices) == density_of(run, slices)
        assert await history.density("a", slices, part) == density_of(run, slices, within=part)


async def test_search_goes_forwards_and_backwards_and_minds_no_case(
    database: Database, history: History
) -> None:
    texts = ["Rook", 'say "hi"', "tab\tand\nline", "ROOK takes", "C:\\path", "naïve ♜", "100%_"]
    await store(database, [log("a", n, text) for n, text in enumerate(texts, 1)])
    await store(database, [log("b", n, "rook") for n in range(1, 9)])

    async def find(text: str, after: int = 0, backwards: bool = False) -> int | None:
        found = await history.search("a", text, Cursor(7, after), backwards)
        return None if found is None else found.seq

    assert [await find("rook"), await find("rook", 1), await find("rook", 4)] == [1, 4, None]
    assert [await find("rook", 4, True), await find("rook", 1, True)] == [1, None]
    assert [await find(text) for text in texts] == [1, 2, 3, 4, 5, 6, 7]


@pytest.mark.parametrize("near", [0, 1, 3, 7, 99])
@pytest.mark.parametrize("backwards", [False, True])
async def test_the_nearest_is_the_same_however_near_one_looks_first(
    database: Database, history: History, near: int, backwards: bool
) -> None:
    texts = ["rook" if seq in (1, 5, 6, 14) else "pawn" for seq in range(1, 16)]
    await store(database, [log("a", seq, text) for seq, text in enumerate(texts, 1)])

    for seq in range(17):
        found = await history.read(partial(
            read_nearest, run_id="a", condition="contains(payload, $wanted)", wanted="rook",
            at=Cursor(7, seq), backwards=backwards, near=near,
        ))  # fmt: skip
        hits = [each for each in (1, 5, 6, 14) if (each < seq if backwards else each > seq)]

        assert found == (Cursor(7, hits[-1 if backwards else 0]) if hits else None)


async def test_jumps_by_kind_and_turn(database: Database, history: History) -> None:
    events = [TurnStart(turn=1), LogEvent(turn=1), TurnStart(turn=2), ErrorEvent(), RunEnd()]
    await store(database, [envelope("a", 7, n, event) for n, event in enumerate(events, 1)])

    assert await history.next_of_kind("a", "turn_start", Cursor(7, 1), 1) == (7, 3)
    assert await history.next_of_kind("a", "turn_start", Cursor(7, 3), -1) == (7, 1)
    assert await history.next_of_kind("a", "turn_start", Cursor(7, 3), 1) is None
    assert [await history.turn("a", turn) for turn in (1, 2, 3)] == [(7, 1), (7, 3), None]


async def test_the_store_tallies_what_each_agent_used_as_the_screen_does(
    database: Database, history: History
) -> None:
    answers = [
        LlmResponse(agent_id="x", model="m", input_tokens=9, output_tokens=4, cost_usd=0.5,
                    reasoning_tokens=3),
        LlmResponse(agent_id="x", model="m", input_tokens=8, output_tokens=2,
                    cached_input_tokens=5),
        LlmResponse(agent_id="x", model="n", input_tokens=7),
        LlmResponse(agent_id="x"),
        LlmResponse(agent_id="y", model="n", cost_usd=0.0),
        Action(agent_id="y", action="pass"),
        ErrorEvent(agent_id="z", message="no"),
    ]  # fmt: skip
    view = RunView("a")
    deliveries = [envelope("a", 7, seq, each) for seq, each in enumerate(answers, 1)]
    for each in deliveries:
        view.add(each)
    await store(database, deliveries)

    assert await history.tallies("a", Cursor(7, 7)) == view.tallies


async def test_bookmarks_toggle(database: Database, history: History) -> None:
    await store(database, [log("a", 1)])

    states = [await history.bookmark("a", 7, 1, "note", AT) for _ in range(3)]

    assert states == [True, False, True]


async def test_a_run_is_found_by_either_end_of_its_id(database: Database, history: History) -> None:
    await store(database, [log("01AB_XYZ1", 1), log("01ABCXYZ2", 1), log("02", 1), log("1", 1)])

    assert (await history.run("01ab_")).run_id == "01AB_XYZ1"
    assert (await history.run("xyz2")).run_id == "01ABCXYZ2"
    assert (await history.run("1")).run_id == "1"
    with pytest.raises(UnknownRunError, match="several"):
        await history.run("01ab")
    for nobody in ("zz", "%", "0_"):
        with pytest.raises(UnknownRunError, match="no run"):
            await history.run(nobody)


async def test_a_deleted_run_leaves_nothing_behind(database: Database, history: History) -> None:
    await store(
        database,
        [log("a", 1), Gap("a", 7, 2, 3, "trimmed"), envelope("a", 7, 4, RunEnd()), log("b", 1)],
    )
    await history.bookmark("a", 7, 1, "", AT)

    await history.delete("a")

    assert [totals.run_id for totals in await history.runs()] == ["b"]
    left = await database.read(
        lambda c: c.execute(
            "SELECT (SELECT count(*) FROM events WHERE run_id = 'a'), "
            "(SELECT count(*) FROM gaps), (SELECT count(*) FROM bookmarks)"
        ).fetchall()
    )
    assert left == [(0, 0, 0)]
    assert problems(database) == []


async def test_a_run_being_stored_is_not_deleted_under_the_persister(
    database: Database, history: History
) -> None:
    await store(database, [log("a", 1), log("b", 1)], [envelope("b", 7, 2, RunEnd())])

    with pytest.raises(UsageError, match="not over"):
        await history.delete("a")
    await history.delete("b")

    assert await history.count() == 1


@pytest.fixture
async def filled(database: Database, history: History) -> History:
    """Four runs, a to d, with different games, costs and statuses."""
    runs = {
        "a": [RunStart(game="chess", label="Night run", tags=["x"]),
              LlmResponse(input_tokens=10, output_tokens=5, cost_usd=0.5),
              RunEnd(status="finished", outcome={"w": 1.0})],
        "b": [RunStart(game="Chess960"), ErrorEvent(message='rate "limit" hit'),
              RunEnd(status="crashed", reason="it's over")],
        "c": [RunStart(game="go"), LlmResponse(cost_usd=0.01), LlmResponse(cost_usd=0.0)],
        "d": [RunStart(game="go", label="x" * 5), LogEvent(turn=7)],
    }  # fmt: skip
    for run_id, events in runs.items():
        await store(database, [envelope(run_id, 7, n, event) for n, event in enumerate(events, 1)])
    return history


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", "abcd"),
        ("   ", "abcd"),
        ("game:chess", "ab"),
        ("GAME:CHESS", "ab"),
        ("game:chess err>0", "b"),
        ("Err>=1", "b"),
        ("cost>0.1", "a"),
        ("cost<=0.01", "c"),
        ("tokens=15", "a"),
        ("turns>=7", "d"),
        ("label:night", "a"),
        ('label:"night run"', "a"),
        ("'night run'", "a"),
        ("status:crashed", "b"),
        ("tag:x", "a"),
        ("outcome:w", "a"),
        ("rate", "b"),
        ('"rate ', "b"),
        ("it's", "b"),
        ("xxxxx", "d"),
        ("run:c", "c"),
        ("game:go turns<7", "c"),
        ('"colour:red"', ""),
        ("agent_id", ""),
        ("run_start", ""),
        ("a\\", ""),
        ('"\\', ""),
        ("%", ""),
    ],
)
async def test_filters_choose_runs(filled: History, text: str, found: str) -> None:
    where, parameters = parse_filter(text)

    assert [totals.run_id for totals in (await filled.runs(where, parameters))[::-1]] == list(found)
    assert await filled.count(where, parameters) == len(found)


@pytest.mark.parametrize(
    ("text", "named"),
    [("speed>3", "turns"), ("cost>1.2.3", "1.2.3"), ("trouble:stuck", "status:crashed")],
)
def test_a_filter_that_means_nothing_says_what_would(text: str, named: str) -> None:
    with pytest.raises(UsageError, match=named):
        parse_filter(text)


async def test_runs_come_sorted_by_page(filled: History) -> None:
    async def ids(**options: Any) -> str:
        return "".join(totals.run_id for totals in await filled.runs(**options))

    assert await ids(sort="cost_usd") == "acdb"
    assert await ids(sort="cost_usd", descending=False) == "cabd"
    assert await ids(sort="game", descending=False) == "bacd"
    assert await ids(sort="run_id", descending=False, limit=2, offset=1) == "bc"
    assert len(await ids(sort="duration_s")) == 4


@pytest.mark.parametrize("sort", ["started_at", "cost_usd", "duration_s", "game"])
@pytest.mark.parametrize("descending", [True, False])
async def test_the_place_of_a_run_is_where_the_pages_have_it(
    filled: History, sort: SortKey, descending: bool
) -> None:
    for where in (("TRUE", []), parse_filter("game:chess")):
        runs = await filled.runs(*where, sort=sort, descending=descending)
        found = [
            await filled.place(run.run_id, *where, sort=sort, descending=descending) for run in runs
        ]

        assert found == list(range(len(runs)))
    assert await filled.place("nobody") is None
