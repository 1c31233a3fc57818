"""Forking a run at a turn, asking agents there, and walking between parents and children."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from textual.pilot import Pilot
from textual.widgets import Input, Static

from arena_tui.broker.protocol import Cursor
from arena_tui.events import RunEnd
from arena_tui.folds.totals import RunTotals
from arena_tui.games.specs import GameSpec
from arena_tui.store.history import History
from arena_tui.tui.screens.asking import AskScreen
from arena_tui.tui.screens.forking import ForkScreen
from arena_tui.tui.screens.lineage import ChildrenScreen
from arena_tui.tui.screens.run import RunScreen
from tests.tui.scenario import Scenario, Tape
from tests.tui.test_screens import running, settled
from tests.waiting import until

GAME = "connect_four random random seed=3 label=evening"


def history_of(app: Scenario) -> History:
    assert app.session.history is not None
    return app.session.history


async def runs_of(app: Scenario, count: int) -> list[RunTotals]:
    """All runs, the oldest first, once so many are over and stored."""
    history = history_of(app)
    await until(lambda: history.count("ended_at IS NOT NULL"), 60)

    async def found() -> list[RunTotals]:
        runs = await history.runs("ended_at IS NOT NULL", descending=False)
        return runs if len(runs) == count else []

    runs: list[RunTotals] = await until(found)
    return runs


@asynccontextmanager
async def at_turn(app: Scenario, turn: int) -> AsyncIterator[tuple[Pilot[int], RunTotals]]:
    """A game that is over, open at the action of a turn of it."""
    async with running(app) as pilot:
        await app.session.play(GameSpec.parse(GAME))
        (run,) = await runs_of(app, 1)
        begun = await history_of(app).turn(run.run_id, turn)
        assert begun is not None
        app.open_run(run.run_id, Cursor(0, begun.seq + 2))
        await settled(app, pilot)
        yield pilot, run


async def write(app: Scenario, pilot: Pilot[int], text: str) -> str:
    """Put a text in the input, enter it, and wait for what comes of it."""
    dialog = app.screen
    app.screen.query_one(Input).value = text
    await pilot.press("enter")
    await until(lambda: all(each.is_finished for each in app.workers if each.node is dialog))
    await pilot.press("f5")  # what a closing dialog had yet to digest goes on with the next key
    return await settled(app, pilot)


async def forked(app: Scenario, pilot: Pilot[int], text: str, runs: int) -> list[RunTotals]:
    """Fork at the place one stands at; returns all runs once the new ones are over."""
    await pilot.press("f")
    await settled(app, pilot)
    await write(app, pilot, text)
    return await runs_of(app, runs)


async def test_the_dialog_shows_the_turn_and_starts_the_games_it_is_asked_for() -> None:
    app = Scenario([])
    async with at_turn(app, 6) as (pilot, run):
        await pilot.press("f")
        dialog = await settled(app, pilot)
        suggested = app.screen.query_one(Input).value
        told = await write(app, pilot, "mcts:5 random games=2 seed=4")
        _, *forks = await runs_of(app, 3)

        assert f"Fork from turn 6 of connect_four · {run.run_id[-4:].lower()}" in dialog
        assert "· · · · · · ·" in dialog
        assert suggested == "random random games=1"
        assert f"forked as connect_four · {forks[0].run_id[-4:].lower()}" in told
        assert "and 1 more" in " ".join(told.split())
        assert isinstance(app.screen, RunScreen)
        assert [fork.parent_run_id for fork in forks] == [run.run_id] * 2
        assert [fork.label for fork in forks] == ["evening"] * 2
        assert {tuple(agent.spec for agent in fork.agents) for fork in forks} == {
            ("mcts:5", "random")
        }


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("wizard", "no agent 'wizard'"),
        ("random random random", "connect_four has 2 players, not 3"),
        ("random random max_turns=2", "max_turns must be 6 at least"),
        ("random games=0", "games must be 1 to"),
        ("random colour=red", "has no option colour"),
    ],
)
async def test_what_is_refused_keeps_the_dialog_and_says_why(text: str, why: str) -> None:
    app = Scenario([])
    async with at_turn(app, 6) as (pilot, _):
        await pilot.press("f")
        await settled(app, pilot)
        screen = await write(app, pilot, text)

        assert isinstance(app.screen, ForkScreen)
        assert why in " ".join(screen.split())
        assert app.screen.query_one(Input).value == text
        assert await history_of(app).count() == 1

        await pilot.press("escape")
        await settled(app, pilot)
        assert isinstance(app.screen, RunScreen)


async def test_a_run_without_a_state_says_so_in_the_dialog() -> None:
    tape = Tape("01ARENA0000000000000000N0N0", "my-game", ["x", "o"], seed=1)
    for turn in range(1, 4):
        tape.turn(turn, "xo"[turn % 2], "·", f"move {turn}")
    tape.add(RunEnd)
    app = Scenario([tape])
    async with running(app) as pilot:
        app.open_run(tape.run_id)
        await settled(app, pilot)
        await pilot.press("]")
        await settled(app, pilot)
        await pilot.press("f")
        await settled(app, pilot)
        screen = await write(app, pilot, "random random")

    assert "this game cannot be restored: its turns have no state" in " ".join(screen.split())


async def test_before_the_first_turn_there_is_nothing_to_fork() -> None:
    app = Scenario([])
    async with at_turn(app, 6) as (pilot, _):
        await pilot.press("home", "f")
        screen = await settled(app, pilot)

        assert isinstance(app.screen, RunScreen)
        assert "no turn has begun here" in screen


async def test_agents_are_asked_one_after_the_other_and_nothing_is_published() -> None:
    app = Scenario([])
    async with at_turn(app, 6) as (pilot, _):
        before = (await app.runtime.broker.stats()).published
        await pilot.press("w")
        empty = await settled(app, pilot)
        told = app.screen.query_one(".told", Static)
        for number, agent in enumerate(("minimax:3", "random"), start=2):
            await write(app, pilot, agent)
            await until(lambda n=number: len(str(told.render()).splitlines()) == n)
        played, *answers = str(told.render()).splitlines()
        refused = await write(app, pilot, "uci:/no/such/engine")
        after = (await app.runtime.broker.stats()).published

        assert isinstance(app.screen, AskScreen)
        assert "Ask at turn 6 of connect_four" in empty
        assert "played " in empty
        assert re.fullmatch(r"played +o\d +by random#2", played)
        assert re.fullmatch(r"minimax:3 +o\d +[\d.]+ s( +as played)?", answers[0])
        assert re.fullmatch(r"random +o\d +[\d.]+ s( +as played)?", answers[1])
        assert "uci does not apply to connect_four" in " ".join(refused.split())
        assert after == before
        assert app.runtime.sink.stats().queued == 0
        assert await history_of(app).count() == 1


async def test_escape_ends_a_long_answer_and_the_next_one_closes() -> None:
    app = Scenario([])
    async with at_turn(app, 1) as (pilot, _):
        await pilot.press("w")
        await settled(app, pilot)
        dialog = app.screen
        app.screen.query_one(Input).value = "mcts:1000000"
        await pilot.press("enter")
        told = dialog.query_one(".told", Static)
        await until(lambda: "asking…" in str(told.render()))

        await pilot.press("escape")
        stopped = await settled(app, pilot)

        assert app.screen is dialog
        assert "asking…" not in stopped
        await pilot.press("escape")
        await settled(app, pilot)
        assert isinstance(app.screen, RunScreen)


async def test_one_walks_to_the_only_child_and_back_to_where_it_was_forked() -> None:
    app = Scenario([])
    async with at_turn(app, 6) as (pilot, run):
        _, child = await forked(app, pilot, "mcts:5 random seed=4", 2)
        await pilot.press("P")
        down = await settled(app, pilot)
        await pilot.press("p")
        up = await settled(app, pilot)
        begun = await history_of(app).turn(run.run_id, 6)

        assert f"connect_four · {child.run_id[-4:].lower()}" in down
        assert f"connect_four · {run.run_id[-4:].lower()}" in up
        assert begun is not None
        assert f"event {begun.seq}/" in up


async def test_of_several_children_one_is_chosen() -> None:
    app = Scenario([])
    async with at_turn(app, 6) as (pilot, _):
        runs = await forked(app, pilot, "mcts:5 random games=2 seed=4", 3)
        await pilot.press("P")
        listed = await settled(app, pilot)
        assert isinstance(app.screen, ChildrenScreen)
        await pilot.press("down", "enter")
        opened = await settled(app, pilot)

        newest_first = [each.run_id[-4:].lower() for each in runs[:0:-1]]
        assert all(f"{each}  2" in listed for each in newest_first)
        assert "mcts:5, random" in listed
        assert f"connect_four · {newest_first[1]}" in opened


async def test_where_there_is_no_parent_and_no_child_it_is_said() -> None:
    app = Scenario([])
    async with at_turn(app, 6) as (pilot, _):
        await pilot.press("p")
        parent = await settled(app, pilot)
        await pilot.press("P")
        child = await settled(app, pilot)

        assert "this run has no parent" in parent
        assert "no stored run is forked from this one" in child


async def test_a_live_run_without_a_store_is_forked_too() -> None:
    app = Scenario([], store=False)
    async with running(app) as pilot:
        await app.session.play(GameSpec.parse("connect_four random random seed=3 delay=3600"))
        await until(lambda: app.session.games.playing)

        async def live() -> str | None:
            await app.settle()
            ready = [pane.run_id for pane in app.session.frame.panes if pane.turn]
            return ready[0] if ready else None

        run_id: str = await until(live)
        app.open_run(run_id)
        await settled(app, pilot)
        await pilot.press("f")
        await settled(app, pilot)
        suggested = app.screen.query_one(Input).value
        told = await write(app, pilot, "random random delay=0")
        await until(lambda: app.session.games.playing == 1)  # the parent, at its first turn

        async def ended() -> bool:
            await app.settle()
            return any(pane.state == "finished" for pane in app.session.frame.panes)

        await until(ended)
        await pilot.press("P")
        none = await settled(app, pilot)

    assert suggested == "random random games=1 delay=3600"
    assert "forked as connect_four · " in told
    assert "none is open here" in none
