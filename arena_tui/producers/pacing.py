"""Throttles producers while the store catches up. Knows no queue and no thread."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import defaultdict
from collections.abc import Iterable
from typing import Final

from arena_tui.broker.protocol import STORE, BrokerProtocol, Outgoing

__all__ = ["StorePacing"]

_LOOK_S: Final = 0.02
"""Interval of checking the lag while waiting for the store."""


class StorePacing:
    """Waits while too much of a run is not stored yet: for the store, and no other consumer.

    A store that makes no progress is not waited for.

    Args:
        patience_s: How long the store may go without progress.
        pause_at: Fraction of a run's log, in events or in bytes, that may be unstored.
    """

    def __init__(self, broker: BrokerProtocol, patience_s: float, pause_at: float) -> None:
        self._broker = broker
        self._patience_s = patience_s
        self._lag_max = int(broker.limits.capacity * pause_at)
        self._bytes_max = int(broker.limits.run_bytes * pause_at)
        self._bytes: defaultdict[str, int] = defaultdict(int)
        self._store_moves = True

    def note(self, batch: Iterable[Outgoing]) -> None:
        """Count a batch that is about to be published."""
        unstored = self._bytes
        for run_id, _, raw in batch:
            unstored[run_id] += len(raw)

    async def wait(self) -> None:
        """Yield to the loop; while a run is about to lose events, until the store catches up."""
        await asyncio.sleep(0)
        least, moved_at = None, 0.0
        look_s = min(_LOOK_S, self._patience_s)
        while lags := self._long_lags():
            lag, now = sum(lags.values()), time.monotonic()
            if least is None or lag < least:
                least, moved_at = lag, now
            elif now - moved_at >= self._patience_s:
                self._store_moves = False
            if not self._store_moves:
                return
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._broker.settled(lags, STORE), look_s)
        self._store_moves = True

    def _long_lags(self) -> dict[str, int]:
        """The runs with too much unstored, and their lag in events."""
        lags = self._broker.lags(STORE)
        unstored = self._bytes
        for run_id in [run_id for run_id in unstored if run_id not in lags]:
            del unstored[run_id]
        return {
            run_id: lag
            for run_id, lag in lags.items()
            if lag > self._lag_max or unstored[run_id] > self._bytes_max
        }
