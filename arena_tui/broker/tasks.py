"""Background tasks: cancelling and restarting them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final

__all__ = ["cancel_until_done", "restart_on_failure"]

_CANCEL_AGAIN_S: Final = 0.1
_RESTART_S: Final = 1.0

_log = logging.getLogger(__name__)


async def cancel_until_done(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel tasks repeatedly until they are done.

    Before Python 3.12, `asyncio.wait_for`, which the Redis client uses, may swallow a cancellation
    (https://github.com/python/cpython/issues/86296).
    """
    tasks = list(tasks)
    while pending := [task for task in tasks if not task.done()]:
        for task in pending:
            task.cancel()
        await asyncio.wait(pending, timeout=_CANCEL_AGAIN_S)


async def restart_on_failure(
    name: str, work: Callable[[], Awaitable[None]], warn: Callable[[str], None]
) -> None:
    """Run `work` until cancelled; when it raises, log, warn and restart it."""
    while True:
        try:
            await work()
        except Exception as error:  # noqa: BLE001 - no bug may stop events for good
            _log.exception("the %s failed", name)
            warn(f"the {name} failed and is started again: {error}")
            await asyncio.sleep(_RESTART_S)
