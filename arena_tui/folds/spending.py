"""What all runs have spent that a session has seen, those included that it shows no longer."""

from __future__ import annotations

from arena_tui.folds.totals import RunTotals


class Spending:
    """A sum over runs; `usd` are US dollars, as far as they are known."""

    def __init__(self) -> None:
        self.usd = 0.0
        self.tokens = 0
        self._by_run: dict[str, tuple[float, int]] = {}

    def update(self, totals: RunTotals) -> None:
        """Take the run's totals in place of those from before."""
        usd, tokens = totals.cost_usd or 0.0, totals.tokens or 0
        usd_before, tokens_before = self._by_run.get(totals.run_id, (0.0, 0))
        self.usd += usd - usd_before
        self.tokens += tokens - tokens_before
        self._by_run[totals.run_id] = usd, tokens

    def forget(self, run_id: str) -> None:
        """Should the run come back, its totals begin at 0; what it has spent stays spent."""
        self._by_run.pop(run_id, None)
