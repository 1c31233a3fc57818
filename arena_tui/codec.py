"""Events as JSON and back. Knows nothing of brokers, stores or screens.

One event is one JSON object with its fields flat (`{"kind": "action", "ts": "…", "turn": 3, …}`);
a *line* adds `run_id` and, on output, `epoch` and `seq`. Fields that a known kind does not declare
are kept in `extra`, and an unknown kind becomes an `OtherEvent`; both are encoded back unchanged.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from arena_tui.errors import EventError, EventTooLargeError
from arena_tui.events import (
    EVENT_CEILING_BYTES,
    EVENT_MAX_BYTES,
    KNOWN_KINDS,
    Delivery,
    Event,
    Gap,
    KnownEvent,
    OtherEvent,
    check_run_id,
)

_INCOMING_MAX_BYTES: Final = EVENT_CEILING_BYTES + 16 * 1024
"""Input may be longer than an accepted event, because a line has fields of its own."""

DEPTH_MAX: Final = 200
"""Maximum nesting depth. The codec recurses on the caller's stack (about 1,000 levels in all):
without a lower limit, a thread with less stack left could not decode what another encoded."""

LINE_KEYS: Final = ("run_id", "epoch", "seq")

_GAP_LINE: Final = (
    b'{"run_id":"%s","epoch":%d,"kind":"gap","from_seq":%d,"to_seq":%d,"reason":"%s"}'
)

_FOREIGN_ESCAPE: Final = re.compile(rb"\\[u/]")
"""Escapes that this codec writes only for control characters, or never. Text search relies on its
encoding, so JSON that contains them is encoded again."""


# Thread-safe, as only their whole-buffer calls are used.
_ENCODER: Final = msgspec.json.Encoder()
_KNOWN: Final[msgspec.json.Decoder[KnownEvent]] = msgspec.json.Decoder(KnownEvent)
_RAW: Final[msgspec.json.Decoder[dict[str, Any]]] = msgspec.json.Decoder(dict[str, Any])


def encode_event(event: Event) -> bytes:
    """Encode the event as one JSON object in UTF-8.

    Raises:
        EventError: A value has no JSON form (an object, a lone surrogate, an int over 64 bits).
        EventTooLargeError: It is nested deeper than the codec can encode.
    """
    try:
        if not event.extra and type(event) is not OtherEvent:
            # A copy: the encoder's own result is up to a third larger in memory than its length.
            return b"%b" % _ENCODER.encode(event)
        fields: dict[str, Any] = msgspec.to_builtins(event)
        extra = fields.pop("__extra__", {})
        fields.pop("__name__", None)
        fields["kind"] = event.kind
        for key, value in extra.items():
            fields.setdefault(key, value)
        return b"%b" % _ENCODER.encode(fields)
    except RecursionError:
        raise too_deep(f"{event.kind} event") from None
    except Exception as error:  # noqa: BLE001 - encoding calls methods of the values
        raise unwritable(event, error) from None


def sealed(event: Event, max_bytes: int = EVENT_MAX_BYTES) -> tuple[Event, bytes]:
    """Validate an event; returns a copy as all consumers will see it, and its JSON.

    The copy is made by encoding and decoding: live and stored events are the same, and a list that
    the producer modifies later is not shared. The JSON travels with the event, so that it is never
    encoded again.

    Raises:
        EventError: A field has a value that its kind does not allow or that has no JSON form.
        EventTooLargeError: Over `max_bytes` of JSON, or nested too deep.
    """
    raw = encode_event(event)
    size = len(raw)
    if size > max_bytes:
        raise _too_large(event.kind, size, max_bytes)
    if size > 2 * DEPTH_MAX and raw.count(b"[") + raw.count(b"{") > DEPTH_MAX:
        _check_depth(event.kind, raw)
    try:
        known: Event = _KNOWN.decode(raw)
    except msgspec.MsgspecError:
        if type(event) is Event:
            raise EventError("Event itself has no kind: publish one of its subclasses") from None
        if event.extra:
            _check_names(event)
    else:
        if known.ts.tzinfo is UTC:
            return known, raw
    decoded = decode_event(raw, strict=True)
    return decoded, encode_event(decoded)


def received(raw: bytes) -> tuple[Event, bytes]:
    """Decode an event that another process encoded; returns it and its JSON in our encoding.

    Raises:
        EventError: Not a JSON object with a `kind`.
        EventTooLargeError: Over `EVENT_CEILING_BYTES`, or nested too deep.
    """
    _check_size(raw)
    try:
        event: Event = _KNOWN.decode(raw)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        pass
    else:
        canonical = b"\n" not in raw and (b"\\" not in raw or _FOREIGN_ESCAPE.search(raw) is None)
        if canonical and not event.extra and event.ts.tzinfo is UTC:
            return event, raw
    event = decode_event(raw)
    return event, encode_event(event)


def decode_event(raw: bytes | str, *, strict: bool = False) -> Event:
    """Decode the event in a JSON object.

    Unknown kinds and fields are kept. When a known kind's fields do not fit, the event comes back
    as an `OtherEvent`, so that reading a stored event never fails; with `strict` it raises.

    Raises:
        EventError: Not a JSON object with a `kind`; with `strict` also a field of the wrong type.
        EventTooLargeError: Over `EVENT_CEILING_BYTES`, or nested too deep.
    """
    _check_size(raw)
    try:
        event = _KNOWN.decode(raw)
    except msgspec.ValidationError:
        pass
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise _not_json(error) from None
    else:
        if not event.extra and event.ts.tzinfo is UTC:
            return event
    return event_of(decode_object(raw), strict)


def encode_line(delivery: Delivery) -> bytes:
    """Encode an event, or a gap in place of events, as one flat JSON object without a newline."""
    run_id = delivery.run_id.encode()  # it has no character to escape
    if isinstance(delivery, Gap):
        place = (delivery.epoch, delivery.from_seq, delivery.to_seq)
        return _GAP_LINE % (run_id, *place, delivery.reason.encode())
    head = b'{"run_id":"%s","epoch":%d,"seq":%d,'
    return head % (run_id, delivery.epoch, delivery.seq) + delivery.raw[1:]


def decode_line(raw: bytes | str) -> tuple[str, Event]:
    """Decode run id and event of one flat JSON line; `epoch` and `seq` are the broker's: ignored.

    Raises:
        EventError: Not a JSON object with `run_id` and `kind`, or a field of the wrong type.
        EventTooLargeError: Over `EVENT_CEILING_BYTES`, or nested too deep.
    """
    _check_size(raw)
    fields = decode_object(raw)
    run_id = fields.get("run_id")
    if not isinstance(run_id, str):
        raise EventError('the line has no "run_id": give the run it belongs to, as text')
    check_run_id(run_id)
    for key in LINE_KEYS:
        fields.pop(key, None)
    return run_id, event_of(fields, strict=True)


def decode_object(raw: bytes | str) -> dict[str, Any]:
    """Decode a JSON object; raises EventError if it is none, or nested too deep."""
    try:
        return _RAW.decode(raw)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise _not_json(error) from None


def event_of(fields: dict[str, Any], strict: bool) -> Event:
    """Build the event from decoded JSON, keeping the fields its kind does not declare; takes its
    kind out of `fields`.

    Raises:
        EventError: As `decode_event` does.
    """
    kind = fields.pop("kind", None)
    if not isinstance(kind, str) or not kind:
        raise EventError('the event has no "kind": give one, as text')
    try:
        return _build(KNOWN_KINDS.get(kind, OtherEvent), kind, fields)
    except msgspec.ValidationError as error:
        if strict:
            raise EventError(f"the {kind} event is not valid: {error}") from None
    try:
        return _build(OtherEvent, kind, fields)
    except msgspec.ValidationError:
        return OtherEvent(ts=datetime.fromtimestamp(0, UTC), name=kind, extra=fields)


def _check_size(raw: bytes | str) -> None:
    size = len(raw) if isinstance(raw, bytes) else len(raw.encode("utf-8", "surrogatepass"))
    if size > _INCOMING_MAX_BYTES:
        raise _too_large("incoming", size, EVENT_CEILING_BYTES)


def _too_large(what: str, size: int, limit: int) -> EventTooLargeError:
    return EventTooLargeError(
        f"the {what} event has {size:,} bytes, over the limit of {limit:,}: "
        "shorten it or keep the long part elsewhere"
    )


def unwritable(event: object, error: Exception) -> EventError:
    """The error for an event whose values raise one."""
    if not isinstance(event, Event):
        return EventError(f"a {type(event).__name__} is no event: use arena_tui.events")
    ours = isinstance(error, msgspec.MsgspecError) or error.__class__.__module__ == "builtins"
    why = str(error) if ours else type(error).__name__
    return EventError(f"the {event.kind} event cannot be written as JSON: {why}: use plain values")


def _check_depth(kind: str, raw: bytes) -> None:
    level: list[Any] = [decode_object(raw)]
    for _ in range(DEPTH_MAX):
        nested = [each for each in level if isinstance(each, dict | list)]
        level = [
            child
            for each in nested
            for child in (each.values() if isinstance(each, dict) else each)
        ]
        if not level:
            return
    raise too_deep(f"{kind} event")


def too_deep(what: str) -> EventTooLargeError:
    """The error for what is nested over the limit."""
    return EventTooLargeError(f"the {what} is nested over {DEPTH_MAX} levels deep: flatten it")


def _check_names(event: Event) -> None:
    for name in LINE_KEYS:
        if name in event.extra:
            raise EventError(
                f'the {event.kind} event has a field "{name}", which is the broker\'s: rename it'
            )


def _not_json(error: Exception) -> EventError:
    if isinstance(error, RecursionError):
        return too_deep("event")
    if isinstance(error, UnicodeDecodeError):
        return EventError(f"not UTF-8: {error.reason}: write events in UTF-8")
    return EventError(f"not a JSON object: {error}: give one event a line")


def _build(struct: type[Event], kind: str, fields: dict[str, Any]) -> Event:
    declared = {*struct.__struct_encode_fields__} - {"__extra__", "__name__"}
    known = {key: value for key, value in fields.items() if key in declared}
    extra = {key: value for key, value in fields.items() if key not in declared}
    if struct is OtherEvent:
        known["__name__"] = kind
    event = msgspec.convert({"kind": struct.__struct_config__.tag, **known}, struct)
    return msgspec.structs.replace(event, ts=_in_utc(event.ts), extra=extra)


def _in_utc(at: datetime) -> datetime:
    try:
        return at if at.tzinfo is UTC else at.astimezone(UTC)
    except OverflowError:
        raise msgspec.ValidationError("the time has no equivalent in UTC - at `$.ts`") from None
