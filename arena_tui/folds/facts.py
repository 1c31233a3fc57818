"""What a filter is held against, of a run as a screen shows it."""

from __future__ import annotations

from typing import Final

from arena_tui.folds.conditions import FIELDS, Facts
from arena_tui.folds.result import is_draw, losers_of
from arena_tui.folds.view import Pane
from arena_tui.folds.words import word_of

LIVE_FIELDS: Final = tuple(name for name in FIELDS if name not in ("in", "out", "tag"))
"""The fields that are known of runs being played."""


def facts_of(pane: Pane) -> Facts:
    """All fields of a pane."""
    names = {agent.id: agent.name for agent in pane.agents}
    is_over = pane.state == "finished"
    won = pane.winners if is_over else ()
    lost = losers_of(pane.agents, pane.outcome) if is_over else ()
    return Facts(
        texts={
            "game": (pane.game,),
            "label": (pane.label or "",),
            "agent": tuple(
                text for each in pane.agents for text in (each.id, each.name, each.spec)
            ),
            "status": (word_of(pane),),
            "run": (pane.run_id,),
            "reason": (pane.reason or "",),
            "outcome": tuple(pane.outcome),
            "won": tuple(text for each in won for text in (each, names.get(each, ""))),
            "lost": tuple(text for each in lost for text in (each, names.get(each, ""))),
            "trouble": tuple(each.kind for each in pane.troubles),
            "error": (pane.last_error or "",),
        },
        numbers={
            "turns": pane.turn,
            "events": pane.events,
            "err": pane.errors,
            "lost": max(pane.lost, bool(pane.lost_unknown)),
            "cost": pane.cost.usd,
            "tokens": pane.tokens or 0,
            "duration": pane.duration_s,
            "started": None if pane.started_at is None else pane.started_at.timestamp(),
            "ended": None if pane.ended_at is None else pane.ended_at.timestamp(),
        },
        drawn=is_over and is_draw(pane.agents, pane.outcome),
    )
