"""Draws frames at the rate the machine can sustain. Knows nothing of what they show."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, Final, Protocol

from textual.screen import Screen

_PAINT_MAX_S: Final = 2.0
_BEHIND_S: Final = 0.5
_BUSY_SHARE: Final = 0.5
"""Largest share of the event loop's time for frames; beyond that the frame rate drops."""


class _App(Protocol):
    """What the frame loop needs from the app."""

    monotonic: Callable[[], float]
    pace: tuple[float, float]
    """Frames per second, and how long one takes, in ms."""

    @property
    def screen_stack(self) -> list[Screen[Any]]: ...

    def call_after_refresh(self, callback: Callable[[], object]) -> object: ...

    def sample(self) -> Coroutine[Any, Any, None]: ...


class FrameLoop:
    """Samples and paints one frame after another, and sets the app's pace."""

    def __init__(self, app: _App) -> None:
        self._app = app
        self._behind_at = float("-inf")
        self._starts: deque[float] = deque(maxlen=20)

    async def run(self, frame_s: float) -> None:
        """Draw a frame every `frame_s` seconds, less often if they are slow, until cancelled."""
        while True:
            started = time.perf_counter()
            await self._app.sample()
            await self._painted()
            taken = time.perf_counter() - started
            self._starts.append(started)
            span = self._starts[-1] - self._starts[0]
            fps = (len(self._starts) - 1) / span if span else 0.0
            self._app.pace = (fps, taken * 1_000)
            await asyncio.sleep(max(frame_s - taken, taken * (1 / _BUSY_SHARE - 1), 0.005))

    def screens_in_sight(self) -> Iterator[Screen[Any]]:
        """The top screen and, less often, those visible behind a dialog.

        Any change behind a dialog redraws the whole screen: 12 ms at 200 x 60.
        """
        now = self._app.monotonic()
        behind = now - self._behind_at >= _BEHIND_S
        for screen in reversed(self._app.screen_stack):
            yield screen
            if not (screen.is_modal and behind):
                return
            self._behind_at = now

    async def _painted(self) -> None:
        """Return once the screen is painted, so that frames never pile up behind a slow one."""
        painted = asyncio.Event()
        self._app.call_after_refresh(painted.set)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(painted.wait(), _PAINT_MAX_S)
