"""Draws frames at the rate that machine and terminal sustain. Knows nothing of what they show."""

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
_LOW_BANDWIDTH_S: Final = 0.5
"""Least time from one frame to the next where bytes are dear."""
_LOOK_S: Final = 0.01
"""How often one looks whether a frame has left."""
_KEY_TURNS: Final = 12
"""Turns of the event loop from a key to what it does: a queue each for app, screen and widget."""
_SLOW_S: Final = 0.5
_SLOW_FRAMES: Final = 3
"""So many in a row that take longer than `_SLOW_S` to leave tell a slow line from a pause."""


class Outlet(Protocol):
    """Where frames leave for the terminal."""

    @property
    def is_frugal(self) -> bool:
        """Whether it knows when the terminal has shown what was sent, and sends little."""

    @property
    def is_settled(self) -> bool:
        """Whether nothing that was drawn has yet to leave."""


class _App(Protocol):
    """What the frame loop needs from the app."""

    monotonic: Callable[[], float]
    pace: tuple[float, float]
    """Frames per second, and how long one takes, in ms."""
    low_bandwidth: bool

    @property
    def screen_stack(self) -> list[Screen[Any]]: ...

    def call_after_refresh(self, callback: Callable[[], object]) -> object: ...

    def sample(self) -> Coroutine[Any, Any, None]: ...

    def notify(self, message: str) -> None: ...


class FrameLoop:
    """Samples and paints one frame after another, and sets the app's pace."""

    def __init__(self, app: _App) -> None:
        self._app = app
        self._outlet: Outlet | None = None
        self._behind_at = float("-inf")
        self._starts: deque[float] = deque(maxlen=20)
        self._slow_frames = 0

    def leave_through(self, outlet: Outlet) -> None:
        """From now on, no frame is begun while this has something to send."""
        self._outlet = outlet

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
            await self._left()
            least_s = max(frame_s, _LOW_BANDWIDTH_S) if self._app.low_bandwidth else frame_s
            passed = time.perf_counter() - started
            await asyncio.sleep(max(least_s - passed, taken * (1 / _BUSY_SHARE - 1), 0.005))

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

    async def keys_first(self) -> None:
        """Let keys that came meanwhile take effect, so that they are seen in this frame."""
        for _ in range(_KEY_TURNS):
            await asyncio.sleep(0)

    async def _painted(self) -> None:
        """Return once the screen is painted, so that frames never pile up behind a slow one."""
        painted = asyncio.Event()
        self._app.call_after_refresh(painted.set)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(painted.wait(), _PAINT_MAX_S)

    async def _left(self) -> None:
        """Return once the frame has left for the terminal: none queues up behind another, nor a key
        behind them. Where that takes long again and again, save bytes from then on."""
        outlet = self._outlet
        if outlet is None:
            return
        began = time.perf_counter()
        while not outlet.is_settled:  # noqa: ASYNC110 - it has left by then, mostly
            await asyncio.sleep(_LOOK_S)
        is_slow = time.perf_counter() - began > _SLOW_S
        self._slow_frames = self._slow_frames + 1 if is_slow else 0
        if self._slow_frames >= _SLOW_FRAMES and outlet.is_frugal and not self._app.low_bandwidth:
            self._app.low_bandwidth = True
            self._app.notify("the line is slow: drawing less, as with --low-bandwidth")
