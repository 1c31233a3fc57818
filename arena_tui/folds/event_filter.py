"""Parses the filter language of the events of one run. Knows neither events nor SQL.

`kind:error kind:llm agent:qwen3 turn>5 "text" -/regex/`: an event matches if its kind contains one
of those given, and its agent likewise, and all else holds. `=` instead of `:` means all of the kind
or the agent, `-` that a condition must not hold; case is ignored.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from typing import Final, NamedTuple, TypeAlias

from arena_tui.errors import FilterError
from arena_tui.events import KNOWN_KINDS
from arena_tui.folds.amounts import read_count

EXAMPLE: Final = 'kind:error kind:llm agent:qwen3 turn>5 "text" -/regex/'
FIELDS: Final = ("kind:", "agent:", "turn>")

_OTHER_NAMES: Final = {"player": "agent", "model": "agent", "turns": "turn", "agents": "agent"}
_CONDITIONS_MAX: Final = 50
_WORD: Final = re.compile(
    r"""-?/(?:\\.|[^/\\])*(?:/(?=\s|$)|$)|(?:"[^"]*"?|(?<![^\s:=<>-])'[^']*'|[^\s"])+"""
)
_FIELD: Final = re.compile(r"([a-z_]+)(<=|>=|[:<>=])(.*)", re.IGNORECASE | re.DOTALL)
_QUOTED: Final = re.compile(r""""([^"]*)"?|(?<![^\s:=<>-])'([^']*)'""")
_TURN_MAX: Final = 2**53


class Contains(NamedTuple):
    """The `kind` or the `agent` contains the text, or is it if `whole`; in lower case."""

    name: str
    text: str
    whole: bool = False


class OfTurn(NamedTuple):
    """The number of the turn satisfies the comparison; an event of no turn never does."""

    sign: str
    value: float


class Says(NamedTuple):
    """The text is visible in the event."""

    text: str


class Pattern(NamedTuple):
    """The regular expression (RE2) is found in the event's visible text.

    Attributes:
        start, end: Where in the filter it stands.
    """

    text: str
    start: int = 0
    end: int = 0


class Clause(NamedTuple):
    """One of the conditions must hold, or, if `negated`, none may."""

    any_of: tuple[Contains | OfTurn | Says | Pattern, ...]
    negated: bool = False


Clauses: TypeAlias = Sequence[Clause]
"""An event matches if all of them hold."""


def read_event_filter(text: str) -> list[Clause]:
    """Parse the filter; nothing of an empty one.

    Raises:
        FilterError: A word is none; the message says what would be right.
    """
    clauses: list[Clause] = []
    alike: dict[str, list[Contains]] = {}
    words = [*_WORD.finditer(text)]
    if len(words) > _CONDITIONS_MAX:
        start = words[_CONDITIONS_MAX].start()
        said = f"a filter of {len(words)} conditions: give at most {_CONDITIONS_MAX}"
        raise FilterError(said, start, len(text))
    for word in words:
        start, end = word.span()
        negated = word[0].startswith("-") and len(word[0]) > 1
        condition = _read(word[0][negated:], start + negated, end)
        if isinstance(condition, Contains) and not negated:
            alike.setdefault(condition.name, []).append(condition)
        else:
            clauses.append(Clause((condition,), negated))
    return [*(Clause(tuple(each)) for each in alike.values()), *clauses]


def _read(word: str, start: int, end: int) -> Contains | OfTurn | Says | Pattern:
    if word.startswith("/"):
        return _pattern(word, start, end)
    found = _FIELD.fullmatch(word)
    if found is None:
        return Says(_unquoted(word))
    name, sign, value = found[1].lower(), found[2], _unquoted(found[3])
    name = _OTHER_NAMES.get(name, name)
    if name not in ("kind", "agent", "turn"):
        near = difflib.get_close_matches(name, ["kind", "agent", "turn"], n=1)
        right = f"did you mean {near[0]}?" if near else "use kind, agent or turn"
        raise FilterError(
            f'no field {found[1]!r}: {right}; as text: "{word}"', start, start + len(found[1])
        )
    if not value:
        raise FilterError(f"{word} says nothing: write a value after it", start, end)
    if name == "turn":
        number = read_count(value)
        if number is None or number > _TURN_MAX:
            raise FilterError(
                f"turn: {value!r} is no number: write turn>5", start + found.start(3), end
            )
        return OfTurn("=" if sign == ":" else sign, number)
    if sign not in ":=":
        raise FilterError(f"{name} is no number: write {name}:{value}", start, end)
    wanted = value.lower()
    return Contains(name, wanted, whole=sign == "=")


def _pattern(word: str, start: int, end: int) -> Pattern:
    if len(word) < 2 or not word.endswith("/") or word.endswith("\\/"):
        raise FilterError(
            f'the regular expression has no end: write /…/; as text: "{word}"', start, end
        )
    inner = word[1:-1].replace("\\/", "/")
    if not inner:
        raise FilterError("the regular expression is empty: write /…/", start, end)
    lowered = "".join(each if each.isascii() else each.lower() for each in inner)
    return Pattern(lowered, start, end)


def _unquoted(word: str) -> str:
    return _QUOTED.sub(lambda found: found[1] or found[2] or "", word)


KINDS: Final = tuple(KNOWN_KINDS)
"""What `kind:` is completed to where nothing is known of the run."""
