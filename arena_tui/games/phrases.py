"""Prompts, reasoning and answers of the fictional models of `synth`."""

from __future__ import annotations

import random
from collections.abc import Sequence

from arena_tui.games.island import Move

ANSWERS = {
    "walk": (
        "The chest at {target} is the closest. {Action}.",
        "Nothing here worth digging for. {Action}, towards {target}.",
        "{Action}. Shorter than going round by the beach.",
    ),
    "blocked": ("There ought to be a path here. {Action}.",),
    "dig": (
        "One step more and {target} is mine: {action}.",
        "{Action}, and then I dig. Nobody is near enough to stop me.",
    ),
}
THOUGHTS = {
    "walk": (
        "Distances first. {target} is the nearest chest by the shortest path; the rocks make the "
        "others a detour. Nobody stands between it and me, so I simply walk.",
        "If I turn back now I lose two turns. Keep on towards {target} and watch whether somebody "
        "changes direction.",
    ),
    "blocked": (
        "The map is hard to read at this edge. I believe the cell ahead is free; if it is not, I "
        "lose one turn and know more.",
    ),
    "dig": ("One step and I am on it. Whatever it holds is more than a turn is worth elsewhere.",),
}


def prompt_text(turn: int, turns: int, coins: float, legal: Sequence[str]) -> str:
    return (
        f"Turn {turn} of {turns}. You hold {coins:.0f} coins. The map is above: $ is a chest, "
        f"# rock, ~ water.\nChoose one: {', '.join(legal)}."
    )


def sentence(phrases: dict[str, tuple[str, ...]], move: Move, rng: random.Random) -> str:
    """One of `ANSWERS` or `THOUGHTS`, on this move."""
    return rng.choice(phrases[move.kind]).format(
        action=move.action, Action=move.action.capitalize(), target=move.target
    )
