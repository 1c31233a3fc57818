"""Exporting from the Run screen and from History: what is written where, and how it is stopped."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import Input, OptionList

from arena_tui.events import LogEvent
from arena_tui.services.exporting import FORMS, format_of
from arena_tui.tui.screens.exporting import ExportScreen
from tests.tui.scenario import Scenario, Tape
from tests.tui.test_screens import running, settled
from tests.waiting import until

RUN = "01ARENA00000000000000007F3A"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, which is empty."""
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    return here


async def asked(app: Scenario, pilot: Pilot[int], *keys: str) -> str:
    """The dialog that the last key opens, and its input."""
    for key in keys:
        await pilot.press(key)
        await settled(app, pilot)
    return await settled(app, pilot)


async def entered(app: Scenario, pilot: Pilot[int], name: str | None = None) -> str:
    """Give a name, or take the one that is there; returns the screen once that has come to its
    end."""
    dialog = app.screen
    if name is not None:
        dialog.query_one(Input).value = name
    await pilot.press("enter")
    await until(lambda: all(each.is_finished for each in app.workers if each.node is dialog))
    await pilot.press("f5")
    return await settled(app, pilot)


def events_in(path: Path) -> list[dict[str, object]]:
    return [json.loads(each) for each in path.read_text().splitlines()]


async def is_stored(app: Scenario, tape: Tape) -> bool:
    assert app.session.history is not None
    return await app.session.history.count("events = ?", [len(tape.events)]) == 1


async def test_a_run_is_written_beside_where_one_stands(folder: Path) -> None:
    app = Scenario()
    async with running(app) as pilot:
        app.open_run(RUN)
        dialog = await asked(app, pilot, "x")
        name = app.screen.query_one(Input).value
        told = await entered(app, pilot)
        closed = not isinstance(app.screen, ExportScreen)

    assert "Export connect_four · 7f3a" in dialog
    assert "a page that plays in a browser" in dialog
    assert name == "connect_four-7f3a.jsonl"
    assert closed
    events = events_in(folder / name)
    assert {each["run_id"] for each in events} == {RUN}
    assert f"{len(events)} events of 1 run, " in " ".join(told.split())


async def test_every_format_of_the_list_is_written_under_its_own_name(folder: Path) -> None:
    app = Scenario()
    async with running(app) as pilot:
        app.open_run(RUN)
        for index, form in enumerate(FORMS):
            await asked(app, pilot, "x", "down")
            formats = app.screen.query_one(OptionList)
            formats.highlighted = index
            await pilot.pause()
            name = app.screen.query_one(Input).value
            await entered(app, pilot)
            assert not isinstance(app.screen, ExportScreen), form
            assert (folder / name).exists()
            assert format_of(name) == form

    page = (folder / "connect_four-7f3a.html").read_text()
    assert page.startswith("<!doctype html>")
    header = json.loads((folder / "connect_four-7f3a.cast").read_text().splitlines()[0])
    assert header["title"] == "connect_four · 7f3a"


async def test_a_file_is_replaced_only_once_that_was_said(folder: Path) -> None:
    (folder / "mine.jsonl").write_text("precious\n")
    app = Scenario()
    async with running(app) as pilot:
        app.open_run(RUN)
        await asked(app, pilot, "x")
        said = await entered(app, pilot, "mine.jsonl")
        kept = (folder / "mine.jsonl").read_text()
        await entered(app, pilot)

    assert "mine.jsonl is there already: enter again replaces it" in said
    assert kept == "precious\n"
    assert events_in(folder / "mine.jsonl")[0]["run_id"] == RUN


@pytest.mark.parametrize("name", ["no/such/folder.jsonl", "~nobody-here/run.jsonl"])
async def test_what_cannot_be_written_is_said_and_the_dialog_stays(folder: Path, name: str) -> None:
    app = Scenario()
    async with running(app) as pilot:
        app.open_run(RUN)
        await asked(app, pilot, "x")
        said = await entered(app, pilot, name)
        stays = isinstance(app.screen, ExportScreen)
        await asked(app, pilot, "escape")
        closed = not isinstance(app.screen, ExportScreen)

    assert f"cannot write {name}" in said
    assert stays
    assert closed


async def test_history_exports_the_run_under_the_cursor_or_all_that_match(folder: Path) -> None:
    app = Scenario()
    async with running(app) as pilot:
        await asked(app, pilot, "2", "x")
        one = app.screen.query_one(Input).value
        await entered(app, pilot)
        await asked(app, pilot, *"/game:chess", "enter", "X")
        formats = app.screen.query_one(OptionList).option_count
        await entered(app, pilot, "chess.jsonl")
        await asked(app, pilot, "escape", "X")
        every = await entered(app, pilot)

    assert len({each["run_id"] for each in events_in(folder / one)}) == 1
    assert {each["game"] for each in events_in(folder / "chess.jsonl") if "game" in each} == {
        "chess"
    }
    assert formats == len(FORMS)  # one run matches
    runs = [each["run_id"] for each in events_in(folder / "runs.jsonl")]
    assert len(set(runs)) == len(app.tapes)
    assert f"events of {len(app.tapes)} runs, " in " ".join(every.split())


async def test_esc_stops_an_export_and_leaves_no_file(folder: Path) -> None:
    tape = Tape("01ARENA00000000000000009LNG", "long", ["a"])
    for number in range(10_000):  # a picture each
        at = tape.events[0].ts + timedelta(seconds=number)
        tape.events.append(LogEvent(ts=at, text=f"line {number}"))
    app = Scenario([tape])
    async with running(app) as pilot:
        await until(lambda: is_stored(app, tape), 60)
        app.open_run(tape.run_id)
        await asked(app, pilot, "x")
        dialog = app.screen
        dialog.query_one(Input).value = "long.cast"
        await pilot.press("enter")
        await until(lambda: any(each.node is dialog for each in app.workers))
        await pilot.press("escape")
        await until(lambda: all(each.is_finished for each in app.workers if each.node is dialog))
        said = await settled(app, pilot)

    assert "stopped before it was written" in said
    assert list(folder.iterdir()) == []


async def test_without_a_store_there_is_nothing_to_export_from() -> None:
    app = Scenario(store=False)
    async with running(app) as pilot:
        app.open_run(RUN)
        told = await asked(app, pilot, "x")

    assert "runs are exported from a store, and none is open here" in " ".join(told.split())
