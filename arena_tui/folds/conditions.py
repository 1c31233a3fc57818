"""Parses the filter language of run lists into conditions. Knows neither rows nor panes.

`game:chess cost>$0.1 since:2d -agent:x "rate limit"`: `field:text` means that the field
contains the text, `field=text` that it is the text, `< > = <= >=` compare numbers and times, `-`
before a condition means that it must not hold, and any other word must occur somewhere in the run.
Case is ignored; all conditions must hold. What looks like a field but is none is refused; between
quotes it is text.
"""

from __future__ import annotations

import difflib
import operator
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple

from arena_tui.errors import FilterError, UsageError
from arena_tui.folds.amounts import Amount, read_count, read_duration, read_moment, read_usd
from arena_tui.folds.words import STATE_WORDS
from arena_tui.settings import TROUBLE_KINDS

EXAMPLE: Final = 'game:chess cost>0.1 since:2d -agent:x "rate limit"'
ANY_TROUBLE: Final = "any"
"""`trouble:any`: whatever the trouble."""

_TEXTS: Final = (
    "game", "label", "agent", "status", "run", "tag", "reason", "outcome", "trouble", "won", "lost",
)  # fmt: skip
_COUNTS: Final = ("turns", "events", "err", "lost", "tokens", "in", "out")
_TIMES: Final = ("started", "ended")
_OTHER_NAMES: Final = {
    "agents": "agent", "player": "agent", "players": "agent", "model": "agent", "tags": "tag",
    "state": "status", "id": "run", "winner": "won", "loser": "lost", "turn": "turns",
    "event": "events", "errors": "err", "error": "err", "token": "tokens", "input": "in",
    "output": "out", "took": "duration", "costs": "cost", "start": "started", "end": "ended",
}  # fmt: skip
_SINCE: Final = {"since": ">=", "before": "<"}
FIELDS: Final = tuple(dict.fromkeys(
    ("game", "agent", "status", "won", "lost", "draw", "err", "cost", "tokens", "turns", "events",
     "duration", "since", "before", *_TEXTS, *_COUNTS, *_TIMES)
))  # fmt: skip
"""Names a filter may begin with, those used most first."""

_FIELD: Final = re.compile(r"([a-z_]+)(<=|>=|[:<>=])(.*)", re.IGNORECASE | re.DOTALL)
_WORD: Final = re.compile(r"""(?:"[^"]*"?|(?<![^\s:=<>-])'[^']*'|[^\s"])+""")
_QUOTED: Final = re.compile(r""""([^"]*)"?|(?<![^\s:=<>-])'([^']*)'""")
_BEGUN: Final = re.compile(r"(?:^|\s)-?([a-z_]*)$", re.IGNORECASE)
_CONDITIONS_MAX: Final = 50
"""More would cost a store hundreds of megabytes before it begins to look."""

_COMPARE: Final[dict[str, Callable[[float, float], bool]]] = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge, "=": operator.eq,
}  # fmt: skip


class Anywhere(NamedTuple):
    """The text must occur somewhere in the run."""

    text: str


class Contained(NamedTuple):
    """The field `name` must contain the text, or be it if `whole`."""

    name: str
    text: str
    whole: bool = False


class Compared(NamedTuple):
    """The number `name` must satisfy the comparison with `value`; times in seconds since 1970."""

    name: str
    sign: str
    value: float

    def holds(self, number: float | None) -> bool:
        """Whether the number satisfies it; an unknown number never does."""
        return number is not None and _COMPARE[self.sign](number, self.value)


class Drawn(NamedTuple):
    """The run ended in a draw."""


class Not(NamedTuple):
    """The condition must not hold."""

    of: Anywhere | Contained | Compared | Drawn


Condition = Anywhere | Contained | Compared | Drawn | Not


class Facts(NamedTuple):
    """What conditions are held against.

    Attributes:
        texts: By field; a field may have several.
        numbers: By field; None where unknown.
        drawn: Whether the run ended in a draw.
    """

    texts: Mapping[str, Sequence[str]]
    numbers: Mapping[str, float | None]
    drawn: bool = False

    def hold(self, condition: Condition) -> bool:
        """Whether the condition holds."""
        match condition:
            case Not(of):
                return not self.hold(of)
            case Drawn():
                return self.drawn
            case Compared(name):
                return condition.holds(self.numbers.get(name))
            case Contained("trouble", wanted) if wanted.lower() == ANY_TROUBLE:
                return bool(self.texts.get("trouble"))
            case Contained(name, wanted, whole):
                found = (text.lower() for text in self.texts.get(name, ()))
                wanted = wanted.lower()
                return any(text == wanted if whole else wanted in text for text in found)
            case Anywhere(wanted):
                every = (text.lower() for texts in self.texts.values() for text in texts)
                return any(wanted.lower() in text for text in every)


