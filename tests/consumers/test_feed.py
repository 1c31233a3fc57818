"""Frames: everything on screen at one instant, folded from what the broker hands over."""

from __future__ import annotations

import random
from typing import Any

import pytest
from msgspec.structs import replace

from arena_tui.broker.memory import InProcessBroker
from arena_tui.broker.protocol import STORE, Cursor, Limits, RunMeta
from arena_tui.broker.stats import BrokerStats
from arena_tui.config import Config
from arena_tui.consumers.feed import Feed
from arena_tui.consumers.protocol import ConsumerInfo, Context, Counters
from arena_tui.events import (
    Action,
    AgentInfo,
    ErrorEvent,
    Event,
    Gap,
    LlmPrompt,
    LlmResponse,
    LogEvent,
    Observation,
    RunEnd,
    RunStart,
    TurnStart,
)
from arena_tui.folds.accounts import Account
from arena_tui.folds.costs import Cost
from arena_tui.folds.totals import RunTotals
from arena_tui.folds.view import Pane, RunView
from arena_tui.folds.words import word_of
from arena_tui.services.consumption import Consumption
from tests.conftest import FakeClock
from tests.envelopes import envelope


class Stage:
    """A broker, a feed on it, and one clock for both."""

    def __init__(self, clock: FakeClock, limits: Limits | None = None) -> None:
        self.clock = clock
        self.broker = InProcessBroker(limits, clock)
        self.feed = Feed(Context(self.broker, Config(db="arena.duckdb")), clock)
        self.reading = Consumption(self.feed, self.broker)

    @classmethod
    async def open(cls, clock: FakeClock, limits: Limits | None = None) -> Stage:
        stage = cls(clock, limits)
        await stage.reading.start()
        return stage

    async def publish(self, run_id: str, *events: Event) -> None:
        if run_id not in {info.meta.run_id for info in await self.broker.runs()}:
            await self.broker.open_run(RunMeta(run_id=run_id))
        for event in events:
            await self.broker.publish(run_id, event)
        await self.reading.catch_up()


def start(*agents: str, game: str = "chess") -> RunStart:
    return RunStart(game=game, agents=[AgentInfo(id=agent) for agent in agents])


async def test_a_pane_holds_what_its_run_looks_like_now(clock: FakeClock) -> None:
    stage = await Stage.open(clock)
    await stage.publish(
        "a", start("x", "o"), TurnStart(turn=3, player="o", agent_id="o"),
        Observation(turn=3, agent_id="o", text="the board"),
        LlmResponse(turn=3, agent_id="o", input_tokens=10, output_tokens=5, cost_usd=0.5),
        ErrorEvent(turn=3, message="429"),
    )  # fmt: skip

    (pane,) = (await stage.feed.frame()).panes

    assert (pane.game, pane.turn, pane.player, pane.board) == ("chess", 3, "o", "the board")
    assert (pane.tokens, pane.cost_usd, pane.errors, pane.last_error) == (15, 0.5, 1, "429")
    assert pane.state == "running"


async def test_a_board_is_fresh_for_a_second_and_the_one_before_stays_known(
    clock: FakeClock,
) -> None:
    stage = await Stage.open(clock)
    seen = [Observation(agent_id=agent, text=board) for board in "1 2" for agent in "xo"]
    await stage.publish("a", start("x", "o"), seen[0], seen[1])
    first = (await stage.feed.frame()).panes[0]
    await stage.publish("a", *seen[-2:], RunEnd(status="finished"))
    panes = []
    for passed_s in (0.5, 0.4, 0.2, 5.0):
        clock.now += passed_s
        panes.append((await stage.feed.frame()).panes[0])

    assert (first.board_before, first.board_is_fresh) == ("", False)
    assert [(each.board, each.board_before) for each in panes] == [("2", "1")] * 4
    assert [each.board_is_fresh for each in panes] == [True, True, False, False]
    assert panes[0] is panes[1]
    assert panes[2] is panes[3]


