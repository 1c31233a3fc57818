"""What a writer needs of a shared log. Contains no implementation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from arena_tui.broker.mirror.calls import Call, PublishedRun
from arena_tui.broker.protocol import RunMeta


class Outlet(Protocol):
    """How a writer reaches the log."""

    async def open(self, meta: RunMeta, epoch: int | None) -> int | None:
        """Create the run; returns its epoch, or None when a run of that id exists."""

    async def open_again(self, run: PublishedRun) -> None:
        """Open a run that the log has lost, recording there how far it had come."""

    async def exchange(self, calls: Sequence[Call]) -> list[Any]:
        """Send these calls, opening runs that need it and may be opened. For each the answer: epoch
        and seq of its last event; `NO_RUN` or `CLOSED` in place of the epoch; or an error.

        Raises:
            Link.errors: An answer is missing; any of the calls may have been executed.
        """
