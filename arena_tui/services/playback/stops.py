"""What playing a run may stop at. Reads nothing."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final, Literal, TypeAlias, get_args

from arena_tui.errors import UsageError
from arena_tui.events import Delivery, ErrorEvent, Gap, TurnStart
from arena_tui.folds.visible import visible
from arena_tui.store.rows import as_in_payload

Stop: TypeAlias = Literal["error", "gap", "turn", "bookmark", "hit"]

STOPS: Final[tuple[Stop, ...]] = get_args(Stop)
_ALL: Final = "all"


def parse_stops(words: str) -> frozenset[Stop]:
    """`error gap`: what playing stops at; `all` of it, or nothing without a word.

    Raises:
        UsageError: There is no such word.
    """
    wanted = words.lower().replace(",", " ").split()
    if set(wanted) == {_ALL}:
        return frozenset(STOPS)
    found = {each: stop for each in wanted for stop in STOPS if each in (stop, f"{stop}s")}
    if unknown := [each for each in wanted if each not in found]:
        raise UsageError(f"nothing called {unknown[0]!r} to stop at: {', '.join(STOPS)}, or all")
    return frozenset(found.values())


def stops_text(stops: Collection[Stop]) -> str:
    """`playing stops at error, gap`."""
    told = ", ".join(each for each in STOPS if each in stops)
    return f"playing stops at {told}" if told else "playing stops at nothing"


def stops_of(delivery: Delivery | None, is_marked: bool, needle: str) -> frozenset[Stop]:
    """What a delivery is, of what playing may stop at.

    Args:
        is_marked: Whether it has a bookmark.
        needle: The text that was searched for; "" for none.
    """
    found: set[Stop] = {"bookmark"} if is_marked else set()
    if isinstance(delivery, Gap):
        found.add("gap")
    elif delivery is not None:
        if isinstance(delivery.event, ErrorEvent):
            found.add("error")
        elif isinstance(delivery.event, TurnStart):
            found.add("turn")
        if needle and as_in_payload(needle).lower() in visible(delivery.raw.decode()):
            found.add("hit")
    return frozenset(found)
