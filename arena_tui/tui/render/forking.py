"""A turn that can be forked, and what is asked and forked there, as text. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import tzinfo
from typing import Final

from textual.content import Content

from arena_tui.events import AgentInfo, short_id
from arena_tui.folds.result import result_text
from arena_tui.folds.totals import RunTotals
from arena_tui.games.asking import Answer
from arena_tui.services.forking import TurnHere
from arena_tui.tui.render.clean import clean, clean_lines, fit
from arena_tui.tui.render.sgr import plain
from arena_tui.tui.render.text import duration, stamp

_BOARD_CELLS: Final = 70
_BOARD_LINES: Final = 14
_BOARD_LINES_MIN: Final = 3
_DIALOG_SHARE: Final = 0.9
"""Of the lines of a terminal, as a dialog may have at most."""
_ASKED_CELLS: Final = 16
_ACTION_MAX: Final = 60


def turn_line(here: TurnHere) -> str:
    """`turn 17 of connect_four · 7f3a, qwen3's`."""
    whose = f", {clean(here.player, 30)}'s" if here.player else ""
    return f"turn {here.position.turn} of {clean(here.name, 60)}{whose}"


def board_lines(here: TurnHere, height: int, others: int) -> list[Content]:
    """The board before the turn, as far as it fits a dialog on so many lines which has so many
    others; nothing where that would not be worth it."""
    room = min(_BOARD_LINES, int(height * _DIALOG_SHARE) - others)
    if room < _BOARD_LINES_MIN:
        return []
    lines = clean_lines(plain(here.position.board), room)
    return [Content(fit(line, _BOARD_CELLS).rstrip()) for line in lines]


def answer_line(here: TurnHere, answer: Answer) -> Content:
    """`mcts:500        column 3   0.4 s`: what it would play, and how long that took."""
    agents = here.start.agents
    told = [
        _by(_called(agents, seat), action, len(answer.actions)) for seat, action in answer.actions
    ]
    name = fit(clean(answer.agent, 40), _ASKED_CELLS)
    same = {action for _, action in here.played} == {action for _, action in answer.actions}
    mark = "   as played" if same else ""
    took = f"   {duration(answer.took_s)}{mark}"
    return Content.assemble((f"{name} ", "bold"), "; ".join(told), (took, "$text-muted"))


def played_line(here: TurnHere) -> Content:
    """`played           column 2   by random`."""
    told = [_by("", action, 1) for _, action in here.played]
    who = ", ".join(dict.fromkeys(clean(agent, 30) for agent, _ in here.played if agent))
    by = f"   by {who}" if who else ""
    name = fit("played", _ASKED_CELLS)
    return Content.assemble(
        (f"{name} ", "$text-muted"), "; ".join(told) or "nothing yet", (by, "$text-muted")
    )


def child_line(run: RunTotals, zone: tzinfo | None) -> str:
    """`7f3a  2026-11-22 12:03:14  mcts:50, random  23 turns  mcts:50 won`."""
    agents = ", ".join(clean(agent.id, 24) for agent in run.agents)
    how = result_text(run.agents, run.outcome) if run.status == "finished" else run.status
    began = stamp(run.started_at, zone)
    return f"{clean(short_id(run.run_id))}  {began}  {agents}  {run.turns} turns  {clean(how, 40)}"


def _by(who: str, action: str, of: int) -> str:
    told = clean(action, _ACTION_MAX)
    return f"{who}: {told}" if of > 1 else told


def _called(agents: Sequence[AgentInfo], seat: int) -> str:
    return clean(agents[seat].id, 24) if seat < len(agents) else str(seat)
