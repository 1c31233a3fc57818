"""The events a run is made of, their envelope, and the JSON codec.

Knows nothing of brokers, stores or screens. One event is one JSON object with its fields flat
(`{"kind": "action", "ts": "…", "turn": 3, …}`); a *line* adds `run_id` and, on output, `epoch`
and `seq`. What a known kind does not declare is kept in `extra`; an unknown kind is an
`OtherEvent`; both come back out byte for byte.
"""

from __future__ import annotations

import secrets
import time
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, Final, Literal, TypeAlias, get_args

import msgspec
from msgspec import Meta, Struct, field

from arena_tui.errors import EventError, EventTooLargeError

__all__ = [
    "EVENT_MAX_BYTES",
    "Action",
    "ActionResult",
    "AgentInfo",
    "Delivery",
    "Envelope",
    "ErrorEvent",
    "Event",
    "Fork",
    "Gap",
    "GapReason",
    "LlmPrompt",
    "LlmResponse",
    "LogEvent",
    "Metric",
    "Observation",
    "OtherEvent",
    "RunEnd",
    "RunStart",
    "RunStatus",
    "TurnStart",
    "WorldMutation",
    "check_event",
    "check_run_id",
    "decode_event",
    "decode_line",
    "encode_event",
    "encode_line",
    "new_run_id",
    "sealed",
    "short_id",
    "utc_now",
]

EVENT_MAX_BYTES: Final = 256 * 1024
"""Largest accepted event, in bytes of JSON."""

_INCOMING_MAX_BYTES: Final = EVENT_MAX_BYTES + 16 * 1024
"""What is read may be longer than what is accepted: a line has fields of its own."""

_LEVELS_MAX: Final = 200
"""Deepest accepted nesting. The codec recurses on the caller's stack (about 1,000 levels in all):
without a lower limit, what one thread could just write another could no longer read."""

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_RUN_ID_MAX_CHARS = 128
_RUN_ID_CHARS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._:-")
_LINE_KEYS = ("run_id", "epoch", "seq")

Timestamp: TypeAlias = Annotated[datetime, Meta(tz=True)]
Count: TypeAlias = Annotated[int, Meta(ge=0, le=2**53)]
Turn: TypeAlias = Annotated[int, Meta(ge=-(2**31), lt=2**31)]
Seed: TypeAlias = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
RunStatus: TypeAlias = Literal["finished", "crashed", "stopped"]
GapReason: TypeAlias = Literal["trimmed", "reset", "reaped", "quarantined"]


def utc_now() -> datetime:
    """The current time, in UTC, to the microsecond."""
    return datetime.now(UTC)


class Event(
    Struct,
    frozen=True,
    kw_only=True,
    omit_defaults=True,
    gc=False,
    forbid_unknown_fields=True,
    tag_field="kind",
    tag="?",
):
    """Fields common to all kinds.

    Attributes:
        ts: When it happened, UTC.
        agent_id: Who did it or whom it concerns; None for the game itself.
        turn: Game turn, from 1; many events share one. Never used for ordering.
        v: Schema version of this event.
        extra: Fields the kind does not declare, kept as they came.
    """

    ts: Timestamp = field(default_factory=utc_now)
    agent_id: str | None = None
    turn: Turn | None = None
    v: int = 1
    extra: dict[str, Any] = field(default_factory=dict, name="__extra__")

    @property
    def kind(self) -> str:
        """The event's kind as on the wire, e.g. `"action"`."""
        return _KIND_OF[type(self)]


