"""What one durable consumer lost, and which overflows are not over yet. Announces nothing."""

from __future__ import annotations

from arena_tui.events import Gap


class Losses:
    """In events that were evicted before the consumer had read them.

    Attributes:
        total: Of all runs.
    """

    def __init__(self) -> None:
        self.total = 0
        self._overflows: dict[str, int] = {}  # by run: lost until now

    def add(self, gap: Gap) -> bool:
        """Count a loss; returns whether an overflow of the run begins with it."""
        begins = gap.run_id not in self._overflows
        self._overflows[gap.run_id] = self._overflows.get(gap.run_id, 0) + gap.count
        self.total += gap.count
        return begins

    def end(self, run_id: str) -> int:
        """It has caught up with the run; returns what the overflow cost, 0 if there was none."""
        return self._overflows.pop(run_id, 0)
