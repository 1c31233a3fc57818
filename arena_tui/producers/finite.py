"""Finds numbers that JSON has not: NaN and the infinite ones."""

from __future__ import annotations

import dataclasses
import re
from enum import Enum
from math import isfinite
from typing import Any, Final, get_type_hints

import msgspec

from arena_tui.codec import DEPTH_MAX, too_deep, unwritable
from arena_tui.errors import EventError, EventTooLargeError
from arena_tui.events import EVENT_CEILING_BYTES, KNOWN_KINDS, Event, OtherEvent, TurnStart

_VALUES_MAX: Final = EVENT_CEILING_BYTES // 2  # each takes two bytes, or more
_EXACT: Final = frozenset({str, int, float, bool, type(None)})


def _numbers(kind: type[Event]) -> list[str]:
    hints = {name: str(hint) for name, hint in get_type_hints(kind).items()}
    names = [name for name in kind.__struct_fields__ if re.search("float|Any|Tool", hints[name])]
    return [*names, "turn"] if kind is TurnStart else names


_KINDS: Final[list[type[Event]]] = [*KNOWN_KINDS.values(), OtherEvent]
_NUMBERS: Final = {kind: _numbers(kind) for kind in _KINDS}
"""The fields of each kind that can hold a number that is not finite."""


def check_finite(event: Event) -> None:
    """Refuse NaN and infinite numbers, which would be encoded as null without a word.

    Apart from `sealed`, since most events have no number, and looking for one makes them dearer.

    Raises:
        EventError: A field has a number that is not finite, or a value that cannot be read.
        EventTooLargeError: It is nested too deep, in itself say, or has too many values.
    """
    for name in _NUMBERS.get(type(event), ()):
        value = getattr(event, name)
        if not _is_finite(value, event):
            raise EventError(
                f"the {event.kind} event has a number that is not finite - at `$.{name}`: "
                "leave it out"
            )


def _is_finite(value: Any, event: Event) -> bool:
    """Whether no number in it is infinite or NaN, level by level: what is nested in itself, or has
    the same object in many places, would not end otherwise."""
    try:
        return _are_finite([value], event.kind)
    except EventError:
        raise
    except Exception as error:  # noqa: BLE001 - reading calls methods of the values
        raise unwritable(event, error) from None


def _are_finite(level: list[Any], kind: str, count: int = 0) -> bool:
    for _ in range(DEPTH_MAX + 1):
        below: list[Any] = []
        for each in level:
            if isinstance(each, float) and not isfinite(each):
                return False
            if type(each) in _EXACT:
                continue
            if isinstance(each, dict):
                below += each.values()
            elif isinstance(each, list | tuple | set | frozenset):
                below += each
            else:
                below += _members(each)
            if count + len(below) > _VALUES_MAX:
                raise EventTooLargeError(f"the {kind} event has too many values: shorten it")
        if not below:
            return True
        count, level = count + len(below), below
    raise too_deep(f"{kind} event")


def _members(value: Any) -> list[Any]:
    """The values of one of the foreign kinds that the codec writes as an object."""
    if isinstance(value, Enum):
        return [value.value]
    if isinstance(value, msgspec.Struct):
        return list(msgspec.structs.asdict(value).values())
    is_data = dataclasses.is_dataclass(value)
    fields = dataclasses.fields(value) if is_data else getattr(type(value), "__attrs_attrs__", ())
    return [getattr(value, each.name, None) for each in fields]
