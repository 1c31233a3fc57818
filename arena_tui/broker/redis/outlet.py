"""Opens runs on the server, and sends the events of several in one script call."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any

from redis.exceptions import RedisError

from arena_tui.broker.mirror.calls import Call, PublishedRun
from arena_tui.broker.protocol import RunMeta
from arena_tui.broker.redis.advice import is_denied
from arena_tui.broker.redis.codec import encode_meta
from arena_tui.broker.redis.connection import Command
from arena_tui.broker.redis.link import RedisLink
from arena_tui.broker.redis.scripts import APPEND, OPEN


class RedisOutlet:
    """See `Outlet`.

    Args:
        capacity: Most events that the server keeps of a run.
    """

    def __init__(self, link: RedisLink, capacity: int) -> None:
        self._link = link
        self._line = link.line()
        self._capacity = capacity

    async def open(self, meta: RunMeta, epoch: int | None) -> int | None:
        nonce = secrets.token_hex(8)
        keys = (*self._link.keys.of(meta.run_id), self._link.keys.index)
        args = (meta.run_id, encode_meta(meta), nonce, epoch or 0, 0, 0)
        opened, given = await self._link.retry("open", lambda: self._link.call(OPEN, keys, args))
        return int(given) if opened else None

    async def open_again(self, run: PublishedRun) -> None:
        keys = (*self._link.keys.of(run.meta.run_id), self._link.keys.index)
        await self._link.call(OPEN, keys, _opening_of(run))

    async def exchange(self, calls: Sequence[Call]) -> list[Any]:
        opening = [call for call in calls if call.may_open and not call.run.open]
        commands: list[Command] = []
        for run in (call.run for call in opening):
            keys = (*self._link.keys.of(run.meta.run_id), self._link.keys.index)
            commands.append(("EVALSHA", self._link.sha(OPEN), 3, *keys, *_opening_of(run)))
        of_runs: list[str] = []
        words: list[str | int | bytes] = [self._capacity]
        for call in calls:
            run, payloads = call.run, call.payloads
            of_runs += self._link.keys.of(run.meta.run_id)
            words += [run.producer, *run.at, run.acked, run.next, int(call.ends), run.lost]
            words += [len(payloads), *payloads]
        commands.append(("EVALSHA", self._link.sha(APPEND), len(of_runs), *of_runs, *words))
        *opened, rows = await self._line.exchange(commands)
        if isinstance(rows, RedisError) and is_denied(rows) and len(calls) > 1:
            # The keys of one run may be all that is not permitted.
            return [(await self.exchange([call]))[0] for call in calls]
        answers: list[Any] = [rows] * len(calls) if isinstance(rows, RedisError) else rows
        refusals = {
            call.run: refusal
            for call, refusal in zip(opening, opened, strict=True)
            if isinstance(refusal, RedisError)
        }
        return [refusals.get(call.run, answer) for call, answer in zip(calls, answers, strict=True)]


def _opening_of(run: PublishedRun) -> tuple[str | int | bytes, ...]:
    """Arguments of `OPEN` for a run that may exist; else it goes on where this producer was."""
    return run.meta.run_id, encode_meta(run.meta), "", 0, *run.at
