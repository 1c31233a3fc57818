"""Marking runs in History, and many runs as one summary and a tree, as a person meets them."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator

import pytest
from textual.pilot import Pilot
from textual.worker import WorkerFailed

from arena_tui.events import RunEnd
from arena_tui.folds.openings import Group, Opening, group_runs
from arena_tui.tui.screens import openings as module
from arena_tui.tui.screens.compare import CompareScreen
from arena_tui.tui.screens.openings import OpeningsScreen
from arena_tui.tui.screens.run import RunScreen
from arena_tui.tui.widgets.table import VirtualTable
from tests.tui.scenario import Scenario, Tape
from tests.tui.test_screens import running, settled

RUNS = ("abc", "abd", "acd", "xyz")


def tapes() -> Iterator[Tape]:
    for number, moves in enumerate(RUNS):
        players = ["ann", "bob"] if number % 2 else ["bob", "ann"]
        tape = Tape(f"01ARENA00000000000000000R{number}", "line", players)
        for turn, move in enumerate(moves, 1):
            tape.turn(turn, players[turn % 2], ".", f"go {move}")
        tape.add(RunEnd, outcome={"ann": 1.0, "bob": 0.0} if number else {"ann": 0.0, "bob": 0.0})
        yield tape


async def history(app: Scenario, pilot: Pilot[int]) -> VirtualTable:
    await pilot.press("2")
    await settled(app, pilot)
    await pilot.press("s", "s", "s", "s")
    await settled(app, pilot)
    return app.screen.query_one(VirtualTable)


def tree(text: str) -> list[list[str]]:
    """The lines of the tree, without blanks around their words."""
    lines = text.splitlines()
    start = next(index for index, line in enumerate(lines) if line.startswith("opening"))
    return [line.split() for line in lines[start + 1 :] if line[:1] in "▸▾· " and line.strip()
            and line.split()[0] in ("▸", "▾", "·", "…")]  # fmt: skip


async def test_two_marked_runs_are_compared() -> None:
    app = Scenario(tapes())
    async with running(app) as pilot:
        table = await history(app, pilot)
        marked = [table.key]
        await pilot.press("space")
        await settled(app, pilot)
        marked.append(table.key)
        await pilot.press("space")
        text = await settled(app, pilot)
        in_sight = text.count("◆ line")
        await pilot.press("c")
        await settled(app, pilot)

        assert isinstance(app.screen, CompareScreen)
        assert in_sight == 2
        assert app.marked == marked


async def test_a_run_that_is_deleted_is_marked_no_longer() -> None:
    app = Scenario(tapes())
    async with running(app) as pilot:
        table = await history(app, pilot)
        await pilot.press("space", "up")
        marked = table.key
        assert app.marked == [marked]
        await pilot.press("d")
        await settled(app, pilot)
        await pilot.press("y")
        await settled(app, pilot)
        deleted = app.marked.copy()
        await pilot.press("c")
        said = await settled(app, pilot)

    assert deleted == []
    assert "mark a run with space, then choose another one" in said


@pytest.mark.parametrize("key", ["space", "x", "X", "d"])
@pytest.mark.parametrize("store", [True, False], ids=["stored", "not-stored"])
async def test_a_key_that_finds_no_run_says_so(key: str, store: bool) -> None:
    app = Scenario(tapes(), store=store)
    async with running(app) as pilot:
        await history(app, pilot)
        await pilot.press("slash", *"game:nosuch", "enter")
        await settled(app, pilot)
        await pilot.press(key)
        said = await settled(app, pilot)

    told = "no run stands here"
    if not store and key != "space":
        told = "nothing is stored here to delete" if key == "d" else "none is open here"
    assert told in said


async def test_thousands_of_runs_are_summed_up_beside_the_screen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    threads = []

    def group(found: Iterable[Opening]) -> list[Group]:
        threads.append(threading.current_thread())
        return group_runs(found)

    monkeypatch.setattr(module, "group_runs", group)
    app = Scenario(tapes())
    async with running(app) as pilot:
        await history(app, pilot)
        await pilot.press("C")
        text = await settled(app, pilot)

    assert "line  ann vs bob" in text
    assert threads
    assert threading.main_thread() not in threads


async def test_a_summary_that_cannot_be_read_says_so_and_goes_back() -> None:
    app = Scenario(tapes())
    async with running(app) as pilot:
        await history(app, pilot)
        app.push_screen(OpeningsScreen(app, "no_such_column = 1", [], "some runs"))
        with pytest.raises(WorkerFailed):
            await settled(app, pilot)
        said = await settled(app, pilot)

    assert "Reading …" not in said
    assert "The runs could not be read: esc goes back." in said


async def test_one_marked_run_is_compared_with_the_one_under_the_cursor() -> None:
    app = Scenario(tapes())
    async with running(app) as pilot:
        table = await history(app, pilot)
        await pilot.press("c")
        alone = await settled(app, pilot)
        first = table.key
        await pilot.press("space", "down")
        await settled(app, pilot)
        second = table.key
        await pilot.press("c")
        text = await settled(app, pilot)

    assert "mark a run with space, then choose another one" in alone
    assert first is not None
    assert second is not None
    assert f"A line · {first[-4:].lower()}" in text
    assert f"B line · {second[-4:].lower()}" in text


async def test_space_takes_a_mark_away_again() -> None:
    app = Scenario(tapes())
    async with running(app) as pilot:
        await history(app, pilot)
        await pilot.press("space", "up", "space")
        text = await settled(app, pilot)

        assert app.marked == []
        assert "◆ line" not in text


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)])
async def test_the_runs_of_a_filter_are_summed_up_and_their_openings_walked(
    size: tuple[int, int],
) -> None:
    app = Scenario(tapes())
    async with running(app, size) as pilot:
        await history(app, pilot)
        await pilot.press("C")
        text = await settled(app, pilot)
        await pilot.press("down", "right")
        unfolded = await settled(app, pilot)
        await pilot.press("right", "right")
        deeper = await settled(app, pilot)
        await pilot.press("left", "left", "left")
        folded = await settled(app, pilot)

        assert isinstance(app.screen, OpeningsScreen)
    assert "4 runs   4 decided, 1 of them drawn   3.0 turns a run" in text
    assert "ann                       won 75 % (95 %: 30 to 95 %)   3 of 4" in text
    assert "bob                       won 0 % (95 %: 0 to 49 %)   0 of 4" in text
    top = ["▾", "line", "ann", "vs", "bob", "4", "ann", "3", "1"]
    assert tree(text) == [
        top, ["▸", "go", "a", "3", "ann", "2", "1"], ["·", "go", "x", "1", "ann", "1"]
    ]  # fmt: skip
    assert tree(unfolded)[1:4] == [
        ["▾", "go", "a", "3", "ann", "2", "1"], ["▸", "go", "b", "2", "ann", "1", "1"],
        ["·", "go", "c", "1", "ann", "1"],
    ]  # fmt: skip
    assert tree(deeper)[2:5] == [
        ["▾", "go", "b", "2", "ann", "1", "1"], ["·", "go", "c", "1", "1"],
        ["·", "go", "d", "1", "ann", "1"],
    ]  # fmt: skip
    assert tree(folded) == tree(text)


async def test_a_leaf_opens_its_run_where_the_moves_lead() -> None:
    app = Scenario(tapes())
    async with running(app) as pilot:
        await history(app, pilot)
        await pilot.press("C", "down", "enter", "down", "down", "enter")
        text = await settled(app, pilot)

        assert isinstance(app.screen, RunScreen)
    assert "line · 00r2" in text
    assert "turn 2/3" in text


async def test_more_than_two_marked_runs_are_summed_up() -> None:
    app = Scenario(tapes())
    async with running(app) as pilot:
        await history(app, pilot)
        await pilot.press("space", "space", "space", "c")
        text = await settled(app, pilot)

    assert "3 marked runs" in text
    assert "3 runs   3 decided" in text


async def test_only_the_runs_of_the_filter_count() -> None:
    app = Scenario(tapes())
    async with running(app) as pilot:
        await history(app, pilot)
        await pilot.press("slash", *"draw", "enter")
        await settled(app, pilot)
        await pilot.press("C")
        text = await settled(app, pilot)

    assert "draw   the first 12 moves of the newest 5,000 runs at most" in text
    assert "1 run   1 decided, 1 of them drawn" in text
