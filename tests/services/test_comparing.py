"""Two stored runs, read by window: where they part, and what stands beside what."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from functools import partial

import pytest

from arena_tui.broker.protocol import Cursor
from arena_tui.errors import UsageError
from arena_tui.events import (
    Action,
    AgentInfo,
    Event,
    LlmResponse,
    Observation,
    RunEnd,
    RunStart,
    TurnStart,
)
from arena_tui.folds.comparing import is_worth_a_stop
from arena_tui.services.comparing import SPAN, ComparedRun, Comparison, event_at, measure
from arena_tui.services.forking import StoredRun
from arena_tui.services.playback.turns import Turns
from arena_tui.store.database import Database
from arena_tui.store.history import History
from tests.envelopes import envelope
from tests.store_fixture import store
from tests.tui.scenario import NOW


def events(moves: Sequence[str]) -> list[Event]:
    """A run of these moves, one a turn and a second."""
    found: list[Event] = [RunStart(ts=NOW, game="line", agents=[AgentInfo(id="a")])]
    for turn, move in enumerate(moves, 1):
        at = NOW + timedelta(seconds=turn)
        found += [
            TurnStart(ts=at, turn=turn, player="a"),
            Observation(ts=at, turn=turn, agent_id="a", text=f"after {moves[turn - 2 : turn - 1]}"),
            Action(ts=at, turn=turn, agent_id="a", action=move),
        ]
    return [*found, RunEnd(ts=NOW + timedelta(seconds=len(moves)), status="finished")]


async def keep(database: Database, run_id: str, moves: Sequence[str]) -> None:
    told = [envelope(run_id, 7, seq, event) for seq, event in enumerate(events(moves), 1)]
    await store(database, told)


async def opened(database: Database, first: str, second: str) -> Comparison:
    history, runs = History(database), list[ComparedRun]()
    for run_id in (first, second):
        measured = await measure(history, run_id)
        tape = StoredRun(run_id, history, await history.lengths(run_id))
        runs.append(ComparedRun(measured=measured, tape=tape, turns=Turns(tape)))
    comparison = Comparison(*runs)
    await comparison.read_turns(lambda: None)
    return comparison


async def test_the_place_where_long_runs_part_is_found_span_by_span(database: Database) -> None:
    moves = ["x"] * 3_000
    await keep(database, "first", moves)
    await keep(database, "second", [*moves[:2_499], "y", *moves[2_500:]])
    comparison, looked = await opened(database, "first", "second"), list[int]()

    await comparison.find_parting(lambda: looked.append(comparison.parting.reach))

    found = comparison.parting.found
    assert found is not None
    assert (found.number, found.differs) == (2_500, ("action",))
    assert comparison.parting.row == 2_500
    assert looked[:3] == [SPAN, 2 * SPAN, 3 * SPAN]
    assert looked[-1] == 2_501


async def test_differences_are_found_forward_and_back_and_no_further(database: Database) -> None:
    moves = ["x"] * 900
    other = ["y" if turn in (100, 800) else "x" for turn in range(1, 901)]
    await keep(database, "first", moves)
    await keep(database, "second", other)
    comparison = await opened(database, "first", "second")
    rows = await comparison.read(range(len(comparison.alignment)))
    expected = [
        index for index, row in enumerate(rows)
        if is_worth_a_stop(rows[index - 1] if index else None, row)
    ]  # fmt: skip

    forward, back, at = list[int](), list[int](), 0
    while (there := await comparison.difference(at, 1)) is not None:
        forward.append(at := there)
    at = len(rows)
    while (there := await comparison.difference(at, -1)) is not None:
        back.insert(0, at := there)

    assert forward == back == expected
    assert [rows[index].number for index in expected] == [100, 101, 800, 801]


async def test_what_is_read_stays_bounded(database: Database) -> None:
    await keep(database, "first", ["x"] * 3_000)
    await keep(database, "second", ["x"] * 3_000)
    comparison = await opened(database, "first", "second")

    for first in range(0, 3_000, 100):
        await comparison.load(first, first + 99)

    assert comparison.get(2_950) is not None
    assert comparison.get(5) is None


async def test_rows_are_found_by_turn_and_by_event(database: Database) -> None:
    await keep(database, "first", "xyz")
    await keep(database, "second", "xyzxy")
    comparison = await opened(database, "first", "second")

    row = comparison.row_of_turn(5)
    assert row is not None
    places = comparison.places(row, 1)
    assert comparison.alignment[row].first is None
    assert comparison.places(row, 0) == range(0)
    assert comparison.row_of_place(1, places.start + 1) == row
    assert await event_at(comparison.runs[1].tape, places.start) == Cursor(7, places.start)
    assert comparison.row_of_turn(6) is None


async def test_by_time_each_row_stands_beside_the_nearest(database: Database) -> None:
    await keep(database, "first", "xyz")
    await keep(database, "second", "xyzx")
    comparison = await opened(database, "first", "second")

    comparison.align("time")
    await comparison.read_turns(lambda: None)

    pairs = [tuple(comparison.alignment[index]) for index in range(len(comparison.alignment))]
    assert pairs[:4] == [(0, 0), (1, 1), (2, 2), (3, 3)]
    assert comparison.is_known


async def test_a_run_is_not_compared_with_itself(database: Database) -> None:
    await keep(database, "first", "xyz")

    with pytest.raises(UsageError, match="compared with itself"):
        await opened(database, "first", "first")


async def test_latency_is_the_mean_of_what_answers_tell(database: Database) -> None:
    told = [
        LlmResponse(ts=NOW, turn=1, text="Yes.", latency_s=latency_s)
        for latency_s in (1.0, 4.0, None, -3.0)
    ]
    await store(database, [envelope("first", 7, seq, each) for seq, each in enumerate(told, 1)])
    find = partial(measure, History(database))

    assert (await find("first")).latency_s == 2.5