def read_conditions(
    text: str, fields: Collection[str] = FIELDS, now: datetime | None = None
) -> list[Condition]:
    """Parse the filter text.

    Args:
        fields: Those that are known of the runs to be filtered.
        now: What `2d` and `today` are told from.

    Raises:
        FilterError: A word looks like a field but is none, or its value is none for that field; the
            message names the nearest right word. Or there are too many conditions.
    """
    words = [*_WORD.finditer(text)]
    if len(words) > _CONDITIONS_MAX:
        start = words[_CONDITIONS_MAX].start()
        said = f"a filter of {len(words)} conditions: give at most {_CONDITIONS_MAX}"
        raise FilterError(said, start, len(text))
    now = datetime.now(UTC) if now is None else now
    found: list[Condition] = []
    for word in words:
        try:
            read = _read(word[0], now)
            _check_known(read, fields)
        except UsageError as error:
            raise FilterError(str(error), *word.span()) from None
        found += read
    return found


def _check_known(conditions: Iterable[Condition], fields: Collection[str]) -> None:
    for each in conditions:
        of = each.of if isinstance(each, Not) else each
        name = "draw" if isinstance(of, Drawn) else getattr(of, "name", None)
        if name is not None and name not in fields:
            raise UsageError(f"{name} is not known of these runs: use {', '.join(fields)}")


def field_words(fields: Collection[str] = FIELDS) -> list[str]:
    """The fields with the sign that most often follows them: `game:`, `cost>`; `draw` has none."""
    return [
        name if name == "draw"
        else f"{name}:" if name in _SINCE or (name in _TEXTS and name not in _COUNTS)
        else f"{name}>"
        for name in fields
    ]  # fmt: skip


def begun_fields(text: str, fields: Collection[str] = FIELDS) -> list[str]:
    """The fields that the last word of the text may become; none where it is a value."""
    found = _BEGUN.search(text)
    return [] if found is None else [name for name in fields if name.startswith(found[1].lower())]


def _read(word: str, now: datetime) -> list[Condition]:
    if len(word) > 1 and word[0] == "-" and (word[1].isalpha() or word[1] in "\"'"):
        inner = _read_positive(word[1:], now)
        if len(inner) > 1:
            raise UsageError(f"{word}: ask for the days before and after it with < and >")
        return [Not(each) for each in inner]
    return list(_read_positive(word, now))


def _read_positive(word: str, now: datetime) -> list[Anywhere | Contained | Compared | Drawn]:
    found = _FIELD.fullmatch(word)
    if found is None:
        return [Drawn()] if word.lower() == "draw" else [Anywhere(_unquoted(word))]
    name, sign, value = found[1].lower(), found[2], _unquoted(found[3])
    name = _OTHER_NAMES.get(name, name)
    if name not in FIELDS:
        raise UsageError(f'no field {found[1]!r}: {_nearest(name)}; as text: "{word}"')
    if name in _SINCE:
        return [Compared("started", _SINCE[name], _moment(name, value, now).low)]
    if name in _TIMES:
        return _within(name, sign, _moment(name, value, now))
    if name == "draw":
        raise UsageError(f'draw has no value: write draw; as text: "{word}"')
    if name in _TEXTS and (sign in ":=") and not (name in _COUNTS and _is_number(value)):
        return [_text(name, value, whole=sign == "=")]
    if name in _TEXTS and name not in _COUNTS:
        raise UsageError(f"{name} is no number: write {name}:{value} or {name}={value}")
    return [Compared(name, "=" if sign == ":" else sign, _number(name, value))]


def _text(name: str, value: str, whole: bool) -> Contained:
    known: Sequence[str] = ()
    if name == "trouble":
        known = (*TROUBLE_KINDS, ANY_TROUBLE)
    elif name == "status":
        known = STATE_WORDS
    if known and not any(value.lower() in each for each in known):
        if name == "status" and value.lower() == "lost":
            raise UsageError("lost is said of events: use status:silent, or lost>0")
        raise UsageError(f"no {name} {value!r}: use one of {', '.join(known)}")
    return Contained(name, value, whole)


def _within(name: str, sign: str, moment: Amount) -> list[Anywhere | Contained | Compared | Drawn]:
    """A date is a whole day: equal is what lies in it, and after it begins with the next."""
    if sign in ":=":
        return [Compared(name, ">=", moment.low), Compared(name, "<", moment.high)]
    if sign in ("<", ">="):
        return [Compared(name, sign, moment.low)]
    return [Compared(name, "<" if sign == "<=" else ">=", moment.high)]


def _number(name: str, value: str) -> float:
    read = {"cost": read_usd, "duration": read_duration}.get(name, read_count)
    example = {"cost": "0.1 or $0.1", "duration": "90s, 5m or 2h"}.get(name, "20 or 1k")
    number = read(value)
    if number is None:
        raise UsageError(f"{name}: {value!r} is no number: write {name}>{example}")
    return number


def _moment(name: str, value: str, now: datetime) -> Amount:
    moment = read_moment(value, now)
    if moment is None:
        raise UsageError(f"{name}: {value!r} is no time: write 2d, 3h, 2026-07-01 or 12:30")
    return moment


def _is_number(value: str) -> bool:
    return read_count(value) is not None


def _nearest(name: str) -> str:
    near = difflib.get_close_matches(name, [*FIELDS, *_OTHER_NAMES], n=1, cutoff=0.7)
    return f"did you mean {near[0]}?" if near else f"fields are {', '.join(FIELDS)}"


def _unquoted(word: str) -> str:
    return _QUOTED.sub(lambda found: found[1] or found[2] or "", word)
