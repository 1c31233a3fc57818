"""A tab is one entry: wherever screens are named, it is there."""

from __future__ import annotations

import re

import pytest
from textual.command import CommandInput
from textual.pilot import Pilot
from textual.widget import Widget
from textual.widgets import Static

from arena_tui.tui.screens.base import ArenaScreen
from arena_tui.tui.tabs import TABS, Tab
from arena_tui.tui.widgets.bars import TitleBar
from tests.tui.scenario import Scenario
from tests.tui.test_screens import running, settled

WEATHER = Tab("7", "Weather", "Look out of the window", f"{__name__}:WeatherScreen")


class WeatherScreen(ArenaScreen):
    """A screen like those that come later."""

    BINDINGS = [("w", "wait", "wait for sun")]  # noqa: RUF012 - as in Textual

    def body(self) -> list[Widget]:
        return [Static("it rains")]

    def action_wait(self) -> None:
        self.query_one(Static).update("the sun shines")


@pytest.fixture
def app() -> Scenario:
    return Scenario(tabs=[*TABS, WEATHER])


async def test_a_tab_is_found_by_its_key(app: Scenario) -> None:
    async with running(app) as pilot:
        await pilot.press("7")
        screen = await settled(app, pilot)

    assert screen.startswith(f" arena-tui  {'  '.join(tab.label for tab in TABS)}  7 Weather ")
    assert "it rains" in screen


@pytest.mark.parametrize("tab", [*TABS, WEATHER], ids=lambda tab: tab.name)
async def test_a_tab_is_found_by_a_click_on_the_title_line(app: Scenario, tab: Tab) -> None:
    async with running(app) as pilot:
        await pilot.press("7" if tab != WEATHER else "2")
        title = await settled(app, pilot)
        await pilot.click(TitleBar, offset=(title.index(tab.label) + 2, 0))
        await settled(app, pilot)

        assert app.screen.name == tab.name


async def test_a_tab_and_what_it_can_do_are_found_in_the_palette(app: Scenario) -> None:
    async with running(app) as pilot:
        await choose(pilot, "weather")
        rain = await settled(app, pilot)
        await choose(pilot, "wait for sun")
        sun = await settled(app, pilot)

    assert "it rains" in rain
    assert "the sun shines" in sun


async def choose(pilot: Pilot[int], command: str) -> None:
    """Run a command of the palette."""
    app = pilot.app
    await pilot.press("ctrl+p", *(key(char) for char in command))
    assert isinstance(app.focused, CommandInput)
    await app.workers.wait_for_complete()
    await pilot.pause()
    await pilot.press("down", "enter")
    await pilot.pause()


def key(char: str) -> str:
    return "space" if char == " " else char


async def test_a_tab_and_its_keys_are_found_in_the_help(app: Scenario) -> None:
    async with running(app) as pilot:
        await pilot.press("7", "question_mark")
        screen = await settled(app, pilot)

    words = " ".join(re.sub("[│╭╮╰╯─]", " ", screen).split())
    assert "w wait for sun" in words
    assert "1 2 3 4 5 7" in words
    assert "weather" in words


async def test_a_tab_comes_back_as_it_was_left_below_another_screen(app: Scenario) -> None:
    async with running(app) as pilot:
        await pilot.press("7", "w")
        app.open_run("01ARENA000000000000000091BC")
        await settled(app, pilot)
        await pilot.press("7")
        back = await settled(app, pilot)
        await pilot.press("2", "7")
        new = await settled(app, pilot)

    assert "the sun shines" in back
    assert "it rains" in new


async def test_the_palette_offers_what_the_screen_can_do_now(app: Scenario) -> None:
    async with running(app) as pilot:
        await pilot.press("2")
        await settled(app, pilot)
        history = {command.title for command in app.get_system_commands(app.screen)}
        await pilot.press("1")
        live = [command.title for command in app.get_system_commands(app.screen)]

    assert {"Live", "History", "Weather", "Filter", "Delete", "Reverse the order"} <= history
    assert {"Freeze", "Clear finished"} <= set(live)
    assert not {"Delete", "Clear the filter", "Copy selected text"} & set(live)
    assert len(live) == len(set(live))
