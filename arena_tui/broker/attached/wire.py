"""What an attached process and the owner of the store say to each other, as bytes. Sends nothing.

All requests are POSTs of MessagePack to paths under `/log`; those that change something name the
owner they are meant for, so that none reaches another one by mistake.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Final, TypeAlias, TypeVar

import msgspec
from msgspec import Meta, Struct

from arena_tui.broker.protocol import Cursor, RunInfo, RunMeta
from arena_tui.errors import UsageError
from arena_tui.events import RunStatus

PREFIX: Final = "/log/1"
"""Counts up whenever owner and clients of different versions would misunderstand each other."""

FRAME_HEAD: Final = 4
"""Bytes before each frame of a feed: its length."""

Row: TypeAlias = tuple[int, int] | str
"""Epoch and seq of a call's last event; `NO_RUN` or `CLOSED` in place of the epoch; or why its
events are refused."""

T = TypeVar("T")

Name: TypeAlias = Annotated[str, Meta(max_length=200)]
Identity: TypeAlias = Annotated[str, Meta(max_length=5_000)]
Number: TypeAlias = Annotated[int, Meta(ge=1, le=2**53)]
Epoch: TypeAlias = Annotated[int, Meta(ge=0, le=2**53)]
Count: TypeAlias = Annotated[int, Meta(ge=0, le=2**31)]
Path: TypeAlias = Annotated[str, Meta(max_length=4_096, pattern=r"^[^\x00]*\Z")]
"""What the store can keep, and of a size that costs nothing."""

_SEVERAL: Final = Meta(max_length=50_000)


class Sent(Struct, frozen=True, array_like=True):
    """The events of one run in a call.

    Attributes:
        first: The producer's number of the first of these events.
        lost: How many before that it has given up.
        ends: Whether the last one is `run_end`.
        may_open: Whether the run may be opened for them.
        meta: What to open it with.
    """

    producer: Name
    first: Number
    lost: Count
    ends: bool
    may_open: bool
    meta: RunMeta
    events: list[bytes]


class Append(Struct, frozen=True, kw_only=True, tag=True):
    """Append events, in order; answered by a `Row` for each call.

    Attributes:
        process: Who publishes, as `broker.owner` names processes.
    """

    owner: str
    process: Name
    calls: Annotated[list[Sent], _SEVERAL]


class Open(Struct, frozen=True, kw_only=True, tag=True):
    """Create a run; answered by its epoch, or None when a run of that id exists."""

    owner: str
    process: Name
    meta: RunMeta
    epoch: Epoch | None


class Claim(Struct, frozen=True, kw_only=True, tag=True):
    """See `BrokerProtocol.claim`; answered by whether the process has the id now."""

    owner: str
    process: Name
    run_id: Name


class Beat(Struct, frozen=True, kw_only=True, tag=True):
    """Report runs as alive; answered by None."""

    owner: str
    process: Name
    run_ids: Annotated[list[Name], _SEVERAL]


class Stored(Struct, frozen=True, kw_only=True, tag=True):
    """Wait until more is stored of these runs than up to the cursors, or a while; answered by how
    far each is stored."""

    owner: str
    known: Annotated[dict[Name, Cursor], _SEVERAL]


class Ack(Struct, frozen=True, kw_only=True, tag=True):
    """Record what a durable consumer has acked; answered by whether it was not known."""

    owner: str
    identity: Identity
    cursors: Annotated[dict[Name, Cursor], _SEVERAL]


class Consumers(Struct, frozen=True, kw_only=True, tag=True):
    """Answered by the durable consumers known; see `BrokerProtocol.known_consumers`."""

    owner: str


class Forget(Struct, frozen=True, kw_only=True, tag=True):
    """See `BrokerProtocol.forget`; answered by None."""

    owner: str
    identity: Identity


class Reap(Struct, frozen=True, kw_only=True, tag=True):
    """See `BrokerProtocol.reap`; answered by None."""

    owner: str
    run_id: Name


class End(Struct, frozen=True, kw_only=True, tag=True):
    """End a run whose producer is gone, and wait until that is stored; answered by None."""

    owner: str
    run_id: Name
    status: RunStatus
    reason: str | None


class Kept(Struct, frozen=True, kw_only=True, tag=True):
    """Answered by how far these runs are stored, those that are."""

    owner: str
    run_ids: Annotated[list[Name], _SEVERAL]


class Newest(Struct, frozen=True, kw_only=True, tag=True):
    """Answered by the newest cursor of each run held."""

    owner: str


class Fetch(Struct, frozen=True, kw_only=True, tag=True):
    """The events of a gap that the owner still holds; answered by frames."""

    owner: str
    run_id: Name
    epoch: Epoch
    from_seq: Number
    to_seq: Number


class Follow(Struct, frozen=True, kw_only=True, tag=True):
    """Publish the lines of these files of the machine, and lines appended later."""

    owner: str
    files: Annotated[list[Path], _SEVERAL]


Request: TypeAlias = (
    Kept
    | End
    | Follow
    | Append
    | Open
    | Claim
    | Beat
    | Stored
    | Ack
    | Consumers
    | Forget
    | Reap
    | Newest
    | Fetch
)


class Feed(Struct, frozen=True, kw_only=True):
    """Ask for everything after these cursors; of runs without one, for the newest events held, and
    of runs that begin later for all. Answered by frames without end."""

    process: Name
    cursors: dict[str, Cursor]


class Run(Struct, frozen=True, tag="run", array_like=True):
    """A run, before its first event, whenever its stream is another one, and as it goes on.

    Attributes:
        after: What comes next is behind this seq.
    """

    info: RunInfo
    after: int


class Events(Struct, frozen=True, tag="events", array_like=True):
    """Consecutive events of one stream."""

    run_id: str
    epoch: int
    first_seq: int
    events: list[bytes]


class Missing(Struct, frozen=True, tag="gap", array_like=True):
    """See `Gap`."""

    run_id: str
    epoch: int
    from_seq: int
    to_seq: int
    reason: str
    raw: bytes | None


class Store(Struct, frozen=True, tag="store", array_like=True):
    """How the owner's store fares: see `ConsumerInfo`.

    Attributes:
        unstored: Events yet to be stored, by run.
    """

    state: str
    last_error: str | None
    lag_s: float
    unstored: dict[str, int]


class Idle(Struct, frozen=True, tag="idle", array_like=True):
    """There is nothing to say, but the owner is there."""


Frame: TypeAlias = Run | Events | Missing | Store | Idle


def _plain(value: object) -> memoryview:
    """JSON that carries something else along is sent as what it is."""
    if isinstance(value, bytes):
        return memoryview(value)
    raise NotImplementedError(f"{type(value).__name__} cannot be sent")


_encoder = msgspec.msgpack.Encoder(enc_hook=_plain)
_request_decoder: Final[msgspec.msgpack.Decoder[Request]] = msgspec.msgpack.Decoder(Request)
_feed_decoder = msgspec.msgpack.Decoder(Feed)
_frame_decoder = msgspec.msgpack.Decoder(Frame)


def encode(value: Any) -> bytes:
    return _encoder.encode(value)


def decode_request(body: bytes) -> Request:
    """Raises UsageError for what is none."""
    try:
        return _request_decoder.decode(body)
    except msgspec.MsgspecError as error:
        raise UsageError(f"not a request: {error}") from None


def decode_feed(body: bytes) -> Feed:
    """Raises UsageError for what is none."""
    try:
        return _feed_decoder.decode(body)
    except msgspec.MsgspecError as error:
        raise UsageError(f"not a request: {error}") from None


def decode(answer: bytes, kind: type[T]) -> T:
    return msgspec.msgpack.decode(answer, type=kind)


def encode_frame(frame: Frame) -> bytes:
    body = _encoder.encode(frame)
    return len(body).to_bytes(FRAME_HEAD, "big") + body


class Frames:
    """Cuts what arrives of a feed into frames."""

    def __init__(self) -> None:
        self._left = bytearray()

    def take(self, data: bytes) -> Iterator[Frame]:
        """The frames that are whole now."""
        left = self._left
        left += data
        at = 0
        while len(left) - at >= FRAME_HEAD:
            end = at + FRAME_HEAD + int.from_bytes(left[at : at + FRAME_HEAD], "big")
            if end > len(left):
                break
            yield _frame_decoder.decode(left[at + FRAME_HEAD : end])
            at = end
        del left[:at]
