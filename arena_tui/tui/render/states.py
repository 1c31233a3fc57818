"""How each state of a run looks: its sign and its style, on every screen."""

from __future__ import annotations

from typing import Final, NamedTuple

from arena_tui.folds.view import PaneState
from arena_tui.settings import TroubleKind


class Look(NamedTuple):
    """A sign, and the name of the palette's style that goes with it."""

    sign: str
    style: str


LOOKS: Final[dict[PaneState, Look]] = {
    "running": Look("▶", "good"),
    "stuck": Look("!", "warn"),
    "silent": Look("?", "warn"),
    "finished": Look("✓", "good"),
    "crashed": Look("✗", "bad"),
    "stopped": Look("■", "dim"),
}

TROUBLE_LOOKS: Final[dict[TroubleKind, Look]] = {
    "stuck": LOOKS["stuck"],
    "silent": LOOKS["silent"],
    "crashed": LOOKS["crashed"],
    "retrying": Look("!", "bad"),
    "illegal": Look("!", "bad"),
    "looping": Look("!", "warn"),
    "slow": Look("!", "warn"),
    "budget": Look("$", "bad"),
    "waiting": Look("…", "warn"),
    "unpriced": Look("$", "dim"),
}

LOSING: Final = Look("▼", "bad")
"""For a run that is still live but has lost events."""
