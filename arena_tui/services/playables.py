"""What a dashboard plays, as a user types it. Plays nothing."""

from __future__ import annotations

from typing import TypeAlias

from arena_tui.services.games import Series
from arena_tui.services.scripts.spec import ScriptSpec

Playable: TypeAlias = Series | ScriptSpec
"""`connect_four mcts:200 random`, `tournament chess mcts:50 random rounds=2`, or
`agent.py --model x`."""


def parse_playable(text: str) -> Playable:
    """Parse the arguments of `--play`; raises UsageError."""
    if (script := ScriptSpec.parse(text)) is not None:
        return script
    from arena_tui.games.specs import GameSpec
    from arena_tui.games.tournament import WORD, TournamentSpec

    if text.split(maxsplit=1)[:1] == [WORD]:
        return TournamentSpec.parse(text)
    return GameSpec.parse(text)
