"""What a process meets on its way to a shared log: current problems, and retries. Sends nothing."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from arena_tui.broker.tasks import Failures
from arena_tui.broker.timing import Timing
from arena_tui.broker.warnings import Warnings
from arena_tui.errors import BrokerError

_DOUBLINGS_MAX: Final = 32
"""Of the delay between attempts: after hours of an outage it would be no number any more."""

T = TypeVar("T")


class Link:
    """See the module. Belongs to one event loop. What its kind of log may answer, subclasses know.

    Args:
        place: What it leads to, for display.
        clock: Monotonic seconds.

    Attributes:
        errors: All errors that a call to the log may raise.
        failures: Failures here, for no fault of the log: what would fail again is set aside.
    """

    errors: tuple[type[Exception], ...] = (OSError,)

    def __init__(
        self, place: str, warnings: Warnings, timing: Timing,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        self.place: Final = place
        self.failures = Failures(warnings)
        self._warnings = warnings
        self._backoff_s = timing.backoff_s
        self._clock = clock
        self._closing = False
        self._problems: dict[str, tuple[float, str]] = {}
        self._answered_at = clock()

    def explain(self, error: BaseException) -> str:
        """What is wrong, without a remedy: for errors that are retried."""
        return f"no connection to {self.place}"

    def refusal(self, error: BaseException) -> str:
        """Why the log cannot be used, with a remedy."""
        return self.explain(error)

    def is_transient(self, error: BaseException) -> bool:
        """Whether the same call may succeed later; the failed one may or may not have been
        executed."""
        return True

    def is_answer(self, error: BaseException) -> bool:
        """Whether the log has answered with this; else nobody knows what it has done."""
        return False

    def is_withheld(self, error: BaseException) -> bool:
        """Whether the events of one run may be refused so, while those of others are taken."""
        return False

    def is_denied(self, error: BaseException) -> bool:
        """Whether this user may not do it, be it to one run or to all."""
        return False

    def is_mendable(self, error: BaseException) -> bool:
        """Whether the same call may succeed later, if need be once the user is permitted it."""
        return self.is_transient(error) or self.is_denied(error)

    async def mend(self, error: BaseException) -> bool:
        """Do what lets the call succeed; returns whether there was anything to be done."""
        return False

    @property
    def problem(self) -> str | None:
        """The current problem, and since when; None when there is none."""
        if not self._problems:
            return None
        since, text = min(self._problems.values(), key=lambda each: each[0])
        return f"{text} for {self._clock() - since:.0f} s"

    async def retry(
        self, role: str, work: Callable[[], Awaitable[T]], *, forever: bool = False
    ) -> T:
        """Retry `work` until it succeeds, and return its result.

        Raises:
            BrokerError: The link was closed, or (unless `forever`) the error is not transient.
        """
        attempt = 0
        try:
            while not self._closing:
                try:
                    result = await work()
                except self.errors as error:
                    if not forever and not self.is_transient(error):
                        raise BrokerError(self.refusal(error)) from None
                    await self.on_failure(role, error, attempt)
                    attempt += 1
                else:
                    self.on_success(role)
                    return result
        finally:
            self._problems.pop(role, None)  # cancelled or refused: no longer being retried
        raise BrokerError(f"the broker {self.place} was left before it answered")

    async def on_failure(self, role: str, error: BaseException, attempt: int) -> None:
        """Record a failure, and wait before the next attempt: exponential backoff with jitter."""
        self.note_failure(role, self.explain(error))
        if not await self.mend(error):
            await self.pause(attempt)

    async def pause(self, attempt: int) -> None:
        """Wait before the next attempt."""
        least, most = self._backoff_s
        delay_s = min(most, least * 2 ** min(attempt, _DOUBLINGS_MAX))
        await asyncio.sleep(random.uniform(0.5, 1.0) * delay_s)

    def note_failure(self, role: str, text: str) -> None:
        """Record a failure, and warn of the first."""
        if not self._problems:
            self._warnings.add("link_down", why=text)
        since, _ = self._problems.get(role, (self._answered_at, ""))
        self._problems[role] = since, text

    def on_success(self, role: str) -> None:
        """Clear the role's problem; announces recovery when it was the last one. An outage lasts
        from the last answer to the next, whenever it was noticed."""
        now = self._clock()
        if self._problems.pop(role, None) is not None and not self._problems:
            self._warnings.add("link_restored", place=self.place, away_s=now - self._answered_at)
        if not self._problems:
            self._answered_at = now

    def stop_retrying(self) -> None:
        self._closing = True
