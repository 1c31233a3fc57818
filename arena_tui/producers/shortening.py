"""Makes an event fit the size limit: long texts are cut in their middle. Emits nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, TypeAlias

import msgspec

from arena_tui.codec import decode_event, encode_event
from arena_tui.events import Event
from arena_tui.producers.values import cut

COERCED: Final = "coerced"
"""The field of an event that says what it lost on its way in: a note by field."""

_LEAST_CHARS: Final = 64
_MARK_BYTES: Final = 120
_ROOM_BYTES: Final = 16 * 1024
"""Kept for the notes."""

_NOTES_BYTES: Final = _ROOM_BYTES - 1024

_KEPT: Final = ("kind", "ts", "agent_id", "turn", "parent_run_id", "status")
_WITHOUT_TEXT: Final = ("agents", "outcome", "tool_calls")

Notes: TypeAlias = dict[str, str]
"""What an event lost, by field."""


def shortened(event: Event, notes: Notes, max_bytes: int) -> tuple[Event, Notes]:
    """The event in at most `max_bytes` of JSON, with the notes in its field `coerced`; and those
    notes, with what was cut.

    The longest texts are cut first, to the same length. Where there is too much else, the largest
    lists and objects are kept as text, and cut.
    """
    fields: dict[str, Any] = msgspec.json.decode(encode_event(event))
    room = max_bytes - _ROOM_BYTES
    if _size(fields) > room:
        notes = dict(notes)
        if _length_for(fields, room) < _LEAST_CHARS:
            _flatten(fields, room, notes)
        length = _length_for(fields, room)
        while _size(short := _cut_texts(fields, length, "", cuts := {})) > room:
            if length <= _LEAST_CHARS:
                cuts = {"event": f"left out, it had {_size(fields):,} bytes"}
                short = {name: short[name] for name in _KEPT if name in short}
                break
            length = max(_LEAST_CHARS, length * 3 // 4)
        fields, notes = short, {**notes, **cuts}
    notes = _first(notes)
    if notes:
        before = fields.get(COERCED)
        fields[COERCED] = before | notes if isinstance(before, dict) else notes
    return decode_event(msgspec.json.encode(fields), strict=True), notes


def _first(notes: Notes) -> Notes:
    """As many of the notes as there is room for, and how many there are besides."""
    if _size(notes) <= _NOTES_BYTES:
        return notes
    kept: Notes = {}
    room = _NOTES_BYTES
    for path, note in notes.items():
        room -= _size({path: note})
        if room < 0:
            break
        kept[path] = note
    return kept | {"others": f"{len(notes) - len(kept):,} more"}


def _size(value: Any) -> int:
    return len(msgspec.json.encode(value))


def _length_for(fields: dict[str, Any], room: int) -> int:
    """About to how many characters texts have to be cut; 0 if that would not suffice."""
    texts = [(len(text), _size(text)) for text in _texts(fields) if len(text) > _LEAST_CHARS]
    other = _size(fields) - sum(size for _, size in texts)
    low, high = 0, max((chars for chars, _ in texts), default=0)
    while low < high:
        length = (low + high + 1) // 2
        sizes = (
            size if chars <= length else length * size // chars + _MARK_BYTES
            for chars, size in texts
        )
        low, high = (length, high) if other + sum(sizes) <= room else (low, length - 1)
    return low


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _texts(each)


def _flatten(fields: dict[str, Any], room: int, notes: Notes) -> None:
    """Keep lists and objects as text, the largest first, until the rest is small enough."""
    sizes = {name: _size(value) for name, value in fields.items() if isinstance(value, list | dict)}
    excess = _size(fields) - room
    for name, size in sorted(sizes.items(), key=lambda item: -item[1]):
        if excess <= 0:
            return
        value = fields.pop(name)
        if name not in _WITHOUT_TEXT:
            text = cut(msgspec.json.encode(value).decode(), room // 16)
            fields[name] = [text] if isinstance(value, list) else {"cut": text}
        notes[name] = f"kept as text, it had {size:,} bytes"
        excess -= size


def _cut_texts(value: Any, length: int, path: str, cuts: Notes) -> Any:
    if isinstance(value, str) and len(value) > length and len(value) > _LEAST_CHARS:
        cuts[path] = f"cut, it had {len(value):,} characters"
        return cut(value, length)
    if isinstance(value, dict):
        prefix = f"{path}." if path else ""
        return {key: _cut_texts(each, length, prefix + key, cuts) for key, each in value.items()}
    if isinstance(value, list):
        return [
            _cut_texts(each, length, f"{path}[{index}]", cuts) for index, each in enumerate(value)
        ]
    return value
