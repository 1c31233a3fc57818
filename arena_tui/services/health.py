"""The state of one consumer as it runs: its failures, told once until it works again."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial

from arena_tui.broker.own_log import own_log
from arena_tui.broker.warnings import Warnings
from arena_tui.consumers.protocol import ConsumerState
from arena_tui.errors import ArenaError, ConsumerBusyError

_log = own_log(__name__)


class Health:
    """Belongs to one `Consumption`.

    Args:
        retry_s: Delays between retries, in seconds; the last one repeats.

    Attributes:
        state: See `ConsumerInfo`.
        failures: How often it failed.
        last_error: Why the last attempt failed; None once one succeeded.
        tried: Set once it has worked or failed.
    """

    def __init__(self, name: str, warnings: Warnings, retry_s: Sequence[float]) -> None:
        self.state: ConsumerState = "starting"
        self.failures = 0
        self.last_error: str | None = None
        self.tried = asyncio.Event()
        self._name = name
        self._warn = partial(warnings.add, consumer=name)
        self._retry_s = retry_s
        self._attempt = 0

    def fail(self, error: Exception, reading: bool = True) -> None:
        """Note a failure; `reading` tells whether the broker holds events for it meanwhile."""
        why = str(error) or type(error).__name__
        if self.state != "error":
            if isinstance(error, ConsumerBusyError):
                owner = f"process {error.pid}" if error.pid else "another process"
                self._warn("consumer_elsewhere", owner=owner)
            elif reading:
                bug = None if isinstance(error, ArenaError) else error
                self._warn("consumer_failed", error=bug, why=why)
            else:
                self._warn("consumer_not_started", why=why)
                _log.debug("%s cannot start", self._name, exc_info=error)
        self.state, self.last_error = "error", why
        self.failures += 1
        self.tried.set()

    async def back_off(self) -> None:
        """Let time pass before the next attempt, the longer the more there were in a row."""
        await asyncio.sleep(self._retry_s[min(self._attempt, len(self._retry_s) - 1)])
        self._attempt += 1

    def handled(self) -> None:
        """Note that a batch was handled."""
        self._attempt = 0
        self.recover()

    def recover(self) -> None:
        """Note that it works."""
        if self.state == "error":
            self._warn("consumer_restored")
        self.state, self.last_error = "ok", None
        self.tried.set()

    def not_closed(self, error: Exception) -> None:
        """Note that it could not be closed."""
        self.failures += 1
        self._warn("consumer_not_closed", error=error, why=str(error))
