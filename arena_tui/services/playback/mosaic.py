"""Many runs as they were at one time, which may move on. Draws nothing, and keeps no clock."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Final

from arena_tui.broker.protocol import Cursor
from arena_tui.folds.costs import PriceList
from arena_tui.folds.view import Pane
from arena_tui.services.playback.past_run import PastRun
from arena_tui.services.playback.reading import ReadsOn
from arena_tui.services.runtime import Runtime

_FOLD_MAX: Final = 3_000
"""Most deliveries folded at once, of all runs together: some 10 ms."""
_AT_ONCE: Final = 3
"""Runs read at the same time: a store has as many threads to read."""


class PastMosaic(ReadsOn):
    """The runs that are looked at, at one time. While it is `lacking`, run `read_on`.

    A tape is open for each run looked at, which is a consumer of the runtime, until another is
    looked at instead, or `close`.

    Args:
        prices: What models cost whose producers do not say.
        place_since: When the first game began whose place a run has taken; see `Feed.place_since`.

    Attributes:
        at: The time, UTC.
        has_failed: Whether reading has, since `go_to`.
    """

    def __init__(
        self, runtime: Runtime, prices: PriceList, at: datetime,
        place_since: Callable[[str], datetime | None] = lambda _: None,
    ) -> None:  # fmt: skip
        self.at = at
        self.has_failed = False
        self._runtime = runtime
        self._prices = prices
        self._place_since = place_since
        self._runs: dict[str, PastRun] = {}
        self._first = 0
        self._turn = 0

    @property
    def lacking(self) -> bool:
        """Whether anything is to be read of a run that is looked at."""
        return not self.has_failed and any(each.must_read for each in self._runs.values())

    def look_at(self, panes: Mapping[str, Pane], first: int) -> None:
        """Look at these runs, by id, and at no others: the first ones are in sight, others may be
        soon, and are read later. Their panes say where they stand, and when they began."""
        self._first = first
        if list(panes) == list(self._runs):
            return
        for run_id in self._runs.keys() - panes.keys():
            self._runs.pop(run_id).close()
        self._runs = {
            run_id: self._runs.get(run_id)
            or PastRun(pane, self._runtime, self._prices, self._place_since(run_id))
            for run_id, pane in panes.items()
        }

    def go_to(self, at: datetime) -> None:
        """Look at another time, in place of any that is still being read."""
        self.at = at
        self.has_failed = False
        for run in self._runs.values():
            run.turn_back(at)

    def go_on(self, at: datetime) -> None:
        """Look at a later time, on the way to which nothing is left out."""
        self.at = max(self.at, at)

    def fold_on(self) -> bool:
        """Fold what there is on the way to the time, but not so much that a frame waits for it;
        returns whether all runs in sight are there."""
        runs = list(self._runs.values())
        left, self._turn = _FOLD_MAX, self._turn + 1
        for number in range(len(runs)):  # each is the first at some time
            left -= runs[(self._turn + number) % len(runs)].fold_to(self.at, left)
            if left <= 0:
                break
        return all(each.is_at(self.at) for each in runs[: self._first])

    def pane(self, run_id: str) -> Pane | None:
        """What is to be seen of a run; None if it is not looked at."""
        run = self._runs.get(run_id)
        return None if run is None else run.pane(self.at)

    def cursor(self, run_id: str) -> Cursor | None:
        """The run's newest event at the time, or its first if it has not begun; None if it is not
        read yet."""
        run = self._runs.get(run_id)
        return None if run is None else run.cursor

    async def read_next(self) -> None:
        """Read some runs that lack something, those in sight first.

        Raises:
            StoreError: The store cannot be read.
        """
        lacking = [each for each in self._runs.values() if each.must_read][:_AT_ONCE]
        read = await asyncio.gather(
            *(each.read(self.at) for each in lacking), return_exceptions=True
        )
        _raise_first(read)
        await asyncio.sleep(0)  # a run that is in memory is read without waiting

    def give_up(self) -> None:
        """See `ReadsOn`."""
        self.has_failed = True

    def close(self) -> None:
        """Close all tapes. Idempotent."""
        for run in self._runs.values():
            run.close()
        self._runs.clear()


def _raise_first(results: Iterable[BaseException | None]) -> None:
    for each in results:
        if each is not None:
            raise each
