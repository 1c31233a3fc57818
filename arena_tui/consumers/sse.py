"""Feeds one client of an event stream: some runs, from its cursors on, as server-sent events.

Knows nothing of HTTP. Holds no events: a slow client is a cursor that stays behind, and what the
broker has let go meanwhile is read from the store. The format is that of
https://html.spec.whatwg.org/multipage/server-sent-events.html.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from itertools import groupby
from typing import Final, TypeAlias

from arena_tui.broker.protocol import Cursor
from arena_tui.codec import encode_line
from arena_tui.consumers.protocol import Consumer
from arena_tui.events import KNOWN_KINDS, Delivery, Gap
from arena_tui.store.replay import RunReplay

Send: TypeAlias = Callable[[Sequence[Delivery]], Awaitable[None]]

SSE: Final = "sse"
"""The group of all clients."""

_KIND: Final = re.compile(rb"[A-Za-z0-9_.-]{1,64}")
_OURS: Final = frozenset({"gap", "end", "open", "message"})
"""Names of events that a client takes for something else than what a game published."""


class EventStream(Consumer):
    """Sends one client what a subscription delivers; what it was sent before is not sent again.

    Args:
        name: Of the client, for display.
        replays: Each of its runs, read up to where the broker goes on.
        send: Returns once the client takes more.
        pause_s: How long to let events gather after each sending, in seconds.
    """

    durable = False
    group = SSE
    batch_events = 1  # what there is at once; `pause_s` lets it gather

    def __init__(
        self,
        name: str,
        replays: Mapping[str, RunReplay],
        send: Send,
        pause_s: Callable[[], float],
    ) -> None:
        self.name = name
        self.runs = list(replays)
        self._replays = replays
        self._send = send
        self._pause_s = pause_s

    async def start(self) -> Mapping[str, Cursor]:
        return {run_id: replay.cursor for run_id, replay in self._replays.items()}

    async def handle(self, batch: Sequence[Delivery]) -> Mapping[str, Cursor]:
        for run_id, deliveries in groupby(batch, key=lambda each: each.run_id):
            async for news in self._replays[run_id].news(list(deliveries)):
                await self._send(news)
        await asyncio.sleep(self._pause_s())
        return {}


def frames(deliveries: Iterable[Delivery]) -> bytes:
    """The frames of these deliveries: the flat JSON line, its kind, and its event id."""
    return b"".join(map(_frame, deliveries))


def event_id(cursor: Cursor) -> bytes:
    """`<epoch>-<seq>`: everything up to there has been sent."""
    return b"%d-%d" % cursor


def _frame(delivery: Delivery) -> bytes:
    return b"event: %s\nid: %d-%d\ndata: %s\n\n" % (
        _name_of(delivery), delivery.epoch, delivery.last_seq, encode_line(delivery),
    )  # fmt: skip


def _name_of(delivery: Delivery) -> bytes:
    """The kind, or `other` for one that is no name for a client to listen to."""
    if isinstance(delivery, Gap):
        return b"gap"
    kind = delivery.event.kind
    name = kind.encode("utf-8", "replace")
    if kind in KNOWN_KINDS or (kind not in _OURS and _KIND.fullmatch(name)):
        return name
    return b"other"
