"""A run that keeps its place on the screen while it has no state to be shown. Draws nothing."""

from __future__ import annotations

from typing import Final

from arena_tui.folds.view import Pane

NOT_BEGUN: Final = "not begun yet"
NOT_HELD: Final = "no longer held"
REPLACED: Final = "an earlier game"
"""In that place was the game before this one, which gave it up."""


class AbsentPane(Pane, frozen=True, kw_only=True):
    """The pane of a run of which nothing is shown.

    Attributes:
        why: One of the reasons above; more: what else is to be said of that, "" if nothing.
    """

    why: str
    more: str = ""


def absent(pane: Pane, why: str, more: str = "") -> AbsentPane:
    """The same run in the same place, without anything that happened in it."""
    return AbsentPane(
        run_id=pane.run_id, number=pane.number, game=pane.game, label=pane.label, agents=(),
        state="running", turn=0, player=None, board="", outcome={}, winners=(), recent=(),
        per_second=(), events=0, tokens=None, cost_usd=None, errors=0, last_error=None,
        waiting_s=None, idle_s=0.0, duration_s=0.0, held=0, capacity=0, lag=0, lost=0, reason=None,
        why=why, more=more,
    )  # fmt: skip
