"""A run as one meets it on the Run screen, without the screen."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest
import redis

from arena_tui.broker.protocol import Cursor, Limits, RunMeta
from arena_tui.broker_url import BrokerUrl
from arena_tui.config import Config
from arena_tui.errors import StoreError, UnknownRunError, UsageError
from arena_tui.events import (
    Action,
    AgentInfo,
    Delivery,
    Envelope,
    ErrorEvent,
    Event,
    Gap,
    LlmResponse,
    Observation,
    RunEnd,
    RunStart,
    TurnStart,
)
from arena_tui.folds.view import Instant, RunView
from arena_tui.services.playback.overview import Overview
from arena_tui.services.playback.player import BOOKMARK, Player
from arena_tui.services.playback.tape import RunTape
from arena_tui.services.runtime import Runtime
from arena_tui.store.windows import WINDOW
from tests.waiting import until

RUN = "run1"
START = datetime(2026, 3, 14, 12, tzinfo=UTC)
TURNS = 400
PER_TURN = 4
LAST = 1 + TURNS * PER_TURN + TURNS // 100 + 1
"""Every hundredth turn has an error more; `run_start` and `run_end` stand at the ends."""
AROUND = 100
"""Events that a player reads on each side of those it wants."""


def turn_of(turn: int) -> list[Event]:
    """One second of the game."""
    at = START + timedelta(seconds=turn)
    events: list[Event] = [
        TurnStart(ts=at, turn=turn, agent_id="x", player="x"),
        Observation(ts=at, turn=turn, agent_id="x", text=f"board {turn}"),
        LlmResponse(ts=at, turn=turn, agent_id="x", text=f"move {turn}", input_tokens=3,
                    output_tokens=1, cost_usd=0.25),
        Action(ts=at, turn=turn, agent_id="x", action=f"m{turn}"),
    ]  # fmt: skip
    if turn % 100 == 0:
        events.append(ErrorEvent(ts=at, turn=turn, agent_id="x", message=f"limit {turn}"))
    return events


def beginning(turns: int = TURNS) -> list[Event]:
    events: list[Event] = [RunStart(ts=START, game="chess", agents=[AgentInfo(id="x")], seed=3)]
    return events + [event for turn in range(1, turns + 1) for event in turn_of(turn)]


def game(turns: int = TURNS) -> list[Event]:
    return [
        *beginning(turns),
        RunEnd(ts=START + timedelta(seconds=turns), outcome={"x": 1.0, "y": 0.0}),
    ]


async def publish(runtime: Runtime, events: Sequence[Event]) -> None:
    if RUN not in {info.meta.run_id for info in await runtime.broker.runs()}:
        await runtime.broker.open_run(RunMeta.of(RUN, events[0]))
    for event in events:
        await runtime.broker.publish(RUN, event)
    await runtime.catch_up()


def tape_of(runtime: Runtime, run_id: str = RUN) -> RunTape:
    return RunTape(run_id, runtime)


@asynccontextmanager
async def opened(runtime: Runtime, run_id: str = RUN) -> AsyncIterator[Player]:
    """A player that has read what it shows."""
    player = Player(tape_of(runtime, run_id), runtime.history)
    await player.open()
    await player.read_on(nothing)
    yield player
    player.close()


@asynccontextmanager
async def unstored(limits: Limits | None = None) -> AsyncIterator[Runtime]:
    runtime = Runtime(Config(db=None), limits)
    await runtime.open()
    yield runtime
    await runtime.aclose()


@asynccontextmanager
async def live(
    turns: int = 5, limits: Limits | None = None
) -> AsyncIterator[tuple[Runtime, Player]]:
    """A run under way that nobody stores, and its player."""
    async with unstored(limits) as runtime:
        await publish(runtime, beginning(turns))
        async with opened(runtime) as player:
            yield runtime, player


def last_seq_of(player: Player) -> int:
    player.tick(0.1)
    return player.position.last


async def overview(player: Player, slices: int) -> Overview:
    return await player.overview.read(player.position, slices, 20, time.monotonic)


def nothing() -> None:
    """Who looks at the end only."""


async def everything(runtime: Runtime) -> list[Delivery]:
    """All of the run, as its tape reads it."""
    tape = tape_of(runtime)
    await tape.open()
    found: list[Delivery] = []
    for first in range(1, tape.last + 1, WINDOW):
        found += await tape.window(first, min(first + WINDOW - 1, tape.last))
    tape.close()
    return found


def fold(deliveries: list[Delivery], at: int) -> Instant:
    view = RunView(RUN)
    for delivery in deliveries:
        if (delivery.from_seq if isinstance(delivery, Gap) else delivery.seq) <= at:
            view.add(delivery)
    return view.instant()


@asynccontextmanager
async def stored(events: Sequence[Event]) -> AsyncIterator[Runtime]:
    runtime = Runtime(Config(db=":memory:"))
    await runtime.open()
    await publish(runtime, events)
    await runtime.broker.settled([RUN])
    yield runtime
    await runtime.aclose()


@pytest.fixture
async def runtime() -> AsyncIterator[Runtime]:
    """The whole game, played and stored."""
    async with stored(game()) as runtime:
        yield runtime


@pytest.fixture(params=["at hand", "stored", "trimmed"])
async def source(request: pytest.FixtureRequest, runtime: Runtime) -> AsyncIterator[Runtime]:
    """The same run three ways: all in a broker, all in the store, the newest in the broker."""
    if request.param == "at hand":
        async with unstored() as other:
            await publish(other, game())
            yield other
    else:
        if request.param == "stored":
            await runtime.broker.reap(RUN)
        yield runtime


async def test_a_finished_run_opens_at_its_first_event(
    source: Runtime,
) -> None:
    async with opened(source) as player:
        position, here = player.position, player.delivery()

    assert (position.at, position.last, position.live) == (1, LAST, False)
    assert position.mode == "REPLAY 1x"
    assert isinstance(here, Envelope)
    assert isinstance(here.event, RunStart)


@pytest.mark.parametrize("at", [Cursor(0, 700), Cursor(0, 1)])
async def test_a_run_opens_where_it_is_told_to(source: Runtime, at: Cursor) -> None:
    player = Player(tape_of(source), source.history, at)
    await player.open()
    await player.read_on(nothing)

    here = player.delivery()
    assert isinstance(here, Envelope)
    assert (here.seq, player.position.mode) == (at.seq, "REPLAY 1x")
    player.close()


async def test_a_live_run_that_opens_earlier_is_not_followed() -> None:
    async with unstored() as runtime:
        await publish(runtime, beginning(5))
        player = Player(tape_of(runtime), None, Cursor(0, 3))
        await player.open()

        assert (player.position.at, player.position.mode) == (3, "PAUSED 1x")
        player.close()


@pytest.mark.parametrize("seed", range(4))
async def test_wherever_one_goes_the_view_is_the_fold_of_everything_up_to_there(
    source: Runtime, seed: int
) -> None:
    draw = random.Random(seed)
    deliveries = await everything(source)
    async with opened(source) as player:
        for _ in range(25):
            at = player.position.at
            near = draw.choice((-300, -1, 1, 1, 2, 150, 900))
            player.go_to(draw.choice((at + near, at + near, draw.randint(1, LAST))))
            await player.read_on(nothing)

            at, here = player.position.at, player.delivery()
            assert player.instant == fold(deliveries, at)
            assert isinstance(here, Envelope)
            assert (here.seq, player.position.ts) == (at, here.event.ts)
            assert not player.lacking


@pytest.mark.parametrize("more", [-1, 0, 1])
async def test_what_the_view_is_folded_from_is_read_with_a_window_only_if_both_fit_into_one(
    runtime: Runtime, more: int
) -> None:
    """One store read gives `WINDOW` events at most: with more, the end of the window would be
    missing, and nothing would ask for it again."""
    await runtime.broker.reap(RUN)
    async with opened(runtime) as player:
        player.go_to(at := 700)
        tape = tape_of(runtime)
        await tape.open()
        start, _ = await tape.stretch(at)
        tape.close()
        last = start + WINDOW - 1 + more
        player.want(at, last - AROUND)
        await player.read_on(nothing)

        assert start < at - AROUND
        assert player.delivery(at) is not None
        assert player.delivery(last) is not None
        assert (player.delivery(start) is not None) == (more <= 0)
        assert player.instant == fold(await everything(runtime), at)


@pytest.mark.parametrize(
    ("words", "at"),
    [
        ("120", 120),
        ("1,200", 1_200),
        ("t17", 1 + 16 * PER_TURN + 1),
        ("t 17", 1 + 16 * PER_TURN + 1),
        ("50 %", LAST // 2),
        ("50%", LAST // 2),
        ("0%", 1),
        ("100%", LAST),
        ("12.5", 12),
        ("turn 90", 2 + 89 * PER_TURN),
        ("12:00", 1),
        ("12:01", 2 + 59 * PER_TURN),
        ("12:01:30", 2 + 89 * PER_TURN),
        ("11:00", LAST),
        ("0", 1),
        ("999999999", LAST),
    ],
)
async def test_words_lead_to_an_event_a_turn_or_a_share_of_the_run(
    source: Runtime, words: str, at: int
) -> None:
    async with opened(source) as player:
        player.go_to(700)
        await player.go_to_words(words)

        assert player.position.at == at


async def test_a_turn_that_was_not_played_is_said_and_nothing_moves(
    source: Runtime,
) -> None:
    async with opened(source) as player:
        player.go_to(700)

        with pytest.raises(UsageError, match="no turn 4000"):
            await player.go_to_words("t4,000")
        assert player.position.at == 700


@pytest.mark.parametrize("words", ["²", "9" * 400, "t", "%", "abc", "-1", "1e3", "", "t1.5.2"])
async def test_nonsense_is_refused_and_nothing_moves(words: str) -> None:
    async with live() as (_, player):
        before = player.position
        with pytest.raises(UsageError, match="go to 120"):
            await player.go_to_words(words)

        assert player.position == before


async def test_a_run_that_crashed_opens_at_its_newest_error() -> None:
    error = ErrorEvent(ts=START, turn=5, message="no dice", fatal=True)
    crashed = [*beginning(turns=5), error, RunEnd(ts=START, status="crashed")]
    async with stored(crashed) as runtime:
        for reaped in (False, True):
            if reaped:
                await runtime.broker.reap(RUN)
            async with opened(runtime) as player:
                assert player.position.at == 22
                assert player.position.end is not None
                assert player.position.end.status == "crashed"
                assert player.position.began_at == START


async def test_a_jump_goes_to_the_next_event_of_a_kind_however_far_it_is(
    source: Runtime,
) -> None:
    async with opened(source) as player:
        turns = []
        for kind, step in (("error", 1), ("error", 1), ("error", -1), ("turn_start", -1)):
            assert await player.jump(kind, step) is None
            await player.read_on(nothing)
            here = player.delivery()
            assert isinstance(here, Envelope)
            assert here.event.kind == kind
            turns.append(here.event.turn)
        said = [await player.jump("error", -1), await player.jump("fork", 1)]

    assert turns == [100, 200, 100, 100]
    assert said == ["no earlier error", "no next fork"]


async def test_the_next_match_is_looked_for_from_where_one_stands_and_around_the_end(
    source: Runtime,
) -> None:
    async with opened(source) as player:
        said: list[str | None] = []
        found = []
        player.finder.look_for("LIMIT")
        for step in (1, 1, -1, -1, 1):
            player.finder.request(step, player.position.at)
            await player.finder.find(player.go_to, said.append)
            await player.read_on(nothing)
            assert player.instant is not None
            found.append(player.instant.last_error)
        player.finder.look_for("no such text")
        player.finder.request(1, player.position.at)
        await player.finder.find(player.go_to, said.append)

    assert found == ["limit 100", "limit 200", "limit 100", "limit 400", "limit 100"]
    assert said == [
        None, None, None, "from the end again", "from the beginning again", "no event contains it",
    ]  # fmt: skip


async def test_matches_asked_for_during_a_search_are_counted_from_where_it_began(
    source: Runtime,
) -> None:
    async with opened(source) as player:
        player.finder.look_for("limit")
        player.finder.request(1, player.position.at)
        running = asyncio.create_task(player.finder.find(player.go_to, lambda _: None))
        await asyncio.sleep(0)
        running.cancel()
        await asyncio.wait([running])
        player.finder.request(1, player.position.at)
        await player.finder.find(player.go_to, lambda _: None)
        await player.read_on(nothing)
        here = player.delivery()

    assert isinstance(here, Envelope)
    assert here.event.turn == 200


async def test_a_jump_beyond_what_is_at_hand_and_back_shows_what_stands_there() -> None:
    async with live(5_000, Limits(capacity=30_000)) as (runtime, player):
        deliveries = await everything(runtime)

        for at in (1, 20_001, 12_345, 2):
            player.go_to(at)
            await player.read_on(nothing)

            here = player.delivery()
            assert isinstance(here, Envelope)
            assert here.seq == at
            assert player.instant == fold(deliveries, at)


async def test_a_live_run_is_followed() -> None:
    async with live(turns=5) as (runtime, player):
        at_first = player.position
        for turn in (6, 7):
            await publish(runtime, turn_of(turn))
            changed = player.tick(0.1)

            assert changed
            assert (player.position.at, player.position.mode) == (1 + turn * PER_TURN, "LIVE ●")
            assert player.instant == fold(await everything(runtime), player.position.at)
            assert not player.lacking

    assert (at_first.at, at_first.mode, at_first.live) == (21, "LIVE ●", True)


async def test_a_live_run_is_rewound_held_and_caught_up_with() -> None:
    async with live(turns=5) as (runtime, player):
        player.go_to(6)
        await player.read_on(nothing)
        await publish(runtime, turn_of(6))
        player.tick(0.1)
        rewound = player.position
        await player.go_to_words("100%")
        await player.read_on(nothing)
        caught_up = player.position
        await publish(runtime, turn_of(7))
        player.tick(0.1)

        assert (rewound.at, rewound.last, rewound.mode) == (6, 25, "PAUSED 1x")
        assert (caught_up.at, caught_up.mode) == (25, "LIVE ●")
        assert (player.position.at, player.position.mode) == (29, "LIVE ●")
        assert player.instant == fold(await everything(runtime), 29)


async def test_a_run_is_followed_from_before_its_first_event_to_after_its_last() -> None:
    async with unstored() as runtime:
        await runtime.broker.open_run(RunMeta(run_id=RUN))
        player = Player(tape_of(runtime), None)
        await player.open()
        empty = player.position
        await publish(runtime, game(turns=3))
        player.tick(0.1)
        await player.read_on(nothing)

        assert (empty.at, empty.last, empty.mode) == (0, 0, "LIVE ●")
        assert (player.position.at, player.position.live) == (14, False)
        assert player.position.mode == "REPLAY 1x"
        assert player.instant is not None
        assert player.instant.winners == ("x",)
        player.close()


async def test_space_stops_following_and_the_next_one_plays() -> None:
    async with live() as (runtime, player):
        player.toggle()
        await publish(runtime, turn_of(6))
        player.tick(0.1)
        held = player.position
        player.toggle()
        player.tick(60.0)

        assert (held.at, held.mode) == (21, "PAUSED 1x")
        assert (player.position.at, player.position.mode) == (25, "LIVE ●")


@pytest.mark.parametrize("seed", range(3))
async def test_playing_at_any_speed_never_goes_back_and_shows_nothing_before_its_time(
    source: Runtime, seed: int
) -> None:
    draw = random.Random(seed)
    deliveries = await everything(source)
    async with opened(source) as player:
        await player.go_to_words("t1")
        await player.read_on(nothing)
        began = player.position
        assert began.ts is not None
        player.toggle()
        played_s = 0.0
        at = began.at
        while player.position.mode.endswith("▶"):
            player.change_speed(draw.choice((-1, 1, 1)))
            passed_s = draw.choice((0.0, 0.1, 0.7))
            player.tick(passed_s)
            if draw.random() < 0.8:
                await player.read_on(nothing)

            played_s += passed_s * float(player.position.mode.split()[1].removesuffix("x"))
            assert player.position.at >= at
            at = player.position.at
            if player.position.ts is not None:
                assert (player.position.ts - began.ts).total_seconds() <= played_s + 1e-6
            if not player.lacking:
                assert player.instant == fold(deliveries, at)

        assert at == LAST


async def test_playing_waits_for_what_is_not_read_yet(runtime: Runtime) -> None:
    await runtime.broker.reap(RUN)
    async with opened(runtime) as player:
        player.toggle()
        for _ in range(9):
            player.change_speed(1)
        for _ in range(5):
            player.tick(60.0)
        waiting = player.position
        await player.read_on(nothing)
        player.tick(0.0)

        assert waiting.at == 101
        assert waiting.mode == "REPLAY 64x ▶"
        assert player.position.at > 101


async def test_playing_from_the_last_event_begins_again(runtime: Runtime) -> None:
    async with opened(runtime) as player:
        player.go_to(LAST)
        await player.read_on(nothing)
        player.toggle()

        assert (player.position.at, player.position.mode) == (1, "REPLAY 1x ▶")


async def test_a_move_stops_playing() -> None:
    async with live() as (_, player):
        player.go_to(1)
        for move in (player.go_to(3), player.go_to_words("5"), player.jump("turn_start", 1)):
            player.toggle()
            if move is not None:
                await move

        assert player.position.mode == "PAUSED 1x"


async def test_a_gap_is_shown_at_each_of_its_seqs() -> None:
    async with live(1, Limits(capacity=10, retain=10)) as (runtime, player):
        await publish(runtime, [event for turn in range(2, 20) for event in turn_of(turn)])
        player.tick(0.1)
        await player.read_on(nothing)
        deliveries = [each for seq in range(1, 78) if (each := player.delivery(seq)) is not None]
        lost = next(each for each in deliveries if isinstance(each, Gap))
        player.go_to(3)
        await player.read_on(nothing)
        for at in range(3, player.position.last + 1):
            player.go_to(at)
            await player.read_on(nothing)
            here = player.delivery()

            assert (here is lost) == (lost.from_seq <= at <= lost.to_seq)
            assert not player.lacking

    assert (lost.from_seq, lost.to_seq) == (6, 67)


async def test_a_stream_made_anew_under_the_same_id_goes_on_after_the_old_one(
    redis_url: str,
) -> None:
    runtime = Runtime(Config(broker=BrokerUrl(redis_url), db=None))
    await runtime.open()

    async def has_come(player: Player, place: int) -> bool:
        await runtime.catch_up()
        return last_seq_of(player) == place

    await publish(runtime, beginning(turns=5))
    async with opened(runtime) as player:
        await until(lambda: has_come(player, 21))
        with redis.Redis.from_url(redis_url) as client:
            client.flushdb()
        await publish(runtime, turn_of(90)[:3])
        await until(lambda: has_come(player, 25))
        await player.read_on(nothing)
        here, lost, before = player.delivery(), player.delivery(22), player.delivery(21)

        assert player.position.at == 25
        assert isinstance(before, Envelope)
        assert before.event == turn_of(5)[-1]
        assert isinstance(lost, Gap)
        assert isinstance(here, Envelope)
        assert here.event == turn_of(90)[2]
        assert (here.seq, here.epoch > before.epoch) == (3, True)
        assert player.instant is not None
        assert (player.instant.board, player.instant.turn) == ("board 90", 90)
        assert player.instant.game == "chess"
    await runtime.aclose()


async def test_who_opens_a_run_after_its_stream_was_made_anew_reads_the_old_one_from_the_store(
    redis_url: str,
) -> None:
    runtime = Runtime(Config(broker=BrokerUrl(redis_url), db=":memory:"))
    await runtime.open()
    assert runtime.history is not None
    history = runtime.history

    async def is_stored(events: int) -> bool:
        return [run.events for run in await history.runs()] == [events]

    await publish(runtime, beginning(turns=5))
    await until(lambda: is_stored(21))
    with redis.Redis.from_url(redis_url) as client:
        client.flushdb()
    await publish(runtime, turn_of(90)[:3])
    await until(lambda: is_stored(24))
    async with opened(runtime) as player:
        seen: list[Delivery | None] = []
        last = player.position.last
        for at in range(1, last + 1):
            player.go_to(at)
            await player.read_on(nothing)
            seen.append(player.delivery())
        player.go_to(15)
        await player.read_on(nothing)
        await player.go_to_words("t90")
        await player.read_on(nothing)

        events = [each.event for each in seen if isinstance(each, Envelope)]
        assert last == 24
        assert events == [*beginning(turns=5), *turn_of(90)[:3]]
        assert player.position.at == 22
    await runtime.aclose()


async def test_moves_during_a_read_end_where_the_last_one_leads(runtime: Runtime) -> None:
    await runtime.broker.reap(RUN)
    deliveries = await everything(runtime)
    async with opened(runtime) as player:
        seen: list[int] = []
        player.go_to(900)
        reading = asyncio.create_task(player.read_on(lambda: seen.append(player.position.at)))
        await asyncio.sleep(0)
        player.go_to(300)
        player.go_to(1_200)
        at_once = asyncio.create_task(player.read_on(nothing))
        await at_once
        still_reading = player.reading
        await reading

        assert still_reading
        assert set(seen) == {1_200}
        assert player.instant == fold(deliveries, 1_200)
        assert not player.lacking
        assert not player.reading


async def test_no_event_that_comes_during_a_read_makes_it_begin_anew() -> None:
    reads = 0

    async with stored(beginning()) as runtime:
        player = Player(tape_of(runtime), runtime.history)
        await player.open()

        def a_turn_more() -> None:
            nonlocal reads
            reads += 1
            player.tick(0.1)

        reading = asyncio.create_task(player.read_on(a_turn_more))
        for turn in range(TURNS + 1, TURNS + 11):
            await publish(runtime, turn_of(turn))
            player.tick(0.1)
            await asyncio.sleep(0)
        await reading

        assert reads == 2
        assert player.position.at == player.position.last
        assert player.instant is not None
        assert player.instant.board == f"board {TURNS + 10}"
        player.close()


async def test_a_read_that_fails_is_raised_and_the_next_move_reads_again(runtime: Runtime) -> None:
    await runtime.broker.reap(RUN)
    database = runtime.database
    assert database is not None
    async with opened(runtime) as player:
        rename = "ALTER TABLE events RENAME TO elsewhere"
        await database.write(lambda connection: connection.execute(rename))
        player.go_to(800)
        with pytest.raises(StoreError):
            await player.read_on(nothing)
        back = "ALTER TABLE elsewhere RENAME TO events"
        await database.write(lambda connection: connection.execute(back))
        failed = (player.position.at, player.lacking, player.reading, player.delivery())
        player.go_to(800)
        await player.read_on(nothing)

        assert failed == (800, False, False, None)
        assert player.instant is not None
        assert player.instant.board == "board 200"


async def test_a_cancelled_read_leaves_the_player_usable(runtime: Runtime) -> None:
    await runtime.broker.reap(RUN)
    async with opened(runtime) as player:
        player.go_to(800)
        reading = asyncio.create_task(player.read_on(nothing))
        await asyncio.sleep(0)
        reading.cancel()
        await asyncio.wait([reading])
        player.go_to(801)
        await player.read_on(nothing)

        assert reading.cancelled()
        assert player.instant is not None
        assert player.instant.board == "board 200"


async def test_a_bookmark_is_set_and_removed_where_one_stands(runtime: Runtime) -> None:
    async with opened(runtime) as player:
        player.go_to(9)
        await player.read_on(nothing)
        is_set = await player.bookmark()
        marks = (await overview(player, 50)).density.marks
        is_set_again = await player.bookmark()

    assert (is_set, is_set_again) == (True, False)
    assert ("bookmark", 9) in [(mark.kind, mark.place) for mark in marks]


async def test_bookmarks_are_gone_through_in_both_directions_and_round_again(
    runtime: Runtime,
) -> None:
    async with opened(runtime) as player:
        assert await player.jump(BOOKMARK, 1) == "no bookmark in this run yet"
        for place in (9, 200, 1_000):
            player.go_to(place)
            await player.read_on(nothing)
            await player.bookmark()
        seen = []
        for step in (1, 1, 1, 1, -1, -1):
            assert await player.jump(BOOKMARK, step) is None
            seen.append(player.position.at)

    assert seen == [9, 200, 1_000, 9, 1_000, 200]


async def test_a_bookmark_is_a_mark_also_where_the_whole_run_is_in_memory() -> None:
    async with stored(beginning(turns=3)) as runtime, opened(runtime) as player:
        player.go_to(5)
        await player.read_on(nothing)
        await player.bookmark()
        marks = (await overview(player, 20)).density.marks

    assert ("bookmark", 5) in [(mark.kind, mark.place) for mark in marks]


async def test_without_a_store_there_are_no_bookmarks() -> None:
    async with live() as (_, player):
        assert await player.bookmark() is None


async def test_a_run_nobody_has_is_said_to_be_unknown(runtime: Runtime) -> None:
    with pytest.raises(UnknownRunError):
        async with opened(runtime, "nobody"):
            pass
