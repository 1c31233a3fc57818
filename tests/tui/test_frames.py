"""Frames at the pace of a slow terminal."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from textual.screen import Screen

from arena_tui.tui.frames import FrameLoop
from tests.waiting import until


class Line:
    """Where frames leave, when they are let."""

    is_frugal = True
    taken = True
    looks = 0

    @property
    def is_settled(self) -> bool:
        self.looks += 1
        return self.taken


class Drawing:
    """An app that draws on a line, and counts what it draws."""

    def __init__(self, line: Line) -> None:
        self.pace = (0.0, 0.0)
        self.low_bandwidth = False
        self.screen_stack: list[Screen[Any]] = []
        self.drawn = 0
        self._line = line

    def monotonic(self) -> float:
        return 0.0

    def call_after_refresh(self, callback: Callable[[], object]) -> object:
        return callback()

    async def sample(self) -> None:
        self.drawn += 1
        self._line.taken = False

    def notify(self, message: str) -> None:
        raise AssertionError(message)


async def test_no_frame_is_begun_before_the_last_one_has_left() -> None:
    line = Line()
    app = Drawing(line)
    frames = FrameLoop(app)
    frames.leave_through(line)
    drawing = asyncio.create_task(frames.run(0.001))

    await until(lambda: line.looks >= 3)
    meanwhile = app.drawn
    line.taken = True
    await until(lambda: app.drawn == 2)
    drawing.cancel()

    assert meanwhile == 1
