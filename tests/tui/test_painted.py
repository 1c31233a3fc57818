"""What painting leaves behind, and which filters it goes through."""

from __future__ import annotations

import gc

import pytest
from textual.app import ComposeResult
from textual.filter import ANSIToTruecolor
from textual.strip import Strip

from arena_tui.tui.render.canvas import line
from arena_tui.tui.themed import ThemedApp
from arena_tui.tui.widgets.painted import Painted


class Counter(Painted):
    """Shows how often it was painted."""

    painted = 0

    def render_line(self, y: int) -> Strip:
        self.painted += 1
        return line([(f"{y} {self.painted}", self.palette.text)], self.size.width, self.palette.dim)


class CounterApp(ThemedApp[None]):
    def compose(self) -> ComposeResult:
        yield Counter()


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
