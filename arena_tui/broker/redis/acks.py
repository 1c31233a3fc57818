"""Tells the server what this process's durable consumers have, and sweeps what all have."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from itertools import islice
from typing import Final

from arena_tui.broker.protocol import Cursor, Limits
from arena_tui.broker.redis.link import Link
from arena_tui.broker.redis.scripts import ACK, CONSUMERS, SWEEP, acks_key
from arena_tui.broker.timing import Timing

__all__ = ["Acks"]

_ACK_RUNS: Final = 500
_SWEEP_RUNS: Final = 500
_CONSUMER_TTL_S: Final = 3_600
"""A consumer that has given no sign for an hour no longer keeps events from being trimmed."""


class Acks:
    """Acks on their way to the server, by consumer. `run` is a task.

    Args:
        store: Names the store of this process: its consumers are known by it over restarts. None:
            they are forgotten when the process leaves.
    """

    def __init__(self, link: Link, limits: Limits, timing: Timing, store: str | None, own: str):
        self._link = link
        self._limits = limits
        self._timing = timing
        self._place = store or own
        self._lasting = store is not None
        self._waiting: dict[str, dict[str, Cursor]] = {}
        self._index = "-"
        self._swept_at = 0.0

    @property
    def consumers(self) -> list[str]:
        """What the server calls them: store, then consumer."""
        return [self._key(name) for name in self._waiting]

    def add(self, name: str) -> None:
        """One more durable consumer: from its next ack on, the server waits for it."""
        self._waiting.setdefault(name, {})

    def take(self, name: str, cursors: Mapping[str, Cursor]) -> None:
        """A consumer has safely kept everything up to these cursors."""
        self._waiting[name].update(cursors)

    async def run(self) -> None:
        """Ack and sweep until cancelled."""
        while True:
            await asyncio.sleep(self._timing.ack_s)
            if self._waiting:
                await self._link.retrying("acks", self._ack, forever=True)

    async def leave(self) -> None:
        """Ack what is left; a consumer without a lasting store is forgotten."""
        while any(self._waiting.values()):
            await self._ack()
        if not self._lasting:
            for consumer in self.consumers:
                await self._link.control.delete(acks_key(consumer))
                await self._link.command(self._link.control, "SREM", CONSUMERS, consumer)

    def _key(self, name: str) -> str:
        return f"{self._place} {name}"

    async def _ack(self) -> None:
        """Also a sign of life, when there is nothing new."""
        for name, waiting in self._waiting.items():
            cursors = dict(islice(waiting.items(), _ACK_RUNS))
            args: list[str | int] = [self._key(name), _CONSUMER_TTL_S]
            for run_id, cursor in cursors.items():
                args += [run_id, *cursor]
            await self._link.call(ACK, (), args)
            for run_id, cursor in cursors.items():
                if waiting[run_id] == cursor:
                    del waiting[run_id]
        if time.monotonic() - self._swept_at >= self._timing.sweep_s:
            self._swept_at = time.monotonic()
            await self._sweep()

    async def _sweep(self) -> None:
        limits = self._limits
        args = limits.retain, limits.closed_run_bytes, limits.closed_run_s, self._index, _SWEEP_RUNS
        index, _ = await self._link.call(SWEEP, (), args)
        self._index = index.decode()