async def test_an_unanswered_prompt_is_waited_for_and_an_answer_ends_that(
    clock: FakeClock,
) -> None:
    stage = await Stage.open(clock)
    await stage.publish("a", start("x"), LlmPrompt(agent_id="x", text="?"))
    clock.now += 12
    waiting = (await stage.feed.frame()).panes[0].waiting_s
    await stage.publish("a", LlmResponse(agent_id="x", text="!"))

    assert waiting == 12.0
    assert (await stage.feed.frame()).panes[0].waiting_s is None


async def test_an_ordinary_wait_for_a_model_is_not_stuck(clock: FakeClock) -> None:
    stage = await Stage.open(clock)
    for _ in range(10):
        await stage.publish("a", LogEvent())
        clock.now += 2
        await stage.feed.frame()
    await stage.publish("a", LlmPrompt(agent_id="x", text="?"))
    await stage.feed.frame()
    states = []
    for _ in range(2):
        clock.now += 25
        await stage.broker.heartbeat(["a"])
        states.append((await stage.feed.frame()).panes[0].state)

    assert states == ["running", "stuck"]


async def test_silence_is_stuck_and_a_producer_that_beats_no_more_is_silent(
    clock: FakeClock,
) -> None:
    stage = await Stage.open(clock)
    await stage.publish("silent", start("x"))
    await stage.publish("gone", start("x"))
    await stage.feed.frame()
    states = []
    for _ in range(7):
        await stage.broker.heartbeat(["silent"])
        clock.now += 10
        states.append([pane.state for pane in (await stage.feed.frame()).panes])

    assert states == [
        ["running", "running"],
        *[["running", "silent"]] * 4,
        *[["stuck", "silent"]] * 2,
    ]


