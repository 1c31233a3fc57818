"""The consumer that counts what metrics tell of the events themselves. Exports nothing.

It is not durable: what was published while no process counted is counted nowhere, and what this
process has counted is not counted again, whatever restarts within it.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final, get_args

from arena_tui.broker.protocol import Cursor, RunInfo, Start
from arena_tui.consumers.protocol import Consumer, Context, Counters
from arena_tui.events import KNOWN_KINDS, Delivery, Envelope, Event, LlmResponse, RunEnd, RunStatus
from arena_tui.folds.view import RunView
from arena_tui.folds.words import STATE_WORDS, StateWord

OTHER: Final = "other"
"""Stands for every kind of event that this version does not know."""

KINDS: Final = (*KNOWN_KINDS, OTHER)

_FOLDS_MIN: Final = 1_000
"""So many runs are folded before those that the broker has let go are looked for."""


class Metered(Counters, frozen=True, kw_only=True):
    """Counters since creation, of the events read here; none ever falls.

    Attributes:
        events: By kind; `other` are those of unknown kinds.
        ended: Runs that ended, by how.
        input_tokens, output_tokens, cost_usd: As far as events report them.
    """

    events: Mapping[str, int]
    ended: Mapping[RunStatus, int]
    input_tokens: int
    output_tokens: int
    cost_usd: float


class Meter(Consumer):
    """Counts events, tokens and cost, and tells the state of each run that the broker holds.

    Of a shared broker it counts what is published after it has started, so that counters begin at
    zero with each process; in one process, everything.

    Args:
        clock: Monotonic seconds.
    """

    name = "metrics"
    durable = False
    batch_interval_s = 0.05  # nothing is held for it: to wait longer is to miss more of a burst

    def __init__(self, context: Context, clock: Callable[[], float] = time.monotonic) -> None:
        self._broker = context.broker
        self._limits = context.config.trouble
        self._clock = clock
        self._views: dict[str, RunView] = {}
        self._folds_max = _FOLDS_MIN
        self._before: Collection[str] | None = None
        self._events = dict.fromkeys(KINDS, 0)
        self._ended: dict[RunStatus, int] = dict.fromkeys(get_args(RunStatus), 0)
        self._input_tokens = self._output_tokens = 0
        self._cost_usd = 0.0
        self._lost = self._lost_unknown = self._repeated = 0

    @property
    def folds(self) -> int:
        """Of how many runs it keeps something."""
        return len(self._views)

    async def start(self) -> Start:
        """At first the oldest or the newest event; on a restart, where it was in each run."""
        held = await self._broker.runs() if self._broker.shared else []
        ends = {each.meta.run_id: Cursor(each.epoch, each.last_seq) for each in held}
        if self._before is None:
            self._before = ends.keys()
            return "newest" if self._broker.shared else "oldest"
        # Of a run from before of which nothing was read since, nothing is counted now, either.
        cursors = {run_id: at for run_id, at in ends.items() if run_id in self._before}
        read = {run_id: _cursor(view) for run_id, view in self._views.items()}
        return cursors | {run_id: at for run_id, at in read.items() if at.seq}

    async def handle(self, batch: Sequence[Delivery]) -> Mapping[str, Cursor]:
        now = self._clock()
        for each in batch:
            view = self._views.get(each.run_id)
            if view is None:
                view = self._views[each.run_id] = self._new_view(each.run_id, now)
            if isinstance(each, Envelope):
                if Cursor(each.epoch, each.seq) <= _cursor(view):
                    self._repeated += 1
                    continue
                self._count(each.event)
            else:
                self._lost += each.count
                self._lost_unknown += each.unknown
            view.add(each, now)
        if len(self._views) > self._folds_max:
            self._forget_all_but(await self._broker.runs())
            self._folds_max = max(_FOLDS_MIN, 2 * len(self._views))
        return {}

    def stats(self) -> Metered:
        return Metered(
            lost=self._lost, lost_unknown=self._lost_unknown, repeated=self._repeated,
            events=dict(self._events), ended=dict(self._ended), cost_usd=self._cost_usd,
            input_tokens=self._input_tokens, output_tokens=self._output_tokens,
        )  # fmt: skip

    async def states(self) -> Mapping[StateWord, int]:
        """How many runs that the broker holds are in each state, those included that have ended.

        Left out is one that had ended before this consumer started.
        """
        now, held = self._clock(), await self._broker.runs()
        self._forget_all_but(held)
        words = Counter(filter(None, (self._word(info, now) for info in held)))
        return {word: words[word] for word in STATE_WORDS}

    def _word(self, info: RunInfo, now: float) -> StateWord | None:
        run_id = info.meta.run_id
        view = self._views.get(run_id)
        if view is None:  # nothing of it was published since the start
            view = self._views[run_id] = self._new_view(run_id, now)
        if view.totals.status == "running" and info.state == "closed":
            return None
        state = view.state(info.state, now)
        troubles = view.troubles(info.state, now)
        if state == "running" and any(each.kind == "waiting" for each in troubles):
            return "waiting"
        return state

    def _new_view(self, run_id: str, now: float) -> RunView:
        return RunView(run_id, now=now, recent=0, limits=self._limits)

    def _count(self, event: Event) -> None:
        kind = event.kind
        self._events[kind if kind in KNOWN_KINDS else OTHER] += 1
        if isinstance(event, LlmResponse):
            self._input_tokens += event.input_tokens or 0
            self._output_tokens += event.output_tokens or 0
            cost_usd = event.cost_usd or 0.0
            if math.isfinite(cost_usd):
                self._cost_usd += max(0.0, cost_usd)  # a refund would be taken for a restart
        elif isinstance(event, RunEnd):
            self._ended[event.status] += 1

    def _forget_all_but(self, held: Sequence[RunInfo]) -> None:
        kept = {info.meta.run_id for info in held}
        self._views = {run_id: view for run_id, view in self._views.items() if run_id in kept}


def _cursor(view: RunView) -> Cursor:
    return Cursor(view.totals.epoch, view.totals.seq)
