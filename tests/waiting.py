"""Waiting for what another task, thread or process does, without guessing how long it takes."""

from __future__ import annotations

import asyncio
import inspect
import threading
import time
from collections.abc import Callable
from typing import Any

_AT_MOST_S = 60.0
_YIELDS = 100
"""Looks without a pause between them: enough for what only another task of this loop has to do."""
_LOOK_EVERY_S = 0.005
"""Then others get the processor: a test must not take it from the process it waits for."""


async def until(condition: Callable[[], Any], at_most_s: float = _AT_MOST_S) -> Any:
    """Return what the condition gives, a coroutine's result too, once that is true.

    Raises:
        TimeoutError: It never was.
    """
    looks = 0
    async with asyncio.timeout(at_most_s):
        while True:
            found = condition()
            if inspect.isawaitable(found):
                found = await found
            if found:
                return found
            looks += 1
            await asyncio.sleep(0 if looks < _YIELDS else _LOOK_EVERY_S)


def until_blocking(condition: Callable[[], Any], at_most_s: float = _AT_MOST_S) -> Any:
    """`until` for tests without a loop."""
    deadline = time.monotonic() + at_most_s
    while not (found := condition()):
        if time.monotonic() > deadline:
            raise TimeoutError
        time.sleep(_LOOK_EVERY_S)
    return found


async def pause(seconds: float) -> None:
    """Let time pass that is itself part of the test: a load's rate, how long a fault lasts."""
    await asyncio.sleep(seconds)


def pause_blocking(seconds: float) -> None:
    """`pause` in a thread without a loop."""
    time.sleep(seconds)


def in_threads(*work: Callable[[], object]) -> None:
    """Do the work in as many threads at once; returns when all is done."""
    threads = [threading.Thread(target=each) for each in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(_AT_MOST_S)
