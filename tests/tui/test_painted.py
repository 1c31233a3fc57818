"""What painting leaves behind, and which filters it goes through."""

from __future__ import annotations

import gc
from dataclasses import replace
from itertools import pairwise

import pytest
from rich.style import Style
from textual.app import ComposeResult
from textual.color import Color
from textual.containers import Vertical
from textual.filter import ANSIToTruecolor
from textual.strip import Strip

from arena_tui.tui.render.canvas import line
from arena_tui.tui.roles import palette_on
from arena_tui.tui.theme import THEMES
from arena_tui.tui.themed import ThemedApp
from arena_tui.tui.widgets.board import BoardPanel
from arena_tui.tui.widgets.mosaic import Mosaic
from arena_tui.tui.widgets.painted import Painted
from tests.tui.scenario import Scenario
from tests.tui.test_screens import running, settled

DARK = Color.parse(THEMES[0].background or "")


class Counter(Painted):
    """Shows how often it was painted."""

    painted = 0

    def render_line(self, y: int) -> Strip:
        self.painted += 1
        return line([(f"{y} {self.painted}", self.palette.text)], self.size.width, self.palette.dim)


class CounterApp(ThemedApp[None]):
    def compose(self) -> ComposeResult:
        yield Counter()


class Accent(Painted, can_focus=True):
    """Shows the accent of the theme, and keeps the style in which it did."""

    DEFAULT_CSS = "Accent { height: 1; }"
    style: Style | None = None

    def render_line(self, y: int) -> Strip:
        self.style = self.palette.accent
        return line([("accent", self.palette.accent)], self.size.width, self.palette.accent)


class AccentApp(ThemedApp[None]):
    """Two themes that differ in the accent alone, and a widget on the ground of what it is in."""

    AUTO_FOCUS = ""
    CSS = """
    #clear { background: $background; }
    #plain.-other, #clear.-other { background: $surface; }
    #clear Accent { background: transparent; }
    #plain:focus, #clear Accent:focus { background: $panel; }
    """

    def __init__(self) -> None:
        super().__init__()
        for name, accent in (("one", "#6fc3df"), ("other", "#b5d16b")):
            self.register_theme(replace(THEMES[0], name=name, accent=accent))
        self.theme = "one"

    def compose(self) -> ComposeResult:
        yield Accent(id="plain")
        yield Vertical(Accent(), id="clear")


def sent(app: AccentApp, where: str) -> tuple[Style | None, Color]:
    """The style in which a widget was painted last, and the ground that it is to have."""
    widget = app.query_one(where, Accent)
    return widget.style, widget.background_colors[1]


def is_current(app: AccentApp, where: str) -> bool:
    """Whether the screen shows what the palette is, made anew."""
    style, ground = sent(app, where)
    wanted = palette_on(ground, app.theme_variables).accent
    return style is not None and (style.color, style.bgcolor) == (wanted.color, wanted.bgcolor)


@pytest.mark.parametrize("where", ["#plain", "#clear Accent"])
async def test_theme_focus_and_ground_show_at_once(where: str) -> None:
    app = AccentApp()
    async with app.run_test() as pilot:
        seen = []

        async def look() -> None:
            await pilot.pause()
            assert is_current(app, where)
            seen.append(sent(app, where))

        await look()
        app.theme = "other"
        await look()
        app.theme = "arena-light"
        await look()
        app.query_one(where).focus()
        await look()
        app.set_focus(None)
        app.query_one("#clear").add_class("-other")
        app.query_one("#plain").add_class("-other")
        await look()

    assert all(one != other for one, other in pairwise(seen))


@pytest.mark.parametrize("where", [Mosaic, BoardPanel])
async def test_lines_that_are_kept_are_painted_anew_in_another_theme(where: type[Painted]) -> None:
    app = Scenario()
    async with running(app) as pilot:
        await settled(app, pilot)
        if where is BoardPanel:
            app.open_run(app.tapes[0].run_id)
            await settled(app, pilot)
        widget = app.screen.query_one(where)
        app.theme = "arena-light"
        await pilot.pause()
        grounds = {
            segment.style.bgcolor
            for y in range(widget.size.height)
            for segment in widget.render_line(y) if segment.style is not None
        }  # fmt: skip

        assert widget.palette.text.bgcolor in grounds
        assert palette_on(DARK, app.theme_variables).text.bgcolor not in grounds


def strips() -> int:
    return sum(isinstance(each, Strip) for each in gc.get_objects())


async def test_no_line_that_was_painted_waits_for_the_garbage_collector() -> None:
    app = CounterApp()
    async with app.run_test() as pilot:
        counter = app.query_one(Counter)
        for _ in range(3):  # all that is kept of a screen is there then
            counter.refresh()
            await pilot.pause()
        gc.collect()
        gc.disable()
        try:
            before, painted = strips(), counter.painted
            for _ in range(5):
                counter.refresh()
                await pilot.pause()
            assert counter.painted > painted
            assert strips() <= before
        finally:
            gc.enable()


@pytest.mark.parametrize(("theme", "is_needed"), [("textual-dark", False), ("ansi-dark", True)])
async def test_lines_are_searched_for_colours_of_the_terminal_only_where_there_are_any(
    theme: str, is_needed: bool
) -> None:
    app = CounterApp()
    app.theme = theme
    async with app.run_test():
        counter = app.query_one(Counter)
        assert counter.palette.is_truecolor is not is_needed
        filters = {type(each) for each in counter.get_line_filters()}
        wanted = {type(each) for each in app.get_line_filters()}
        assert filters == (wanted if is_needed else wanted - {ANSIToTruecolor})
