"""Keeps from a game whatever is wrong with its events: fits them, or counts them as refused."""

from __future__ import annotations

from arena_tui.broker.forked import ForkLock
from arena_tui.broker.refused import Refused
from arena_tui.broker.warned import Warned
from arena_tui.broker.warnings import Warnings
from arena_tui.errors import ArenaError, EventError, ForkedError
from arena_tui.events import Event
from arena_tui.producers.fitting import fitted
from arena_tui.producers.record import Emit
from arena_tui.producers.shortening import Notes


class Lenient:
    """What a run does with an event that is not accepted: it never raises. Thread-safe.

    An event whose values do not fit is fitted, and says in its field `coerced` what it lost.
    One that cannot be published at all is counted. The first of each is warned of.

    Attributes:
        coerced: Events that lost something on their way in.
        refused: Events that were not published: their run, or the connection, had ended.
    """

    def __init__(self, emit: Emit, warnings: Warnings, max_bytes: int) -> None:
        self.coerced = 0
        self.refused = Refused()
        self._emit = emit
        self._warnings = warnings
        self._max_bytes = max_bytes
        self._lock = ForkLock()  # never held while warning: a log handler may emit
        self._coercion: Warned | None = None
        self._refusal: Warned | None = None

    def __call__(self, run_id: str, event: Event, error: ArenaError) -> Event:
        """Publish the event after all, as far as it can be; returns it as it was published.

        Raises:
            ForkedError: This is a forked child, from which nothing at all can be published.
        """
        if isinstance(error, ForkedError):
            raise error
        try:
            if isinstance(error, EventError):
                event, notes = fitted(event, self._max_bytes)
                self._emit(run_id, event)
                if notes:
                    self.count_coerced(run_id, notes)
                return event
        except ArenaError as raised:
            error = raised
        with self._lock:
            first, self.refused = not self.refused, self.refused.plus(1, str(error))
        if first:
            self._refusal = self._warnings.add("events_refused", run_id, why=str(error), events=1)
        with self._lock:  # of two updates of one warning both would be kept
            if self._refusal is not None and self.refused.events > 1:
                self._refusal = self._warnings.update(self._refusal, events=self.refused.events)
        return event

    def count_coerced(self, run_id: str, notes: Notes) -> None:
        """Count an event that lost something on its way in."""
        field, why = next(iter(notes.items()))
        with self._lock:
            first, self.coerced = not self.coerced, self.coerced + 1
        if first:
            self._coercion = self._warnings.add(
                "values_coerced", run_id, field=field, why=why, events=1
            )
        with self._lock:
            if self._coercion is not None and self.coerced > 1:
                self._coercion = self._warnings.update(self._coercion, events=self.coerced)
