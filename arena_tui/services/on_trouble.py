"""Runs the user's command for runs that get into trouble. Knows nothing of how they do."""

from __future__ import annotations

import asyncio
import os
import shlex
import signal
from asyncio.subprocess import DEVNULL, Process
from collections import deque
from contextlib import suppress
from typing import Final

from arena_tui.broker.tasks import cancel_until_done
from arena_tui.broker.warnings import Warnings
from arena_tui.folds.alerts import Alert
from arena_tui.settings import Notify

_WAITING_MAX: Final = 100
_TEXT_MAX: Final = 400
_CANCEL_S: Final = 1.0


class OnTrouble:
    """Runs the command once for each alert, `at_most` at a time; the others wait their turn.

    There is no shell, and nothing of an event is an argument: the run, the game, the trouble and
    its text are in the environment, as `ARENA_RUN`, `ARENA_GAME`, `ARENA_TROUBLE` and `ARENA_TEXT`.
    The first of several failures in a row is a warning.
    """

    def __init__(self, settings: Notify, warnings: Warnings) -> None:
        self._command = shlex.split(settings.on_trouble)
        self._at_most = settings.at_most
        self._within_s = settings.within_s
        self._warnings = warnings
        self._waiting: deque[Alert] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._working = 0
        self._works = True

    def run(self, alert: Alert) -> None:
        """Run the command for it, now or when others have ended; returns at once."""
        if not self._command:
            return
        if len(self._waiting) >= _WAITING_MAX:
            self._failed("too many runs are in trouble: it is left out for some")
            return
        self._waiting.append(alert)
        if self._working < self._at_most:
            worker = asyncio.create_task(self._work(), name="on_trouble")
            self._tasks.add(worker)
            worker.add_done_callback(self._tasks.discard)
            self._working += 1

    async def aclose(self) -> None:
        """Kill what runs, and leave out what waits."""
        self._waiting.clear()
        await cancel_until_done(list(self._tasks), _CANCEL_S)

    async def _work(self) -> None:
        try:
            while self._waiting:
                why = await self._run(self._waiting.popleft())
                if why is None:
                    self._works = True
                else:
                    self._failed(why)
        finally:
            self._working -= 1

    async def _run(self, alert: Alert) -> str | None:
        """Run the command to its end; why it failed, or None."""
        told = {
            "ARENA_RUN": alert.run_id, "ARENA_GAME": alert.game,
            "ARENA_TROUBLE": alert.trouble.kind, "ARENA_TEXT": alert.trouble.text,
        }  # fmt: skip
        environment = os.environ | {name: _harmless(text) for name, text in told.items()}
        try:
            process = await asyncio.create_subprocess_exec(
                *self._command, env=environment, start_new_session=True,
                stdin=DEVNULL, stdout=DEVNULL, stderr=DEVNULL,
            )  # fmt: skip
        except OSError as error:
            return error.strerror or str(error)
        try:
            code = await asyncio.wait_for(process.wait(), self._within_s)
        except TimeoutError:
            return f"it was killed after {self._within_s:g} s"
        finally:
            _kill(process)
        return f"it exited with {code}" if code else None

    def _failed(self, why: str) -> None:
        if self._works:
            self._works = False
            self._warnings.add("on_trouble_failed", command=self._command[0], why=why)


def _kill(process: Process) -> None:
    """End the command with all that it has started, unless it has ended."""
    if process.returncode is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def _harmless(text: str) -> str:
    """Text of an event as an environment variable can hold it, on one line."""
    return "".join(each if each.isprintable() else " " for each in text[:_TEXT_MAX])
