"""Looks once a second for runs that get into trouble, and has the user's command run for them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from arena_tui.broker.warnings import Warnings
from arena_tui.events import utc_now
from arena_tui.folds.alerts import Alert, Alerts
from arena_tui.folds.view import Pane
from arena_tui.services.on_trouble import OnTrouble
from arena_tui.settings import Notify

_LOOK_S: Final = 1.0


class TroubleWatch:
    """One session's; begins now, on an event loop."""

    def __init__(self, settings: Notify, warnings: Warnings) -> None:
        self._alerts = Alerts(utc_now(), settings.again_after_s)
        self._command = OnTrouble(settings, warnings)
        self._looked_at = float("-inf")

    def look(self, panes: Sequence[Pane], now: float) -> tuple[Alert, ...]:
        """What is new since the last look; nothing within a second of that."""
        if now - self._looked_at < _LOOK_S:
            return ()
        self._looked_at = now
        alerts = self._alerts.look(panes, now)
        for alert in alerts:
            self._command.run(alert)
        return alerts

    async def aclose(self) -> None:
        await self._command.aclose()
