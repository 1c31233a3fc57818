"""What one run emits: `run_start` before all else, `run_end` once. Makes no events."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TypeAlias

from msgspec.structs import replace

from arena_tui.broker.forked import ForkLock
from arena_tui.events import Event, RunEnd, RunStart, utc_now

Emit: TypeAlias = Callable[[str, Event], None]
"""Publishes one event of a run; raises EventError when it cannot be accepted."""


class Record:
    """Emits the events of one run in order. Thread-safe.

    Attributes:
        ended: Whether `run_end` was emitted.
        ts: When what is added happened; None: now.
    """

    def __init__(self, emit: Emit, run_id: str, start: RunStart) -> None:
        self.ended = False
        self.ts: datetime | None = None
        self._emit = emit
        self._run_id = run_id
        self._start: RunStart | None = start
        self._lock = ForkLock()  # of beginning and ending

    def begin(self, start: RunStart | None = None) -> None:
        """Emit `run_start`, unless it was; one given takes the place of its own."""
        with self._lock:
            if start is None and self._start is not None:
                start = replace(self._start, ts=self.ts or utc_now())
            if start is not None:
                self._emit(self._run_id, start)
                self._start = None

    def add(self, event: Event) -> None:
        """Publish any event of this run; a `run_start` as its first takes the place of its own.

        Raises:
            EventError: The event cannot be accepted; the run goes on.
            RunClosedError: The run has ended.
        """
        if self.ts is not None:
            event = replace(event, ts=self.ts)
        if self._start is not None:
            self.begin(event if type(event) is RunStart else None)
            if type(event) is RunStart:
                return
        self._emit(self._run_id, event)
        if type(event) is RunEnd:
            self.ended = True

    def end(self, event: RunEnd) -> None:
        """Add the last event, unless the run has ended."""
        with self._lock:
            if not self.ended:
                self.add(event)
