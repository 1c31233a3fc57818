"""Feeds one client of an event stream: some runs, or all, from its cursors on, as frames of
server-sent events.

Knows nothing of HTTP. Holds no events: a slow client is a cursor that stays behind, and what the
broker has let go meanwhile is read from the store. The format is that of
https://html.spec.whatwg.org/multipage/server-sent-events.html.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Mapping, Sequence
from itertools import accumulate, groupby
from typing import Final, TypeAlias

from msgspec import Struct

from arena_tui.broker.protocol import Cursor
from arena_tui.codec import encode_line
from arena_tui.consumers.protocol import Consumer
from arena_tui.errors import EventError, UnknownRunError, UsageError
from arena_tui.events import KNOWN_KINDS, Delivery, Envelope, Gap, OtherEvent, RunEnd, check_run_id
from arena_tui.store.history import History
from arena_tui.store.replay import BEGINNING, RunReplay
from arena_tui.store.windows import WINDOW

Send: TypeAlias = Callable[[Sequence[Delivery]], Awaitable[None]]

SSE: Final = "sse"
"""The group of all clients."""

_KIND: Final = re.compile(rb"[A-Za-z0-9_.-]{1,64}")
_OURS: Final = frozenset({"gap", "end", "open", "message"})
"""Names of events that a client takes for something else than what a game published."""

_ENDED: Final = "-end"
EVERY_OTHER: Final = "*"
"""Stands in an event id of all runs for those left out."""

_ID_MAX_BYTES: Final = 32 * 1024
"""A longer event id would not fit into a request's headers."""


_ID_EVERY: Final = 100
"""Frames of a stream of all runs, whose ids are long: a client cut off again and again gets on."""


class EventStream(Consumer):
    """Sends one client what a subscription delivers; what it was sent before is not sent again.

    Args:
        name: Of the client, for display.
        replays: Each of its runs, read up to where the broker goes on.
        send: Returns once the client takes more.
        rest: Awaited after each batch, to let events gather.
        history: With a store, what the broker has let go of a run is read there.
        every_run: Whether it follows all runs, those included that are yet to begin; then nothing
            is handled before `catch_up`.
    """

    durable = False
    group = SSE
    batch_events = 1  # what there is at once; `rest` lets it gather
    batch_max = 200  # held, decoded, for as long as a client takes nothing

    def __init__(
        self, name: str, replays: dict[str, RunReplay], send: Send,
        rest: Callable[[], Awaitable[None]], *, history: History | None = None,
        every_run: bool = False,
    ) -> None:  # fmt: skip
        self.name = name
        self.runs = None if every_run else list(replays)
        self._replays = replays
        self._send = send
        self._rest = rest
        self._history = history
        self._unsent: list[Delivery] = []
        self._caught_up = asyncio.Event()
        if not every_run:
            self._caught_up.set()

    async def start(self) -> Mapping[str, Cursor]:
        return {run_id: replay.cursor for run_id, replay in self._replays.items()}

    async def handle(self, batch: Sequence[Delivery]) -> Mapping[str, Cursor]:
        """See `Consumer`. What is new is kept if this fails, since the replays are past it."""
        await self._caught_up.wait()
        for run_id, deliveries in groupby(batch, key=lambda each: each.run_id):
            async for news in self._replay(run_id).news(list(deliveries)):
                self._unsent += news
                if len(self._unsent) >= WINDOW:
                    await self._flush()
        await self._flush()
        await self._rest()
        return {}

    async def catch_up(self, let_go: Iterable[str]) -> None:
        """Send the rest of these runs, of which the subscription delivers nothing, since the broker
        had let them go before it began; then what it delivers."""
        for run_id in let_go:
            replay = self._replay(run_id)
            with contextlib.suppress(UnknownRunError):  # it was deleted since
                await replay.open(None)
                async for window in replay.stored():
                    await self._send(window)
        self._caught_up.set()

    def _replay(self, run_id: str) -> RunReplay:
        return self._replays.setdefault(run_id, RunReplay(self._history, run_id))

    async def _flush(self) -> None:
        if unsent := self._unsent:
            self._unsent = []
            await self._send(unsent)


class Position(Struct, frozen=True):
    """What a client has: of each run everything up to its cursor; and whether it was told the end.

    As text it is an event id: `17-5` of a stream of one run, `a@17-5,b@18-3` of one of several,
    with `-end` behind it once these are over. In a stream of all runs, `*@19-0` stands for the runs
    left out: those begun up to that epoch are over.
    """

    cursors: Mapping[str, Cursor]
    ended: bool = False

    @classmethod
    def of_run(cls, run_id: str, text: str) -> Position:
        """Read an event id of a stream of one run; raises UsageError."""
        place = text.removesuffix(_ENDED)
        return cls({run_id: _cursor(place)}, place != text)

    @classmethod
    def of_runs(cls, text: str) -> Position:
        """Read an event id of a stream of several runs; raises UsageError."""
        places = text.removesuffix(_ENDED)
        cursors: dict[str, Cursor] = {}
        for each in places.split(","):
            run_id, at, place = each.partition("@")
            if run_id != EVERY_OTHER:
                try:
                    check_run_id(run_id)
                except EventError:
                    at = ""
            if not at:
                raise UsageError(f"{text[:60]!r} is no event id: give <run>@<epoch>-<seq>,…")
            cursors[run_id] = _cursor(place)
        return cls(cursors, places != text)

    @property
    def known_until(self) -> int:
        """Of all runs: the epoch up to which those without a cursor are over."""
        return self.cursors.get(EVERY_OTHER, Cursor(0, 0)).epoch


