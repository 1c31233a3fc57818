"""The events of a run, and the envelopes and gaps that consumers receive.

Knows nothing of JSON (see `codec`), brokers, stores or screens.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from datetime import UTC, datetime
from functools import partial
from typing import Annotated, Any, Final, Literal, TypeAlias, get_args

from msgspec import Meta, Struct, field

from arena_tui.errors import EventError

EVENT_MAX_BYTES: Final = 256 * 1024
"""Largest accepted event, in bytes of JSON, unless a setting raises it."""

EVENT_CEILING_BYTES: Final = 4 * 1024 * 1024
"""As far as the limit can be raised; what others have published is read up to this size."""

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
RUN_ID_MAX_CHARS: Final = 128
_RUN_ID_CHARS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._:/-")

Timestamp: TypeAlias = Annotated[datetime, Meta(tz=True)]
Count: TypeAlias = Annotated[int, Meta(ge=0, le=2**53)]
Turn: TypeAlias = Annotated[int, Meta(ge=-(2**31), lt=2**31)]
Seed: TypeAlias = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
RunStatus: TypeAlias = Literal["finished", "crashed", "stopped"]
GapReason: TypeAlias = Literal["trimmed", "reset", "reaped", "quarantined", "unknown"]
"""Why events are missing; `unknown` when it is not known either how many from `from_seq` on."""


utc_now: Final = partial(datetime.now, UTC)
"""The current time, in UTC, to the microsecond. A call in Python would make events dearer."""


class Event(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, forbid_unknown_fields=True,
    tag_field="kind", tag="?",
):  # fmt: skip
    """Fields common to all kinds, which inherit how they are encoded.

    Attributes:
        ts: When it happened, UTC.
        agent_id: The agent it is by or about; None for the game itself.
        turn: Game turn, from 1; many events share one. Never used for ordering.
        v: Schema version of this event.
        extra: Fields the kind does not declare, unchanged.
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
    """One player of a run: `id` as used in `agent_id`, a display name, and how it was created."""

    id: str
    name: str = ""
    spec: str = ""


class RunStart(Event, frozen=True, kw_only=True, tag="run_start"):
    """A run begins: what is played, by whom, from which seed."""

    game: str = ""
    agents: list[AgentInfo] = field(default_factory=list)
    seed: Seed | None = None
    label: str | None = None
    tags: list[str] = field(default_factory=list)
    config: dict[str, Any] = field(default_factory=dict)


class TurnStart(Event, frozen=True, kw_only=True, tag="turn_start"):
    """A turn begins; `state` is the serialised game state, enough to replay or fork from."""

    player: str | None = None
    state: str | None = None


class Observation(Event, frozen=True, kw_only=True, tag="observation"):
    """What the agent sees; a board is text."""

    text: str = ""
    legal_actions: list[str] | None = None
    data: Any = None


class LlmPrompt(Event, frozen=True, kw_only=True, tag="llm_prompt"):
    """What a model was asked."""

    model: str | None = None
    messages: list[Any] | None = None
    text: str | None = None


