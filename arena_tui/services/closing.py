"""How long closing may take, in all of its steps together. Knows nothing of what is closed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Mapping
from math import inf
from typing import Any, Final

from arena_tui.broker.own_log import own_log

_LOOK_EVERY_S: Final = 0.1
_LETTING_GO_S: Final = 2.0
"""Kept of a limited time for letting go of what is open, once saving was given up."""

_LETTING_GO_LEAST_S: Final = 5.0
"""Time for letting go when saving has no limit, however impatient the caller."""

_STEP_LEAST_S: Final = 0.2
"""Each step has as much, when the time is over, too."""

_CANCEL_TIMES: Final = 3

_log = own_log(__name__)


class Closing:
    """Runs the steps of closing one after the other, each whatever became of those before.

    A step that raises is logged; one that takes too long is logged, cancelled and left behind.

    Args:
        give_up_s: How long saving may go on without progress.
        within_s: How long closing may take in all; None: as long as saving makes progress.

    Attributes:
        why: Why saving was given up; None if it was not.
    """

    def __init__(self, give_up_s: float, within_s: float | None = None) -> None:
        now = self._began = time.monotonic()
        self.why: str | None = None
        self._give_up_s = give_up_s
        self._within_s = within_s
        self._until = inf if within_s is None else now + within_s
        reserve_s = 0.0 if within_s is None else min(_LETTING_GO_S, within_s / 2)
        self._saving_until = self._until - reserve_s
        self._letting_go_until: float | None = None
        self._moved: dict[str, tuple[int, float]] = {}

    async def save(
        self, what: str, work: Coroutine[Any, Any, object], left: Callable[[], Mapping[str, int]]
    ) -> bool:
        """Wait for `work` while one of the figures of what is `left` falls.

        Returns whether it has ended; it may have raised.
        """
        task = asyncio.ensure_future(work)
        try:
            while not task.done():
                now = time.monotonic()
                until = min(self._saving_until, self._moved_at(left(), now) + self._give_up_s)
                if now >= until:
                    limited = until == self._saving_until
                    self.why = (
                        f"not done within {self._within_s:g} s" if limited
                        else f"no progress for {self._give_up_s:g} s"
                    )  # fmt: skip
                    break
                await asyncio.wait([task], timeout=min(_LOOK_EVERY_S, until - now))
        finally:
            task.cancel()
        return await _ended(what, task)

    async def let_go(
        self, what: str, work: Coroutine[Any, Any, object], share: float = 1.0
    ) -> bool:
        """Wait for `work` for a share of the time that remains; returns whether it has ended."""
        now = time.monotonic()
        if self._letting_go_until is None:
            least = max(self._give_up_s, _LETTING_GO_LEAST_S)
            self._letting_go_until = min(self._until, now + least)
        task = asyncio.ensure_future(work)
        try:
            remains_s = (self._letting_go_until - now) * share
            await asyncio.wait([task], timeout=max(_STEP_LEAST_S, remains_s))
        finally:
            task.cancel()
        return await _ended(what, task)

    def _moved_at(self, left: Mapping[str, int], now: float) -> float:
        """When one of these figures last fell, in whichever step that was."""
        for name, figure in left.items():
            before, at = self._moved.get(name, (figure, self._began))
            self._moved[name] = figure, now if figure < before else at
        return max((self._moved[name][1] for name in left), default=self._began)


async def _ended(what: str, task: asyncio.Future[Any]) -> bool:
    """Wait briefly for a cancelled task, which may swallow that, and log how it ended."""
    for _ in range(_CANCEL_TIMES):
        if not task.done():
            task.cancel()
            await asyncio.wait([task], timeout=_LOOK_EVERY_S)
    if not task.done():
        _log.error("closing: %s does not end", what)
        return False
    if task.cancelled():
        _log.warning("closing: %s was given up", what)
        return False
    if (error := task.exception()) is not None:
        _log.error("closing: %s failed: %s", what, error, exc_info=error)
    return True
