"""Background tasks: cancelling and restarting them, and surviving what they meet."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, Final, TypeAlias

from arena_tui.broker.own_log import own_log
from arena_tui.broker.recent import Recent
from arena_tui.broker.warnings import Warnings

_CANCEL_AGAIN_S: Final = 0.1
_RESTART_S: Final = (1.0, 2.0, 5.0, 10.0)
"""Delays before restarting; the last one repeats."""

_LASTED_S: Final = 60.0
"""Work that went on for so long begins again with the first delay."""

_REMEMBERED: Final = 1_000
"""Kinds of failing work that are remembered: there is one for each run."""

_Handler: TypeAlias = Callable[[asyncio.AbstractEventLoop, dict[str, Any]], object]

_log = own_log(__name__)


async def cancel_until_done(
    tasks: Iterable[asyncio.Task[Any]], within_s: float = float("inf")
) -> None:
    """Cancel tasks repeatedly until they are done, or for so long; none is left uncancelled.

    Before Python 3.12, `asyncio.wait_for`, which the Redis client uses, may swallow a cancellation
    (https://github.com/python/cpython/issues/86296).
    """
    tasks = list(tasks)
    until = time.monotonic() + within_s
    while pending := [task for task in tasks if not task.done()]:
        for task in pending:
            task.cancel()
        await asyncio.wait(pending, timeout=_CANCEL_AGAIN_S)
        if time.monotonic() > until:
            _log.error("tasks do not end: %s", ", ".join(task.get_name() for task in pending))
            return


def keep_quiet_of_lost_connections(loop: asyncio.AbstractEventLoop) -> None:
    """Let the loop report no connection that was reset after it had been given up.

    Nobody awaits the closing of such a connection, and when its protocol and the future of that are
    collected together, asyncio may complain of the future's exception
    (`StreamReaderProtocol.__del__` in asyncio/streams.py retrieves it, if it is called first).
    Idempotent.
    """
    before = loop.get_exception_handler()
    if getattr(before, "func", None) is not _report_unless_lost:
        loop.set_exception_handler(partial(_report_unless_lost, before))


async def restart_on_failure(
    name: str,
    work: Callable[[], Awaitable[None]],
    warnings: Warnings,
    delays_s: Sequence[float] = _RESTART_S,
) -> None:
    """Run `work` until cancelled; when it raises, warn and restart it.

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
            warnings.add("task_restarted", error=error, task=name, why=repr(error))
            await asyncio.sleep(delays_s[min(failures, len(delays_s)) - 1])


class Failures:
    """Counts what work that must go on has met, and warns of it once until it works again.

    Of more kinds of work than are remembered, those that failed longest ago begin again.

    Attributes:
        count: Failures so far.
    """

    def __init__(self, warnings: Warnings) -> None:
        self.count = 0
        self._warnings = warnings
        self._failing: Recent[str, None] = Recent(_REMEMBERED)

    def record(self, work: str, error: Exception, run_id: str | None = None) -> None:
        """Count a failure; warn of it unless the same work failed just before."""
        self.count += 1
        is_failing = work in self._failing
        self._failing[work] = None
        if not is_failing:
            self._warnings.add("work_failed", run_id, error=error, work=work, why=repr(error))

    @contextmanager
    def survived(
        self, work: str, run_id: str | None = None, but: tuple[type[Exception], ...] = ()
    ) -> Iterator[None]:
        """Swallow an exception of the block, except one of these or a cancellation."""
        try:
            yield
        except but:
            raise
        except Exception as error:  # noqa: BLE001 - no bug may stop this work for good
            self.record(work, error, run_id)
        else:
            self._failing.pop(work, None)


def _report_unless_lost(
    before: _Handler | None, loop: asyncio.AbstractEventLoop, context: dict[str, Any]
) -> None:
    """A loop's exception handler in front of the one it had `before`, if any."""
    error = context.get("exception")
    if isinstance(error, ConnectionError) and "future" in context:
        _log.info("a connection that was given up: %s", error)
    elif before is not None:
        before(loop, context)
    else:
        loop.default_exception_handler(context)
