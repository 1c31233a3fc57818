"""Who won, and how a finished run came out: the one rule of every screen and command.

An outcome is kept as it was told; here its keys are matched with the run's agents.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from arena_tui.events import AgentInfo
from arena_tui.folds.numbers import number


def names_of(agents: Sequence[AgentInfo]) -> dict[str, str]:
    """What each agent is called, by its id."""
    return {agent.id: agent.name or agent.id for agent in agents}


def scores_of(agents: Sequence[AgentInfo], outcome: Mapping[str, float]) -> dict[str, float]:
    """The outcome by agent id: a key that is no id but an agent's index, from 0, stands for that
    agent; any other stays as it is."""
    ids = [agent.id for agent in agents]
    indices = {str(index): agent for index, agent in enumerate(ids) if agent not in outcome}
    return {key if key in ids else indices.get(key, key): score for key, score in outcome.items()}


def winners_of(agents: Sequence[AgentInfo], outcome: Mapping[str, float]) -> list[str]:
    """Those with the best score, several if they share it.

    Empty if all are equal (a draw), and where a score has nothing to be compared with: an agent
    alone wins nothing, and of several of which one has a score, that one only if it is positive.
    """
    if not outcome:
        return []
    scores = scores_of(agents, outcome)
    if len(scores) == 1:
        return [key for key, score in scores.items() if score > 0 and len(agents) > 1]
    best = max(scores.values(), default=0.0)
    won = [key for key, score in scores.items() if score == best]
    return won if len(won) < len(scores) else []


def losers_of(agents: Sequence[AgentInfo], outcome: Mapping[str, float]) -> list[str]:
    """The agents that others have won against."""
    won = winners_of(agents, outcome)
    return [agent.id for agent in agents if won and agent.id not in won]


def is_draw(agents: Sequence[AgentInfo], outcome: Mapping[str, float]) -> bool:
    """Whether several have a score and nobody has won."""
    return len(scores_of(agents, outcome)) > 1 and not winners_of(agents, outcome)


def result_text(
    agents: Sequence[AgentInfo],
    outcome: Mapping[str, float],
    shown: Callable[[str], str] = str,
) -> str:
    """How a finished run came out: `x won`, `x, y won`, `draw`, `random -1` of one score, or
    `finished`; `shown` gives the text for an agent's id."""
    if won := winners_of(agents, outcome):
        return f"{', '.join(map(shown, won))} won"
    scores = scores_of(agents, outcome)
    if len(scores) == 1:
        return "  ".join(f"{shown(key)} {number(score)}" for key, score in scores.items())
    return "draw" if is_draw(agents, outcome) else "finished"
