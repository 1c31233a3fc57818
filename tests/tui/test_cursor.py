"""A cursor is on a run: rows that come, go or are sorted anew never put another under it."""

from __future__ import annotations

import pytest
from textual.pilot import Pilot

from arena_tui.events import RunEnd, RunStart
from arena_tui.tui.screens.confirm import ConfirmScreen
from arena_tui.tui.screens.history import HistoryScreen
from arena_tui.tui.screens.live import LiveScreen
from arena_tui.tui.screens.run import RunScreen
from arena_tui.tui.widgets.mosaic import Mosaic
from arena_tui.tui.widgets.table import VirtualTable
from tests.tui.scenario import Scenario, Tape
from tests.tui.test_screens import running, settled, text_of
from tests.waiting import until

CHOSEN = "01ARENA000000000000000091BC"
"""A finished game of tic_tac_toe."""


def newer(number: int) -> Tape:
    """A finished run that starts later than those before."""
    tape = Tape(f"01ARENB{number:019d}", f"later_{number}", [])
    tape.events.clear()
    tape.add(RunStart, 3_600 + number, game=f"later_{number}", agents=[])
    tape.add(RunEnd)
    return tape


async def stored(app: Scenario, pilot: Pilot[int], runs: list[Tape]) -> str:
    """Publish these runs, and show them once they are stored."""
    await app.publish(runs)
    await app.runtime.broker.settled([run.run_id for run in runs])
    app.clock.now += 2
    return await settled(app, pilot)


async def history_on(app: Scenario, pilot: Pilot[int], run_id: str = CHOSEN) -> VirtualTable:
    """History with the cursor on this run."""
    await settled(app, pilot)
    await pilot.press("2")
    await settled(app, pilot)
    table = app.screen.query_one(VirtualTable)
    while table.key != run_id:
        await pilot.press("down")
        await pilot.pause()
    return table


async def test_new_runs_leave_the_cursor_of_history_on_its_run() -> None:
    app = Scenario()
    async with running(app) as pilot:
        table = await history_on(app, pilot)
        row = table.cursor
        await stored(app, pilot, [newer(number) for number in range(3)])

        assert table.cursor == row + 3
        assert table.key == CHOSEN
        await pilot.press("d")
        question = await settled(app, pilot)
        assert "Delete tic_tac_toe · 91bc, minimax x vs random o, started 20" in question
        await pilot.press("y")
        await until(lambda: isinstance(app.screen, HistoryScreen))
        left = await settled(app, pilot)
        assert "tic_tac_toe" not in left
        assert "later_2" in left


async def test_runs_that_arrive_during_the_question_change_nothing_in_it() -> None:
    app = Scenario()
    async with running(app) as pilot:
        await history_on(app, pilot)
        await pilot.press("d")
        await until(lambda: isinstance(app.screen, ConfirmScreen))
        await stored(app, pilot, [newer(number) for number in range(3)])
        await pilot.press("y")
        await until(lambda: isinstance(app.screen, HistoryScreen))
        left = await settled(app, pilot)

        assert "tic_tac_toe" not in left
        assert left.count("later_") == 3


@pytest.mark.parametrize("keys", [["s"], ["s", "s", "s"], ["r"], ["s", "r"]])
async def test_sorting_leaves_the_cursor_of_history_on_its_run(keys: list[str]) -> None:
    app = Scenario()
    async with running(app) as pilot:
        table = await history_on(app, pilot)
        for key in keys:
            await pilot.press(key)
            await settled(app, pilot)

        assert table.key == CHOSEN


async def test_a_filter_and_its_end_leave_the_cursor_on_a_run_that_matches() -> None:
    app = Scenario()
    async with running(app) as pilot:
        table = await history_on(app, pilot)
        await pilot.press("slash")
        await settled(app, pilot)
        await pilot.press(*"tic")
        await settled(app, pilot)
        await pilot.press("escape")
        await settled(app, pilot)

        assert table.key == CHOSEN


async def test_a_filter_that_matches_nothing_for_a_moment_keeps_the_run_of_history() -> None:
    app = Scenario()
    async with running(app) as pilot:
        table = await history_on(app, pilot)
        await pilot.press("slash", *"zzz")
        await settled(app, pilot)
        nothing = table.key
        await pilot.press(*["backspace"] * 3, *"err")
        await settled(app, pilot)
        await pilot.press("escape")
        await settled(app, pilot)

        assert nothing is None
        assert table.key == CHOSEN


async def test_until_a_pane_is_chosen_the_cursor_is_on_the_one_that_needs_attention_most() -> None:
    app = Scenario()
    crashed = app.tapes.pop()
    async with running(app) as pilot:
        await settled(app, pilot)
        live = app.screen
        assert isinstance(live, LiveScreen)
        before = live.selected_run()
        await app.publish([crashed])
        await settled(app, pilot)
        after = live.selected_run()
        await pilot.press("right")
        chosen = live.selected_run()

    assert before not in (None, crashed.run_id)
    assert after == crashed.run_id
    assert chosen != crashed.run_id