class AgentInfo(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One player of a run: `id` as used in `agent_id`, a display name, and how it was made."""

    id: str
    name: str = ""
    spec: str = ""


class RunStart(Event, frozen=True, kw_only=True, omit_defaults=True, gc=False, tag="run_start"):
    """A run begins: what is played, by whom, from which seed."""

    game: str = ""
    agents: list[AgentInfo] = field(default_factory=list)
    seed: Seed | None = None
    label: str | None = None
    tags: list[str] = field(default_factory=list)
    config: dict[str, Any] = field(default_factory=dict)


class TurnStart(Event, frozen=True, kw_only=True, omit_defaults=True, gc=False, tag="turn_start"):
    """A turn begins; `state` is the serialised game state, enough to replay or fork from."""

    player: str | None = None
    state: str | None = None


class Observation(
    Event, frozen=True, kw_only=True, omit_defaults=True, gc=False, tag="observation"
):
    """What the agent sees; a board is text."""

    text: str = ""
    legal_actions: list[str] | None = None
    data: Any = None


class LlmPrompt(Event, frozen=True, kw_only=True, omit_defaults=True, gc=False, tag="llm_prompt"):
    """What a model was asked."""

    model: str | None = None
    messages: list[Any] | None = None
    text: str | None = None


class LlmResponse(
    Event, frozen=True, kw_only=True, omit_defaults=True, gc=False, tag="llm_response"
):
    """What a model answered. `cost_usd` None means unknown, never free; `latency_s` in seconds."""

    text: str = ""
    reasoning: str | None = None
    model: str | None = None
    input_tokens: Count | None = None
    output_tokens: Count | None = None
    cost_usd: float | None = None
    latency_s: float | None = None
    finish_reason: str | None = None


class Action(Event, frozen=True, kw_only=True, omit_defaults=True, gc=False, tag="action"):
    """What an agent does: text, or any JSON value."""

    index_in_turn: int = 0
    action: Any = None


class ActionResult(
    Event, frozen=True, kw_only=True, omit_defaults=True, gc=False, tag="action_result"
):
    """What came of an action: accepted or not, whether the world changed, the reward."""

    index_in_turn: int = 0
    ok: bool = True
    changed: bool | None = None
    reward: float | None = None
    detail: Any = None


class WorldMutation(
    Event, frozen=True, kw_only=True, omit_defaults=True, gc=False, tag="world_mutation"
):
    """The world was changed from outside the rules (a chance event, an operator)."""

    before_summary: str | None = None
    after_summary: str | None = None
    reason: str | None = None


class Fork(Event, frozen=True, kw_only=True, omit_defaults=True, gc=False, tag="fork"):
    """This run continues another one from an earlier event of it."""

    parent_run_id: str
    parent_seq: Count | None = None
    mutation_summary: str | None = None


class Metric(Event, frozen=True, kw_only=True, omit_defaults=True, gc=False, tag="metric"):
    """One measured number; None where the producer had no finite value."""

    name: str = ""
    value: float | None = None
    unit: str | None = None


class ErrorEvent(Event, frozen=True, kw_only=True, omit_defaults=True, gc=False, tag="error"):
    """Something failed; `fatal` when the run cannot go on."""

    where: str | None = None
    message: str = ""
    traceback: str | None = None
    fatal: bool = False


class LogEvent(Event, frozen=True, kw_only=True, omit_defaults=True, gc=False, tag="log"):
    """A line of the producer's own log."""

    level: str = "info"
    text: str = ""


class RunEnd(Event, frozen=True, kw_only=True, omit_defaults=True, gc=False, tag="run_end"):
    """The run's last event. `outcome` maps agent id to score (or rank); higher is better."""

    status: RunStatus = "finished"
    outcome: dict[str, float] = field(default_factory=dict)
    reason: str | None = None


class OtherEvent(Event, frozen=True, kw_only=True, omit_defaults=True, gc=False, tag="__other__"):
    """An event of a kind this version does not know, or one that does not fit its kind.

    Attributes:
        name: The kind as it came; all other fields are in `extra`.
    """

    name: str = field(default="", name="__name__")

    @property
    def kind(self) -> str:
        return self.name


KnownEvent: TypeAlias = (
    RunStart
    | TurnStart
    | Observation
    | LlmPrompt
    | LlmResponse
    | Action
    | ActionResult
    | WorldMutation
    | Fork
    | Metric
    | ErrorEvent
    | LogEvent
    | RunEnd
)


class Envelope(Struct, frozen=True, gc=False):
    """An event as the broker accepted it.

    Attributes:
        run_id: The run.
        epoch: Milliseconds since 1970 when the run's stream was created.
        seq: Position in the run: dense, from 1.
        event: The event itself.
    """

    run_id: str
    epoch: int
    seq: int
    event: Event


class Gap(Struct, frozen=True, gc=False):
    """Events `from_seq..to_seq` (both inclusive) that this consumer can never read.

    Attributes:
        raw: What stood in their place, when it was something that is not an event.
    """

    run_id: str
    epoch: int
    from_seq: int
    to_seq: int
    reason: GapReason
    raw: bytes | None = None

    @property
    def count(self) -> int:
        """How many events are missing."""
        return self.to_seq - self.from_seq + 1


Delivery: TypeAlias = Envelope | Gap
"""What a consumer is handed: an event, or word of events it can never have."""


class _Codec:
    """The module's encoders and decoders, made once. Only whole-buffer calls: safe in threads."""

    encoder: ClassVar = msgspec.json.Encoder()
    known: ClassVar[msgspec.json.Decoder[KnownEvent]] = msgspec.json.Decoder(KnownEvent)
    raw: ClassVar[msgspec.json.Decoder[dict[str, Any]]] = msgspec.json.Decoder(dict[str, Any])


_KIND_OF: Final = {each: str(each.__struct_config__.tag) for each in (Event, *get_args(KnownEvent))}
_KNOWN_KINDS: Final[dict[str, type[Event]]] = {
    kind: each for each, kind in _KIND_OF.items() if each is not Event
}


def encode_event(event: Event) -> bytes:
    """The event as one JSON object, UTF-8.

    Raises:
        EventError: It holds what JSON cannot (an object, a lone surrogate, an int over 64 bit).
        EventTooLargeError: It is nested deeper than the codec can take.
    """
    try:
        if not event.extra and type(event) is not OtherEvent:
            return _Codec.encoder.encode(event)
        fields: dict[str, Any] = msgspec.to_builtins(event)
        extra = fields.pop("__extra__", {})
        fields.pop("__name__", None)
        fields["kind"] = event.kind
        for key, value in extra.items():
            fields.setdefault(key, value)
        return _Codec.encoder.encode(fields)
    except RecursionError:
        raise EventTooLargeError(
            f"the {event.kind} event is nested over {_LEVELS_MAX} levels deep: flatten it"
        ) from None
    except (TypeError, ValueError, OverflowError) as error:
        raise EventError(
            f"the {event.kind} event cannot be written as JSON: {error}: use plain values"
        ) from None


def sealed(event: Event) -> tuple[Event, int]:
    """The event as every consumer sees it, now and later, and its size in bytes of JSON.

    It is encoded and decoded once: what is live and what is stored are the same, and a list that
    its producer goes on changing changes nothing here.

    Raises:
        EventError: A field has a value its kind does not allow, or one JSON cannot hold.
        EventTooLargeError: Over `EVENT_MAX_BYTES`, or nested too deep.
    """
    raw = encode_event(event)
    size = len(raw)
    if size > EVENT_MAX_BYTES:
        raise _too_large(event.kind, size)
    if size > 2 * _LEVELS_MAX and raw.count(b"[") + raw.count(b"{") > _LEVELS_MAX:
        _check_levels(event.kind, raw)
    try:
        known: Event = _Codec.known.decode(raw)
    except msgspec.MsgspecError:
        if type(event) is Event:
            raise EventError("Event itself has no kind: publish one of its subclasses") from None
        if event.extra:
            _check_names(event)
        return decode_event(raw, strict=True), size
    return known if known.ts.tzinfo is UTC else decode_event(raw, strict=True), size


def check_event(event: Event) -> int:
    """`sealed` for its errors and the size alone."""
    return sealed(event)[1]


def decode_event(raw: bytes | str, *, strict: bool = False) -> Event:
    """The event in a JSON object.

    Unknown kinds and fields are kept. When a known kind's fields do not fit, the event comes back
    as an `OtherEvent`, so that reading what was once stored never fails; with `strict` it raises.

    Raises:
        EventError: Not a JSON object with a `kind`; with `strict` also a field of the wrong type.
        EventTooLargeError: Over `EVENT_MAX_BYTES`, or nested too deep.
    """
    _check_size(raw)
    try:
        event = _Codec.known.decode(raw)
    except msgspec.ValidationError:
        pass
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise _not_json(error) from None
    else:
        if not event.extra and event.ts.tzinfo is UTC:
            return event
    return _event_of(_decode_object(raw), strict)


def encode_line(envelope: Envelope) -> bytes:
    """The envelope as one flat JSON object, without a newline."""
    head = _Codec.encoder.encode(
        {"run_id": envelope.run_id, "epoch": envelope.epoch, "seq": envelope.seq}
    )
    return head[:-1] + b"," + encode_event(envelope.event)[1:]


def decode_line(raw: bytes | str) -> tuple[str, Event]:
    """Run id and event of one flat JSON line; `epoch` and `seq` are the broker's and ignored.

    Raises:
        EventError: Not a JSON object with `run_id` and `kind`, or a field of the wrong type.
        EventTooLargeError: Over `EVENT_MAX_BYTES`, or nested too deep.
    """
    _check_size(raw)
    fields = _decode_object(raw)
    run_id = fields.get("run_id")
    if not isinstance(run_id, str):
        raise EventError('the line has no "run_id": give the run it belongs to, as text')
    check_run_id(run_id)
    for key in _LINE_KEYS:
        fields.pop(key, None)
    return run_id, _event_of(fields, strict=True)


def check_run_id(run_id: str) -> None:
    """Raise EventError unless the id is 1 to 128 of `A-Z a-z 0-9 . _ : -`."""
    if not 0 < len(run_id) <= _RUN_ID_MAX_CHARS or not _RUN_ID_CHARS.issuperset(run_id):
        raise EventError(
            f"run id {run_id[:40]!r} is not usable: "
            f"give 1 to {_RUN_ID_MAX_CHARS} of A-Z a-z 0-9 . _ : -"
        )


def new_run_id(now_ms: int | None = None) -> str:
    """A 26-character id that sorts by start time (the ULID layout: 48 bit ms, 80 bit random)."""
    value = (int(time.time() * 1000) if now_ms is None else now_ms) << 80 | secrets.randbits(80)
    return "".join(_CROCKFORD[value >> shift & 31] for shift in range(125, -1, -5))


def short_id(run_id: str) -> str:
    """The last four characters, lower case: enough to tell runs apart on one screen."""
    return run_id[-4:].lower()


def _check_size(raw: bytes | str) -> None:
    size = len(raw) if isinstance(raw, bytes) else len(raw.encode("utf-8", "surrogatepass"))
    if size > _INCOMING_MAX_BYTES:
        raise _too_large("incoming", size)


def _too_large(what: str, size: int) -> EventTooLargeError:
    return EventTooLargeError(
        f"the {what} event has {size:,} bytes, over the limit of {EVENT_MAX_BYTES:,}: "
        "shorten it or keep the long part elsewhere"
    )


def _check_levels(kind: str, raw: bytes) -> None:
    level: list[Any] = [_decode_object(raw)]
    for _ in range(_LEVELS_MAX):
        nested = [each for each in level if isinstance(each, dict | list)]
        level = [
            child
            for each in nested
            for child in (each.values() if isinstance(each, dict) else each)
        ]
        if not level:
            return
    raise EventTooLargeError(
        f"the {kind} event is nested over {_LEVELS_MAX} levels deep: flatten it"
    )


def _check_names(event: Event) -> None:
    for name in _LINE_KEYS:
        if name in event.extra:
            raise EventError(
                f'the {event.kind} event has a field "{name}", which is the broker\'s: rename it'
            )


def _decode_object(raw: bytes | str) -> dict[str, Any]:
    try:
        return _Codec.raw.decode(raw)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise _not_json(error) from None


def _not_json(error: Exception) -> EventError:
    if isinstance(error, RecursionError):
        return EventTooLargeError(f"the event is nested over {_LEVELS_MAX} levels deep: flatten it")
    if isinstance(error, UnicodeDecodeError):
        return EventError(f"not UTF-8: {error.reason}: write events in UTF-8")
    return EventError(f"not a JSON object: {error}: give one event a line")


def _event_of(fields: dict[str, Any], strict: bool) -> Event:
    """Build the event from decoded JSON, keeping whatever its kind does not declare."""
    kind = fields.pop("kind", None)
    if not isinstance(kind, str) or not kind:
        raise EventError('the event has no "kind": give one, as text')
    try:
        return _build(_KNOWN_KINDS.get(kind, OtherEvent), kind, fields)
    except msgspec.ValidationError as error:
        if strict:
            raise EventError(f"the {kind} event is not valid: {error}") from None
    try:
        return _build(OtherEvent, kind, fields)
    except msgspec.ValidationError:
        return OtherEvent(ts=datetime.fromtimestamp(0, UTC), name=kind, extra=fields)


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
