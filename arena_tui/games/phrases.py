"""Prompts, reasoning and answers of the fictional models of `synth`."""

from __future__ import annotations

import random
from collections.abc import Sequence

from arena_tui.games.island import Move, Offer

_ANSWERS = {
    "walk": (
        "The chest at {target} is the closest. {Action}.",
        "Nothing here worth digging for. {Action}, towards {target}.",
        "I will keep {target} in sight and {action}.",
        "{Action}. Shorter than going round by the beach.",
    ),
    "blocked": (
        "Straight on to {target}: {action}.",
        "There ought to be a path here. {Action}.",
    ),
    "dig": (
        "One step more and {target} is mine: {action}.",
        "{Action}, and then I dig. Nobody is near enough to stop me.",
        "This is the moment: {action}, before anyone else comes to {target}.",
    ),
    "offer": (
        "Let us not race for it. I {action}.",
        "A quarrel over {target} costs us both. I {action}.",
        "I would rather pay than run: I {action}.",
    ),
    "accept": (
        "A fair price for a chest I would not reach in time. I accept.",
        "I accept. {target} is yours.",
        "Coins now are worth more than coins perhaps. I accept.",
    ),
    "refuse": (
        "{target} is worth more than that. I refuse.",
        "I refuse: I am two steps away and you know it.",
        "Ask me again with a better price. I refuse.",
    ),
}
_THOUGHTS = {
    "walk": (
        "Distances first. {target} is the nearest chest by the shortest path; the rocks make the "
        "others a detour. Nobody stands between it and me, so I simply walk.",
        "If I turn back now I lose two turns. Keep on towards {target} and watch whether somebody "
        "changes direction.",
        "Two chests are about equally far. {target} lies away from the others, so the risk of "
        "arriving second is smaller there.",
    ),
    "blocked": (
        "The map is hard to read at this edge. I believe the cell ahead is free; if it is not, I "
        "lose one turn and know more.",
    ),
    "dig": (
        "One step and I am on it. Whatever it holds is more than a turn is worth elsewhere.",
        "I could bargain over {target}, but it is right beside me. Taking it is plainly best.",
    ),
    "offer": (
        "We both walk towards {target}. If I pay less than what it holds times my chance of losing "
        "the race, I come out ahead; and the other saves the steps.",
        "They refused last time at a low price. A little more may be enough, and {target} tends to "
        "be one of the fuller ones.",
    ),
    "accept": (
        "I count the steps: I would be second at {target}. The offer is certain, the chest is not.",
        "It is enough for the way I give up, and it leaves me free to turn round.",
    ),
    "refuse": (
        "The price says that they are worried. Then {target} must be within my reach. No.",
        "My expected share of {target} is higher than the offer, and a no keeps up the pressure.",
    ),
}


def prompt_text(
    turn: int, turns: int, coins: float, offer: Offer | None, legal: Sequence[str]
) -> str:
    """The prompt of one turn."""
    lines = [
        f"Turn {turn} of {turns}. You hold {coins:.0f} coins. The map is above: $ is a chest, "
        "# rock, ~ water.",
    ]
    if offer is not None:
        lines.append(f"{offer.buyer} offers you {offer.coins} coins to leave {offer.chest} alone.")
    lines.append(f"Choose one: {', '.join(legal)}, or offer NAME COINS coins to leave CELL.")
    return "\n".join(lines)


def answer_text(move: Move, rng: random.Random) -> str:
    """The model's answer."""
    return _sentence(_ANSWERS, move, rng)


def reasoning_text(move: Move, rng: random.Random) -> str:
    """The model's reasoning."""
    return _sentence(_THOUGHTS, move, rng)


def _sentence(phrases: dict[str, tuple[str, ...]], move: Move, rng: random.Random) -> str:
    action = move.action
    return rng.choice(phrases[move.kind]).format(
        action=action, Action=action[0].upper() + action[1:], target=move.target
    )
