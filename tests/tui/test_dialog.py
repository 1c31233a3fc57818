"""What every dialog with one line does, whatever the line is for."""

from __future__ import annotations

import asyncio

from textual.widgets import Input

from arena_tui.errors import UsageError
from arena_tui.tui.screens.dialog import LineDialog
from tests.tui.scenario import Scenario
from tests.tui.test_screens import running, settled, text_of
from tests.waiting import until


class Asked(LineDialog):
    """Refuses every line but `yes`, which it thinks about until it is told to go on."""

    def __init__(self) -> None:
        super().__init__("Well?", "enter say", hint="say yes")
        self.go_on = asyncio.Event()

    async def take(self, text: str) -> None:
        if text != "yes":
            raise UsageError(f"not \x1b[31m{text}: say yes")
        await self.go_on.wait()
        self.dismiss()


async def test_a_line_that_is_refused_stays_and_its_error_is_harmless() -> None:
    app = Scenario([])
    async with running(app) as pilot:
        app.push_screen(Asked())
        await settled(app, pilot)
        await pilot.press(*" no ", "enter")
        said = await settled(app, pilot)
        line = app.screen.query_one(Input).value
        await pilot.press("escape", "f5")
        await settled(app, pilot)
        is_closed = not isinstance(app.screen, Asked)

    assert "not ␛[31mno: say yes" in said
    assert line == " no "
    assert is_closed


async def test_while_a_line_is_tried_no_error_stands_there_and_keys_wait() -> None:
    app = Scenario([])
    async with running(app) as pilot:
        dialog = Asked()
        app.push_screen(dialog)
        await settled(app, pilot)
        await pilot.press(*"no", "enter")
        refused = await settled(app, pilot)
        dialog.query_one(Input).value = "yes"
        await pilot.press("enter")
        await until(lambda: dialog.is_trying)
        await until(lambda: "no: say yes" not in text_of(app))
        was_settled = dialog.is_settled
        dialog.go_on.set()
        await until(lambda: not isinstance(app.screen, Asked))

    assert "no: say yes" in refused
    assert not was_settled
