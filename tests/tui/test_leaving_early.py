"""Leaving while a screen is still being made: its widgets are never mounted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from textual.app import ComposeResult
from textual.screen import Screen

from arena_tui.tui.screens.base import ArenaScreen
from arena_tui.tui.screens.new_game import NewGameScreen
from tests.tui.scenario import Scenario
from tests.tui.test_screens import running, settled

KEYS = ["2", "3", "5", "dollar_sign", "enter", "n"]


@pytest.fixture
def leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every screen that is opened from now on meets a request to leave."""

    def leaving(compose: Callable[[Any], ComposeResult]) -> Callable[[Any], ComposeResult]:
        def leave(screen: Screen[Any]) -> ComposeResult:
            screen.app.exit(0)
            return compose(screen)

        return leave

    for kind in (ArenaScreen, NewGameScreen):
        monkeypatch.setattr(kind, "compose", leaving(kind.compose))


async def test_as_it_begins(leaves: None) -> None:
    app = Scenario()
    async with app.run_test() as pilot:
        await pilot.pause()

    assert app.return_code == 0


@pytest.mark.parametrize("key", KEYS)
async def test_as_a_screen_opens(key: str, request: pytest.FixtureRequest) -> None:
    app = Scenario()
    async with running(app) as pilot:
        await settled(app, pilot)
        request.getfixturevalue("leaves")
        await pilot.press(key)
        await pilot.pause()

    assert app.return_code == 0
