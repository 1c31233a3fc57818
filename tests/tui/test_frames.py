"""Frames at the pace of a slow terminal."""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import Callable
from typing import Any
from unittest.mock import patch

from textual import events
from textual.screen import Screen

from arena_tui.config import Config
from arena_tui.consumers.feed import Frame
from arena_tui.services.session import Session
from arena_tui.tui.app import ArenaApp
from arena_tui.tui.frames import FrameLoop
from arena_tui.tui.interpreter import Interpreter, start_quickly
from arena_tui.tui.render.mosaic import Tile, key_of
from arena_tui.tui.widgets.mosaic import Mosaic
from tests.tui.scenario import Scenario
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


async def test_a_key_that_comes_while_a_frame_is_folded_takes_effect_in_it() -> None:
    app = Scenario()
    async with app.run_test() as pilot:
        await app.play_all()
        await pilot.pause()
        mosaic, fold = app.screen.query_one(Mosaic), app.session.sample
        selected: list[Tile | None] = []

        async def fold_meanwhile() -> Frame:
            frame = await fold()
            app.post_message(events.Key("l", "l"))
            return frame

        def show(frame: Frame) -> None:
            selected.append(mosaic.selected)

        with (
            patch.object(app.session, "sample", fold_meanwhile),
            patch.object(app.screen, "show_frame", show),
        ):
            await app.sample()

        assert [each and key_of(each) for each in selected] == [key_of(mosaic.panes[1])]


def test_the_interpreter_is_tuned_while_frames_are_drawn_and_then_as_before() -> None:
    thresholds, switch_s = gc.get_threshold(), sys.getswitchinterval()
    interpreter = Interpreter()

    start_quickly()
    rested = not gc.isenabled()
    interpreter.tune()
    youngest, frozen, switch_then_s = (
        gc.get_threshold()[0], gc.get_freeze_count(), sys.getswitchinterval(),
    )  # fmt: skip
    interpreter.restore()

    assert rested
    assert gc.isenabled()
    assert youngest > thresholds[0]
    assert frozen > 0
    assert switch_then_s < switch_s
    assert gc.get_threshold() == thresholds
    assert gc.get_freeze_count() == 0
    assert sys.getswitchinterval() == switch_s


async def test_leaving_sets_the_interpreter_as_it_was() -> None:
    thresholds = gc.get_threshold()
    app = ArenaApp(Session(Config(db=None)), frame_s=0.01)
    async with app.run_test():
        await until(lambda: gc.get_threshold() != thresholds)

    assert gc.get_threshold() == thresholds
