"""Counters of the persister, as a value: whoever shows them need not import DuckDB."""

from __future__ import annotations

from arena_tui.consumers.protocol import Counters


class PersisterStats(Counters, frozen=True, kw_only=True):
    """Counters since creation.

    Attributes:
        stored: Events handled that are in the store, those included that already were.
        quarantined: Those of the lost that are kept raw in quarantine.
        batch: Deliveries of the newest commit.
        commit_p50_ms, commit_p99_ms: What the newest 256 commits took; 0 before the first.
    """

    stored: int
    quarantined: int
    batch: int = 0
    commit_p50_ms: float = 0.0
    commit_p99_ms: float = 0.0

    @property
    def kept(self) -> int:
        return self.stored + self.lost