async def test_runs_at_rest_cost_no_pane_and_only_the_one_with_news_is_built_anew(
    clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = await Stage.open(clock)
    for number in range(50):
        await stage.publish(f"r{number}", start("x"))
    await stage.feed.frame()
    built: list[str] = []
    build = RunView.pane

    def note(view: RunView, *words: Any, **named: Any) -> Pane:
        built.append(view.totals.run_id)
        return build(view, *words, **named)

    monkeypatch.setattr(RunView, "pane", note)
    clock.now += 0.1
    first = await stage.feed.frame()
    clock.now += 0.1
    second = await stage.feed.frame()
    at_rest = list(built)
    await stage.publish("r7", LogEvent())
    third = await stage.feed.frame()

    assert at_rest == []
    assert first.panes is second.panes
    assert built == ["r7"]
    assert [old is new for old, new in zip(second.panes, third.panes, strict=True)].count(
        False
    ) == 1


async def test_a_frame_reuses_the_panes_that_did_not_change(clock: FakeClock) -> None:
    stage = await Stage.open(clock)
    await stage.publish("a", start("x"))
    await stage.publish("b", start("x"))
    first = await stage.feed.frame()
    await stage.publish("b", Action(agent_id="x", action="e4"))

    second = await stage.feed.frame()

    assert second.panes[0] is first.panes[0]
    assert second.panes[1] is not first.panes[1]


async def test_the_next_game_of_a_series_takes_the_place_of_the_last(clock: FakeClock) -> None:
    stage = await Stage.open(clock)
    await stage.publish("a1", start("x", "o"), RunEnd())
    await stage.publish("b1", start("x", game="go"))
    await stage.publish("a2", start("x", "o"))

    panes = sorted((await stage.feed.frame()).panes, key=lambda pane: pane.number)

    assert [pane.run_id for pane in panes] == ["a2", "b1"]


async def test_of_a_place_that_was_taken_it_is_known_since_when_it_was_one(
    clock: FakeClock,
) -> None:
    stage = await Stage.open(clock)
    first = start("x", "o")
    await stage.publish("a1", first, RunEnd())
    await stage.publish("a2", start("x", "o"), RunEnd())
    await stage.publish("a3", start("x", "o"))

    since = [stage.feed.place_since(each) for each in ("a1", "a2", "a3")]
    stage.feed.forget("a3")

    assert since == [None, None, first.ts]
    assert stage.feed.place_since("a3") is None


async def test_a_run_whose_start_was_missed_is_introduced_by_the_broker(clock: FakeClock) -> None:
    stage = await Stage.open(clock, Limits(capacity=10, retain=3))
    stage.broker.shared = True
    await stage.broker.open_run(RunMeta(run_id="a", game="chess", label="night"))
    for _ in range(25):
        await stage.broker.publish("a", Action(action="x"))
    await stage.reading.catch_up()

    (pane,) = (await stage.feed.frame()).panes

    assert (pane.game, pane.label) == ("chess", "night")


async def test_of_a_run_that_the_broker_let_go_nothing_is_held(clock: FakeClock) -> None:
    stage = await Stage.open(clock, Limits(closed_runs=1))
    await stage.publish("a", start("x"), RunEnd())
    await stage.broker.reap("a")

    (pane,) = (await stage.feed.frame()).panes

    assert (pane.held, pane.lag, pane.lost) == (0, 0, 0)


async def test_finished_runs_can_be_cleared(clock: FakeClock) -> None:
    stage = await Stage.open(clock)
    await stage.publish("over", start("x"), RunEnd())
    await stage.publish("open", start("x"))

    stage.feed.clear()

    assert [pane.run_id for pane in (await stage.feed.frame()).panes] == ["open"]


async def test_runs_of_which_nothing_more_comes_can_be_cleared_and_come_back(
    clock: FakeClock,
) -> None:
    stage = await Stage.open(clock)
    for run_id in ("silent", "forwarded", "thinking"):
        await stage.publish(run_id, start("x"))
    clock.now += 61.0
    await stage.broker.heartbeat(["forwarded", "thinking"])
    await stage.feed.frame()

    stage.feed.clear(lambda run_id: run_id != "thinking")

    assert [pane.run_id for pane in (await stage.feed.frame()).panes] == ["thinking"]
    await stage.publish("forwarded", Action(action="x"))
    (_, back) = (await stage.feed.frame()).panes
    assert (back.run_id, back.events) == ("forwarded", 2)


async def test_rates_count_events_by_the_second(clock: FakeClock) -> None:
    stage = await Stage.open(clock)
    for count in (1, 4, 2):
        await stage.publish("a", *(Action(action="x") for _ in range(count)))
        clock.now += 1.0
        frame = await stage.feed.frame()

    assert frame.panes[0].per_second == (1, 4, 2)
    assert frame.truth.per_second == (1, 4, 2)
    assert frame.panes[0].rate == 7 / 3


async def test_a_feed_that_falls_behind_draws_the_gap(clock: FakeClock) -> None:
    stage = await Stage.open(clock, Limits(capacity=10, retain=3))
    await stage.broker.open_run(RunMeta(run_id="a"))
    for _ in range(25):
        await stage.broker.publish("a", Action(action="x"))
    behind = (await stage.feed.frame([stage.reading.info()])).truth.behind
    await stage.reading.catch_up()

    (pane,) = (await stage.feed.frame()).panes

    assert behind == 25
    assert pane.lost == 15
    assert pane.events == 10


async def test_a_run_that_ended_unseen_leaves_no_ghost(clock: FakeClock) -> None:
    stage = await Stage.open(clock, Limits(closed_runs=2))
    for number in range(20):
        run_id = f"run{number}"
        await stage.broker.open_run(RunMeta(run_id=run_id))
        await stage.broker.publish(run_id, start("x", game=run_id))
        await stage.broker.publish(run_id, RunEnd())
    await stage.reading.catch_up()

    panes = (await stage.feed.frame()).panes

    assert {pane.state for pane in panes} == {"finished"}


async def test_what_is_wrong_with_the_link_reaches_the_truth(clock: FakeClock) -> None:
    class Cut(InProcessBroker):
        async def stats(self) -> BrokerStats:
            return replace(await super().stats(), link="no connection to redis host:1 for 12 s")

    truth = (await Feed(Context(Cut(clock=clock), Config()), clock).frame()).truth

    assert truth.link == "no connection to redis host:1 for 12 s"


async def test_what_was_stored_before_is_not_in_flight(clock: FakeClock) -> None:
    stage = await Stage.open(clock)
    await stage.publish("a", *(Action(action="x") for _ in range(5)))
    (info,) = await stage.broker.runs()
    cursors = {"a": Cursor(info.epoch, 3)}
    persister = stage.broker.subscribe("persister", start=cursors, durable=True)
    persister.read_nowait(1)
    persister.ack({"a": Cursor(info.epoch, 4)})

    unacked = sum(stage.broker.lags(STORE).values())
    truth = (await stage.feed.frame([storing(unacked)])).truth

    assert truth.account == Account(published=5, stored=4, in_flight=1)


def storing(unacked: int = 0, lost_unknown: int = 0) -> ConsumerInfo:
    return ConsumerInfo(
        name=STORE, durable=True, state="ok", failures=0, last_error=None, unacked=unacked,
        stats=Counters(lost_unknown=lost_unknown),
    )  # fmt: skip


@pytest.mark.parametrize(("lag_s", "is_late"), [(0.9, False), (1.1, True)])
async def test_a_live_pane_knows_whether_its_store_is_more_than_a_second_behind(
    clock: FakeClock, lag_s: float, is_late: bool
) -> None:
    stage = await Stage.open(clock)
    await stage.publish("live", start("x"))
    await stage.publish("over", start("x"), RunEnd())

    frame = await stage.feed.frame([replace(storing(unacked=3), lag_s=lag_s)])

    assert [pane.is_store_late for pane in frame.panes] == [is_late, False]
    assert frame.truth.is_late is is_late


@pytest.mark.parametrize("shared", [False, True])
async def test_a_loss_of_unknown_length_reaches_pane_and_truth_also_as_the_first_news(
    clock: FakeClock, shared: bool
) -> None:
    stage = await Stage.open(clock)
    stage.broker.shared = shared
    await stage.feed.handle([Gap("a", 7, 5, 4, "unknown"), envelope("a", 8, 1, Action())])

    frame = await stage.feed.frame([storing(lost_unknown=1)])

    (pane,) = frame.panes
    assert (pane.lost, pane.lost_unknown, pane.losing) == (0, 1, True)
    assert (frame.truth.account.lost, frame.truth.account.lost_unknown) == (0, 1)
    assert Gap("a", 7, 5, 4, "unknown") in pane.recent


def test_a_run_seen_late_is_introduced_and_says_that_there_was_more() -> None:
    view = RunView("late")
    view.add(envelope("late", 1, 501, LlmResponse(text="x", input_tokens=7, cost_usd=0.5)))
    view.introduce(RunMeta(run_id="late", game="chess", agents=(AgentInfo(id="a"),)))
    stored = RunTotals(run_id="late", events=501, input_tokens=9_000, cost_usd=4.5, errors=2)

    alone = view.pane(0.0, "open", held=1, capacity=10, lag=0, overflow=0)
    known = view.pane(0.0, "open", held=1, capacity=10, lag=0, overflow=0, stored=stored)

    assert (alone.game, alone.events, alone.tokens, alone.partial) == ("chess", 501, 7, True)
    assert (known.tokens, known.cost_usd, known.errors, known.partial) == (9_000, 4.5, 2, False)


def test_what_was_before_a_run_was_seen_is_not_lost() -> None:
    view = RunView("late")
    view.begin_at(501)
    view.add(envelope("late", 1, 501, LlmResponse(text="x", input_tokens=7)))
    view.add(Gap("late", 1, 502, 504, "trimmed"))

    pane = view.pane(0.0, "open", held=1, capacity=10, lag=0, overflow=0)

    assert (pane.lost, pane.partial, len(pane.recent)) == (3, True, 2)


async def test_a_session_keeps_what_runs_cost_that_are_shown_no_longer(clock: FakeClock) -> None:
    stage = await Stage.open(clock)
    answer = LlmResponse(agent_id="x", model="m", input_tokens=10, output_tokens=5, cost_usd=0.5)
    await stage.publish("a", start("x"), answer, RunEnd())
    await stage.publish("b", start("x"), answer)
    await stage.feed.frame()

    stage.feed.clear()
    clock.now += 1
    frame = await stage.feed.frame()

    assert [pane.run_id for pane in frame.panes] == ["b"]
    assert [row.name for row in stage.feed.spent_by("run")] == ["b"]
    assert [(row.name, row.responses) for row in stage.feed.spent_by("agent")] == [("x", 2)]
    assert frame.cost.total.usd == stage.feed.spent().cost.usd == 1.0


async def test_a_pane_tells_what_each_agent_costs(clock: FakeClock) -> None:
    stage = await Stage.open(clock)
    await stage.publish(
        "a", start("x", "o"), LlmResponse(agent_id="x", model="m", cost_usd=0.5),
        LlmResponse(agent_id="o", model="m"), LlmResponse(cost_usd=0.25),
    )  # fmt: skip

    (pane,) = (await stage.feed.frame()).panes

    assert pane.agent_costs == {"x": Cost(known_usd=0.5), "o": Cost(incomplete=True)}
    assert pane.cost == Cost(known_usd=0.75, incomplete=True)


async def test_runs_out_of_sight_cost_no_pane_as_time_passes(
    clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = await Stage.open(clock)
    for number in range(50):
        await stage.publish(f"r{number}", start("x"))
    stage.feed.look_at(("r3", "r4"))
    for _ in range(4):  # then none has a rate any more
        clock.now += 1.0
        await stage.feed.frame()
    built: list[str] = []
    build = RunView.pane

    def note(view: RunView, *words: Any, **named: Any) -> Pane:
        built.append(view.totals.run_id)
        return build(view, *words, **named)

    monkeypatch.setattr(RunView, "pane", note)
    clock.now += 1.0
    frame = await stage.feed.frame()
    as_time_passed = list(built)
    stage.feed.look_at(("r4", "r5"))
    clock.now += 0.1
    scrolled = await stage.feed.frame()

    assert as_time_passed == ["r3", "r4"]
    assert built[2:] == ["r5"]
    assert [round(pane.idle_s, 1) for pane in frame.panes[3:7]] == [5.0, 5.0, 4.0, 4.0]
    assert [round(pane.idle_s, 1) for pane in scrolled.panes[3:7]] == [5.0, 5.0, 5.1, 4.0]
    assert {round(pane.idle_s) for pane in stage.feed.all_panes()} == {5}


async def test_a_run_out_of_sight_differs_in_its_times_alone(clock: FakeClock) -> None:
    stage = await Stage.open(clock)
    seen = Feed(Context(stage.broker, Config(db="arena.duckdb")), clock)
    reading = Consumption(seen, stage.broker)
    await reading.start()
    stage.feed.look_at(())
    chance = random.Random(7)
    kinds = (LlmPrompt, LlmResponse, Action, ErrorEvent, Observation, LogEvent)
    differ: list[str] = []
    words: set[str] = set()
    for run in "abcdef":
        await stage.publish(run, start("x"))

    for step in range(900):
        clock.now += chance.choice((0.1, 0.3, 1.0, 2.5))
        if step % 180 < 60 and chance.random() < 0.6:
            await stage.publish(chance.choice("abcdef"), _any_of(chance.choice(kinds), chance))
        await reading.catch_up()
        await stage.broker.heartbeat("abcd")
        of_all, of_none = (await seen.frame()).panes, (await stage.feed.frame()).panes
        words |= {word_of(pane) for pane in of_all}
        differ += [
            f"{step} {one.run_id}: {_lasting(one)} and not {_lasting(other)}"
            for one, other in zip(of_all, of_none, strict=True)
            if _lasting(one) != _lasting(other)
        ]

    assert differ == []
    assert words == {"running", "waiting", "stuck", "silent"}


async def test_a_board_is_fresh_for_a_second_however_many_frames_that_has(
    clock: FakeClock,
) -> None:
    stage = await Stage.open(clock)
    await stage.publish("a", start("x"), *[Observation(text=board) for board in "12"])

    fresh = []
    for _ in range(5):
        fresh.append((await stage.feed.frame()).panes[0].board_is_fresh)
        clock.now += 0.3

    assert fresh == [True, True, True, True, False]


def _any_of(kind: type[Event], chance: random.Random) -> Event:
    if kind is Observation:
        return Observation(agent_id="x", text=chance.choice("123"))
    if kind is Action:
        return Action(agent_id="x", action=chance.choice("abc"))
    return ErrorEvent(message="429") if kind is ErrorEvent else kind(agent_id="x")


def _lasting(pane: Pane) -> tuple[object, ...]:
    """What is to be right out of sight, too."""
    return (
        word_of(pane), [each.kind for each in pane.troubles], pane.rate, pane.lag, pane.held,
        pane.events, pane.board_is_fresh, pane.recent,
    )  # fmt: skip
