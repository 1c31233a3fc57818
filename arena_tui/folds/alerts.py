"""When a run gets into trouble: each transition once. Tells nobody."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime

from msgspec import Struct

from arena_tui.events import short_id
from arena_tui.folds.trouble import Trouble
from arena_tui.folds.view import Pane

_SINGLY_MAX = 2
"""More runs with the same trouble at once are told of together."""


class Alert(Struct, frozen=True, kw_only=True):
    """One run is in a trouble that it was not in before; texts may hold whatever events say."""

    run_id: str
    game: str
    trouble: Trouble

    def __str__(self) -> str:
        name = self.game or "run"
        return f"{name} · {short_id(self.run_id)} {self.trouble.kind}: {self.trouble.text}"


class Alerts:
    """Finds what is new from one look at all runs to the next.

    Args:
        since: What had ended before is no news; UTC.
        again_after_s: A trouble is news again when it was gone that long.
    """

    def __init__(self, since: datetime, again_after_s: float) -> None:
        self._since = since
        self._again_after_s = again_after_s
        self._seen_at: dict[tuple[str, str], float] = {}

    def look(self, panes: Iterable[Pane], now: float) -> tuple[Alert, ...]:
        """The troubles that are new at `now`, in seconds by a monotonic clock."""
        oldest = now - self._again_after_s
        self._seen_at = {key: at for key, at in self._seen_at.items() if at >= oldest}
        new = []
        for pane in panes:
            if not pane.troubles or (pane.ended_at is not None and pane.ended_at < self._since):
                continue
            for trouble in pane.troubles:
                key = pane.run_id, trouble.kind
                if key not in self._seen_at:
                    new.append(Alert(run_id=pane.run_id, game=pane.game, trouble=trouble))
                self._seen_at[key] = now
        return tuple(new)


def summed_up(alerts: Iterable[Alert]) -> list[str]:
    """One line an alert, or `12 runs: stuck` where many have the same trouble; the first first."""
    alerts = list(alerts)
    counts = Counter(each.trouble.kind for each in alerts)
    lines = [
        str(each) if counts[kind] <= _SINGLY_MAX else f"{counts[kind]} runs: {kind}"
        for each in alerts
        for kind in [each.trouble.kind]
    ]
    return list(dict.fromkeys(lines))
