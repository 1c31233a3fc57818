"""Background tasks: cancelling and restarting them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final

__all__ = ["cancel_until_done", "restart_on_failure"]

_CANCEL_AGAIN_S: Final = 0.1
_RESTART_S: Final = (1.0, 2.0, 5.0, 10.0)
"""Delays before restarting; the last one repeats."""

_LASTED_S: Final = 60.0
"""Work that went on for so long begins again with the first delay."""

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
    """Run `work` until cancelled; when it raises, log, warn and restart it.

    The last resort: what fails on the same piece of work each time has to set that aside itself.
    """
    clock = asyncio.get_running_loop().time
    failures = 0
    while True:
        began = clock()
        try:
            await work()
        except Exception as error:  # noqa: BLE001 - no bug may stop events for good
            failures = 1 if clock() - began > _LASTED_S else failures + 1
            _log.exception("the %s failed", name)
            warn(f"the {name} failed and is started again: {error!r}")
            await asyncio.sleep(_RESTART_S[min(failures, len(_RESTART_S)) - 1])
