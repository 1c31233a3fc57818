"""Lists of hits, in one run and in all, driven by keys."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from arena_tui.events import LogEvent, RunEnd
from arena_tui.store.database import Database
from arena_tui.tui.render.hits import line_of
from arena_tui.tui.screens.history import HistoryScreen
from arena_tui.tui.screens.hits import HitsScreen
from arena_tui.tui.screens.run import RunScreen
from arena_tui.tui.widgets.table import VirtualTable
from tests.envelopes import envelope
from tests.store_fixture import store
from tests.tui.scenario import Scenario, Tape
from tests.tui.test_screens import running, settled, text_of

AT = datetime(2026, 3, 14, 12, tzinfo=UTC)
RUN = "01ARENA0000000000000000H175"
HOSTILE = "\x1b]52;c;aGk=\a a Needle \u202e"


def tape(end: bool = True) -> Tape:
    tape = Tape(RUN, "chess", ["a"])
    for each in range(30):
        text = f"Needle {each}" if each % 10 == 3 else HOSTILE if each == 7 else "hay"
        tape.add(LogEvent, text=text)
    if end:
        tape.add(RunEnd)
    return tape


async def test_a_search_is_counted_marked_listed_and_a_hit_is_gone_to() -> None:
    app = Scenario([tape()])
    async with running(app) as pilot:
        await settled(app, pilot)
        app.open_run(RUN)
        await settled(app, pilot)
        await pilot.press("slash", *"needle", "enter")
        searched = await settled(app, pilot)
        await pilot.press("h")
        listed = await settled(app, pilot)
        sent = text_of(app, styles=True)
        await pilot.press("down", "down", "enter")
        there = await settled(app, pilot)

        assert isinstance(app.screen, RunScreen)
    assert "4 hits: h lists them" in searched
    assert searched.splitlines()[-3].count("*") == 4
    assert "“needle”: 4 hits   in this run" in listed
    assert [line.split()[0] for line in listed.splitlines()[3:7]] == ["5", "9", "15", "25"]
    assert "␛]52;c;aGk=␇ a Needle" in listed
    assert "\x1b]52" not in sent
    assert "event 15/32" in there


async def test_the_list_of_a_live_run_grows_and_escape_leaves_the_position() -> None:
    app = Scenario([tape(end=False)])
    async with running(app) as pilot:
        await settled(app, pilot)
        app.open_run(RUN)
        await settled(app, pilot)
        await pilot.press("h")
        asked = await settled(app, pilot)
        await pilot.press(*"needle", "enter")
        before = await settled(app, pilot)
        more = Tape(RUN, "chess", ["a"])
        more.events.clear()
        more.add(LogEvent, text="one more needle")
        await app.publish([more])
        after = await settled(app, pilot)
        await pilot.press("escape")
        there = await settled(app, pilot)

    assert "text of any event" in asked
    assert "“needle”: 4 hits" in before
    assert "“needle”: 5 hits" in after
    assert "one more needle" in after
    assert "LIVE ●" in there


async def test_all_runs_of_the_present_filter_are_searched() -> None:
    app = Scenario()
    async with running(app) as pilot:
        await pilot.press("2")
        await settled(app, pilot)
        await pilot.press("F", *"COLUMN 3", "enter")
        everywhere = await settled(app, pilot)
        await pilot.press("escape", "slash", *"game:chess", "enter")
        await settled(app, pilot)
        await pilot.press("F", *"column 3", "enter")
        filtered = await settled(app, pilot)

    assert "“COLUMN 3”: 1 hit   7 of 7 runs looked at" in everywhere
    assert "connect_four" in everywhere
    assert "“column 3”: no hits   1 of 1 run looked at" in filtered
    assert "No event contains it" in filtered


async def test_a_hit_in_all_runs_opens_its_run_there_and_the_list_is_below(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ARENA_LOG", str(tmp_path / "log"))
    app = Scenario([tape()])
    async with running(app) as pilot:
        await pilot.press("2")
        await settled(app, pilot)
        await pilot.press("F", *"needle", "enter")
        await settled(app, pilot)
        await pilot.press("down", "down", "y")
        copied = await settled(app, pilot)
        await pilot.press("enter")
        there = await settled(app, pilot)
        await pilot.press("escape")
        again = await settled(app, pilot)
        cursor = app.screen.query_one(VirtualTable).cursor
        await pilot.press("escape")
        await settled(app, pilot)

        assert isinstance(app.screen, HistoryScreen)
    assert f"{RUN}:15" in "".join(copied.split())
    assert "event 15/32" in there
    assert "4 hits" in again
    assert cursor == 2


async def test_the_address_of_a_hit_names_its_epoch_where_there_are_several(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ARENA_LOG", str(tmp_path / "log"))
    app = Scenario([])
    async with running(app) as pilot:
        assert isinstance(app.runtime.database, Database)
        events = [LogEvent(ts=AT, text=text) for text in ("a needle", "hay")]
        begun = [envelope("lost", 7, 1, events[0]), envelope("lost", 8, 1, events[1])]
        await store(app.runtime.database, begun)
        await pilot.press("2")
        await settled(app, pilot)
        await pilot.press("F", *"needle", "enter")
        await settled(app, pilot)
        await pilot.press("y")
        copied = await settled(app, pilot)

    assert "lost:7-1: " in copied


async def test_escape_ends_the_search_of_all_runs_and_then_leaves() -> None:
    app = Scenario([tape()])
    async with running(app) as pilot:
        await pilot.press("2")
        await settled(app, pilot)
        await pilot.press("F", "escape")
        await settled(app, pilot)

        assert isinstance(app.screen, HistoryScreen)

        await pilot.press("F", *"needle")
        await settled(app, pilot)
        screen = app.screen
        assert isinstance(screen, HitsScreen)
        await pilot.press("enter", "escape")
        await settled(app, pilot)
        await pilot.press("escape")
        await settled(app, pilot)

        assert app.screen is not screen


async def test_without_a_store_all_runs_cannot_be_searched() -> None:
    app = Scenario(store=False)
    async with running(app) as pilot:
        await pilot.press("2", "F")
        screen = await settled(app, pilot)

    assert "nothing is stored here to search" in screen


def test_a_hit_far_in_a_line_is_brought_into_sight() -> None:
    found = line_of("x" * 50 + "needle" + "y" * 50, "NEEDLE", 30)

    assert found.text.startswith("…xxxxxxxxxneedleyyy")
    assert found.text[found.start : found.end] == "needle"
    assert line_of("a\x1b[2J needle", "needle", 30)[0] == "a␛[2J needle"
    assert json.dumps(line_of("none", "needle", 30)) == json.dumps(("none", "text", 0, 0))
