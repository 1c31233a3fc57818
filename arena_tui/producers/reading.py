"""One line as programs write it: its run and its event. Emits nothing.

A good line is decoded strictly. Of any other each value is fitted to its field; only what is no
JSON object, or has no run or no kind, is no event. What is accepted does not depend on any setting,
so that a file read again has the same events.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from math import isfinite
from typing import Any, Final

from arena_tui.codec import LINE_KEYS, decode_line, decode_object, event_of
from arena_tui.errors import EventError, EventTooLargeError
from arena_tui.events import EVENT_CEILING_BYTES, Event, run_id_of
from arena_tui.producers.fitting import NOTHING, fitted, loosely
from arena_tui.producers.shortening import Notes
from arena_tui.producers.values import text_of

_DEPTH_MAX: Final = 500
"""Deepest nesting that is taken; well within what can be decoded on any stack."""

_NO_LIMIT: Final = 16 * EVENT_CEILING_BYTES
"""The limit in force is applied when an event is published: see above."""

_BOM: Final = b"\xef\xbb\xbf"
_1970: Final = datetime(1970, 1, 1, tzinfo=UTC)
_PER_SECOND: Final = ((1e11, 1), (1e14, 10**3), (1e17, 10**6), (1e20, 10**9))
"""Numbers up to the first are seconds since 1970 (until the year 5138), then milliseconds,
microseconds, nanoseconds."""

_NUMBER_CHARS: Final = 9
"""A text of at least so many digits is a number; a shorter one a date, as 20260131."""


def read_line(raw: bytes) -> tuple[str, Event, Notes]:
    """Run id and event of a line, and what the event lost: a note by field.

    Times are taken as `time_of` does. Numbers are usable run ids; other text is made one.

    Raises:
        EventError: It is no JSON object, or has no run id or no kind.
        EventTooLargeError: Over `EVENT_CEILING_BYTES`, or nested too deep.
    """
    try:
        run_id, event = decode_line(raw)
    except EventTooLargeError:
        raise
    except EventError as error:
        return _fit(raw, error)
    if len(raw) > 2 * _DEPTH_MAX and raw.count(b"[") + raw.count(b"{") > _DEPTH_MAX:
        _check_depth(decode_object(raw))
    return run_id, event, NOTHING


def own_time(raw: bytes) -> datetime | None:
    """The time that a line itself has; None when it has none, or none that is one."""
    try:
        return time_of(_fields(raw)[0].get("ts"))
    except EventError:
        return None


def time_of(value: Any) -> datetime | None:
    """A time, in UTC: ISO 8601, which is UTC when it does not say, or a number since 1970 in
    seconds, milliseconds, microseconds or nanoseconds, by its size. None for anything else."""
    try:
        if isinstance(value, str):
            text = value.strip()
            whole, _, fraction = text.lstrip("-").partition(".")
            if not (whole + fraction).isdecimal() or len(whole) < _NUMBER_CHARS:
                at = datetime.fromisoformat(text)
                return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
            value = float(text) if fraction else int(text)
        if isinstance(value, bool) or not isinstance(value, int | float):
            return None
        for most, per_second in _PER_SECOND:
            if abs(value) < most:
                microseconds = value * 10**6 / per_second if isinstance(value, float) else (
                    value * 10**6 // per_second
                )  # fmt: skip
                return _1970 + timedelta(microseconds=microseconds)
    except (ValueError, OverflowError):
        pass
    return None


def _fit(raw: bytes, error: EventError) -> tuple[str, Event, Notes]:
    fields, is_plain = _fields(raw)
    _check_depth(fields)
    given = fields.get("run_id")
    run_id = _run_id(given)
    if run_id is None:
        raise EventError('the line has no "run_id": give the run it belongs to')
    kind = fields.get("kind")
    if not isinstance(kind, str) or not kind:
        raise EventError('the event has no "kind": give one, as text')
    for key in LINE_KEYS:
        fields.pop(key, None)
    own = fields.get("ts")
    if own is None:
        fields.pop("ts", None)
    elif (at := time_of(own)) is not None:
        fields["ts"] = at
    notes: Notes = {}
    if isinstance(given, str) and given != run_id:
        notes["run_id"] = f"was {text_of(given)}"
    if is_plain and not notes:
        try:
            return run_id, event_of(dict(fields), strict=True), NOTHING
        except EventError:
            pass
    event, notes = fitted(loosely(fields, notes), _NO_LIMIT, notes)
    return run_id, event, notes


def _fields(raw: bytes) -> tuple[dict[str, Any], bool]:
    """The fields of a line, and whether they hold plain JSON values only.

    Raises:
        EventError: It is not a JSON object.
    """
    raw = raw.removeprefix(_BOM)
    try:
        return decode_object(raw), True
    except EventTooLargeError:
        raise
    except EventError as error:
        why = error
    try:
        # Takes what many programs write: NaN, lone surrogates, control characters. Bytes that are
        # not UTF-8 become lone surrogates, too.
        fields = json.loads(raw.decode("utf-8", "surrogateescape"), strict=False,
                            parse_int=_integer)  # fmt: skip
    except (ValueError, RecursionError):
        raise why from None
    if not isinstance(fields, dict):
        raise why
    return fields, False


def _integer(digits: str) -> int | str:
    """The integer; of more digits than Python reads at once, its text."""
    try:
        return int(digits)
    except ValueError:
        return digits


def _run_id(value: Any) -> str | None:
    if isinstance(value, float) and isfinite(value) and value == int(value):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int | float | str) or value == "":
        return None
    if isinstance(value, float) and not isfinite(value):
        return None
    return run_id_of(value)


def _check_depth(fields: Mapping[str, Any]) -> None:
    level: list[Any] = [fields]
    for _ in range(_DEPTH_MAX):
        level = [
            child
            for each in level
            for child in (each.values() if isinstance(each, dict) else each)
            if isinstance(child, dict | list)
        ]
        if not level:
            return
    raise EventTooLargeError(f"the event is nested over {_DEPTH_MAX} levels deep: flatten it")
