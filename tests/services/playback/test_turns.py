"""The list of turns of a run, wherever its events are."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from arena_tui.errors import StoreError
from arena_tui.events import Action, Delivery, Event, LlmPrompt, LogEvent, RunEnd, RunStart
from arena_tui.folds.turns import Turn
from arena_tui.services.playback.detail import Details
from arena_tui.services.playback.finder import Finder
from arena_tui.services.playback.turns import Turns
from arena_tui.services.runtime import Runtime
from tests.services.playback.test_player import (
    RUN,
    START,
    beginning,
    game,
    nothing,
    publish,
    stored,
    tape_of,
    turn_of,
    unstored,
)

SHORT = 30


@pytest.fixture(params=["at hand", "stored"])
async def source(request: pytest.FixtureRequest) -> AsyncIterator[Runtime]:
    """The same short game, once in a broker only, once in a store only."""
    if request.param == "at hand":
        async with unstored() as runtime:
            await publish(runtime, game(SHORT))
            yield runtime
    else:
        async with stored(game(SHORT)) as runtime:
            await runtime.broker.reap(RUN)
            yield runtime


@asynccontextmanager
async def reading(runtime: Runtime) -> AsyncIterator[Turns]:
    """The turns of the run, with their beginnings."""
    tape = tape_of(runtime)
    await tape.open()
    turns = Turns(tape)
    await turns.read_on(nothing)
    yield turns
    tape.close()


async def rows(turns: Turns) -> list[Turn | None]:
    turns.want(0, turns.count)
    await turns.read_on(nothing)
    return [turns.get(row) for row in range(turns.count)]


async def test_every_turn_is_a_row_between_the_start_and_the_end_of_the_run(
    source: Runtime,
) -> None:
    async with reading(source) as turns:
        found = await rows(turns)
        places = [turns.places(row) for row in range(turns.count)]

    assert [each.number for each in found if each] == [None, *range(1, SHORT + 1), None]
    assert places[:2] == [range(1, 2), range(2, 6)]
    assert [place for each in places for place in each] == list(range(1, 4 * SHORT + 3))
    assert found[7] == Turn(
        number=7, agent="x", actions=("m7",), actions_count=1, answer="move 7", input_tokens=3,
        output_tokens=1, cost_usd=0.25, duration_s=0.0, events=4,
    )  # fmt: skip
    assert turns.starts.highest == SHORT


async def test_a_place_lies_in_a_row_and_has_turns_on_both_sides(source: Runtime) -> None:
    async with reading(source) as turns:
        assert [turns.starts.row_of(place) for place in (1, 2, 5, 6)] == [0, 1, 1, 2]
        assert [turns.starts.beside(6, step) for step in (-1, 1)] == [2, 10]
        assert turns.starts.beside(8, -1) == 6
        assert turns.starts.beside(1, -1) is None
        assert turns.starts.beside(4 * SHORT, 1) is None


@pytest.mark.parametrize("is_stored", [True, False])
async def test_a_run_without_turn_start_has_turns_and_one_without_numbers_has_none(
    is_stored: bool,
) -> None:
    silent: list[Event] = [LogEvent(ts=START, text="hello")]
    for turn in range(3):
        silent += [Action(ts=START, turn=turn, action=side) for side in "ab"]
    end = RunEnd(ts=START)
    for events, numbers in (([*silent, end], [None, 0, 1, 2, None]), ([*silent[:1], end], None)):
        async with stored(events) if is_stored else unstored() as runtime:
            if is_stored:
                await runtime.broker.reap(RUN)
            else:
                await publish(runtime, events)
            async with reading(runtime) as turns:
                found = await rows(turns)

                assert turns.starts.numbered == (numbers is not None)
                if numbers is not None:
                    assert [each.number for each in found if each] == numbers


async def test_a_live_run_adds_its_turns_as_they_come_and_its_newest_row_grows() -> None:
    async with unstored() as runtime:
        await publish(runtime, beginning(turns=2))
        tape = tape_of(runtime)
        await tape.open()
        turns = Turns(tape)
        await turns.read_on(nothing)
        await rows(turns)
        await publish(runtime, turn_of(3)[:2])
        turns.extend(tape.pump())
        begun = (await rows(turns))[-1]
        await publish(runtime, turn_of(3)[2:])
        turns.extend(tape.pump())
        kept = turns.get(3)
        grown = (await rows(turns))[-1]
        tape.close()

    assert turns.count == 4
    assert begun is not None
    assert (begun.number, begun.actions) == (3, ())
    assert kept == begun
    assert grown is not None
    assert grown.actions == ("m3",)


async def test_of_a_turn_with_very_many_events_its_beginning_and_end_are_read() -> None:
    many = [LogEvent(ts=START, turn=1, text=str(each)) for each in range(2_000)]
    last = Action(ts=START, turn=1, action="last")
    async with unstored() as runtime:
        await publish(runtime, [RunStart(ts=START), *many, last])
        async with reading(runtime) as turns:
            turn = (await rows(turns))[1]

    assert turn is not None
    assert (turn.events, turn.left_out, turn.actions) == (400, 1_601, ("last",))


async def test_the_previous_prompt_of_the_same_agent_is_found(source: Runtime) -> None:
    tape = tape_of(source)
    await tape.open()
    nobody = await tape.previous_prompt("x", tape.last)
    tape.close()
    prompts: list[Event] = [
        LlmPrompt(ts=START, agent_id=agent, text=text)
        for agent, text in (("x", "1"), ("o", "2"), ("x", "3"))
    ]
    async with stored([*prompts, RunEnd(ts=START)]) as runtime:
        for reaped in (False, True):
            if reaped:
                await runtime.broker.reap(RUN)
            tape = tape_of(runtime)
            await tape.open()
            found = await tape.previous_prompt("x", 3)
            tape.close()

            assert found is not None
            assert found.text == "1"
    assert nobody is None


async def test_after_a_jump_the_turn_is_right_also_without_turn_start() -> None:
    events: list[Event] = [Action(ts=START, turn=turn, action="a") for turn in range(1, 9)]
    events += [Action(ts=START, action="b"), RunEnd(ts=START)]
    async with stored(events) as runtime:
        await runtime.broker.reap(RUN)
        tape = tape_of(runtime)
        await tape.open()
        view = await tape.view_at(9)
        tape.close()

    assert view.instant().turn == 8


async def test_a_gap_belongs_to_the_turn_that_it_lies_in() -> None:
    async with stored(game(3)) as runtime:
        await runtime.broker.reap(RUN)
        database = runtime.database
        assert database is not None
        await database.write(lambda each: each.execute("DELETE FROM events WHERE seq IN (8, 9)"))
        await database.write(lambda each: each.execute(
            "INSERT INTO gaps SELECT run_id, epoch, 8, 9, 'trimmed', now() FROM events LIMIT 1"
        ))  # fmt: skip
        async with reading(runtime) as turns:
            second = (await rows(turns))[2]

    assert second is not None
    assert (second.number, second.gaps, second.lost) == (2, 1, 2)


async def test_an_event_that_comes_while_its_row_is_read_is_in_the_row_in_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with unstored() as runtime:
        await publish(runtime, [*beginning(turns=1), *turn_of(2)[:2]])
        tape = tape_of(runtime)
        await tape.open()
        turns = Turns(tape)
        await turns.read_on(nothing)
        read = tape.window

        async def interrupted(first: int, last: int) -> list[Delivery]:
            found = await read(first, last)
            if turns.places(2).stop == 8:  # for the first time
                await publish(runtime, turn_of(2)[2:])
                turns.extend(tape.pump())
            return found

        monkeypatch.setattr(tape, "window", interrupted)
        turns.want(0, 2)
        await turns.read_on(nothing)
        (*_, newest) = await rows(turns)
        tape.close()

    assert newest is not None
    assert newest.actions == ("m2",)


async def test_a_row_that_has_grown_is_read_though_reading_was_cancelled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with unstored() as runtime:
        await publish(runtime, [*beginning(turns=1), *turn_of(2)[:2]])
        tape = tape_of(runtime)
        await tape.open()
        turns = Turns(tape)
        await turns.read_on(nothing)
        await rows(turns)
        await publish(runtime, turn_of(2)[2:])
        turns.extend(tape.pump())

        async def leave(first: int, last: int) -> list[Delivery]:
            raise asyncio.CancelledError

        with monkeypatch.context() as away:
            away.setattr(tape, "window", leave)
            turns.want(0, 2)
            with pytest.raises(asyncio.CancelledError):
                await turns.read_on(nothing)
        (*_, newest) = await rows(turns)
        tape.close()

    assert newest is not None
    assert newest.actions == ("m2",)


async def test_after_a_failed_read_what_is_missing_is_read_when_it_is_asked_for_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with stored(game(SHORT)) as runtime:
        await runtime.broker.reap(RUN)
        tape = tape_of(runtime)
        await tape.open()
        turns = Turns(tape)

        async def refuse(first: int, last: int) -> list[tuple[int, str, int | None]]:
            raise StoreError("it is away")

        with monkeypatch.context() as away:
            away.setattr(tape, "turn_changes", refuse)
            with pytest.raises(StoreError):
                await turns.read_on(nothing)
            rested = turns.lacking
        turns.try_again()
        found = await rows(turns) if not turns.lacking else []
        await turns.read_on(nothing)
        tape.close()

    assert (rested, found) == (False, [])
    assert turns.count == SHORT + 2


async def test_of_very_many_rows_those_around_the_newest_read_stay() -> None:
    async with unstored() as runtime:
        events = [Action(ts=START, turn=turn, action="x") for turn in range(1, 3_001)]
        await publish(runtime, [RunStart(ts=START), *events])
        async with reading(runtime) as turns:
            for row in range(0, 2_400, 30):
                turns.want(row, row + 30)
                await turns.read_on(nothing)
            kept = [row for row in range(2_400) if turns.get(row) is not None]

    assert len(kept) < 2_400
    assert kept[-1_000:] == list(range(1_400, 2_400))


async def test_places_that_could_not_be_read_are_not_asked_for_again_by_themselves(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with stored(game(SHORT)) as runtime:
        await runtime.broker.reap(RUN)
        tape = tape_of(runtime)
        await tape.open()
        details = Details(tape)

        async def refuse(first: int, last: int) -> list[Delivery]:
            raise StoreError("it is away")

        with monkeypatch.context() as away:
            away.setattr(tape, "window", refuse)
            details.want(range(2, 6))
            with pytest.raises(StoreError):
                await details.read_on(nothing)
        details.want(range(2, 6))
        again = details.lacking
        details.want(range(6, 10))
        await details.read_on(nothing)
        tape.close()

    assert not again
    assert details.shown is not None
    assert details.shown.first == 6


async def test_after_a_failed_search_one_step_is_one_step(monkeypatch: pytest.MonkeyPatch) -> None:
    async with stored(game(SHORT)) as runtime:
        await runtime.broker.reap(RUN)
        tape = tape_of(runtime)
        await tape.open()
        finder = Finder(tape)
        finder.look_for("move")

        async def refuse(text: str, after: int, backwards: bool = False) -> int | None:
            raise StoreError("it is away")

        found: list[int] = []
        with monkeypatch.context() as away:
            away.setattr(tape.seek, "search", refuse)
            finder.request(1, 1)
            with pytest.raises(StoreError):
                await finder.find(found.append, lambda _: None)
        finder.request(1, 1)
        await finder.find(found.append, lambda _: None)
        tape.close()

    assert found == [4]
