"""What one run emits: `run_start` before all else, `run_end` once. Makes no events."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TypeAlias

from msgspec.structs import replace

from arena_tui.broker.forked import ForkLock
from arena_tui.codec import sealed
from arena_tui.errors import ArenaError, EventError
from arena_tui.events import EVENT_CEILING_BYTES, Event, RunEnd, RunStart, utc_now
from arena_tui.producers.finite import check_finite
from arena_tui.producers.values import kind_of, text_of

Emit: TypeAlias = Callable[[str, Event], None]
"""Publishes one event of a run; raises EventError when it cannot be accepted."""

Refused: TypeAlias = Callable[[str, Event, ArenaError], Event]
"""Called with an event that was not accepted, and why. Returns what was emitted instead of it, or
the event itself if nothing was; or raises."""


def strictly(_: str, __: Event, error: ArenaError) -> Event:
    """Raise the error into the program."""
    raise error


class Record:
    """Emits the events of one run in order. Thread-safe.

    Attributes:
        ended: Whether `run_end` was emitted.
    """

    def __init__(
        self, emit: Emit, run_id: str, start: RunStart, refused: Refused = strictly
    ) -> None:
        self.ended = False
        self._ts: datetime | None = None
        self._emit = emit
        self._run_id = run_id
        self._refused = refused
        self._start: RunStart | None = start
        self._lock = ForkLock()  # of beginning and ending

    def begin(self, start: RunStart | None = None) -> None:
        """Emit `run_start`, unless it was; one given takes the place of its own."""
        with self._lock:
            if start is None and self._start is not None:
                start = replace(self._start, ts=self._ts or utc_now())
            if start is not None:
                try:
                    check_finite(start)
                    self._emit(self._run_id, start)
                except ArenaError as error:
                    self._refused(self._run_id, start, error)
                self._start = None

    def at(self, ts: datetime | None) -> None:
        """Set when what is added from here on happened.

        Raises:
            EventError: It is no time, or has no time zone, and the run is strict.
        """
        problem = None
        try:
            if not isinstance(ts, datetime | None):
                problem = f"{ts!r:.100} is no time: give a datetime with a time zone"
            elif ts is not None and ts.utcoffset() is None:
                problem = f"{ts} has no time zone: give one, as in ts.replace(tzinfo=timezone.utc)"
        except Exception as error:  # noqa: BLE001 - it is theirs, as pandas.NaT, and may do anything
            problem = f"a {kind_of(ts)} is no time, it raised {type(error).__name__}"
            ts = text_of(ts)  # type: ignore[assignment]  # for the mark of what is recorded
        if problem is not None and self._refused is strictly:
            raise EventError(problem)
        self._ts = ts

    def emit(self, event: Event) -> Event:
        """Publish any event of this run, and return it as it was published.

        A `run_start` as its first takes the place of its own.

        Raises:
            EventError: The event cannot be accepted; the run goes on.
            RunClosedError: The run has ended.
        """
        try:
            check_finite(event)
        except EventError as error:
            return self.add(event, error)
        return self.add(event)

    def check(self, *events: Event) -> None:
        """Raise what `emit` would of any of them, but for the limit of size, if it is strict."""
        for event in events if self._refused is strictly else ():
            check_finite(event)
            sealed(event, EVENT_CEILING_BYTES)

    def add(self, event: Event, problem: EventError | None = None) -> Event:
        """`emit` for an event without numbers that may not be finite, or with that problem."""
        if self._ts is not None and isinstance(event, Event):
            event = replace(event, ts=self._ts)
        if self._start is not None:
            self.begin(event if type(event) is RunStart else None)
            if type(event) is RunStart:
                return event
        try:
            if problem is not None:
                raise problem
            self._emit(self._run_id, event)
        except ArenaError as error:
            event = self._refused(self._run_id, event, error)
        if type(event) is RunEnd:
            self.ended = True
        return event

    def end(self, event: RunEnd) -> None:
        """Add the last event, unless the run has ended."""
        with self._lock:
            if not self.ended:
                self.add(event)
