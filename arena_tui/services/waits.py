"""Waiting for work of another loop, and in spite of being cancelled."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Awaitable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


def from_thread(
    loop: asyncio.AbstractEventLoop, its_thread: int, work: Coroutine[Any, Any, T]
) -> T:
    """Run the work on the loop of another thread, and wait for its result."""
    if threading.get_ident() == its_thread:
        work.close()
        raise RuntimeError("this would wait for its own loop: call it from another thread")
    return asyncio.run_coroutine_threadsafe(work, loop).result()


async def to_the_end(work: Awaitable[T]) -> T:
    """Await work to its end, however often this is cancelled meanwhile."""
    task = asyncio.ensure_future(work)
    while not task.done():
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait([task])
    return task.result()