class ToolCall(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One call of a tool that a model asked for: its id, the tool, and a JSON value."""

    id: str | None = None
    name: str = ""
    arguments: Any = None


class LlmResponse(Event, frozen=True, kw_only=True, tag="llm_response"):
    """What a model answered, `text` or `tool_calls` or both. `cost_usd` None means unknown, never
    free; `latency_s` in seconds.

    Attributes:
        cached_input_tokens: Those of `input_tokens` that were read from a cache.
        reasoning_tokens: Those of `output_tokens` that the model spent on reasoning.
    """

    text: str | None = None
    tool_calls: list[ToolCall] | None = None
    reasoning: str | None = None
    model: str | None = None
    input_tokens: Count | None = None
    output_tokens: Count | None = None
    cached_input_tokens: Count | None = None
    reasoning_tokens: Count | None = None
    cost_usd: float | None = None
    latency_s: float | None = None
    finish_reason: str | None = None


class Action(Event, frozen=True, kw_only=True, tag="action"):
    """What an agent does: text, or any JSON value."""

    index_in_turn: int = 0
    action: Any = None


class ActionResult(Event, frozen=True, kw_only=True, tag="action_result"):
    """The result of an action: accepted or not, whether the world changed, the reward."""

    index_in_turn: int = 0
    ok: bool = True
    changed: bool | None = None
    reward: float | None = None
    detail: Any = None


class WorldMutation(Event, frozen=True, kw_only=True, tag="world_mutation"):
    """The world was changed from outside the rules (a chance event, an operator)."""

    before_summary: str | None = None
    after_summary: str | None = None
    reason: str | None = None


class Fork(Event, frozen=True, kw_only=True, tag="fork"):
    """This run continues another one from an earlier event of it."""

    parent_run_id: str
    parent_seq: Count | None = None
    mutation_summary: str | None = None


class Metric(Event, frozen=True, kw_only=True, tag="metric"):
    """One measured number; None where the producer had no finite value."""

    name: str = ""
    value: float | None = None
    unit: str | None = None


class ErrorEvent(Event, frozen=True, kw_only=True, tag="error"):
    """Something failed; `fatal` when the run cannot go on."""

    where: str | None = None
    message: str = ""
    traceback: str | None = None
    fatal: bool = False


class LogEvent(Event, frozen=True, kw_only=True, tag="log"):
    """A line of the producer's own log."""

    level: str = "info"
    text: str = ""


class RunEnd(Event, frozen=True, kw_only=True, tag="run_end"):
    """The run's last event. `outcome` maps agent id to score; higher is better."""

    status: RunStatus = "finished"
    outcome: dict[str, float] = field(default_factory=dict)
    reason: str | None = None


class OtherEvent(Event, frozen=True, kw_only=True, tag="__other__"):
    """An event of a kind this version does not know, or one that does not fit its kind.

    Attributes:
        name: The original kind; all other fields are in `extra`.
    """

    name: str = field(default="", name="__name__")

    @property
    def kind(self) -> str:
        return self.name


KnownEvent: TypeAlias = (
    RunStart | TurnStart | Observation | LlmPrompt | LlmResponse | Action | ActionResult
    | WorldMutation | Fork | Metric | ErrorEvent | LogEvent | RunEnd
)  # fmt: skip


class Envelope(Struct, frozen=True, gc=False):
    """An event as the broker accepted it.

    Attributes:
        run_id: The run.
        epoch: Milliseconds since 1970 when the run's stream was created.
        seq: Position in the run: dense, from 1.
        event: The event itself.
        raw: The event as JSON, encoded once, when it was accepted.
    """

    run_id: str
    epoch: int
    seq: int
    event: Event
    raw: bytes

    @property
    def first_seq(self) -> int:
        """Seq of the first event it stands for: its own."""
        return self.seq

    @property
    def last_seq(self) -> int:
        """Seq of the last event it stands for: its own."""
        return self.seq


class Gap(Struct, frozen=True, gc=False):
    """Events `from_seq..to_seq` (both inclusive) that this consumer can never read.

    Attributes:
        raw: The entry in their place, when there is one that is not a valid event.
    """

    run_id: str
    epoch: int
    from_seq: int
    to_seq: int
    reason: GapReason
    raw: bytes | None = None

    @property
    def count(self) -> int:
        """How many events are missing; 0 when unknown."""
        return self.to_seq - self.from_seq + 1

    @property
    def unknown(self) -> bool:
        """Whether it stands for a number of events that nobody knows; its `count` is 0 then."""
        return self.reason == "unknown"

    @property
    def first_seq(self) -> int:
        """Seq of the first event missing."""
        return self.from_seq

    @property
    def last_seq(self) -> int:
        """Seq of the last event missing; less than `first_seq` when their number is unknown."""
        return self.to_seq


Delivery: TypeAlias = Envelope | Gap
"""What a consumer receives: an event, or a gap in place of events it can never read."""


_KIND_OF: Final = {each: str(each.__struct_config__.tag) for each in (Event, *get_args(KnownEvent))}
KNOWN_KINDS: Final[dict[str, type[Event]]] = {
    kind: each for each, kind in _KIND_OF.items() if each is not Event
}


def check_run_id(run_id: str) -> None:
    """Raise EventError unless the id is 1 to 128 of `A-Z a-z 0-9 . _ : / -`."""
    if not 0 < len(run_id) <= RUN_ID_MAX_CHARS or not _RUN_ID_CHARS.issuperset(run_id):
        raise EventError(
            f"run id {run_id[:40]!r} is not usable: "
            f"give 1 to {RUN_ID_MAX_CHARS} of A-Z a-z 0-9 . _ : / -"
        )


def run_id_of(value: object) -> str:
    """A usable run id for whatever names a run, always the same: text that is one is kept, other
    characters become `-`, and a few digits of a hash keep such ids apart."""
    text = str(value)
    try:
        check_run_id(text)
    except EventError:
        usable = "".join(each if each in _RUN_ID_CHARS else "-" for each in text)
        digest = hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()[:8]
        return f"{usable[: RUN_ID_MAX_CHARS - 9]}-{digest}"
    return text


def new_run_id(now_ms: int | None = None) -> str:
    """A 26-character id that sorts by start time (the ULID layout: 48 bit ms, 80 bit random)."""
    value = (int(time.time() * 1000) if now_ms is None else now_ms) << 80 | secrets.randbits(80)
    return "".join(_CROCKFORD[value >> shift & 31] for shift in range(125, -1, -5))


def short_id(run_id: str) -> str:
    """The last four characters, lower case: enough to tell runs apart on one screen."""
    return run_id[-4:].lower()
