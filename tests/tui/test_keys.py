"""Keys, as the help and the palette tell of them, and as they act."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Input
from textual.worker import WorkerCancelled

from arena_tui.services.playables import parse_playable
from arena_tui.tui.keys import key_rows
from arena_tui.tui.screens.base import ArenaScreen
from arena_tui.tui.screens.confirm import ConfirmScreen
from arena_tui.tui.widgets.bars import KeyLine
from arena_tui.tui.widgets.query_line import QueryLine
from tests.tui.scenario import Scenario
from tests.tui.test_screens import running, settled, text_of
from tests.waiting import until

RUN = "01ARENA000000000000000091BC"
FIRST = {
    "up": "down", "down": "up", "k": "j", "j": "k", "h": "l", "E": "e", "N": "n", "minus": "plus",
    "f5": "right", "pageup": "pagedown", "pagedown": "pageup", "home": "end", "end": "home",
}  # fmt: skip
"""What to press before, so that there is somewhere to go."""
BACK = {"space": "space", "tab": "shift+tab", "l": "h", "left": "right", "right": "left"}
"""What to press afterwards, so that the keys still mean what they did."""


async def to_run(app: Scenario, pilot: Pilot[int]) -> None:
    """A run with a bookmark, a search and a place in its middle."""
    app.open_run(RUN)
    await settled(app, pilot)
    await pilot.press("m", "slash", *"minimax", "enter")
    await settled(app, pilot)
    await pilot.press("g", *"10", "enter")


async def to_broker(app: Scenario, pilot: Pilot[int]) -> None:
    """Its runs, which are sampled once a second."""
    await app.runtime.instruments.sample()
    await pilot.press("3")
    await settled(app, pilot)
    await pilot.press("down")


async def to_rows(app: Scenario, pilot: Pilot[int]) -> None:
    """The rows of a query, more than fit, and more columns, of which one is left out."""
    await pilot.press("4")
    await settled(app, pilot)
    app.screen.query_one(QueryLine).put("FROM events")
    await pilot.press("enter")
    await settled(app, pilot)
    await pilot.press("down", "right")


def by(*keys: str) -> Callable[[Scenario, Pilot[int]], Awaitable[None]]:
    async def go(app: Scenario, pilot: Pilot[int]) -> None:
        await pilot.press(*keys)

    return go


SCREENS = {
    "Live": by("right"), "table": by("t", "down"), "History": by("2", "down"),
    "Broker": to_broker, "SQL": to_rows, "Ratings": by("5"),
    "Costs": by("dollar_sign", "down"), "Run": to_run,
}  # fmt: skip


class Told(Scenario):
    """Counts its notices, and hides them."""

    told = 0

    def notify(self, message: str, **options: Any) -> None:
        self.told += 1


def listed(app: Scenario) -> list[str]:
    """The keys of the help, but for those to other screens and out; enter comes last."""
    rows = key_rows(app.screen, lambda binding: binding.key)
    here = [row for row in rows if row.task not in ("screens", "leave")]
    keys = [key for row in here for group in row.keys for key in group]
    return sorted(keys, key=lambda key: key == "enter")


async def looks(app: Told, pilot: Pilot[int]) -> tuple[object, ...]:
    """All that a key may change: the screen, the focus, what stands there, and notices."""
    await until(lambda: app.typed_ahead.is_at_rest)
    with suppress(WorkerCancelled):  # a newer request took its place
        await app.workers.wait_for_complete()
    await app.settle()
    await pilot.pause()
    return app.screen, app.focused, app.told, text_of(app, styles=True)


async def has_effect(app: Told, pilot: Pilot[int], key: str) -> bool:
    """Whether something changes that can be seen; what it has opened is closed again."""
    screen = app.screen
    if key in FIRST:
        await pilot.press(FIRST[key])
    before = await looks(app, pilot)
    await pilot.press(key)
    acts = await looks(app, pilot) != before
    if not acts:  # on a busy machine keys wait for the screen no more, so it may come later
        acts = await looks(app, pilot) != before
    if key in BACK:
        await pilot.press(BACK[key])
    while app.screen is not screen:
        app.pop_screen()
    if isinstance(app.focused, Input):
        await pilot.press("escape")
    return acts


@pytest.mark.parametrize("name", SCREENS)
async def test_every_key_that_help_lists_acts_on_its_screen_or_says_why_not(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("ARENA_LOG", str(tmp_path / "log"))  # beside it is what was asked in SQL
    app = Told()
    async with running(app, (120, 40)) as pilot:
        await settled(app, pilot)
        await SCREENS[name](app, pilot)
        await settled(app, pilot)
        keys = listed(app)
        idle = [key for key in keys if not await has_effect(app, pilot, key)]

    assert len(keys) > 7
    assert idle == []


async def test_the_palette_has_the_hidden_commands_of_the_screen_and_no_moves() -> None:
    app = Scenario()
    async with running(app) as pilot:
        await to_run(app, pilot)
        await settled(app, pilot)
        assert isinstance(app.screen, ArenaScreen)
        offered = {each.title: each.help for each in app.screen.commands()}

    assert offered["Next bookmark"] == "On this screen: '"
    assert offered["Copy the event as JSON"] == "On this screen: y"
    assert {"Previous turn", "Next turn", "Slower", "Open", "Back"} <= offered.keys()
    assert "Up" not in offered


async def test_the_keys_of_the_line_are_made_anew_only_for_other_keys() -> None:
    app = Scenario()
    async with running(app) as pilot:
        await settled(app, pilot)
        line = app.screen.query_one(KeyLine)
        at_first = list(line.children)
        app.screen.refresh_bindings()
        await settled(app, pilot)
        asked_again = list(line.children)
        await pilot.press("slash")
        await settled(app, pilot)
        of_the_filter = list(line.children)
        await pilot.press("escape")
        await pilot.resize_terminal(60, 40)
        await settled(app, pilot)
        narrow = list(line.children)

    assert len(at_first) > 7
    assert asked_again == at_first
    assert not set(of_the_filter) & set(at_first)
    assert 0 < len(narrow) < len(at_first)


async def test_ctrl_c_asks_as_q_does_while_games_play_and_a_second_one_leaves() -> None:
    app = Scenario([])
    async with running(app) as pilot:
        await app.session.play(parse_playable("tic_tac_toe random random delay=60"))
        await settled(app, pilot)
        await pilot.press("ctrl+c")
        asked = await settled(app, pilot)
        await pilot.press("n")
        await settled(app, pilot)
        stayed = app.return_code
        await pilot.press("ctrl+c", "ctrl+c")
        await until(lambda: app.return_code is not None)

    assert "1 game is still being played here" in asked
    assert stayed is None
    assert app.return_code == 0


@pytest.mark.parametrize("size", [(20, 5), (80, 24)])
async def test_the_keys_that_answer_are_in_sight_in_any_terminal(size: tuple[int, int]) -> None:
    app = Scenario([])
    async with running(app, size) as pilot:
        app.push_screen(ConfirmScreen("1 game is still being played here. End and leave?"))
        asked = await settled(app, pilot)
        await pilot.press("n", "n")
        await settled(app, pilot)
        app.action_new_game()
        await settled(app, pilot)
        await pilot.press(*"wizard", "enter")
        wrong = await settled(app, pilot)

    assert "1 game" in asked
    assert "y yes    n no" in asked
    assert "wizard" in wrong
    assert "open_spiel has no" in wrong
    assert "esc close" in wrong
