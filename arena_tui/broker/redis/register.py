"""What durable consumers have acked, as the server keeps it; trims what all of them have acked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from arena_tui.broker.protocol import Cursor, Limits
from arena_tui.broker.redis.link import RedisLink
from arena_tui.broker.redis.lookup import consumers
from arena_tui.broker.redis.scripts import ACK, SWEEP
from arena_tui.broker.timing import LEFT_RUN_KEPT_S

_SWEEP_RUNS: Final = 500
_CONSUMER_TTL_S: Final = 3_600
"""A consumer silent for an hour no longer keeps events from being trimmed."""


class RedisRegister:
    """See `AckRegister`."""

    def __init__(self, link: RedisLink, limits: Limits) -> None:
        self._link = link
        self._limits = limits
        self._index = "-"

    async def ack(self, identity: str, cursors: Mapping[str, Cursor]) -> bool:
        args: list[str | int] = [identity, _CONSUMER_TTL_S]
        for run_id, cursor in cursors.items():
            args += [run_id, *cursor]
        return bool(await self._link.call(ACK, (), args))

    async def known(self) -> dict[str, bool]:
        return {
            identity: bool(await self._link.control.exists(self._link.keys.acks(identity)))
            for identity in await consumers(self._link)
        }

    async def forget(self, identity: str) -> None:
        await self._link.control.delete(self._link.keys.acks(identity))
        await self._link.command("SREM", self._link.keys.consumers, identity)

    async def sweep(self) -> None:
        limits = self._limits
        index, _ = await self._link.call(SWEEP, (), (
            limits.retain, limits.closed_run_bytes, limits.closed_run_s, limits.silent_run_s,
            LEFT_RUN_KEPT_S, self._index, _SWEEP_RUNS,
        ))  # fmt: skip
        self._index = index.decode()
