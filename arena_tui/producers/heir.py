"""What a forked child does with the sink that it inherits. Opens nothing itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Container
from typing import Any, Protocol

from arena_tui.errors import ArenaError, ForkedError, RunClosedError
from arena_tui.events import Event, RunEnd
from arena_tui.producers.run import Run


class Successor(Protocol):
    """The sink of the child's own."""

    run: Callable[..., Run]

    def emit(self, run_id: str, event: Event, owned: bool = True) -> None: ...

    async def room(self) -> None: ...

    def is_open(self, run_id: str) -> bool: ...


class Heir:
    """Passes everything on to a sink of the child's own.

    The parent's runs stay the parent's: the child adds to those that were open at the fork, and
    does not end them.

    Args:
        successor: Opens the child's own sink when it is first called; raises ArenaError where the
            child can have none, which is raised as ForkedError.
        open_runs, ended: The parent's, as they were at the fork.
    """

    def __init__(
        self,
        successor: Callable[[], Successor],
        open_runs: Container[str],
        ended: Container[str],
    ) -> None:
        self._successor = successor
        self._open_runs = open_runs
        self._ended = ended
        self._own: Successor | None = None

    def emit(self, run_id: str, event: Event, owned: bool) -> None:
        """See `MultiRunBrokerSink.emit`."""
        if run_id in self._ended:
            raise RunClosedError(run_id)
        inherited = run_id in self._open_runs
        if not (inherited and type(event) is RunEnd):
            self._opened().emit(run_id, event, owned and not inherited)

    async def room(self) -> None:
        """See `MultiRunBrokerSink.room`."""
        await (await asyncio.to_thread(self._opened)).room()

    def run(self, *args: Any, **options: Any) -> Run:
        """Create a run of the child's own."""
        return self._opened().run(*args, **options)

    def is_open(self, run_id: str) -> bool:
        """Whether the run is the child's own, and open."""
        if self._own is None or run_id in self._open_runs:
            return False
        return self._own.is_open(run_id)

    def _opened(self) -> Successor:
        if self._own is None:
            try:
                self._own = self._successor()
            except ArenaError as error:
                raise ForkedError(str(error)) from error
        return self._own
