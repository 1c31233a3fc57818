"""Notes, tags and addresses on the Run screen."""

from __future__ import annotations

from functools import partial

import pytest

from arena_tui.broker.protocol import Cursor
from arena_tui.store.marks import read_marks, read_tags
from arena_tui.tui.screens.noting import MarksScreen, WriteScreen
from arena_tui.tui.screens.run import RunScreen
from tests.tui.scenario import Scenario
from tests.tui.test_screens import running, settled

RUN = "01ARENA000000000000000091BC"


async def test_a_note_is_written_listed_and_gone_to() -> None:
    app = Scenario()
    async with running(app) as pilot:
        await settled(app, pilot)
        app.open_run(RUN, Cursor(0, 9))
        await settled(app, pilot)
        await pilot.press("M")
        await settled(app, pilot)
        await pilot.press(*"rook lost", "enter")
        await settled(app, pilot)
        await pilot.press("home")
        await settled(app, pilot)
        await pilot.press("B")
        listed = await settled(app, pilot)
        await pilot.press("enter")
        there = await settled(app, pilot)
        screen = app.screen
        assert app.runtime.history is not None
        marks = await app.runtime.history.read(partial(read_marks, run_id=RUN))
        depth = len(app.screen_stack)

    assert [(each.at.seq, each.note) for each in marks] == [(9, "rook lost")]
    assert "9  rook lost" in listed
    assert "event 9/22" in there
    assert isinstance(screen, RunScreen)
    assert screen.address == f"{RUN}:9"
    assert depth == 2


async def test_the_list_of_marks_goes_there_on_the_screen_that_is_open() -> None:
    app = Scenario()
    async with running(app) as pilot:
        await settled(app, pilot)
        app.open_run(RUN, Cursor(0, 9))
        await settled(app, pilot)
        screen = app.screen
        await pilot.press("m", "home", "vertical_line", *"kind:action", "enter")
        await settled(app, pilot)
        await pilot.press("slash", *"column", "enter")
        await settled(app, pilot)
        await pilot.press("B")
        await settled(app, pilot)
        await pilot.press("enter")
        there = await settled(app, pilot)
        is_same = app.screen is screen
        await pilot.press("h")
        hits = await settled(app, pilot)

    assert is_same
    assert "event 9/22" in there
    assert "kind:action" in there
    assert "“column”" in hits


@pytest.mark.parametrize("at", [Cursor(0, 99_999), Cursor(77, 9)])
async def test_a_run_that_is_opened_beyond_its_end_says_so(at: Cursor) -> None:
    app = Scenario()
    async with running(app) as pilot:
        await settled(app, pilot)
        app.open_run(RUN, at)
        shown = await settled(app, pilot)

    event = "99999" if at.epoch == 0 else "77-9"
    assert f"no event {event}: the last before it is shown" in " ".join(shown.split())


async def test_a_note_that_is_there_can_be_changed() -> None:
    app = Scenario()
    async with running(app) as pilot:
        await settled(app, pilot)
        app.open_run(RUN, Cursor(0, 9))
        for text in ("one", " two"):
            await settled(app, pilot)
            await pilot.press("M")
            await settled(app, pilot)
            await pilot.press("end", *text, "enter")
        await settled(app, pilot)
        assert app.runtime.history is not None
        marks = await app.runtime.history.read(partial(read_marks, run_id=RUN))

    assert [each.note for each in marks] == ["one two"]


async def test_a_tag_is_given_and_one_that_is_none_is_refused() -> None:
    app = Scenario()
    async with running(app) as pilot:
        await settled(app, pilot)
        app.open_run(RUN)
        await settled(app, pilot)
        await pilot.press("T")
        await settled(app, pilot)
        await pilot.press(*"two words", "enter")
        refused = await settled(app, pilot)
        still = isinstance(app.screen, WriteScreen)
        await pilot.press("ctrl+u", *"best", "enter")
        await settled(app, pilot)
        assert app.runtime.history is not None
        tags = await app.runtime.history.read(partial(read_tags, run_id=RUN))

    assert "a tag is one word" in refused
    assert still
    assert tags == ["best"]


async def test_without_marks_their_list_says_how_to_set_some() -> None:
    app = Scenario()
    async with running(app) as pilot:
        await settled(app, pilot)
        app.open_run(RUN)
        await settled(app, pilot)
        await pilot.press("B")
        said = await settled(app, pilot)
        is_open = isinstance(app.screen, MarksScreen)

    assert "no bookmark, note or tag in this run yet" in said
    assert not is_open


async def test_without_a_store_notes_say_so() -> None:
    app = Scenario(store=False)
    async with running(app) as pilot:
        await settled(app, pilot)
        app.open_run(RUN)
        await settled(app, pilot)
        await pilot.press("M")
        said = await settled(app, pilot)

    assert "notes and tags need a store" in said


async def test_the_app_opens_where_it_is_told_to_and_knows_where_it_was_left() -> None:
    app = Scenario()
    async with running(app) as pilot:
        await settled(app, pilot)
        app.open_run("91BC", Cursor(0, 5))
        shown = await settled(app, pilot)
        app.exit(0)

    assert "event 5/22" in shown
    assert app.left_at == f"{RUN}:5"
