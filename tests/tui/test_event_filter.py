"""Only some events of a run, driven by keys."""

from __future__ import annotations

from textual.widgets import Input

from arena_tui.tui.screens.live import LiveScreen
from arena_tui.tui.screens.run import RunScreen
from tests.tui.scenario import Scenario
from tests.tui.test_run_screen import TIC_TAC_TOE
from tests.tui.test_screens import running, settled
from tests.waiting import until


async def test_only_what_matches_is_listed_and_stepped_over() -> None:
    app = Scenario()
    async with running(app) as pilot:
        await settled(app, pilot)
        app.open_run(TIC_TAC_TOE)
        await settled(app, pilot)
        await pilot.press("v", "home", "vertical_line", *"kind:act", "tab")
        written = await settled(app, pilot)
        completed = app.screen.query_one(Input).value
        await pilot.press("enter")
        await until(lambda: isinstance(app.screen, RunScreen))
        filtered = await settled(app, pilot)
        await pilot.press("right")
        first = await settled(app, pilot)
        await pilot.press("right")
        second = await settled(app, pilot)
        await pilot.press("left", "left")
        refused = await settled(app, pilot)
        await pilot.press("escape")
        ended = await settled(app, pilot)
        await pilot.press("escape")
        await settled(app, pilot)

        assert isinstance(app.screen, LiveScreen)
    assert "kind:action" in written
    assert completed == "kind:action"
    assert "events · kind:action · 10 of 22 events" in filtered
    assert "… 3 hidden …" in filtered
    assert "… 2 hidden …" in filtered
    assert "event 4/22" in first
    assert "event 5/22" in second
    assert "event 4/22" in refused
    assert "no earlier event matches the filter" in refused
    assert "hidden …" not in ended
    assert "event 4/22" in ended


async def test_turns_without_a_match_are_dim_and_a_mistake_is_told_where_it_is() -> None:
    app = Scenario()
    async with running(app) as pilot:
        await settled(app, pilot)
        app.open_run(TIC_TAC_TOE)
        await settled(app, pilot)
        await pilot.press("vertical_line", *"kimd:x", "enter")
        refused = await settled(app, pilot)
        await pilot.press("ctrl+u", *"turn:2", "enter")
        await until(lambda: isinstance(app.screen, RunScreen))
        filtered = await settled(app, pilot)

    assert "no field 'kimd': did you mean kind?" in refused
    assert "turns · turn:2 · 4 of 22 events" in filtered
