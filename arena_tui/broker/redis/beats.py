"""Tells the server which runs are alive, and how far each had come in case it has lost events."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from typing import Final

from redis.exceptions import ResponseError

from arena_tui.broker.mirror.outlet import Outlet
from arena_tui.broker.mirror.writer import Writer
from arena_tui.broker.protocol import NO_CURSOR, Cursor
from arena_tui.broker.redis.advice import is_denied, is_mendable
from arena_tui.broker.redis.link import RedisLink
from arena_tui.broker.redis.lookup import batched
from arena_tui.broker.redis.scripts import BEAT

_WORD_KEPT_S: Final = 3_600
"""How long the server keeps word of a run that it has lost after its end: as long as a consumer
that is away."""

_MISSING: Final = 0
_PUBLISHED: Final = 1
_ENDED_ELSEWHERE: Final = 4


class Beats:
    """Heartbeats of this process's runs, open and recently ended.

    A producer that is still there is the only one that knows how many events were lost with a
    server that came back empty, or as an older copy of itself.
    """

    def __init__(self, link: RedisLink, writer: Writer, outlet: Outlet) -> None:
        self._link = link
        self._outlet = outlet
        self._writer = writer

    async def send(self, run_ids: Iterable[str]) -> None:
        """Report these runs as alive, and with them those that ended lately."""
        writer = self._writer
        runs = {run_id: (writer.newest(run_id) or NO_CURSOR, False) for run_id in run_ids}
        runs |= {run_id: (at, True) for run_id, at in writer.ended.items()}
        for some in batched(list(runs.items())):
            await self._send(dict(some))

    async def _send(self, runs: dict[str, tuple[Cursor, bool]]) -> None:
        try:
            await self._send_at_once(runs)
        except ResponseError as error:
            if len(runs) == 1 or not is_denied(error):
                raise
            for run in runs.items():  # the keys of one may be all that is not permitted
                with contextlib.suppress(ResponseError):
                    await self._send_at_once(dict([run]))

    async def _send_at_once(self, runs: dict[str, tuple[Cursor, bool]]) -> None:
        keys: list[str] = []
        words: list[str | int] = [_WORD_KEPT_S]
        for run_id, (at, ended) in runs.items():
            keys += [self._link.keys.meta(run_id), self._link.keys.events(run_id)]
            words += [run_id, *at, int(ended)]
        answers = await self._link.call(BEAT, keys, words)
        for (run_id, (at, ended)), answer in zip(runs.items(), answers, strict=True):
            if answer == _MISSING and at != NO_CURSOR:
                try:
                    await self._open_again(run_id)
                except ResponseError as error:
                    if is_mendable(error):
                        raise
                    # No reason to tell nothing of the other runs.
                    self._link.failures.record(f"opening run {run_id} again", error, run_id)
            elif answer == _ENDED_ELSEWHERE:
                self._writer.note_closed(run_id)
            elif ended and answer != _PUBLISHED:
                self._writer.ended.pop(run_id, None)

    async def _open_again(self, run_id: str) -> None:
        """Open a run that the server has lost, recording there how far it had come."""
        if run := self._writer.runs.get(run_id):
            await self._outlet.open_again(run)
