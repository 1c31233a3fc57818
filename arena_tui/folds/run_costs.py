"""What a run's agents cost, worked out anew only when that may have changed."""

from __future__ import annotations

from collections.abc import Mapping

from arena_tui.folds.costs import Cost, PriceList, Spent, cost_of, spent, sum_of
from arena_tui.folds.totals import AgentTally

_NEVER = (-1, -1)  # no version of a run and of prices


class RunCosts:
    """Prices the tallies of one run, whose `version` increases with every change of them.

    Attributes:
        nobodys: What events of no agent used.
    """

    def __init__(self) -> None:
        self.nobodys = AgentTally()
        self._spent = _NEVER, Spent()
        self._priced: tuple[tuple[int, int], dict[str, Cost], Cost] = _NEVER, {}, Cost()

    def spent(
        self, run_id: str, version: int, tallies: Mapping[str, AgentTally], prices: PriceList
    ) -> Spent:
        """What all agents used; the same until that changes."""
        versions = version, prices.version
        if self._spent[0] != versions:
            used = (each for tally in (*tallies.values(), self.nobodys)
                    for each in tally.by_model.items())  # fmt: skip
            self._spent = versions, spent(run_id, used, prices)
        return self._spent[1]

    def by_agent(
        self, version: int, tallies: Mapping[str, AgentTally], prices: PriceList
    ) -> tuple[dict[str, Cost], Cost]:
        """By agent, and of the run; the same until more is folded or a price becomes known."""
        versions = version, prices.version
        if self._priced[0] != versions:
            costs = {agent: cost_of(tally.by_model.items(), prices)
                     for agent, tally in tallies.items() if tally.by_model}  # fmt: skip
            nobodys = cost_of(self.nobodys.by_model.items(), prices)
            self._priced = versions, costs, sum_of([*costs.values(), nobodys])
        return self._priced[1:]
