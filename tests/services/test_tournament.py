"""A tournament goes on where the store says that it stopped."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from msgspec.structs import replace

from arena_tui.config import Config
from arena_tui.errors import UsageError
from arena_tui.events import AgentInfo
from arena_tui.folds.standings import Game
from arena_tui.games.tournament import TournamentSpec
from arena_tui.services.playables import parse_playable
from arena_tui.services.runtime import Runtime
from arena_tui.services.tournament import Begun
from tests.waiting import until

SPEC = TournamentSpec(games=("tic_tac_toe",), agents=("random", "mcts:2", "mcts:3"), seed=7)


@asynccontextmanager
async def opened(path: Path | str) -> AsyncIterator[Runtime]:
    runtime = Runtime(Config(db=str(path)))
    await runtime.open()
    try:
        yield runtime
    finally:
        assert await runtime.aclose() is None


@pytest.fixture
async def runtime(tmp_path: Path) -> AsyncIterator[Runtime]:
    async with opened(tmp_path / "arena.duckdb") as runtime:
        yield runtime


async def play(runtime: Runtime, spec: TournamentSpec, **options) -> Begun:
    tournament = await runtime.games.enter(spec, **options)
    runtime.games.begin(tournament)
    assert await asyncio.to_thread(tournament.join, 60)
    return await tournament.so_far()


def runs_of(begun: Begun) -> dict[int, str | None]:
    return {index: game.run_id for index, game in begun.over.items()}


async def test_every_game_of_the_schedule_is_played_once(runtime: Runtime):
    begun = await play(runtime, replace(SPEC, rounds=2, parallel=3))

    assert sorted(begun.over) == list(range(12))
    assert runtime.history is not None
    stored = await runtime.history.runs()
    assert len(stored) == 12
    for run in stored:
        meeting = begun.meetings[run.config["index"]]
        assert run.seed == meeting.seed
        assert tuple(agent.spec for agent in run.agents) == meeting.agents


async def test_what_is_over_is_not_played_again(runtime: Runtime):
    before = await play(runtime, SPEC)
    seen: list[int] = []

    after = await play(runtime, SPEC, on_finished=lambda game: seen.append(game.index))

    assert (seen, after.id, runs_of(after)) == ([], before.id, runs_of(before))


async def test_more_rounds_go_on_with_it_and_fewer_show_less(runtime: Runtime):
    one = await play(runtime, SPEC)

    two = await play(runtime, replace(SPEC, rounds=2))
    again = await play(runtime, SPEC)

    assert (one.id, one.seed, len(two.over)) == (two.id, two.seed, 12)
    assert runs_of(two).items() > runs_of(one).items()
    assert runs_of(again) == runs_of(one)


async def test_without_a_seed_it_keeps_the_one_it_began_with(tmp_path: Path):
    spec = replace(SPEC, seed=None)
    async with opened(tmp_path / "arena.duckdb") as runtime:
        first = await play(runtime, spec)

    async with opened(tmp_path / "arena.duckdb") as runtime:
        second = await play(runtime, replace(spec, rounds=2))

    assert (second.id, second.seed) == (first.id, first.seed)
    assert runs_of(second).items() > runs_of(first).items()


async def test_a_new_one_is_played_afresh_and_then_goes_on(runtime: Runtime):
    old = await play(runtime, SPEC)

    new = await play(runtime, replace(SPEC, new=True))
    after = await play(runtime, SPEC)

    assert new.id != old.id
    assert not set(runs_of(new).values()) & set(runs_of(old).values())
    assert runs_of(after) == runs_of(new)


async def test_another_seed_or_order_of_agents_is_another_tournament(runtime: Runtime):
    one = await play(runtime, SPEC)

    others = [
        await play(runtime, replace(SPEC, seed=8)),
        await play(runtime, replace(SPEC, agents=SPEC.agents[::-1])),
    ]

    assert len({one.id, *(other.id for other in others)}) == 3
    assert all(len(other.over) == 6 for other in others)


async def test_games_that_were_stopped_are_played_again_as_other_runs(runtime: Runtime):
    slow = replace(SPEC, delay_s=3600.0, parallel=2)
    seen: list[Game] = []
    tournament = await runtime.games.enter(slow, seen.append)
    runtime.games.begin(tournament)
    assert runtime.history is not None
    await until(lambda: tournament.playing == 2 and runtime.sink.stats().queued == 0)
    tournament.stop()
    assert await asyncio.to_thread(tournament.join, 60)
    stopped = await tournament.so_far()

    whole = await play(runtime, SPEC)

    assert (seen, stopped.over, stopped.id) == ([], {}, whole.id)
    assert sorted(whole.over) == list(range(6))
    statuses = [run.status for run in await runtime.history.runs()]
    assert statuses.count("finished") == 6
    assert set(statuses) <= {"finished", "stopped"}


async def test_a_game_at_its_last_turn_is_over(runtime: Runtime):
    begun = await play(runtime, replace(SPEC, max_turns=2))

    assert {game.status for game in begun.over.values()} == {"stopped"}
    assert len(begun.over) == 6
    assert runs_of(await play(runtime, replace(SPEC, max_turns=2))) == runs_of(begun)


async def test_runs_that_only_look_like_its_games_do_not_count(runtime: Runtime):
    entered = await runtime.games.enter(SPEC)
    entered.stop()
    first = entered.begun
    named = {"entry": SPEC.entry, "id": first.id, "seed": first.seed}

    def pretend(agents: int, **config: object) -> str:
        names = [AgentInfo(id=str(number)) for number in range(agents)]
        with runtime.sink.run("tic_tac_toe", names, config=config) as run:
            run.end(outcome={"0": 1.0})
        return run.id

    pretended = {
        pretend(3, tournament=named, index=0),
        pretend(2, tournament=named, index=99),
        pretend(2, tournament=named, index=-1),
        pretend(2, tournament=named, index="1"),
        pretend(2, tournament=named),
        pretend(2, tournament={**named, "id": "0"}, index=1),
        pretend(2, tournament={**named, "seed": "7"}, index=1),
        pretend(2, tournament="cup", index=1),
    }
    await runtime.sink.flush()

    begun = await play(runtime, SPEC)

    assert sorted(begun.over) == list(range(6))
    assert not pretended & set(runs_of(begun).values())


async def test_it_ends_with_the_round_that_settles_the_order(runtime: Runtime):
    spec = replace(SPEC, agents=("mcts:60", "random"), rounds=1000, until_settled=True)
    tournament = await runtime.games.enter(spec)
    runtime.games.begin(tournament)
    assert await asyncio.to_thread(tournament.join, 120)

    begun = await tournament.so_far()

    assert tournament.settled
    assert 2 < len(begun.over) < 2000
    assert len(begun.over) % 2 == 0
    assert runs_of(await play(runtime, spec)) == runs_of(begun)


async def test_a_tournament_is_stopped_with_all_other_games(tmp_path: Path):
    runtime = Runtime(Config(db=str(tmp_path / "arena.duckdb")))
    await runtime.open()
    await runtime.games.start(replace(SPEC, delay_s=3600.0))
    await until(lambda: runtime.games.playing == 1)

    assert await runtime.aclose() is None

    assert runtime.games.playing == 0


async def test_it_can_be_started_from_its_text(runtime: Runtime):
    await runtime.games.start(parse_playable("tournament tic_tac_toe random mcts:2 seed=3"))

    await until(lambda: runtime.games.playing == 0)
    assert runtime.history is not None
    await until(lambda: _ended(runtime, 2))


async def _ended(runtime: Runtime, count: int) -> bool:
    assert runtime.history is not None
    runs = await runtime.history.runs()
    return [run.status for run in runs] == ["finished"] * count


async def test_without_a_store_it_is_refused():
    runtime = Runtime(Config(db=None))
    await runtime.open()

    with pytest.raises(UsageError, match="a tournament needs a store"):
        await runtime.games.start(SPEC)

    await runtime.aclose()
