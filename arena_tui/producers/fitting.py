"""Makes any event one that can be accepted, each field fitted to its kind. Emits nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import cache
from itertools import islice
from math import isfinite
from typing import Any, Final, get_args, get_type_hints

import msgspec

from arena_tui.codec import LINE_KEYS, decode_event
from arena_tui.events import (
    KNOWN_KINDS,
    AgentInfo,
    Event,
    Fork,
    LogEvent,
    OtherEvent,
    RunStatus,
    Timestamp,
    utc_now,
)
from arena_tui.producers.shortening import Notes, shortened
from arena_tui.producers.values import Plain, kind_of, listed, opened, text_of

_NOTE_CHARS: Final = 200
_NOTES_MAX: Final = 50


NOTHING: Final[Notes] = {}
"""The notes of an event that lost nothing."""


def fitted(event: Any, max_bytes: int, lost: Notes = NOTHING) -> tuple[Event, Notes]:
    """The event as it can be accepted, and what it lost by that: a note by field; with `lost`,
    what it lost before.

    Values keep their meaning as far as their field can express it: `numpy.int64(3)` is 3, `12.0` a
    count of 12, 7 the agent "7". What cannot be kept is left out, a number that is not finite is
    None, and texts that make the event too large are cut in their middle.
    """
    plain = Plain()
    plain.notes.update(lost)
    try:
        event = _fitted(event, plain)
    except Exception as error:  # noqa: BLE001 - the program's values may raise anything
        plain.notes["event"] = f"{kind_of(event)}, which raised {type(error).__name__}"
        event = LogEvent(level="error", text=text_of(event))
    notes = {
        path[:_NOTE_CHARS]: note[:_NOTE_CHARS]
        for path, note in islice(plain.notes.items(), _NOTES_MAX)
    }
    return shortened(event, notes, max_bytes)


def loosely(fields: Mapping[str, Any], notes: Notes) -> Event:
    """The event that these fields of a JSON object are, whether they fit their kind or not; for
    `fitted`. Null is as good as missing; notes what is missing that must be there."""
    struct = KNOWN_KINDS.get(fields["kind"], OtherEvent)
    declared = {*struct.__struct_fields__} - {"extra", "name" if struct is OtherEvent else ""}
    own = {name: fields[name] for name in fields if name in declared and fields[name] is not None}
    if struct is OtherEvent:
        own["name"] = fields["kind"]
    if struct is Fork and "parent_run_id" not in own:
        own["parent_run_id"] = "unknown"
        notes["parent_run_id"] = "was missing"
    extra = {name: fields[name] for name in fields if name not in declared and name != "kind"}
    return struct(**own, extra=extra)


def _fitted(event: Any, plain: Plain) -> Event:
    if not isinstance(event, Event):
        fields = plain.of(event, "event")
        if isinstance(fields, dict) and isinstance(fields.get("kind"), str) and fields["kind"]:
            return decode_event(msgspec.json.encode(fields))
        plain.notes["event"] = kind_of(event)
        return LogEvent(level="warning", text=text_of(event))
    fit = _Fit(plain)
    extra = {}
    for name, value in fit.mapping(event.extra, "extra").items():
        taken = name in LINE_KEYS or name == "kind" or name in event.__struct_encode_fields__
        extra[f"{name}_" if taken else name] = value
    if type(event) not in KNOWN_KINDS.values():
        name = event.name if isinstance(event, OtherEvent) else kind_of(event)
        shared = {each: fit.field(Event, each, event) for each in ("ts", "agent_id", "turn", "v")}
        return OtherEvent(name=text_of(name) or "unknown", extra=extra, **shared)
    names = [name for name in event.__struct_fields__ if name != "extra"]
    return type(event)(extra=extra, **{name: fit.field(type(event), name, event) for name in names})


@cache
def _hints(struct: type[Event]) -> Mapping[str, Any]:
    return get_type_hints(struct, include_extras=True)


class _Fit:
    """Fits values to the type of their field."""

    def __init__(self, plain: Plain) -> None:
        self._plain = plain

    def field(self, struct: type[Event], name: str, event: Event) -> Any:
        value, hint = getattr(event, name), _hints(struct)[name]
        optional = type(None) in get_args(hint)
        if value is None and (optional or hint is Any):
            return None
        if hint in (str, str | None):
            return self.text(value, name)
        if hint in (list[str], list[str] | None):
            return [self.text(each, f"{name}[{i}]") for i, each in enumerate(_items(value))]
        if hint == list[AgentInfo]:
            return [self.agent(each, f"{name}[{i}]") for i, each in enumerate(_items(value))]
        if hint == dict[str, float]:
            return self.scores(value, name)
        if hint == dict[str, Any]:
            return self.mapping(value, name)
        if hint == list[Any] | None:
            value = _items(value)
        if hint is Timestamp:
            return self.time(value, name)
        if hint == RunStatus:
            value = text_of(value).lower()
        try:
            return self.number(value, hint, name)
        except msgspec.ValidationError:
            self._plain.notes.setdefault(name, f"was {text_of(value)}")
            defaults = {each.name: each.default for each in msgspec.structs.fields(struct)}
            return defaults[name]

    def number(self, value: Any, hint: Any, path: str) -> Any:
        """The value as this type, mostly a number; raises ValidationError."""
        plain = self._plain.of(value, path)
        if isinstance(plain, bool) and hint not in (bool, bool | None, Any):
            plain = int(plain)
        fit = msgspec.convert(plain, hint, strict=False)
        if isinstance(fit, float) and not isfinite(fit):
            raise msgspec.ValidationError("not finite")
        return fit

    def text(self, value: Any, path: str) -> str:
        self._plain.of(value, path)  # for its notes
        return text_of(value)

    def agent(self, value: Any, path: str) -> AgentInfo:
        if isinstance(value, AgentInfo):
            value = msgspec.structs.asdict(value)
        if not isinstance(value, Mapping):
            return AgentInfo(id=self.text(value, path))
        fields = {name: self.text(value.get(name), f"{path}.{name}") for name in ("name", "spec")}
        return AgentInfo(id=self.text(value.get("id"), f"{path}.id") or fields["name"], **fields)

    def scores(self, value: Any, path: str) -> dict[str, float]:
        """An outcome; a list has the scores of the agents in their order."""
        if not isinstance(value, Mapping):
            value = dict(enumerate(_items(value)))
        scores: dict[str, float] = {}
        for agent, score in value.items():
            name = text_of(agent)
            try:
                scores[name] = self.number(score, float, f"{path}.{name}")
            except msgspec.ValidationError:
                self._plain.notes.setdefault(f"{path}.{name}", f"was {text_of(score)}")
        return scores

    def mapping(self, value: Any, path: str) -> dict[str, Any]:
        plain = self._plain.of(value, path)
        return plain if isinstance(plain, dict) else {"value": plain}

    def time(self, value: Any, path: str) -> datetime:
        if not isinstance(value, datetime):
            self._plain.notes[path] = f"was {text_of(value)}"
            return utc_now()
        if value.utcoffset() is None:
            self._plain.notes[path] = "has no time zone, taken as local time"
        return value.astimezone(UTC)


def _items(value: Any) -> list[Any]:
    """The values of a list of any kind; of one alone, itself."""
    value = opened(value) if not isinstance(value, Iterable) else value
    if value is None:
        return []
    if isinstance(value, str | bytes | Mapping | AgentInfo) or not isinstance(value, Iterable):
        return [value]
    return listed(value)
