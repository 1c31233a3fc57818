"""What the app does beside its screens: background tasks, signals and screenshots."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from textual.app import App

from arena_tui.broker.tasks import cancel_until_done

_log = logging.getLogger(__name__)


class AppTasks:
    """Tasks whose failure ends the app: a screen that is no longer updated would look like
    stalled games."""

    def __init__(self, app: App[int]) -> None:
        self._app = app
        self._tasks: list[asyncio.Task[None]] = []

    def start(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.create_task(work, name=name)
        task.add_done_callback(self._ended)
        self._tasks.append(task)

    async def cancel(self, within_s: float) -> None:
        """Cancel all tasks; returns once they have ended, or the time is over."""
        await cancel_until_done(self._tasks, within_s)

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("%s failed", task.get_name(), exc_info=error)
            if self._app.return_code is None:
                self._app.exit(1)


class LeavingSignals:
    """Handles SIGTERM and SIGHUP: the app exits, so that games end and are stored.

    Args:
        at_once: Called at once on a signal, even while the event loop is blocked.
    """

    def __init__(self, *at_once: Callable[[], None]) -> None:
        self._at_once = at_once
        self._handlers: dict[int, Any] = {}

    def handle(self, exit_app: Callable[[int], object]) -> None:
        """Exit with 128 + the signal's number; call it on the app's event loop."""
        loop = asyncio.get_running_loop()

        def leave(number: int, _frame: object) -> None:
            for call in self._at_once:
                call()
            loop.call_soon_threadsafe(exit_app, 128 + number)

        for number in (signal.SIGTERM, signal.SIGHUP):
            with contextlib.suppress(ValueError):  # not in the main thread
                self._handlers[number] = signal.signal(number, leave)

    def restore(self) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)


def can_be_suspended() -> bool:
    """Whether a shell started this as a job, and can bring it back: else it would stop for good."""
    return hasattr(signal, "SIGTSTP") and os.getpgrp() != os.getsid(0)


def save_picture(app: App[int]) -> None:
    """Save the screen as an SVG in the working directory, and say where."""
    try:
        path = app.save_screenshot(path=str(Path.cwd()))
    except OSError as error:
        app.notify(f"cannot save here: {error.strerror}", severity="error")
    else:
        app.notify(f"saved {path}")
