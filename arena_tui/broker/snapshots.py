"""Snapshots of the runs of one ledger, made anew only where something has happened since."""

from __future__ import annotations

from collections.abc import Mapping

from arena_tui.broker.stats import RunStats
from arena_tui.broker.stream import RunStream


class Snapshots:
    """What is at rest costs nothing: whoever changes a run's log or progress notes it in `moved`.

    Attributes:
        moved: Ids of the runs of which the newest snapshot may be old.
    """

    def __init__(self, streams: Mapping[str, RunStream]) -> None:
        self.moved: dict[str, None] = {}
        self._streams = streams
        self._runs: dict[str, RunStats] = {}
        self._lags: dict[str, dict[str, int]] = {}

    def runs(self) -> tuple[RunStats, ...]:
        """Of all runs, in order of opening; the same objects where nothing has changed."""
        self._renew()
        return tuple(self._runs.values())

    def lags(self, consumer: str) -> dict[str, int]:
        """Events that a durable consumer has yet to ack, of the runs where there are any. Producers
        are paced by it many times between two snapshots, so it makes none."""
        lags = dict(self._lags.get(consumer, {}))
        for run_id in self.moved:
            stream = self._streams.get(run_id)
            lags[run_id] = 0 if stream is None else stream.lag(consumer)
        return {run_id: lag for run_id, lag in lags.items() if lag}

    def drop(self, run_id: str) -> None:
        """Forget a run that is held no longer."""
        self.moved.pop(run_id, None)
        self._runs.pop(run_id, None)
        for lags in self._lags.values():
            lags.pop(run_id, None)

    def drop_consumer(self, name: str) -> None:
        self._lags.pop(name, None)

    def _renew(self) -> None:
        for run_id in self.moved:
            stream = self._streams.get(run_id)
            if stream is None:
                continue
            stats = self._runs[run_id] = stream.stats()
            for each in stats.consumers:
                if each.lag:
                    self._lags.setdefault(each.name, {})[run_id] = each.lag
                elif each.name in self._lags:
                    self._lags[each.name].pop(run_id, None)
        self.moved.clear()
