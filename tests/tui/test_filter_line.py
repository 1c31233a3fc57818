"""The filter line of Live and History, driven by keys."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from textual.widgets import Input

from arena_tui.tui.screens.history import HistoryScreen
from arena_tui.tui.screens.saved_filters import SavedFiltersScreen
from arena_tui.tui.widgets.bars import TitleBar
from tests.tui.scenario import Scenario
from tests.tui.test_screens import running, settled, text_of


@pytest.fixture(autouse=True)
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where filters are saved."""
    monkeypatch.setenv("ARENA_LOG", str(tmp_path / "log"))
    return tmp_path / "filters.json"


@pytest.mark.parametrize("screen", ["1", "2"])
async def test_tab_completes_fields_and_values_that_occur(screen: str) -> None:
    app = Scenario()
    async with running(app) as pilot:
        await pilot.press(screen)
        await settled(app, pilot)
        await pilot.press("slash")
        await settled(app, pilot)
        await pilot.press("g", "tab", "c")
        named = await settled(app, pilot)
        await pilot.press("h", "tab", *"-agent:r", "tab", *"status:f", "tab")
        await settled(app, pilot)
        value = app.screen.query_one(Input).value

    assert "game:connect_four" in named
    assert value.startswith('game:chess -agent:"random o" status:f')


async def test_a_mistake_is_underlined_where_it_stands() -> None:
    app = Scenario()
    async with running(app) as pilot:
        await pilot.press("slash", *"chess gaem:x")
        wrong = await settled(app, pilot)
        styled = text_of(app, styles=True)
        await pilot.press("ctrl+u", *"chess")
        await settled(app, pilot)
        mended = text_of(app, styles=True)

    assert "no field 'gaem': did you mean game?" in wrong
    assert re.search(r"\x1b\[1;4;[0-9;]*mgaem:x\x1b", styled)
    assert "gaem" not in mended


async def test_a_filter_is_saved_listed_applied_elsewhere_and_deleted(file: Path) -> None:
    app = Scenario()
    async with running(app) as pilot:
        await pilot.press("slash", *"game:chess", "ctrl+s")
        asked = await settled(app, pilot)
        await pilot.press(*"mine", "enter")
        await settled(app, pilot)
        await pilot.press("escape", "2")
        await settled(app, pilot)
        await pilot.press("slash", "down")
        listed = await settled(app, pilot)
        await pilot.press("enter")
        applied = await settled(app, pilot)
        value = app.screen.query_one(Input).value
        await pilot.press("ctrl+o")
        await settled(app, pilot)
        shown = isinstance(app.screen, SavedFiltersScreen)
        await pilot.press("ctrl+x")
        await settled(app, pilot)

        assert isinstance(app.screen, HistoryScreen)
        await pilot.press("ctrl+o")
        none = await settled(app, pilot)
    assert "Save game:chess" in asked
    assert "mine   game:chess" in listed
    assert (value, shown) == ("game:chess", True)
    assert "connect_four" not in applied
    assert "no filter is saved yet" in none
    assert file.read_text().strip() == "{}"


async def test_a_damaged_file_is_told_and_nothing_is_saved_over_it(file: Path) -> None:
    file.write_text("{")
    app = Scenario()
    async with running(app) as pilot:
        await pilot.press("slash", *"chess", "ctrl+o")
        listed = await settled(app, pilot)
        await pilot.press("ctrl+s")
        await settled(app, pilot)
        await pilot.press(*"mine", "enter")
        saved = await settled(app, pilot)
        await pilot.press("escape")
        await settled(app, pilot)
        badge = app.screen.query_one(TitleBar).badge

    assert "is damaged" in " ".join(listed.split())
    assert "is damaged" in " ".join(saved.split())
    assert badge == "filter: chess"
    assert file.read_text() == "{"
