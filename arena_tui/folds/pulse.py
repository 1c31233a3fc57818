"""What the rules of trouble need of a run beside its view: its rhythm, and its newest moves.

Bounded, and cheap for each event: what is costly is worked out when it is asked for, and kept until
there is something new.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise
from typing import Final, NamedTuple

from arena_tui.events import Action, ActionResult, LlmResponse

PAUSE_S: Final = 1.0
"""Shorter silences are not told apart from none."""

_SAMPLES = 64
_MOVES = 64
_PERIOD_MAX = 8
_RESULTS = 20
_TURNS_NEW = 8
_TURNS_OLD = 32
_TURNS_OLD_MIN = 16
_UNKNOWN_CHOICES_BITS = 2.0
"""Where nobody says what is legal, a move is taken for one of four."""


class Sample:
    """The newest `_SAMPLES` values of one quantity, with quantiles."""

    def __init__(self) -> None:
        self._values: deque[float] = deque(maxlen=_SAMPLES)
        self._sorted: list[float] | None = None

    def __len__(self) -> int:
        return len(self._values)

    def add(self, value: float) -> None:
        self._values.append(value)
        self._sorted = None

    def quantile(self, share: float) -> float:
        """The least value that this share of the values does not exceed; 0 without values."""
        if self._sorted is None:
            self._sorted = sorted(self._values)
        count = len(self._sorted)
        return self._sorted[max(0, math.ceil(share * count) - 1)] if count else 0.0


class Loop(NamedTuple):
    """The last moves, over and over.

    Attributes:
        period: Of so many moves, each on the same board as before.
        times: How often they were made.
        bits: How unlikely that is by chance, as a negative logarithm to base 2.
    """

    period: int
    times: int
    bits: float


class Pace(NamedTuple):
    """Median length of a run's newest turns and of those before, in seconds."""

    new_s: float
    old_s: float


class Pulse:
    """Folds one run's events, in order.

    Attributes:
        beats: How often something arrived; all that arrives at once is one beat.
        pauses: Silences between beats of at least `PAUSE_S`.
        latencies: Seconds that models took to answer.
        errors_in_row: Errors since the last action, turn, or answers that follow each other.
        prompted_at: When a model was asked that has not answered yet.
        legal_actions: What the next move can be; None where nobody says.
    """

    def __init__(self) -> None:
        self.beats = 0
        self.pauses = Sample()
        self.latencies = Sample()
        self.errors_in_row = 0
        self.prompted_at: datetime | None = None
        self.legal_actions: Sequence[str] | None = None
        self._answered = False
        self._turns: deque[datetime] = deque(maxlen=_TURNS_NEW + _TURNS_OLD + 1)
        self._lengths_s: list[float] | None = None  # of the turns; None: to be worked out
        self._pace: Pace | None = None  # of these lengths
        self._results: deque[bool] = deque(maxlen=_RESULTS)
        self._moves: deque[tuple[int, int | None]] = deque(maxlen=_MOVES)  # which, of how many
        self._loop: Loop | None = None
        self._loop_is_stale = False

    @property
    def illegal(self) -> tuple[int, int]:
        """How many of the last results are refusals, and of how many."""
        return self._results.count(False), len(self._results)

    @property
    def longest_turn_s(self) -> float:
        """Of the newest turns, by their own times; 0 before the first is over."""
        return max(self._turn_lengths_s(), default=0.0)

    def beat(self, silence_s: float) -> None:
        """Something arrived after that long."""
        self.beats += 1
        if silence_s >= PAUSE_S:
            self.pauses.add(silence_s)

    def turn(self, at: datetime) -> None:
        """A turn begins, and with it the one before is over."""
        self._turns.append(at)
        self._lengths_s = None
        self.errors_in_row = 0

    def response(self, event: LlmResponse) -> None:
        if self._answered:
            self.errors_in_row = 0
        self._answered = True
        latency_s = event.latency_s
        if latency_s is None and self.prompted_at is not None:
            latency_s = (event.ts - self.prompted_at).total_seconds()
        if latency_s is not None and 0 <= latency_s < math.inf:
            self.latencies.add(latency_s)
        self.prompted_at = None

    def error(self) -> None:
        self.errors_in_row += 1
        self._answered = False

    def action(self, event: Action, board: str) -> None:
        self.errors_in_row = 0
        action = event.action if isinstance(event.action, str) else repr(event.action)
        legal = self.legal_actions
        choices = None if legal is None else len(legal)
        self._moves.append((hash((event.agent_id, board, action)), choices))
        self._loop_is_stale = True

    def result(self, event: ActionResult) -> None:
        self._results.append(event.ok)
        if event.reward is not None and event.reward > 0:
            self._moves.clear()  # who gains by it may do it again
            self._loop_is_stale = True

    def loop(self) -> Loop | None:
        """The least likely loop that the last moves are; None if they are none."""
        if self._loop_is_stale:
            self._loop_is_stale = False
            moves = list(self._moves)
            loops = [_loop(moves, period) for period in range(1, _PERIOD_MAX + 1)]
            self._loop = max(loops, key=lambda each: each.bits)
        return self._loop if self._loop is not None and self._loop.bits else None

    def pace(self) -> Pace | None:
        """None while too few turns are over."""
        self._turn_lengths_s()
        return self._pace

    def _turn_lengths_s(self) -> list[float]:
        if self._lengths_s is None:
            turns = pairwise(self._turns)
            lengths_s = [max(0.0, (end - start).total_seconds()) for start, end in turns]
            new, old = lengths_s[-_TURNS_NEW:], lengths_s[:-_TURNS_NEW]
            self._pace = Pace(_median(new), _median(old)) if len(old) >= _TURNS_OLD_MIN else None
            self._lengths_s = lengths_s
        return self._lengths_s


def _loop(moves: list[tuple[int, int | None]], period: int) -> Loop:
    """How far back each of the last moves is the one `period` before it."""
    repeated, bits = 0, 0.0
    for at in range(len(moves) - 1, period - 1, -1):
        if moves[at][0] != moves[at - period][0]:
            break
        repeated += 1
        choices = moves[at][1]
        bits += _UNKNOWN_CHOICES_BITS if choices is None else math.log2(max(1, choices))
    return Loop(period, repeated // period + 1, bits)


def _median(values: list[float]) -> float:
    return sorted(values)[len(values) // 2]
