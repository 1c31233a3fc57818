"""What the keys of a screen do there, by task: for the help and the palette. Binds nothing."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from msgspec import Struct
from textual.binding import ActiveBinding, Binding
from textual.screen import Screen

TASKS: Final = ("move", "find", "open", "change", "screens", "leave")
"""Groups of keys, in the order of the help."""

_TASK_OF: Final[dict[str, str]] = {
    **dict.fromkeys(("move", "page", "first", "jump_to", "scroll", "step", "jump", "go_to",
                     "group", "other", "focus_next"), "move"),
    **dict.fromkeys(("filter", "ask", "search", "find"), "find"),
    **dict.fromkeys(("open", "output", "costs", "new_game", "again"), "open"),
    **dict.fromkeys(("go", "help", "command_palette"), "screens"),
    **dict.fromkeys(("back", "quit", "suspend_process"), "leave"),
}  # fmt: skip
"""By the name of an action; all others change something."""

_UNSAID: Final = frozenset({"focus_previous", "copy_text", "page_left", "page_right"})
_ALIKE: Final = re.compile(r"^(scroll|page)_\w+$")
_FIRST_WORD: Final = re.compile(r"'([a-z]\w*(?: \w+)*)'")


class KeyRow(Struct, frozen=True, kw_only=True):
    """One line of help: the keys of actions that belong together, and what they do.

    Attributes:
        keys: In groups of those that do the same, in the order of `what`.
    """

    task: str
    keys: tuple[tuple[str, ...], ...]
    what: str


def key_rows(screen: Screen[Any], display: Callable[[Binding], str]) -> list[KeyRow]:
    """The keys that work on this screen now, those of the innermost widget first.

    Keys of one action with other arguments stand on one row. `display` names a binding's key.
    """
    together: dict[tuple[str, str], list[Binding]] = {}
    for active in _told(screen):
        together.setdefault(_kind(active.binding.action), []).append(active.binding)
    return [_row(name, bindings, display) for (name, _), bindings in together.items()]


def commands_here(screen: Screen[Any]) -> Iterator[ActiveBinding]:
    """What the keys of the screen and of its focused widget do, each action once, moves left out:
    they are no commands."""
    seen = set()
    for active in _told(screen):
        action = active.binding.action
        name, _ = _kind(action)
        is_move = name in ("move", "page", "scroll", "jump_to", "first")
        if active.node is not screen.app and "." not in action.partition("(")[0] and not is_move:
            if action not in seen:
                yield active
            seen.add(action)


def said_of(binding: Binding) -> str:
    """What it does, in words."""
    return binding.tooltip or binding.description


def _told(screen: Screen[Any]) -> Iterator[ActiveBinding]:
    for active in screen.active_bindings.values():
        action = active.binding.action
        name = action.partition("(")[0].rpartition(".")[2]
        lonely = name == "focus_next" and len(screen.focus_chain) < 2
        if not (active.binding.system or name in _UNSAID or lonely or not said_of(active.binding)):
            yield active


def _kind(action: str) -> tuple[str, str]:
    """What tells apart actions that have rows of their own: the name, and a word it is given."""
    name, has_arguments, arguments = action.partition("(")
    name = name.rpartition(".")[2]
    if alike := _ALIKE.match(name):
        return alike[1], ""
    word = _FIRST_WORD.match(arguments)
    return name, word[1] if word else has_arguments


def _row(name: str, bindings: list[Binding], display: Callable[[Binding], str]) -> KeyRow:
    alike: dict[str, dict[str, None]] = {}
    for each in bindings:
        alike.setdefault(_lowered(said_of(each)), {})[display(each.with_key(each.key))] = None
    what = _joined(alike)
    is_find = "match" in what
    task = "find" if is_find else _TASK_OF.get(name, "change")
    return KeyRow(task=task, keys=tuple(map(tuple, alike.values())), what=what)


def _lowered(text: str) -> str:
    """Without capitals, but for words that are all capitals."""
    return " ".join(word if word.isupper() else word.lower() for word in text.split())


def _joined(phrases: Iterable[str]) -> str:
    """`next turn`, `previous turn` → `next, previous turn`."""
    words = [phrase.split() for phrase in phrases]
    if len(words) > 1 and all(len(each) > 1 for each in words):
        for lead in (0, -1):
            if len({each[lead] for each in words}) == 1:
                rest = ", ".join(" ".join(each[:-1] if lead else each[1:]) for each in words)
                return f"{rest} {words[0][-1]}" if lead else f"{words[0][0]} {rest}"
    return ", ".join(" ".join(each) for each in words)
