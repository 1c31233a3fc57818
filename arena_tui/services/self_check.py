"""Watches whether the accounts add up, and raises an alarm when one does not."""

from __future__ import annotations

from collections.abc import Iterable

from arena_tui.broker.stats import BrokerStats
from arena_tui.broker.warned import Warned
from arena_tui.broker.warnings import Warnings
from arena_tui.folds.accounts import Discrepancy, Keeper, discrepancies


class SelfCheck:
    """Alarms once for each account that is off at two checks in a row, and is silent about it
    until it has added up again."""

    def __init__(self, warnings: Warnings) -> None:
        self._warnings = warnings
        self._off: dict[tuple[str, str], Warned | None] = {}

    def check(self, stats: BrokerStats, consumers: Iterable[Keeper]) -> tuple[Discrepancy, ...]:
        """Look at one sample of all figures; returns what was off at the last one, too."""
        off: dict[tuple[str, str], Warned | None] = {}
        lasting = []
        for each in discrepancies(stats, consumers):
            key = each.account, each.equation
            seen = key in self._off
            alarm = self._off.pop(key, None)
            if seen:
                lasting.append(each)
            if seen and alarm is None:
                alarm = self._warnings.add(
                    "account_off", account=each.account, equation=each.equation,
                    expected=each.expected, found=each.found,
                )  # fmt: skip
            off[key] = alarm
        for alarm in self._off.values():
            self._warnings.withdraw(alarm)
        self._off = off
        return tuple(lasting)
