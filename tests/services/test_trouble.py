"""Every trouble, brought about in a real run: told once, and gone when it is over."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from msgspec.structs import replace

from arena_tui.broker.protocol import RunMeta
from arena_tui.broker_url import BrokerUrl
from arena_tui.config import Config
from arena_tui.consumers.feed import Feed
from arena_tui.events import (
    Action,
    ActionResult,
    AgentInfo,
    ErrorEvent,
    Event,
    LlmPrompt,
    LlmResponse,
    LogEvent,
    Observation,
    RunEnd,
    RunStart,
    TurnStart,
)
from arena_tui.folds.alerts import Alerts
from arena_tui.services.runtime import Runtime
from arena_tui.settings import TroubleKind, TroubleLimits
from tests.conftest import FakeClock
from tests.waiting import until

START = datetime(2026, 1, 1, tzinfo=UTC)
LIMITS = TroubleLimits(run_usd=1, agent_tokens=5_000, session_usd=20)

Script = Sequence[Event | float]
"""Events, and seconds that pass."""

ASKED = LlmPrompt(agent_id="x", text="?")
ANSWERED = LlmResponse(agent_id="x", text="!", latency_s=4.0)
BOARD = Observation(text="x o ·", legal_actions=list("abcdefgh"))


def turns(count: int, seconds: float) -> Script:
    return [TurnStart(), seconds] * count


PROVOKED: dict[str, tuple[TroubleKind, Script, str, Script]] = {
    "stuck": (
        "stuck", [LogEvent(), 2.0] * 10 + [21.0], "no event for 23 s, usual 2.0 s", [LogEvent()],
    ),
    "stuck by its own slow rhythm": (
        "stuck", [LogEvent(), 15.0] * 10 + [31.0], "no event for 46 s, usual 15 s", [LogEvent()],
    ),
    "stuck before anything is known": ("stuck", [60.0], "no event for 60 s", [LogEvent()]),
    "waiting": ("waiting", [ASKED, ANSWERED] * 5 + [ASKED, 11.0],
                "no llm_response for 11 s, usual 4.0 s", [ANSWERED]),
    "retrying": ("retrying", [ErrorEvent(message="429")] * 3, "3 errors in a row: 429", [Action()]),
    "illegal": ("illegal", [ActionResult(ok=False)] * 4, "4 of the last 4 moves refused",
                [ActionResult()] * 20),
    "one move over and over": (
        "looping", [BOARD, Action(agent_id="x", action="a")] * 8, "the same move 8 times",
        [BOARD, Action(agent_id="x", action="b")],
    ),
    "a loop of two": (
        "looping", [BOARD, Action(agent_id="x", action="a"), Action(agent_id="y", action={})] * 5,
        "the same 2 moves 5 times", [ActionResult(reward=1.0)],
    ),
    "slow": ("slow", [*turns(22, 2.0), *turns(4, 12.0), TurnStart()],
             "turns take 12 s, before 2.0 s", turns(8, 2.0)),
    "a run over its budget": ("budget", [LlmResponse(cost_usd=1.5)],
                              "the run is over its budget of $1.00", [RunEnd()]),
    "an agent over its budget": (
        "budget", [LlmResponse(agent_id="x", input_tokens=5_001, cost_usd=0.0)],
        "x is over its budget of 5,000 tokens", [RunEnd()],
    ),
    "unpriced": ("unpriced", [LlmResponse(agent_id="x", input_tokens=9)],
                 "tokens of unknown cost: x", [LlmResponse(agent_id="x", cost_usd=0.5)]),
    "crashed": ("crashed", [RunEnd(status="crashed", reason="no dice")], "no dice", []),
}  # fmt: skip


class Arena:
    """A runtime with a feed, one run at first, and a clock that events go by as well."""

    def __init__(self, clock: FakeClock, url: str, limits: TroubleLimits) -> None:
        self.clock = clock
        self.runtime = Runtime(Config(broker=BrokerUrl(url), db=None, trouble=limits))
        self.alerts = Alerts(START, again_after_s=60)
        self._began = clock.now
        self._published: Counter[str] = Counter()

    async def open(self) -> None:
        consumption = await self.runtime.consume(partial(Feed, clock=self.clock))
        self.feed = consumption.consumer
        await self.runtime.open()

    async def play(self, script: Script, run_id: str = "a") -> None:
        for each in script:
            if isinstance(each, Event):
                ts = START + timedelta(seconds=self.clock.now - self._began)
                await self.runtime.broker.publish(run_id, replace(each, ts=ts))
                self._published[run_id] += 1
                await until(partial(self._is_folded, run_id))
            else:
                self.clock.now += each
                await self.look()

    async def begin(self, run_id: str = "a") -> None:
        await self.runtime.broker.open_run(RunMeta(run_id=run_id))
        await self.play([RunStart(game="chess", agents=[AgentInfo(id="x")])], run_id)

    async def _is_folded(self, run_id: str) -> bool:
        await self.runtime.catch_up()
        view = self.feed.view(run_id)
        return view is not None and view.totals.events == self._published[run_id]

    async def look(self) -> list[str]:
        """What is told of now."""
        panes = (await self.feed.frame()).panes
        return [each.trouble.text for each in self.alerts.look(panes, self.clock.now)]

    async def troubles(self, run_id: str = "a") -> dict[TroubleKind, str]:
        panes = {pane.run_id: pane for pane in (await self.feed.frame()).panes}
        return {each.kind: each.text for each in panes[run_id].troubles}


@pytest.fixture
async def arena(request: pytest.FixtureRequest, clock: FakeClock):
    """One on the broker named, `memory:` or that of the fixture."""
    asked = getattr(request, "param", "memory:")
    url = request.getfixturevalue(asked) if asked == "redis_url" else asked
    arena = Arena(clock, url, LIMITS)
    await arena.open()
    await arena.begin()
    yield arena
    await arena.runtime.aclose()


async def provoke(arena: Arena, name: str) -> None:
    kind, script, text, cure = PROVOKED[name]
    *before, last = script
    await arena.play(before)
    assert kind not in await arena.troubles()

    await arena.play([last] if isinstance(last, Event) else [])
    if not isinstance(last, Event):
        arena.clock.now += last

    assert await arena.look() == [text]
    assert (await arena.troubles())[kind] == text
    assert await arena.look() == []
    if cure:
        await arena.play(cure)
        assert kind not in await arena.troubles()


@pytest.mark.parametrize("name", PROVOKED)
async def test_a_trouble_is_told_once_and_gone_when_it_is_over(arena: Arena, name: str) -> None:
    await provoke(arena, name)


@pytest.mark.parametrize("arena", ["redis_url"], indirect=True)
@pytest.mark.parametrize("name", ["stuck", "one move over and over", "crashed"])
async def test_over_redis_it_is_told_in_the_same_words(arena: Arena, name: str) -> None:
    await provoke(arena, name)


async def test_a_trouble_that_comes_back_is_news_only_after_a_while(arena: Arena) -> None:
    errors: Script = [ErrorEvent(message="429")] * 3
    told = []
    for away_s in (0.0, 30.0, 61.0):
        await arena.play([Action(), away_s, *errors])
        told.append(await arena.look())

    assert [len(each) for each in told] == [1, 0, 1]


async def test_what_a_session_overspends_is_said_of_the_runs_that_spend(arena: Arena) -> None:
    for run_id in "bcd":
        await arena.begin(run_id)
    for run_id in "bc":
        await arena.play([LlmResponse(cost_usd=10.5), RunEnd()], run_id)
    await arena.feed.frame()
    arena.feed.clear()  # what is shown no longer stays spent
    await arena.play([LlmResponse(cost_usd=0.5)], "d")

    assert (await arena.troubles("d"))["budget"] == "the session is over its budget of $20.00"
    assert await arena.troubles() == {}


async def test_what_gains_is_no_loop_and_a_forced_move_is_nobodys_choice(arena: Arena) -> None:
    paid: Script = [BOARD, Action(action="a"), ActionResult(reward=1.0)]
    forced: Script = [Observation(text="x", legal_actions=["pass"]), Action(action="pass")]

    await arena.play([*paid * 12, *forced * 24])

    assert await arena.troubles() == {}


async def test_a_pane_in_a_trouble_that_stays_is_the_same_object(arena: Arena) -> None:
    await arena.play([ErrorEvent(message="429")] * 3)

    first, second = [(await arena.feed.frame()).panes[0] for _ in range(2)]

    assert first.troubles
    assert first is second


async def test_a_rule_can_be_switched_off(clock: FakeClock) -> None:
    arena = Arena(clock, "memory:", TroubleLimits(off=("unpriced", "stuck")))
    await arena.open()
    await arena.begin()

    await arena.play([LlmResponse(input_tokens=9), 3_600.0])

    assert await arena.troubles() == {}
    assert (await arena.feed.frame()).panes[0].state == "running"
    await arena.runtime.aclose()