class Frames:
    """Makes frames of the deliveries of one stream, and keeps how far they have come.

    Every frame has an event id from which the stream can be resumed without a repeat. With
    `every_run`, where that would name all open runs, every hundredth and the last one of each call
    has; where it would be too long, it leaves out the newest runs, which are then repeated.

    Args:
        cursors: Where the stream begins, in each of its runs.
        single: Whether it is the stream of one run, whose id need not be named.
        every_run: Whether it follows all runs.
        known_until: See `Position`.
    """

    def __init__(
        self, cursors: Mapping[str, Cursor], *, single: bool = False, every_run: bool = False,
        known_until: int = 0,
    ) -> None:  # fmt: skip
        self._single = single
        self._every_run = every_run
        self._known_until = known_until
        self._places = dict(cursors)
        self._over: set[str] = set()

    def begin(self, retry_ms: int) -> bytes:
        """What a client must know before the first event: where it is, and when to come back."""
        return b"retry: %d\nid: %s\n\n" % (retry_ms, self._position())

    def of(self, deliveries: Sequence[Delivery]) -> Iterator[bytes]:
        """A frame for each: its kind, event id, and its flat JSON line."""
        for index, each in enumerate(deliveries):
            self._places[each.run_id] = Cursor(each.epoch, each.last_seq)
            self._over.discard(each.run_id)
            if self._every_run and isinstance(each, Envelope) and isinstance(each.event, RunEnd):
                self._over.add(each.run_id)
            if self._every_run and index < len(deliveries) - 1 and (index + 1) % _ID_EVERY:
                yield b"event: %s\ndata: %s\n\n" % (_name(each), encode_line(each))
            else:
                yield b"event: %s\nid: %s\ndata: %s\n\n" % (
                    _name(each), self._position(), encode_line(each)
                )  # fmt: skip

    def end(self) -> bytes:
        """A frame that tells that all runs of the stream are over."""
        return b"event: end\nid: %s%s\ndata: {}\n\n" % (self._position(), _ENDED.encode())

    @property
    def some_over(self) -> bool:
        """Whether event ids name runs that are over."""
        return bool(self._over)

    def forget_over(self, begun: Iterable[tuple[str, int]]) -> Collection[str]:
        """Name the runs no longer that are over; returns these. Call it when everything published
        was made frames of: `begun` are the runs not over by then, and their epochs."""
        over = self._over
        self._known_until = max([self._known_until, *(self._places[each].epoch for each in over)])
        for run_id, epoch in begun:
            if epoch <= self._known_until:
                self._places.setdefault(run_id, BEGINNING)
        for run_id in over:
            del self._places[run_id]
        self._over = set()
        return over

    def _position(self) -> bytes:
        if self._single:
            return b"%d-%d" % next(iter(self._places.values()))
        places = [(at, b"%s@%d-%d" % (run_id.encode(), *at)) for run_id, at in self._places.items()]
        known_until = self._known_until
        if sum(len(text) + 1 for _, text in places) > _ID_MAX_BYTES:
            places.sort()
            sizes = accumulate(len(text) + 1 for _, text in places)
            fitting = sum(size <= _ID_MAX_BYTES for size in sizes)
            known_until = min(known_until, places[fitting][0].epoch - 1)
            places = places[:fitting]
        texts = [text for _, text in places]
        if self._every_run:
            texts.append(b"%s@%d-0" % (EVERY_OTHER.encode(), max(0, known_until)))
        return b",".join(texts)


def _cursor(text: str) -> Cursor:
    epoch, _, seq = text.partition("-")
    if not all(each.isascii() and each.isdigit() and len(each) < 19 for each in (epoch, seq)):
        raise UsageError(f"{text[:60]!r} is no event id: give <epoch>-<seq>")
    return Cursor(int(epoch), int(seq))


def _name(delivery: Delivery) -> bytes:
    """The kind, or `other` for one that is no name for a client to listen to, and for a known kind
    whose fields are not as they should be."""
    if isinstance(delivery, Gap):
        return b"gap"
    kind = delivery.event.kind
    name = kind.encode("utf-8", "replace")
    if isinstance(delivery.event, OtherEvent):
        is_name = kind not in KNOWN_KINDS and kind not in _OURS and _KIND.fullmatch(name)
        return name if is_name else b"other"
    return name
