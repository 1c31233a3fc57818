"""Many runs as they were at any time: stored, in memory alone, and over a server."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest

from arena_tui.broker.protocol import Limits
from arena_tui.broker_url import BrokerUrl
from arena_tui.codec import sealed
from arena_tui.config import Config
from arena_tui.events import (
    Action,
    AgentInfo,
    Delivery,
    Envelope,
    ErrorEvent,
    Event,
    LlmPrompt,
    LlmResponse,
    Observation,
    RunEnd,
    RunStart,
    TurnStart,
)
from arena_tui.folds.absent import NOT_BEGUN, NOT_HELD, AbsentPane
from arena_tui.folds.costs import NoPrices
from arena_tui.folds.own_time import own_time
from arena_tui.folds.view import Pane, RunView
from arena_tui.services.playback.mosaic import PastMosaic
from arena_tui.services.runtime import Runtime
from arena_tui.store.changes import Delete
from arena_tui.store.verify import verify_store
from tests.waiting import until

START = datetime(2026, 3, 14, 12, tzinfo=UTC)
RUNS = tuple(f"run{number}" for number in range(8))
LIMITS = Limits(capacity=4_000, retain=100)
"""So little that most of it is in the store alone."""
SAID = (
    "game", "label", "agents", "state", "turn", "player", "board", "board_before", "outcome",
    "winners", "recent", "events", "tokens", "cost_usd", "errors", "last_error", "lost", "reason",
    "started_at", "ended_at", "duration_s", "idle_s", "agent_costs",
)  # fmt: skip
"""What a pane says of a run at a time, whatever one saw of it before."""


def game(number: int, turns: int = 400) -> list[Event]:
    """One that begins `number` seconds after the first, at a pace of its own; three of four end."""
    chance = random.Random(number)
    at = START + timedelta(seconds=number)
    players = [AgentInfo(id="x"), AgentInfo(id="o")]
    events: list[Event] = [RunStart(ts=at, game=f"game{number % 3}", agents=players, seed=number)]

    def add(kind: type[Event], **fields: object) -> None:
        nonlocal at
        at += timedelta(milliseconds=chance.randrange(5, 120))
        events.append(kind(ts=at, **fields))

    for turn in range(1, turns + 1):
        who = "xo"[turn % 2]
        add(TurnStart, turn=turn, agent_id=who, player=who)
        add(Observation, turn=turn, agent_id=who, text=f"board {number} {turn}")
        if turn % 5 == 0:
            add(LlmPrompt, turn=turn, agent_id=who, model="reed", text="your turn")
            add(LlmResponse, turn=turn, agent_id=who, model="reed", text="yes", input_tokens=turn,
                output_tokens=3, cost_usd=2**-10)  # fmt: skip
        if turn % 31 == 0:
            add(ErrorEvent, turn=turn, agent_id=who, where="api", message=f"failed {turn}")
        add(Action, turn=turn, agent_id=who, action=turn)
    if number % 4:
        add(RunEnd, status="finished", outcome={"x": 1.0, "o": -1.0})
    return events


GAMES = {run_id: game(number) for number, run_id in enumerate(RUNS)}
LAST = max(events[-1].ts for events in GAMES.values())


def folded(run_id: str, events: Sequence[Delivery], at: datetime) -> Pane:
    """All of these events up to a time."""
    until_then = [each for each in events if isinstance(each, Envelope) and each.event.ts <= at]
    view = RunView(run_id, now=own_time(until_then[0]))
    for each in until_then:
        view.add(each, own_time(each))
    return view.pane(at.timestamp(), "open", 0, 0, 0, 0)


def said(pane: Pane) -> dict[str, object]:
    return {name: getattr(pane, name) for name in SAID}


async def publish(runtime: Runtime, until_s: float = 1e9, from_s: float = -1.0) -> None:
    """All that happened between these times, in seconds from the first, in order."""
    first, last = (START + timedelta(seconds=min(each, 1e6)) for each in (from_s, until_s))
    events = [(each.ts, run, each) for run, game in GAMES.items() for each in game]
    events = sorted((each for each in events if first < each[0] <= last), key=lambda each: each[:2])
    for start in range(0, len(events), 400):
        some = events[start : start + 400]
        await runtime.broker.publish_all([(run, *sealed(each)) for _, run, each in some])
    await runtime.broker.flush()


async def all_of(runtime: Runtime) -> dict[str, list[Delivery]]:
    """Everything, as the broker delivers it to who reads at once."""
    return {run: await whole(runtime, run) for run in RUNS}


async def whole(runtime: Runtime, run_id: str) -> list[Delivery]:
    epoch = {info.meta.run_id: info.epoch for info in await runtime.broker.runs()}[run_id]
    return [
        Envelope(run_id, epoch, seq, each, sealed(each)[1])
        for seq, each in enumerate(GAMES[run_id], start=1)
    ]


def now_of(run_id: str) -> Pane:
    """As the screen has it."""
    number = RUNS.index(run_id)
    view = RunView(run_id, number)
    view.add(Envelope(run_id, 1, 1, GAMES[run_id][0], b""))
    return view.pane(0.0, "open", 0, 0, 0, 0)


@asynccontextmanager
async def rewound(runtime: Runtime, at: datetime) -> AsyncIterator[PastMosaic]:
    mosaic = PastMosaic(runtime, NoPrices(), at)
    mosaic.look_at({run: now_of(run) for run in RUNS}, len(RUNS))
    try:
        yield mosaic
    finally:
        mosaic.close()


async def reach(mosaic: PastMosaic, runtime: Runtime) -> None:
    """Read and fold until all are there."""

    async def is_there() -> bool:
        await runtime.catch_up()
        await mosaic.read_on(lambda: None)
        return mosaic.fold_on()

    await until(is_there)


async def check_times(runtime: Runtime, times: int) -> None:
    """At random times, all panes are what the events until then tell."""
    chance, events = random.Random(7), await all_of(runtime)
    async with rewound(runtime, LAST) as mosaic:
        for _ in range(times):
            at = START + timedelta(seconds=chance.uniform(0, (LAST - START).total_seconds()))
            mosaic.go_to(at)
            await reach(mosaic, runtime)
            for run_id in RUNS:
                check(mosaic, run_id, events[run_id])


def check(mosaic: PastMosaic, run_id: str, events: Sequence[Delivery]) -> None:
    pane = mosaic.pane(run_id)
    assert pane is not None
    if GAMES[run_id][0].ts > mosaic.at:
        assert isinstance(pane, AbsentPane)
        assert pane.why == NOT_BEGUN
    else:
        wanted = folded(run_id, events, mosaic.at)
        assert said(pane) == said(wanted), (run_id, mosaic.at)


async def test_a_pane_is_the_fold_of_all_that_had_happened() -> None:
    runtime = Runtime(Config(db=":memory:"), LIMITS)
    await runtime.open()
    await publish(runtime)
    await runtime.broker.settled(RUNS)

    await check_times(runtime, 40)

    await runtime.aclose()


async def test_without_a_store_it_is_so_as_well_while_all_is_in_memory() -> None:
    runtime = Runtime(Config(db=None), LIMITS)
    await runtime.open()
    await publish(runtime)

    await check_times(runtime, 20)

    await runtime.aclose()


async def test_over_a_server_it_is_so_as_well(redis_url: str) -> None:
    watching = Runtime(Config(broker=BrokerUrl(redis_url), db=":memory:"), LIMITS)
    producing = Runtime(Config(broker=BrokerUrl(redis_url), db=None), LIMITS, producer=True)
    await watching.open()
    await producing.open()
    await publish(producing)
    await until(lambda: is_stored(watching))

    await check_times(watching, 20)

    await producing.aclose()
    await watching.aclose()


async def is_stored(runtime: Runtime) -> bool:
    await runtime.catch_up()
    events = sum(map(len, GAMES.values()))
    if (await runtime.broker.stats()).published < events:
        return False
    await runtime.broker.settled(RUNS)
    return True


async def test_what_memory_alone_held_and_has_let_go_of_is_told() -> None:
    runtime = Runtime(Config(db=None), Limits(capacity=100, retain=50))
    await runtime.open()
    await publish(runtime)

    async with rewound(runtime, START + timedelta(seconds=7.5)) as mosaic:
        mosaic.go_to(mosaic.at)
        await reach(mosaic, runtime)
        panes = [mosaic.pane(run_id) for run_id in RUNS]
        mosaic.go_to(LAST)
        await reach(mosaic, runtime)
        last = mosaic.pane("run1")

    assert {pane.why for pane in panes if isinstance(pane, AbsentPane)} == {NOT_HELD}
    assert len(panes) == len(RUNS)
    assert last is not None
    assert (last.state, last.turn, last.board, last.lost) == ("finished", 400, "board 1 400", 0)
    await runtime.aclose()


@pytest.mark.parametrize("is_back", [True, False], ids=["back", "on"])
async def test_a_run_that_is_deleted_meanwhile_does_not_hold_the_others_up(is_back: bool) -> None:
    runtime = Runtime(Config(db=":memory:"), LIMITS)
    await runtime.open()
    await publish(runtime)
    await runtime.broker.settled(RUNS)
    await runtime.broker.reap(RUNS[1])
    at = START + timedelta(seconds=20)

    async with rewound(runtime, at) as mosaic:
        mosaic.go_to(at)
        await reach(mosaic, runtime)
        assert runtime.history is not None
        await runtime.history.change(Delete(RUNS[1]))
        if is_back:
            mosaic.go_to(START + timedelta(seconds=10))
        else:
            mosaic.go_on(LAST)
        await reach(mosaic, runtime)
        deleted = mosaic.pane(RUNS[1])
        check(mosaic, RUNS[2], await whole(runtime, RUNS[2]))

    assert isinstance(deleted, AbsentPane)
    assert deleted.why == NOT_HELD
    await runtime.aclose()


class Seen:
    """Counts what is folded: each event is to be folded once."""

    def __init__(self, mosaic: PastMosaic) -> None:
        self._mosaic = mosaic
        self.at = dict.fromkeys(RUNS, 0)

    def look(self) -> None:
        for run_id in RUNS:
            pane = self._mosaic.pane(run_id)
            assert pane is not None
            if isinstance(pane, AbsentPane):
                continue
            assert pane.events >= self.at[run_id]
            self.at[run_id] = pane.events
            cursor = self._mosaic.cursor(run_id)
            assert cursor is not None
            assert cursor.seq == pane.events, "none left out, none twice"


async def play_on(watching: Runtime, producing: Runtime) -> None:
    """Play four seconds at 8x, while the games go on, then all that is left."""
    names = {each.name for each in watching.consumers()}
    await publish(producing, until_s=10.0)

    async def has_come() -> bool:
        await watching.catch_up()
        events = sum(each.ts <= START + timedelta(seconds=10) for g in GAMES.values() for each in g)
        return (await watching.broker.stats()).published == events

    await until(has_come)
    began = START + timedelta(seconds=2)
    async with rewound(watching, began) as mosaic:
        mosaic.go_to(began)
        await reach(mosaic, watching)
        seen, at_s, published_s = Seen(mosaic), 2.0, 10.0
        while at_s < published_s:
            later_s = published_s + 0.1
            await publish(producing, until_s=later_s, from_s=published_s)
            at_s, published_s = at_s + 0.8, later_s
            mosaic.go_on(START + timedelta(seconds=at_s))
            await reach(mosaic, watching)
            seen.look()
        await publish(producing, from_s=published_s)
        mosaic.go_on(LAST)
        all_events = {run: len(events) for run, events in GAMES.items()}

        async def has_all() -> bool:
            await reach(mosaic, watching)
            seen.look()
            return seen.at == all_events

        await until(has_all)
        events = await all_of(watching)
        for run_id in RUNS:
            check(mosaic, run_id, events[run_id])
        assert sum(each.name.startswith("run ") for each in watching.consumers()) == len(RUNS)
    await watching.catch_up()

    assert {each.name for each in watching.consumers()} == names
    stats = await watching.broker.stats()
    assert not [each for each in stats.consumers if each.name.startswith("run ")]


@pytest.mark.parametrize("db", [":memory:", None], ids=["stored", "not-stored"])
async def test_playing_on_shows_each_event_once_and_leaves_nothing_behind(db: str | None) -> None:
    runtime = Runtime(Config(db=db), LIMITS)
    await runtime.open()

    await play_on(runtime, runtime)

    await check_accounts(runtime)
    await runtime.aclose()


async def test_playing_on_over_a_server(redis_url: str) -> None:
    watching = Runtime(Config(broker=BrokerUrl(redis_url), db=":memory:"), LIMITS)
    producing = Runtime(Config(broker=BrokerUrl(redis_url), db=None), LIMITS, producer=True)
    await watching.open()
    await producing.open()

    await play_on(watching, producing)

    await check_accounts(watching)
    await producing.aclose()
    await watching.aclose()


async def check_accounts(runtime: Runtime) -> None:
    """Nothing is lost of what was published."""
    events = sum(map(len, GAMES.values()))
    assert (await runtime.broker.stats()).published == events
    if runtime.history is None:
        return
    await until(lambda: is_stored(runtime))
    verdicts = await runtime.history.read(verify_store)
    assert [each.problems for each in verdicts] == [()] * len(RUNS)
    assert sum(each.events for each in verdicts) == events


async def test_a_run_out_of_sight_has_no_tape_and_one_that_comes_into_sight_is_at_the_time() -> (
    None
):
    runtime = Runtime(Config(db=":memory:"), LIMITS)
    await runtime.open()
    await publish(runtime)
    await runtime.broker.settled(RUNS)
    at = START + timedelta(seconds=20)

    async with rewound(runtime, at) as mosaic:
        for some in (RUNS[:3], RUNS[2:6], RUNS[5:]):
            mosaic.look_at({run: now_of(run) for run in some}, len(some))
            await reach(mosaic, runtime)
            own = [each for each in runtime.consumers() if each.name.startswith("run ")]
            assert len(own) == len(some)
            for run_id in some:
                check(mosaic, run_id, await whole(runtime, run_id))
        assert mosaic.pane(RUNS[0]) is None
    await runtime.aclose()


async def test_the_newest_time_asked_for_wins_over_what_is_being_read() -> None:
    runtime = Runtime(Config(db=":memory:"), LIMITS)
    await runtime.open()
    await publish(runtime)
    await runtime.broker.settled(RUNS)
    events = await all_of(runtime)

    async with rewound(runtime, LAST) as mosaic:
        for seconds in range(30, 0, -3):
            reading = asyncio.create_task(mosaic.read_on(lambda: None))
            for _ in range(seconds):
                await asyncio.sleep(0)
            mosaic.go_to(START + timedelta(seconds=seconds))
            if seconds % 2:
                reading.cancel()
            await asyncio.wait([reading])
        await reach(mosaic, runtime)
        for run_id in RUNS:
            check(mosaic, run_id, events[run_id])
    await runtime.aclose()
