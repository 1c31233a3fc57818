"""One run reads the same wherever its events are: at hand, in the store, or partly in each."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from arena_tui.codec import sealed
from arena_tui.config import Config
from arena_tui.errors import UnknownRunError
from arena_tui.events import (
    Action,
    AgentInfo,
    Delivery,
    Envelope,
    ErrorEvent,
    Event,
    Gap,
    LlmResponse,
    LogEvent,
    Observation,
    RunEnd,
    RunStart,
    TurnStart,
)
from arena_tui.services.playback.tape import RunTape
from arena_tui.services.runtime import Runtime
from tests.envelopes import envelope
from tests.store_fixture import store

START = datetime(2026, 3, 14, 12, tzinfo=UTC)


def game() -> list[Event]:
    events: list[Event] = [RunStart(ts=START, game="chess", agents=[AgentInfo(id="x")])]
    for turn in range(1, 400):
        at = START + timedelta(seconds=turn)
        events += [
            TurnStart(ts=at, turn=turn, agent_id="x", player="x"),
            Observation(ts=at, turn=turn, agent_id="x", text=f"board {turn}"),
            LlmResponse(ts=at, turn=turn, agent_id="x", text=f"move {turn}", input_tokens=3,
                        output_tokens=2 * (turn % 2), cost_usd=0.25),
            Action(ts=at, turn=turn, agent_id="x", action=f"m{turn}"),
        ]  # fmt: skip
        if turn % 100 == 0:
            events.append(ErrorEvent(ts=at, turn=turn, agent_id="x", message="rate limited"))
    return [*events, RunEnd(ts=START + timedelta(seconds=400), outcome={"x": 1.0})]


@pytest.fixture
async def runtime() -> AsyncIterator[Runtime]:
    runtime = Runtime(Config(db=":memory:"))
    await runtime.open()
    events = game()
    await runtime.broker.publish_all([("run1", *sealed(each)) for each in events])
    await runtime.broker.settled(["run1"])
    yield runtime
    await runtime.aclose()


@pytest.fixture(params=["at hand", "stored", "trimmed"])
async def tape(request: pytest.FixtureRequest, runtime: Runtime) -> AsyncIterator[RunTape]:
    """The same run three ways: all in a broker, all in the store, the newest in the broker."""
    if request.param == "at hand":
        runtime = Runtime(Config(db=None))
        events = game()
        await runtime.broker.publish_all([("run1", *sealed(each)) for each in events])
    elif request.param == "stored":
        await runtime.broker.reap("run1")
    tape = RunTape("run1", runtime)
    await tape.open()
    yield tape
    tape.close()
    if runtime.database is None:
        await runtime.aclose()


async def test_windows_are_complete_and_in_order(tape: RunTape) -> None:
    last = len(game())

    seqs = [each.seq for each in await tape.window(1, 300)]  # type: ignore[union-attr]
    newest = [each.seq for each in await tape.window(last - 5, last)]  # type: ignore[union-attr]

    assert tape.last == last
    assert seqs == list(range(1, 301))
    assert newest == list(range(last - 5, last + 1))


async def test_the_run_looks_at_any_seq_as_it_did_then(tape: RunTape) -> None:
    seq = await tape.seek.turn(7)
    assert seq is not None

    view = await tape.view_at(seq + 3)

    assert (view.board, view.player, view.totals.turns) == ("board 7", "x", 7)
    assert view.totals.game == "chess"
    used = view.tallies["x"].usage()
    assert (used.input_tokens, used.output_tokens, used.cost_usd) == (21, 8, 1.75)
    assert view.tallies["x"].actions == 7


async def test_turns_and_errors_are_found_in_both_directions(tape: RunTape) -> None:
    first = await tape.seek.next_of_kind("error", 1, 1)
    assert first is not None
    second = await tape.seek.next_of_kind("error", first, 1)
    assert second is not None

    assert await tape.seek.next_of_kind("error", second, -1) == first
    assert await tape.seek.next_of_kind("error", first, -1) is None
    assert await tape.seek.next_of_kind("turn_start", 2, 1) == 6


async def test_text_is_found_forwards_and_backwards(tape: RunTape) -> None:
    found = await tape.seek.search("MOVE 42", 1)
    assert found is not None

    assert await tape.seek.search("move 42", found) is None
    assert await tape.seek.search("move 42", tape.last, backwards=True) == found


async def test_what_each_turn_took_is_the_same_wherever_the_events_are(tape: RunTape) -> None:
    series = await tape.series(500)
    short = await tape.series(2)

    assert series is not None
    assert (series.name, series.turns.last) == ("tokens", 399)
    assert dict(series.lines) == {"x": tuple([5.0, 3.0] * 199 + [5.0])}
    assert short is not None
    assert [round(value or 0, 3) for value in short.lines["x"]] == [4.0, 4.005]


async def test_the_density_counts_every_event_and_places_the_errors(tape: RunTape) -> None:
    density = await tape.density(40)

    assert sum(density.counts) == tape.last
    assert list(density.places) == sorted(density.places)
    assert [(mark.kind, mark.slice) for mark in density.marks] == [
        ("error", 9), ("error", 19), ("error", 29),
    ]  # fmt: skip


async def test_a_run_nobody_has_is_said_to_be_unknown(runtime: Runtime) -> None:
    without_store = Runtime(Config(db=None))
    for each in (runtime, without_store):
        with pytest.raises(UnknownRunError):
            await RunTape("nobody", each).open()
    await without_store.aclose()


EPOCHS = {7: 1_500, 9: 1_000, 11: 42}


def made_anew() -> list[Delivery]:
    """A run whose stream was made anew twice, the second time with an unknown loss, and its end."""
    run: list[Delivery] = []
    for epoch, length in EPOCHS.items():
        run += [
            envelope("anew", epoch, seq, TurnStart(ts=START, turn=epoch, player=f"{epoch}-{seq}"))
            for seq in range(1, length + 1)
        ]
    run[700:720] = [Gap("anew", 7, 701, 720, "trimmed")]
    run[-1] = envelope("anew", 11, 42, RunEnd(ts=START))
    run.insert(len(run) - 42, Gap("anew", 9, 1_001, 1_000, "unknown"))
    return run


@pytest.fixture
async def anew(runtime: Runtime) -> AsyncIterator[RunTape]:
    assert runtime.database is not None
    await store(runtime.database, made_anew())
    tape = RunTape("anew", runtime)
    await tape.open()
    yield tape
    tape.close()


async def test_a_run_of_several_epochs_is_read_through_all_of_them(anew: RunTape) -> None:
    read: list[Delivery] = []
    for first in range(1, anew.last + 1, 400):
        window = await anew.window(first, min(first + 399, anew.last))
        read += [each for each in window if anew.places_of(each).start >= first]

    assert anew.last == 1_500 + 1_001 + 42
    assert read == made_anew()


async def test_jumps_lead_over_the_bounds_of_epochs(anew: RunTape) -> None:
    assert await anew.seek.next_of_kind("turn_start", 1_500, 1) == 1_501
    assert await anew.seek.next_of_kind("turn_start", 2_502, -1) == 2_500
    assert await anew.seek.next_of_kind("run_end", 1, 1) == anew.last
    assert [await anew.seek.turn(turn) for turn in EPOCHS] == [1, 1_501, 2_502]
    assert await anew.seek.search("11-3", 1) == 2_504


async def test_a_place_in_an_earlier_epoch_shows_the_run_as_it_was_then(anew: RunTape) -> None:
    views = [await anew.view_at(place) for place in (1_500, 1_501, 2_501, 2_502, anew.last)]

    assert [view.player for view in views] == ["7-1500", "9-1", "9-1000", "11-1", "11-41"]
    assert [view.totals.status for view in views] == ["running"] * 4 + ["finished"]


async def test_the_density_of_several_epochs_counts_every_event(anew: RunTape) -> None:
    density = await anew.density(40)

    assert sum(density.counts) == sum(isinstance(each, Envelope) for each in made_anew())
    assert [mark.place for mark in density.marks] == [701, 2_501]


@pytest.mark.parametrize("is_stored", [True, False])
async def test_the_longest_silences_are_found_and_told_in_order(is_stored: bool) -> None:
    runtime = Runtime(Config(db=":memory:" if is_stored else None))
    await runtime.open()
    seconds = [0, 1, 41, 42, 140, 141, 176, 170]
    for second in seconds:
        event = LogEvent(ts=START + timedelta(seconds=second))
        await runtime.broker.publish_all([("run", *sealed(event))])
    end = RunEnd(ts=START + timedelta(seconds=170))
    await runtime.broker.publish_all([("run", *sealed(end))])
    if is_stored:
        await runtime.broker.settled(["run"])
        await runtime.broker.reap("run")
    tape = RunTape("run", runtime)
    await tape.open()

    assert await tape.seek.silences(30.0, 9) == [3, 5, 7]
    assert await tape.seek.silences(30.0, 2) == [3, 5]
    assert await tape.seek.silences(99.0, 9) == []
    tape.close()
    await runtime.aclose()
