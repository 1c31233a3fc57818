"""A turn is read from the store with what a game needs to go on from it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from arena_tui.broker.protocol import Cursor
from arena_tui.config import Config
from arena_tui.errors import ArenaError, UnknownRunError, UsageError
from arena_tui.events import Delivery, Event, Fork, Gap, LogEvent, TurnStart
from arena_tui.games.forking import check_fork
from arena_tui.games.open_spiel import Match
from arena_tui.games.specs import GameSpec
from arena_tui.producers.run import Run
from arena_tui.services.forking import (
    StoredRun,
    children_of,
    parent_of,
    stored_turn,
    turn_here,
)
from arena_tui.services.runtime import Runtime
from arena_tui.store.history import History
from arena_tui.store.windows import WINDOW
from tests.waiting import until

SEED = 11


@pytest.fixture
async def runtime(tmp_path: Path) -> AsyncIterator[Runtime]:
    runtime = Runtime(Config(db=str(tmp_path / "arena.duckdb")))
    await runtime.open()
    try:
        yield runtime
    finally:
        assert await runtime.aclose() is None


def history_of(runtime: Runtime) -> History:
    assert runtime.history is not None
    return runtime.history


async def played(
    runtime: Runtime, game: str, change: Callable[[Event], Sequence[Event]], **said: Any
) -> str:
    """A stored game of random players, its events as they are after the change."""
    match = Match(game, ["random", "random"], SEED)

    def emit(run_id: str, event: Event) -> None:
        for each in change(event):
            runtime.sink.emit(run_id, each)

    run = Run(emit, match.game.facts.name, match.agents, seed=SEED, **said)
    with run:
        match.play(run)
    await runtime.sink.flush()
    await until(lambda: history_of(runtime).count("ended_at IS NOT NULL AND run_id = ?", [run.id]))
    return run.id


def without_state(event: Event) -> list[Event]:
    return [replace(event, state=None) if isinstance(event, TurnStart) else event]


def talkative(event: Event) -> list[Event]:
    """Without states, and with so much said in every turn that the moves lie in many windows."""
    more = [LogEvent(text=f"line {each}", turn=event.turn) for each in range(150)]
    return [*without_state(event), *(more if event.kind == "action_result" else [])]


@pytest.mark.parametrize("game", ["connect_four", "backgammon", "goofspiel"])
async def test_a_run_without_states_goes_on_from_its_moves(runtime: Runtime, game: str):
    with_states = await played(runtime, game, lambda event: [event])
    without = await played(runtime, game, without_state)
    turns = (await history_of(runtime).run(without)).turns

    for turn in {1, turns // 2, turns}:
        told = await stored_turn(history_of(runtime), with_states, turn)
        bare = await stored_turn(history_of(runtime), without, turn)

        assert told.position.state is not None
        assert bare.position.state is None
        assert bare.position.moves is not None
        assert len(bare.position.moves) == turn - 1
        assert (bare.position.board, bare.played) == (told.position.board, told.played)
        check_fork(bare.fork(GameSpec(game=game)))


async def test_moves_are_read_window_by_window(runtime: Runtime, monkeypatch: pytest.MonkeyPatch):
    run_id = await played(runtime, "connect_four", talkative)
    history = history_of(runtime)
    totals = await history.run(run_id)
    spans: list[int] = []
    read = StoredRun.window

    async def window(self: StoredRun, first: int, last: int) -> list[Delivery]:
        spans.append(last - first + 1)
        return await read(self, first, last)

    monkeypatch.setattr(StoredRun, "window", window)
    here = await stored_turn(history, run_id, totals.turns)

    assert totals.events > 2 * WINDOW
    assert sum(spans) > 2 * WINDOW
    assert max(spans) <= WINDOW
    assert here.position.moves is not None
    assert len(here.position.moves) == totals.turns - 1
    check_fork(here.fork(GameSpec(game="connect_four")))


async def test_a_turn_with_a_state_is_read_without_what_was_before(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
):
    run_id = await played(runtime, "connect_four", lambda event: [event])
    spans: list[tuple[int, int]] = []
    read = StoredRun.window

    async def window(self: StoredRun, first: int, last: int) -> list[Delivery]:
        spans.append((first, last))
        return await read(self, first, last)

    monkeypatch.setattr(StoredRun, "window", window)
    here = await stored_turn(history_of(runtime), run_id, 7)

    assert here.position.moves is None
    assert all(first == last == 1 or first >= here.seq for first, last in spans)


async def test_of_a_run_whose_moves_are_lost_nothing_is_guessed(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
):
    run_id = await played(runtime, "connect_four", without_state)
    read = StoredRun.window

    async def window(self: StoredRun, first: int, last: int) -> list[Delivery]:
        found = await read(self, first, last)
        return [
            Gap(run_id, each.epoch, each.first_seq, each.last_seq, "trimmed")
            if each.first_seq == 9 else each
            for each in found
        ]  # fmt: skip

    monkeypatch.setattr(StoredRun, "window", window)

    with pytest.raises(UsageError, match="some of its moves are lost"):
        await stored_turn(history_of(runtime), run_id, 9)


async def test_a_fork_without_states_is_not_restored(runtime: Runtime):
    def forked(event: Event) -> list[Event]:
        parent = [Fork(parent_run_id="another", parent_seq=7)] if event.kind == "run_start" else []
        return [*without_state(event), *parent]

    run_id = await played(runtime, "tic_tac_toe", forked)

    with pytest.raises(UsageError, match="it began as a fork: choose its parent"):
        await stored_turn(history_of(runtime), run_id, 2)


async def test_the_run_s_own_agents_and_label_are_kept_unless_others_are_given(runtime: Runtime):
    run_id = await played(
        runtime, "connect_four", lambda event: [event], label="evening", tags=["cup"],
        config={"game": "connect_four", "max_turns": 50, "delay_s": 0.5},
    )  # fmt: skip
    here = await stored_turn(history_of(runtime), run_id[-8:], 5)

    same = here.fork(GameSpec(game="connect_four"))
    other = here.fork(
        GameSpec(game="connect_four", agents=("mcts:5",), label="again", max_turns=60)
    )

    assert (same.spec.agents, same.spec.label) == (("random", "random"), "evening")
    assert same.spec.max_turns == 50
    assert same.origin.tags == ("cup", "fork")
    assert (other.spec.agents, other.spec.label) == (("mcts:5",), "again")
    assert other.spec.max_turns == 60
    assert other.origin.change == "turn 5: random -> mcts:5, random -> mcts:5"
    assert here.delay_s == 0.5


async def test_a_place_lies_in_the_turn_that_began_last(runtime: Runtime):
    run_id = await played(runtime, "connect_four", lambda event: [event])
    begun = await history_of(runtime).turn(run_id, 4)
    assert begun is not None

    here = [await turn_here(runtime, run_id, Cursor(0, begun.seq + more)) for more in (-1, 0, 3)]
    end = await turn_here(runtime, run_id, Cursor(0, 10**6))

    assert [each.position.turn for each in here] == [3, 4, 4]
    assert {each.run_id for each in here} == {run_id}
    assert end.position.turn == (await history_of(runtime).run(run_id)).turns
    with pytest.raises(UsageError, match="no turn has begun here"):
        await turn_here(runtime, run_id, Cursor(0, 1))


async def test_lineage_is_told_both_ways(runtime: Runtime):
    run_id = await played(runtime, "connect_four", lambda event: [event])
    here = await stored_turn(history_of(runtime), run_id, 5)
    child = await runtime.games.fork(here.fork(GameSpec(game="connect_four", seed=1)))
    await until(lambda: history_of(runtime).count("run_id = ?", [child]))

    assert await parent_of(runtime, child) == (run_id, Cursor(0, here.seq))
    assert await parent_of(runtime, run_id) is None
    assert [run.run_id for run in await children_of(history_of(runtime), run_id)] == [child]
    assert await children_of(history_of(runtime), child) == []


async def test_a_run_that_nobody_has_is_unknown(runtime: Runtime):
    with pytest.raises(UnknownRunError):
        await stored_turn(history_of(runtime), "nosuchrun", 1)
    with pytest.raises(UnknownRunError):
        await turn_here(runtime, "nosuchrun", Cursor(0, 1))


async def test_a_fork_that_cannot_begin_raises_and_plays_nothing(runtime: Runtime):
    run_id = await played(runtime, "connect_four", lambda event: [event])
    here = await stored_turn(history_of(runtime), run_id, 5)

    with pytest.raises(ArenaError, match="has 2 players, not 3"):
        await runtime.games.fork(here.fork(GameSpec(game="x", agents=("random",) * 3)))

    assert runtime.games.playing == 0
    assert await history_of(runtime).count() == 1


async def test_a_turn_without_a_number_is_not_gone_on_from(runtime: Runtime):
    def unnumbered(event: Event) -> list[Event]:
        is_third = isinstance(event, TurnStart) and event.turn == 3
        return [replace(event, turn=None) if is_third else event]

    run_id = await played(runtime, "tic_tac_toe", unnumbered)
    history = history_of(runtime)
    second = await history.turn(run_id, 2)
    assert second is not None
    third = await history.next_of_kind(run_id, "turn_start", second, 1)
    assert third is not None

    with pytest.raises(ArenaError, match="this turn has no number: choose another turn"):
        await turn_here(runtime, run_id, third)
