"""Tells a shared log what this process's durable consumers have acked."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Final, NamedTuple, Protocol

from arena_tui.broker.mirror.link import Link
from arena_tui.broker.protocol import NO_CURSOR, Cursor, Start
from arena_tui.broker.recent import Recent
from arena_tui.broker.starting import cursor_in
from arena_tui.broker.stream import RunStream
from arena_tui.broker.timing import Timing

_AT_ONCE: Final = 500
"""Most runs in one ack."""

_SENT_KEPT: Final = 10_000
"""Runs of a consumer whose ack is remembered, in case the log forgets it."""


class AckRegister(Protocol):
    """Where a log keeps what its durable consumers have acked, by their identity."""

    async def ack(self, identity: str, cursors: Mapping[str, Cursor]) -> bool:
        """Record acks, and a sign of life; returns whether the consumer was not known."""

    async def known(self) -> dict[str, bool]:
        """See `BrokerProtocol.known_consumers`."""

    async def forget(self, identity: str) -> None:
        """See `BrokerProtocol.forget`."""

    async def sweep(self) -> None:
        """Trim what all consumers have acked, if that is for clients to do."""


class _Consumer(NamedTuple):
    """One durable consumer: where it started, whether its identity outlives its subscription, and
    its acks to be sent and sent last."""

    start: Start
    lasting: bool
    pending: dict[str, Cursor]
    sent: Recent[str, Cursor]

    def record(self, cursors: Mapping[str, Cursor]) -> None:
        """Queue acks, behind none that is further."""
        for run_id, cursor in cursors.items():
            self.pending[run_id] = max(cursor, self.pending.get(run_id, NO_CURSOR))

    def resend(self, stream: RunStream) -> None:
        """Queue its start cursor in this stream."""
        cursor = cursor_in(self.start, stream.log.run_id)
        if cursor is not None and cursor.epoch == stream.log.epoch:
            self.record({stream.log.run_id: cursor})

    def on_sent(self, cursors: Mapping[str, Cursor], is_new: bool) -> None:
        """Note what the server has; nothing of it before this, if it had forgotten the consumer."""
        if is_new:
            self.record(self.sent)
        for run_id, cursor in cursors.items():
            if self.pending[run_id] == cursor:
                del self.pending[run_id]
            self.sent[run_id] = cursor


class Acks:
    """Pending acks by consumer, each under its identity in the log. `run` is a task."""

    def __init__(self, link: Link, register: AckRegister, timing: Timing) -> None:
        self._link = link
        self._register = register
        self._timing = timing
        self._consumers: dict[str, _Consumer] = {}
        self._leaving: set[str] = set()
        self._swept_at = 0.0

    def __bool__(self) -> bool:
        return bool(self._consumers)

    def add(
        self, identity: str, start: Start, held: Iterable[RunStream] = (), *, lasting: bool = True
    ) -> None:
        """Register a durable consumer; from its next ack on, the log keeps events for it.

        Its start cursors in the streams `held` here are acked again, as by `resend`.
        """
        new = _Consumer(start, lasting, {}, Recent(_SENT_KEPT))
        before = self._consumers.get(identity, new)
        consumer = self._consumers[identity] = before._replace(start=start, lasting=lasting)
        self._leaving.discard(identity)
        for stream in held:
            consumer.resend(stream)

    def remove(self, identity: str) -> None:
        """Unregister a consumer, once its pending acks are sent; the log keeps events for it as
        if the process had been closed."""
        self._leaving.add(identity)

    def record(self, identity: str, cursors: Mapping[str, Cursor]) -> None:
        """Queue a consumer's ack of everything up to these cursors."""
        self._consumers[identity].record(cursors)

    def resend(self, stream: RunStream) -> None:
        """Ack the start cursors of all consumers in a stream again: the last acks before a restart
        may not have reached the server."""
        for identity, consumer in self._consumers.items():
            if identity not in self._leaving:
                consumer.resend(stream)

    def furthest_start(self, run_id: str) -> Cursor:
        """The newest of the consumers' start cursors in this run."""
        starts = (cursor_in(each.start, run_id) for each in self._consumers.values())
        return max(filter(None, starts), default=NO_CURSOR)

    async def known(self) -> dict[str, bool]:
        return await self._link.retry("consumers", self._register.known)

    async def forget(self, identity: str) -> None:
        await self._link.retry("forget", lambda: self._register.forget(identity))

    async def run(self) -> None:
        while True:
            await asyncio.sleep(self._timing.ack_s)
            if self._consumers:
                await self._link.retry("acks", self._ack, forever=True)

    async def aclose(self) -> None:
        """Send the pending acks; forget consumers that do not outlive their subscription."""
        while any(each.pending for each in self._consumers.values()):
            await self._ack()
        for identity, consumer in list(self._consumers.items()):
            if not consumer.lasting:
                await self._register.forget(identity)

    async def _ack(self) -> None:
        """Send pending acks, and now and then sweep; without any, still a sign of life."""
        refusal: Exception | None = None
        for identity, consumer in list(self._consumers.items()):  # `add` may be called meanwhile
            try:
                await self._send(identity, consumer)
            except self._link.errors as error:
                if not self._link.is_answer(error):
                    raise
                refusal = error  # no reason for other consumers to wait
        for identity in [each for each in self._leaving if not self._consumers[each].pending]:
            if not self._consumers[identity].lasting:
                await self._register.forget(identity)
            if identity in self._leaving:  # not added again meanwhile
                self._leaving.remove(identity)
                del self._consumers[identity]
        if time.monotonic() - self._swept_at >= self._timing.sweep_s:
            self._swept_at = time.monotonic()
            await self._register.sweep()
        if refusal is not None:
            raise refusal

    async def _send(self, identity: str, consumer: _Consumer) -> None:
        cursors = dict(islice(consumer.pending.items(), _AT_ONCE))
        consumer.on_sent(cursors, await self._register.ack(identity, cursors))