@pytest.mark.parametrize("as_table", [False, True])
async def test_a_filter_that_matches_others_for_a_moment_keeps_the_run_of_live(
    as_table: bool,
) -> None:
    app = Scenario()
    async with running(app) as pilot:
        await settled(app, pilot)
        if as_table:
            await pilot.press("t")
        await pilot.press("down", "right" if not as_table else "down")
        await settled(app, pilot)
        live = app.screen
        assert isinstance(live, LiveScreen)
        chosen = live.selected_run()
        for text in ("game:backgammon", "zzz"):
            await pilot.press("slash", *text)
            await settled(app, pilot)
            among_others = live.selected_run()
            await pilot.press("escape")
            await settled(app, pilot)

            assert among_others != chosen
            assert live.selected_run() == chosen


async def test_the_run_chosen_among_those_that_match_stays_when_the_filter_goes() -> None:
    app = Scenario()
    async with running(app) as pilot:
        table = await history_on(app, pilot)
        await pilot.press("slash", *"chess", "enter")
        await settled(app, pilot)
        kept = table.key
        await pilot.press("escape")
        await settled(app, pilot)

        assert kept != CHOSEN
        assert table.key == kept


async def test_the_run_next_to_one_that_is_gone_takes_its_place() -> None:
    app = Scenario()
    async with running(app) as pilot:
        table = await history_on(app, pilot)
        row = table.cursor
        history = app.runtime.history
        assert history is not None
        await history.delete(CHOSEN)
        await settled(app, pilot)
        await settled(app, pilot)

        assert table.cursor == row
        assert table.key not in {None, CHOSEN}


async def test_a_cursor_that_nobody_has_moved_stays_in_sight_at_the_top() -> None:
    app = Scenario()
    async with running(app, (80, 14)) as pilot:
        await settled(app, pilot)
        await pilot.press("2")
        await settled(app, pilot)
        screen = await stored(app, pilot, [newer(number) for number in range(30)])

        assert app.screen.query_one(VirtualTable).cursor == 0
        assert "later_29" in screen


async def test_a_run_far_down_keeps_the_cursor_across_pages() -> None:
    app = Scenario()
    async with running(app) as pilot:
        table = await history_on(app, pilot)
        row = table.cursor
        await stored(app, pilot, [newer(number) for number in range(250)])

        assert table.cursor == row + 250
        assert table.key == CHOSEN
        assert "tic_tac_toe" in text_of(app)


async def test_enter_opens_the_run_that_was_under_the_cursor_when_it_was_pressed() -> None:
    app = Scenario()
    async with running(app) as pilot:
        table = await history_on(app, pilot)
        table.action_open()
        app.screen.query_one(VirtualTable).show(1)
        screen = await settled(app, pilot)

        assert isinstance(app.screen, RunScreen)
        assert "tic_tac_toe · 91bc" in screen


@pytest.mark.parametrize("as_table", [False, True])
async def test_new_and_sorted_runs_leave_the_selection_of_live_on_its_run(as_table: bool) -> None:
    app = Scenario()
    crash = app.tapes.pop()
    async with running(app) as pilot:
        await settled(app, pilot)
        if as_table:
            await pilot.press("t", "down", "down")
        else:
            await pilot.press("right", "right")
        await settled(app, pilot)
        mosaic, table = app.screen.query_one(Mosaic), app.screen.query_one(VirtualTable)

        def selected() -> str | None:
            return table.key if as_table else mosaic.selected and mosaic.selected.run_id

        before = selected()
        await app.publish([crash, newer(1), newer(2)])  # a crash comes first
        await settled(app, pilot)
        after_new = selected()
        await pilot.press("s")
        await settled(app, pilot)
        after_sorting = selected()
        await pilot.press("enter")
        await settled(app, pilot)

        assert before == after_new == after_sorting
        assert before is not None
        assert isinstance(app.screen, RunScreen)
        assert before[-4:].lower() in text_of(app)


async def test_mosaic_and_table_select_the_same_run() -> None:
    app = Scenario()
    async with running(app) as pilot:
        await settled(app, pilot)
        await pilot.press("right", "right", "right")
        mosaic, table = app.screen.query_one(Mosaic), app.screen.query_one(VirtualTable)
        selected = mosaic.selected
        assert selected is not None
        await pilot.press("t")
        await settled(app, pilot)
        in_table = table.key
        await pilot.press("down", "t")
        await settled(app, pilot)

        assert in_table == selected.run_id
        assert mosaic.selected is not None
        assert mosaic.selected.run_id == table.key != in_table
