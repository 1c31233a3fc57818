"""Sends the acks of this process's durable consumers, and sweeps what all consumers have acked."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from itertools import islice
from typing import Final

from redis.exceptions import ResponseError

from arena_tui.broker.protocol import Cursor, Limits
from arena_tui.broker.redis.link import Link
from arena_tui.broker.redis.scripts import ACK, CONSUMERS, SWEEP, acks_key
from arena_tui.broker.stream import RunStream
from arena_tui.broker.subscription import LedgerSubscription
from arena_tui.broker.timing import LEFT_RUN_KEPT_S, Timing

_ACK_RUNS: Final = 500
_SWEEP_RUNS: Final = 500
_CONSUMER_TTL_S: Final = 3_600
"""A consumer silent for an hour no longer keeps events from being trimmed."""


class Acks:
    """Pending acks by consumer. `run` is a task.

    Args:
        store: Name of this process's store, which identifies its consumers across restarts. None:
            they are deleted when the process closes.
    """

    def __init__(self, link: Link, limits: Limits, timing: Timing, store: str | None, own: str):
        self._link = link
        self._limits = limits
        self._timing = timing
        self._owner = store or own
        self._persistent = store is not None
        self._pending: dict[str, dict[str, Cursor]] = {}
        self._leaving: set[str] = set()
        self._index = "-"
        self._swept_at = 0.0

    @property
    def consumers(self) -> list[str]:
        """Their names on the server: store, then consumer."""
        return [self._key(name) for name in self._pending]

    def add(self, name: str) -> None:
        """Register a durable consumer; from its next ack on, the server keeps events for it."""
        self._pending.setdefault(name, {})
        self._leaving.discard(name)

    def remove(self, name: str) -> None:
        """Unregister a consumer, once its pending acks are sent; the server keeps events for it as
        if the process had been closed."""
        self._leaving.add(name)

    def record(self, name: str, cursors: Mapping[str, Cursor]) -> None:
        """Queue a consumer's ack of everything up to these cursors."""
        self._pending[name].update(cursors)

    def resend(self, reader: LedgerSubscription, stream: RunStream) -> None:
        """Ack the consumer's start cursor again, when it is of this stream."""
        run_id = stream.log.run_id
        if not isinstance(reader.start, str) and run_id in reader.start:
            cursor = reader.start[run_id]
            if cursor.epoch == stream.log.epoch:
                self.record(reader.name, {run_id: cursor})

    async def run(self) -> None:
        """Ack and sweep until cancelled."""
        while True:
            await asyncio.sleep(self._timing.ack_s)
            if self._pending:
                await self._link.retry("acks", self._ack, forever=True)

    async def aclose(self) -> None:
        """Send the pending acks; delete consumers that have no persistent store."""
        while any(self._pending.values()):
            await self._ack()
        for name in list(self._pending):
            await self._forget(name)

    def _key(self, name: str) -> str:
        return f"{self._owner} {name}"

    async def _forget(self, name: str) -> None:
        if not self._persistent:
            consumer = self._key(name)
            await self._link.control.delete(acks_key(consumer))
            await self._link.command(self._link.control, "SREM", CONSUMERS, consumer)

    async def _ack(self) -> None:
        """Send pending acks, and now and then sweep; without any, still a sign of life."""
        refusal: ResponseError | None = None
        for name, pending in list(self._pending.items()):  # `add` may be called meanwhile
            try:
                await self._send(name, pending)
            except ResponseError as error:  # no reason for other consumers to wait
                refusal = error
        for name in [each for each in self._leaving if not self._pending[each]]:
            await self._forget(name)
            if name in self._leaving:  # not added again meanwhile
                self._leaving.remove(name)
                del self._pending[name]
        if time.monotonic() - self._swept_at >= self._timing.sweep_s:
            self._swept_at = time.monotonic()
            await self._sweep()
        if refusal is not None:
            raise refusal

    async def _send(self, name: str, pending: dict[str, Cursor]) -> None:
        cursors = dict(islice(pending.items(), _ACK_RUNS))
        args: list[str | int] = [self._key(name), _CONSUMER_TTL_S]
        for run_id, cursor in cursors.items():
            args += [run_id, *cursor]
        await self._link.call(ACK, (), args)
        for run_id, cursor in cursors.items():
            if pending[run_id] == cursor:
                del pending[run_id]

    async def _sweep(self) -> None:
        limits = self._limits
        kept = (
            limits.closed_run_bytes, limits.closed_run_s, limits.silent_run_s, LEFT_RUN_KEPT_S
        )  # fmt: skip
        args = limits.retain, *kept, self._index, _SWEEP_RUNS
        index, _ = await self._link.call(SWEEP, (), args)
        self._index = index.decode()
