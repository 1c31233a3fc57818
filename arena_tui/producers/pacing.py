"""Throttles producers while the store catches up. Knows no queue and no thread."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import defaultdict
from collections.abc import Iterable
from typing import Final

from arena_tui.broker.protocol import STORE, BrokerProtocol, Outgoing

_LOOK_S: Final = 0.02
"""Interval of checking the lag while waiting for the store."""

_PAUSE_LOOKS: Final = 5
"""Longest pause, in such intervals, lest the store has to decode events again: one that takes long,
at a checkpoint say, must not stop the games."""


class StorePacing:
    """Waits while too much is not stored yet: for the store, and no other consumer.

    Too much of one run, which is about to lose events, is waited for as long as it takes; too much
    of all runs together, briefly. A store that makes no progress is not waited for.

    Args:
        patience_s: How long the store may go without progress.
        pause_at: Fraction of a run's log, in events or in bytes, that may be unstored; and of the
            events of all runs that are held decoded.
    """

    def __init__(self, broker: BrokerProtocol, patience_s: float, pause_at: float) -> None:
        self._broker = broker
        self._patience_s = patience_s
        self._look_s = min(_LOOK_S, patience_s)
        self._lag_max = int(broker.limits.capacity * pause_at)
        self._total_max = int(broker.limits.decoded * pause_at)
        self._bytes_max = int(broker.limits.run_bytes * pause_at)
        self._bytes: defaultdict[str, int] = defaultdict(int)
        self._idle_s = 0.0  # waited for the store without progress

    def note(self, batch: Iterable[Outgoing]) -> None:
        """Count a batch that was just published."""
        unstored = self._bytes
        for run_id, _, raw in batch:
            unstored[run_id] += len(raw)

    async def wait(self) -> None:
        """Yield to the loop, and pause while too much is not stored yet."""
        looks = 0
        lags, urgent = self._lags()
        while urgent or sum(lags.values()) > self._total_max:
            if not urgent and looks >= _PAUSE_LOOKS:
                return
            looks += 1
            looked = time.monotonic()
            given_up = self._idle_s >= self._patience_s
            if given_up:
                await asyncio.sleep(0)  # has it begun to move again?
            else:
                with contextlib.suppress(TimeoutError):
                    settled = self._broker.settled(urgent or lags, STORE)
                    await asyncio.wait_for(settled, self._look_s)
            lag = sum(lags.values())
            lags, urgent = self._lags()
            moved = sum(lags.values()) < lag
            if given_up and not moved:
                return
            self._idle_s = 0.0 if moved else self._idle_s + time.monotonic() - looked
        self._idle_s = 0.0
        await asyncio.sleep(0)

    def _lags(self) -> tuple[dict[str, int], list[str]]:
        """What is not stored of each run, in events; and the runs of which it is too much."""
        lags = self._broker.lags(STORE)
        unstored = self._bytes
        for run_id in [run_id for run_id in unstored if run_id not in lags]:
            del unstored[run_id]
        urgent = [
            run_id
            for run_id, lag in lags.items()
            if lag > self._lag_max or unstored[run_id] > self._bytes_max
        ]
        return lags, urgent
