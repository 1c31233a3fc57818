"""Keys held while the store is slow: they wait for it, and none is lost without a word."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from arena_tui.store.history import History
from arena_tui.tui import typed_ahead
from arena_tui.tui.screens.history import HistoryScreen
from arena_tui.tui.widgets.table import VirtualTable
from tests.tui.scenario import Scenario
from tests.tui.test_screens import running, settled, text_of
from tests.waiting import until


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """Unless it is set, the store counts no runs, and so History is not read."""
    allowed, count = asyncio.Event(), History.count

    async def count_later(self: History, *condition: Any) -> int:
        await allowed.wait()
        return await count(self, *condition)

    monkeypatch.setattr(History, "count", count_later)
    return allowed


async def history_that_reads(app: Scenario, pilot: Pilot[int]) -> None:
    """History, opened by a key and not read yet."""
    await pilot.press("2")
    await until(lambda: isinstance(app.screen, HistoryScreen))


async def test_keys_typed_while_the_store_is_slow_all_act_once_it_answers(
    answers: asyncio.Event,
) -> None:
    app = Scenario()
    async with running(app) as pilot:
        await history_that_reads(app, pilot)
        await pilot.press("slash", *"err>0")
        meanwhile = text_of(app)
        answers.set()
        writing = await settled(app, pilot)
        written = app.screen.query_one(Input).value

    assert "enter keep" not in meanwhile
    assert written == "err>0"
    assert "leduc_poker" in writing
    assert "connect_four" not in writing


async def test_keys_that_are_held_too_long_are_dropped_and_it_is_said(
    answers: asyncio.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(typed_ahead, "HOLD_AT_MOST_S", 0.5)
    app = Scenario()
    async with running(app) as pilot:
        await history_that_reads(app, pilot)
        await pilot.press("down", "d", "y")
        await until(lambda: "dropped 3 keys or clicks" in text_of(app))
        answers.set()
        screen = await settled(app, pilot)

        assert app.screen.query_one(VirtualTable).cursor == 0
        assert "Delete" not in screen
        assert "backgammon" in screen


async def test_once_keys_were_dropped_the_next_one_acts_at_once(
    answers: asyncio.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(typed_ahead, "HOLD_AT_MOST_S", 0.5)
    app = Scenario()
    async with running(app) as pilot:
        await history_that_reads(app, pilot)
        await pilot.press("escape")
        await until(lambda: "dropped 1 key or click" in text_of(app))
        await pilot.press("escape")
        await until(lambda: not isinstance(app.screen, HistoryScreen))

    assert not answers.is_set()


async def test_reading_that_no_key_asked_for_holds_no_key(answers: asyncio.Event) -> None:
    app = Scenario()
    async with running(app) as pilot:
        await history_that_reads(app, pilot)
        answers.set()
        await settled(app, pilot)
        answers.clear()
        app.clock.now += 10
        await app.sample()
        await pilot.press("slash")
        await until(lambda: "enter keep" in text_of(app))
        answers.set()
        await settled(app, pilot)


async def test_a_line_is_written_while_what_its_first_letters_ask_for_is_read(
    answers: asyncio.Event,
) -> None:
    app = Scenario()
    async with running(app) as pilot:
        answers.set()
        await history_that_reads(app, pilot)
        await settled(app, pilot)
        await pilot.press("slash")
        await settled(app, pilot)
        answers.clear()
        await pilot.press(*"err>7", "backspace", "0", "enter")
        line = app.screen.query_one(Input)
        await until(lambda: line.value == "err>0")
        meanwhile = line.has_focus
        answers.set()
        found = await settled(app, pilot)

    assert meanwhile  # enter waits for what it takes
    assert "leduc_poker" in found
    assert "connect_four" not in found
