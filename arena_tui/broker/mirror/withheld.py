"""Calls of runs whose events the server refuses for now: they wait, in order, and are tried again.

Sends nothing. A run's keys may be of another type for a while, or not permitted to this user.
"""

from __future__ import annotations

import random
import time
from collections import deque
from collections.abc import Callable
from typing import Final

from arena_tui.broker.mirror.calls import Call
from arena_tui.broker.timing import Timing

_EVENTS_MAX: Final = 20_000
"""Events that may wait here; then whatever is published waits, as in an outage."""


class _Waiting:
    __slots__ = ("attempt", "calls", "next_at", "since")

    def __init__(self, now: float) -> None:
        self.calls: deque[Call] = deque()
        self.since = self.next_at = now
        self.attempt = 0

    def put_back(self, calls: list[Call], now: float, least_s: float, most_s: float) -> None:
        """Wait before these calls, the first of this run, are tried again: longer each time."""
        self.calls.extendleft(reversed(calls))
        self.next_at = now + random.uniform(0.5, 1.0) * min(most_s, least_s * 2**self.attempt)
        self.attempt = min(self.attempt + 1, 32)


class Withheld:
    """See the module. One call of a run is out to be tried at a time.

    Args:
        clock: Monotonic seconds.

    Attributes:
        events: How many wait here.
    """

    def __init__(self, timing: Timing, clock: Callable[[], float] = time.monotonic) -> None:
        self._timing = timing
        self._clock = clock
        self._runs: dict[str, _Waiting] = {}
        self._good_at = clock()
        self.events = 0

    def __contains__(self, run_id: str) -> bool:
        return run_id in self._runs

    @property
    def is_full(self) -> bool:
        return self.events >= _EVENTS_MAX

    @property
    def next_in_s(self) -> float | None:
        """Seconds until a call is to be tried; None when none waits."""
        waiting = [each.next_at for each in self._runs.values() if each.calls]
        return max(0.0, min(waiting) - self._clock()) if waiting else None

    def ends(self, run_id: str) -> bool:
        """Whether the run's end waits here."""
        return run_id in self._runs and any(call.ends for call in self._runs[run_id].calls)

    def add(self, call: Call) -> None:
        """Let a call wait behind those of its run."""
        self._runs[call.run.meta.run_id].calls.append(call)
        self.events += len(call.payloads)

    def hold(self, calls: list[Call]) -> None:
        """Let calls of one run, the first of which was refused, wait before all others of it."""
        now = self._clock()
        waiting = self._runs.setdefault(calls[0].run.meta.run_id, _Waiting(now))
        waiting.put_back(calls, now, *self._timing.backoff_s)
        self.events += sum(len(call.payloads) for call in calls)

    def due(self) -> list[Call]:
        """Take out the first call of every run that is to be tried now."""
        now = self._clock()
        found = [
            each.calls.popleft()
            for each in self._runs.values()
            if each.calls and each.next_at <= now
        ]
        self.events -= sum(len(call.payloads) for call in found)
        return found

    def release(self, run_id: str) -> list[Call]:
        """The server takes the run's events again: returns all that wait, in order."""
        self._good_at = self._clock()
        waiting = self._runs.pop(run_id, None)
        calls = [] if waiting is None else list(waiting.calls)
        self.events -= sum(len(call.payloads) for call in calls)
        return calls

    def given_up(self, run_id: str, everywhere: bool) -> list[Call]:
        """Take out what has waited too long; the run's next call is tried without patience.

        In its place a call without events waits, to leave a gap in the run once it can be written.

        Args:
            everywhere: Whether what is refused may be so to all runs alike; then it counts only
                while others are taken.
        """
        waiting = self._runs[run_id]
        only_this = not everywhere or self._good_at > waiting.since
        if not only_this or self._clock() - waiting.since < self._timing.withheld_s:
            return []
        calls = [call for call in waiting.calls if call.payloads]
        if calls:
            may_open = any(call.may_open for call in waiting.calls)
            waiting.calls.clear()
            waiting.calls.append(Call(calls[0].run, may_open))
        self.events -= sum(len(call.payloads) for call in calls)
        return calls
