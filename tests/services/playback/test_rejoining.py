"""A running game that was rewound plays on to the present, and nothing is left out on the way."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest

from arena_tui.broker.protocol import Limits, RunMeta
from arena_tui.broker_url import BrokerUrl
from arena_tui.config import Config
from arena_tui.events import Action, Event, RunStart
from arena_tui.services.playback.player import Player
from arena_tui.services.playback.playhead import SILENCE_MAX_S
from arena_tui.services.playback.tape import RunTape
from arena_tui.services.runtime import Runtime
from arena_tui.store.verify import verify_store
from tests.waiting import until

RUN = "run1"
PER_S = 2_000
TICK_S = 0.05
START = datetime(2026, 3, 14, 12, tzinfo=UTC)
LIMITS = Limits(capacity=4_000, retain=500)
"""So little that most of what is played again is in the store alone."""


class Game:
    """2,000 events in each second of the game."""

    def __init__(self, runtime: Runtime) -> None:
        self._broker = runtime.broker
        self.events = 0

    async def begin(self) -> None:
        start = RunStart(ts=START, game="go")
        await self._broker.open_run(RunMeta.of(RUN, start))
        await self._broker.publish(RUN, start)
        self.events = 1

    async def go_on(self, seconds: float) -> None:
        for _ in range(round(seconds * PER_S)):
            at = START + timedelta(seconds=self.events / PER_S)
            move: Event = Action(ts=at, agent_id="x", action=self.events)
            await self._broker.publish(RUN, move)
            self.events += 1


@asynccontextmanager
async def playing(watching: Runtime, producing: Runtime) -> AsyncIterator[tuple[Game, Player]]:
    """A game of some seconds that goes on, and a player at its newest event."""
    game = Game(producing)
    await game.begin()
    for _ in range(60):
        await game.go_on(TICK_S)
        await watching.catch_up()
        await watching.broker.settled([RUN])
    player = Player(RunTape(RUN, watching), watching.history)
    await player.open()
    yield game, player
    player.close()


async def rejoin(watching: Runtime, game: Game, player: Player) -> list[str]:
    """Rewind to the beginning and play 8 times as fast until live; returns the modes on the way."""
    modes = []
    player.go_to(1)
    await player.read_on(lambda: None)
    player.toggle()
    for _ in range(3):
        player.change_speed(1)
    while not modes or modes[-1] != "LIVE ●":
        await game.go_on(TICK_S)
        await watching.catch_up()
        at = player.position.at
        player.tick(TICK_S)
        await player.read_on(lambda: None)
        modes.append(player.position.mode)

        assert player.instant is not None
        assert at <= player.position.at <= at + (8 * TICK_S + SILENCE_MAX_S) * PER_S + 1
        moves = player.instant.tallies["x"].actions if player.position.at > 1 else 0
        assert moves == player.position.at - 1, "each once"
    return modes


async def check(watching: Runtime, producing: Runtime) -> None:
    async with playing(watching, producing) as (game, player):
        modes = await rejoin(watching, game, player)
        await game.go_on(1.0)

        async def has_all() -> bool:
            await watching.catch_up()
            player.tick(TICK_S)
            return player.position.last == game.events

        await until(has_all)
        await player.read_on(lambda: None)
        at = player.position
        instant = player.instant
    await watching.broker.settled([RUN])
    (verdict,) = await watching.history.read(verify_store) if watching.history else ()

    assert len(modes) > 5
    assert set(modes[:-1]) == {"REPLAY 8x ▶"}
    assert (at.at, at.mode, at.behind_s) == (game.events, "LIVE ●", None)
    assert instant is not None
    assert instant.tallies["x"].actions == game.events - 1
    assert (verdict.events, verdict.lost, verdict.problems) == (game.events, 0, ())


async def test_in_process() -> None:
    runtime = Runtime(Config(db=":memory:"), LIMITS)
    await runtime.open()

    await check(runtime, runtime)

    await runtime.aclose()


async def test_over_redis(redis_url: str) -> None:
    config = Config(broker=BrokerUrl(redis_url), db=None)
    watching = Runtime(Config(broker=BrokerUrl(redis_url), db=":memory:"), LIMITS)
    producing = Runtime(config, LIMITS, producer=True)
    await watching.open()
    await producing.open()

    await check(watching, producing)

    await producing.aclose()
    await watching.aclose()


@pytest.mark.parametrize("seconds", [0.5, 2.0])
async def test_while_rewound_one_sees_how_far_behind_that_is(seconds: float) -> None:
    runtime = Runtime(Config(db=":memory:"), LIMITS)
    await runtime.open()
    async with playing(runtime, runtime) as (game, player):
        player.go_to(game.events - round(seconds * PER_S))
        await player.read_on(lambda: None)

        assert player.position.behind_s == pytest.approx(seconds)
        assert player.position.mode == "PAUSED 1x"
    await runtime.aclose()
