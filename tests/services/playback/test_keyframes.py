"""The state of a stored run anywhere in it is the fold of all its events up to there."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TypeVar

import pytest

from arena_tui.broker.protocol import Cursor
from arena_tui.config import Config
from arena_tui.events import (
    Action,
    ActionResult,
    AgentInfo,
    Delivery,
    Envelope,
    ErrorEvent,
    Event,
    Gap,
    LlmPrompt,
    LlmResponse,
    LogEvent,
    Metric,
    Observation,
    RunEnd,
    RunStart,
    TurnStart,
)
from arena_tui.folds.places import Places
from arena_tui.folds.view import RunView
from arena_tui.services.playback.keyframes import Keyframes
from arena_tui.services.playback.tape import RunTape
from arena_tui.services.runtime import Runtime
from arena_tui.store.database import Database
from arena_tui.store.history import History
from arena_tui.store.reading import Reader
from arena_tui.store.stretches import SPACING, Rows, read_stretches
from tests.envelopes import envelope
from tests.store_fixture import store


@pytest.fixture
def history(database: Database) -> History:
    return History(database)


START = datetime(2026, 3, 14, 12, tzinfo=UTC)
AGENTS = ("x", "o", None)
BOARDS = ("", "a", "b")
T = TypeVar("T")


def random_event(draw: random.Random, at: datetime) -> Event:
    turn = draw.choice((None, draw.randrange(-2, 40)))
    agent = draw.choice(AGENTS)
    match draw.randrange(12):
        case 0:
            return TurnStart(ts=at, turn=turn, agent_id=agent, player=draw.choice("xo"))
        case 1 | 2 | 3:
            return Observation(ts=at, turn=turn, agent_id=agent, text=draw.choice(BOARDS))
        case 4:
            return LlmPrompt(ts=at, turn=turn, agent_id=agent, text="Your move?")
        case 5 | 6:
            return LlmResponse(
                ts=at, turn=turn, agent_id=agent, text="a", model=draw.choice(("m", "n", None)),
                input_tokens=draw.choice((None, 3)), output_tokens=draw.choice((None, 2)),
                cost_usd=draw.choice((None, 0.25)),
            )  # fmt: skip
        case 7:
            return Action(ts=at, turn=turn, agent_id=agent, action="a1")
        case 8:
            return ActionResult(ts=at, turn=turn, agent_id=agent, ok=True)
        case 9:
            return Metric(ts=at, turn=turn, agent_id="judge", name="material", value=1)
        case 10 if draw.random() < 0.1:
            return ErrorEvent(ts=at, turn=turn, agent_id=agent, message=f"no {draw.random()}")
        case _:
            return LogEvent(ts=at, turn=turn, text="log")


def random_run(draw: random.Random, events: int) -> list[Delivery]:
    """Some epochs, with gaps, and stretches in which nothing but logs comes."""
    run: list[Delivery] = []
    for epoch in range(1, draw.choice((2, 2, 4))):
        seq = 0
        for number in range(draw.randrange(1, events)):
            seq += 1
            at = START + timedelta(seconds=draw.uniform(0, 1_000))
            if number == 0 and draw.random() < 0.9:
                event: Event = RunStart(ts=at, game="chess", agents=[AgentInfo(id="x")], seed=epoch)
            elif draw.random() < 0.01:
                run.append(Gap("run", epoch, seq, seq := seq + draw.randrange(300), "trimmed"))
                continue
            elif (seq // 700) % 2:
                event = LogEvent(ts=at, text="quiet")
            else:
                event = random_event(draw, at)
            run.append(envelope("run", epoch, seq, event))
        if draw.random() < 0.7:
            run.append(envelope("run", epoch, seq + 1, RunEnd(ts=at, outcome={"x": 1.0})))
    return run


@pytest.mark.parametrize("seed", range(8))
async def test_the_state_anywhere_is_the_fold_of_all_up_to_there(seed: int) -> None:
    draw = random.Random(seed)
    run = random_run(draw, 4 * SPACING)
    runtime = Runtime(Config(db=":memory:"))
    await runtime.open()
    assert runtime.database is not None
    half = draw.randrange(len(run))
    await store(runtime.database, run[:half], [envelope("other", 1, 1, RunStart())], run[half:])
    tape = RunTape("run", runtime)
    await tape.open()

    for place in [1, tape.last, *(draw.randint(1, tape.last) for _ in range(40))]:
        folded = RunView("run")
        for each in run:
            if tape.places_of(each).start <= place:
                folded.add(each)

        assert (await tape.view_at(place)).instant() == folded.instant(), place

    tape.close()
    await runtime.aclose()


async def test_stretches_grow_as_if_they_were_read_anew(
    database: Database, history: History
) -> None:
    run = random_run(random.Random(3), 4 * SPACING)
    known = await history.read(lambda reader: read_stretches(reader, "run"))
    assert known == []

    for first in range(0, len(run), 170):
        await store(database, run[first : first + 170])
        known = await history.read(partial(read_stretches, run_id="run", known=tuple(known)))

        assert known == await history.read(lambda reader: read_stretches(reader, "run"))


@pytest.mark.parametrize("rows", [Rows(0, 0), Rows(10_000, None), Rows(3, 7), Rows(0, None)])
async def test_a_window_is_whole_though_its_rows_have_moved(
    database: Database, history: History, rows: Rows
) -> None:
    events = [envelope("run", 7, seq, LogEvent(ts=START)) for seq in range(1, 20)]
    deliveries: list[Delivery] = [*events[:9], Gap("run", 7, 10, 12, "trimmed"), *events[12:]]
    await store(database, deliveries)

    found = await history.window("run", 2, 15, 7, rows)

    assert found == deliveries[1:13]


@pytest.mark.parametrize("before", ["events", "a gap"])
async def test_a_later_epoch_goes_on_from_the_ones_before(before: str) -> None:
    runtime = Runtime(Config(db=":memory:"))
    await runtime.open()
    assert runtime.database is not None
    start = RunStart(ts=START, game="chess", agents=[AgentInfo(id="x")])
    answers = [
        LlmResponse(ts=START, agent_id="x", turn=turn, text="a", input_tokens=3)
        for turn in range(2, 10)
    ]
    run: list[Delivery] = [
        envelope("run", 7, seq, event) for seq, event in enumerate([start, *answers], start=1)
    ]
    if before == "a gap":
        run = [Gap("run", 7, 1, 9, "trimmed")]
    run += [envelope("run", 9, seq, LogEvent(ts=START)) for seq in range(1, 10)]
    await store(runtime.database, run)
    tape = RunTape("run", runtime)
    await tape.open()
    folded = RunView("run")
    for each in run[:-3]:
        folded.add(each)

    assert (await tape.view_at(15)).instant() == folded.instant()
    tape.close()
    await runtime.aclose()


class Growing(History):
    """A history of a run of which more is stored after each read, as long as there is more."""

    def __init__(self, database: Database, batches: Sequence[Sequence[Delivery]]) -> None:
        super().__init__(database)
        self._growing = database
        self._batches = list(batches)

    async def read(self, query: Callable[[Reader], T]) -> T:
        found = await super().read(query)
        if self._batches:
            await store(self._growing, self._batches.pop(0))
        return found


async def test_a_gap_that_is_stored_while_a_run_is_read_is_in_all_states_after_it(
    database: Database,
) -> None:
    batches: list[list[Delivery]] = []
    for number in range(5):
        first = 1 + number * 3 * SPACING
        lost = Gap("run", 7, first, first + 99, "trimmed")
        logs = [
            envelope("run", 7, seq, LogEvent(ts=START))
            for seq in range(first + 100, first + 3 * SPACING)
        ]
        batches.append([lost, *logs])
    await store(database, batches[0])
    keyframes = Keyframes("run", Places(), Growing(database, batches[1:]), Config().trouble)

    seen = []
    for number in range(5):
        stretch = await keyframes.stretch(Cursor(7, (3 * number + 2) * SPACING))
        seen.append((await keyframes.view(stretch, ())).totals.lost)

    assert seen == [100, 200, 300, 400, 500]


class Counting(History):
    """A history that counts its reads."""

    reads = 0

    async def read(self, query: Callable[[Reader], T]) -> T:
        self.reads += 1
        return await super().read(query)


async def test_few_events_that_states_are_made_of_stay_in_memory(database: Database) -> None:
    run: list[Delivery] = []
    for seq in range(SPACING, 400 * SPACING, SPACING):  # each is all that its stretch has
        run.append(Gap("run", 7, seq - SPACING + 1, seq - 1, "trimmed"))
        run.append(envelope("run", 7, seq, TurnStart(ts=START, turn=seq, player="x")))
    await store(database, run)
    history = Counting(database)
    keyframes = Keyframes("run", Places(), history, Config().trouble)

    async def look(number: int) -> int:
        before = history.reads
        stretch = await keyframes.stretch(Cursor(7, number * SPACING))
        assert (await keyframes.view(stretch, ())).totals.turns == (number - 1) * SPACING
        return history.reads - before

    await look(2)
    assert await look(2) == 0
    for number in range(3, 400):
        await look(number)

    assert await look(2) == 1


async def test_a_state_is_read_though_rows_have_moved(path: str) -> None:
    database = Database(path)
    run = random_run(random.Random(5), 4 * SPACING)
    await store(database, [envelope("first", 1, seq, LogEvent(ts=START)) for seq in range(1, 900)])
    await store(database, run)
    tallied = [each for each in run if isinstance(each, Envelope)]
    known = database.read_now(lambda reader: read_stretches(reader, "run"))
    await History(database).delete("first")
    database.close()
    database = Database(path)
    history = History(database)

    found = [
        await history.window("run", each.seq, each.seq, each.epoch, known[0].rows)
        for each in tallied[:: len(tallied) // 20]
    ]

    assert found == [[each] for each in tallied[:: len(tallied) // 20]]
    assert await history.tallies("run", Cursor(99, 0)) == _folded(run).tallies
    database.close()


def _folded(run: list[Delivery]) -> RunView:
    view = RunView("run")
    for each in run:
        view.add(each)
    return view
