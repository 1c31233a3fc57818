"""Discovers runs on the server and checks those being read. Reads no events."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager

from arena_tui.broker.mirror.broker import Local
from arena_tui.broker.mirror.findings import Seen, find_end, find_missing, find_stalled
from arena_tui.broker.mirror.positions import RunPosition
from arena_tui.broker.own_log import own_log
from arena_tui.broker.protocol import NO_CURSOR, Cursor
from arena_tui.broker.redis.advice import FAILURES
from arena_tui.broker.redis.codec import RawEntry, decode_meta, parse_ended, parse_id
from arena_tui.broker.redis.connection import Line
from arena_tui.broker.redis.link import RedisLink
from arena_tui.broker.redis.lookup import AT_ONCE, Row, batched, look_up, runs_in_index, seen_in
from arena_tui.broker.redis.scripts import RENEW
from arena_tui.broker.starting import Origin
from arena_tui.errors import EventError

_log = own_log(__name__)


class Watcher:
    """Attaches new runs from the index, and checks liveness and losses of those being read.

    Attributes:
        index: Id of the newest index entry processed.
    """

    def __init__(self, link: RedisLink, local: Local) -> None:
        self.index = b"0-0"
        self._link = link
        self._local = local
        self._ledger = local.ledger
        self._positions = local.positions
        self._timing = local.timing
        self._look_now = asyncio.Event()
        self._caught_up = False

    async def run(self) -> None:
        """Check periodically which producers are alive, and whether unread events were lost."""
        given_up_at = time.monotonic() + self._timing.gone_s
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._timing.look_s):
                    await self._look_now.wait()
            self._look_now.clear()
            try:
                for positions in batched(list(self._positions.read.values())):
                    await self._look(positions)
                for run_ids in batched(list(self._positions.gone)):
                    rows = await look_up(self._link, run_ids, whole=True)
                    for run_id, row in zip(run_ids, rows, strict=True):
                        with self._checking(run_id):
                            self._look_for(run_id, row)
                if time.monotonic() >= given_up_at:
                    self._ledger.give_up_missing()
            except FAILURES as error:
                _log.info("cannot look at the runs: %s", error)

    async def catch_up(self, line: Line) -> None:
        """Discover the runs on the server, and check the known ones; after a (re)connect."""
        newest = parse_id(self.index)
        entries = await line.ask("XREVRANGE", self._link.keys.index, "+", "-", "COUNT", 1)
        if not entries or parse_id(entries[0][0]) < newest:
            self.index = b"0-0"  # the index was lost, or recreated under an earlier clock
        await self._look(list(self._positions.read.values()))
        while True:
            start = f"({self.index.decode()}"
            entries = await line.ask("XRANGE", self._link.keys.index, start, "+", "COUNT", AT_ONCE)
            if not entries:
                self._caught_up = True
                return
            await self.take_index(entries)

    async def take_index(self, entries: Sequence[RawEntry]) -> None:
        """Attach the runs named by new entries of the index."""
        for run_ids in batched(runs_in_index(entries)):
            rows = await look_up(self._link, run_ids, whole=True)
            for run_id, row in zip(run_ids, rows, strict=True):
                if row:
                    with self._checking(run_id):
                        self._attach(run_id, row)
        self.index = entries[-1][0]  # last: a failure above must not skip a run

    def discount_outage(self, away_s: float) -> None:
        """Do not count an outage of the server as silence of the producers."""
        for position in self._positions.read.values():
            position.stream.discount_outage(away_s)

    async def skip_wrong_types(self) -> None:
        """Stop reading keys that are not streams: a single one fails the whole XREAD."""
        try:
            for position in list(self._positions.read.values()):
                kind = await self._link.control.type(position.key)
                if kind not in (b"stream", b"none"):
                    self._positions.mark_gone(position, time.monotonic())
        except FAILURES as error:
            _log.info("cannot look at the keys: %s", error)

    def _attach(self, run_id: str, row: Row) -> None:
        """Attach a run from its newest events on, or resume reading a known one."""
        positions, known = self._positions, self._ledger.streams.get(run_id)
        epoch, last_seq, status, silent_ms, ended, raw_meta, oldest = row
        if status == b"closed" and last_seq == 0:
            was_read = max(parse_ended(ended)) <= positions.ended.get(run_id, NO_CURSOR)
            if was_read or (known is not None and known.closed):
                return  # read to its end, which the server has lost since
        only_word_left = status == b"left" and not oldest
        if only_word_left and not self._ledger.is_lacked(run_id, Cursor(epoch, last_seq)):
            return
        if known is not None:
            if run_id in positions.gone:
                positions.restore(run_id)
            elif run_id in positions.read:
                positions.read[run_id].on_indexed(epoch)
            elif known.log.epoch != epoch:
                positions.follow(known, Cursor(known.log.epoch, known.log.last))
            return
        if epoch <= positions.ended.get(run_id, NO_CURSOR).epoch:
            return  # read to its end, and reaped before this index entry was read
        try:
            meta = decode_meta(raw_meta, run_id)
        except EventError as error:
            self._ledger.warnings.add("run_left_out", run_id, why=str(error))
            return
        first = max(1, last_seq - self._ledger.limits.retain + 1)
        held = parse_id(oldest)
        if not oldest:
            first = last_seq + 1
        elif held.epoch == epoch:
            first = max(first, held.seq)
        origin: Origin = "new" if self._caught_up else "found"
        stream = self._ledger.attach(
            meta, epoch, first, parse_ended(ended), last_seq, origin, silent_ms / 1_000
        )
        positions.follow(stream, Cursor(epoch, first - 1))
        self._local.acks.resend(stream)
        if self._local.furthest(run_id) > (epoch, last_seq):
            self._look_now.set()

    def _checking(self, run_id: str) -> AbstractContextManager[None]:
        """Survive what a run alone meets; a failure of the server concerns all."""
        return self._link.failures.survived(f"checking run {run_id}", run_id, FAILURES)

    async def _look(self, positions: Sequence[RunPosition]) -> None:
        rows = await look_up(self._link, [position.run_id for position in positions])
        for position, row in zip(positions, rows, strict=True):
            with self._checking(position.run_id):
                await self._look_at(position, row)

    async def _look_at(self, position: RunPosition, row: Row) -> None:
        if not row:
            self._positions.mark_gone(position, time.monotonic())
            return
        seen = seen_in(row)
        position.stream.on_alive(self._ledger.clock() - seen.silent_s)
        newest = max(position.at, self._local.furthest(position.run_id))
        if newest > seen.at:
            await self._link.call(
                RENEW, (self._link.keys.meta(position.run_id), position.key), newest
            )
        elif position.at < seen.at and position.at == position.looked_at:
            await self._look_at_stalled(position, seen)
        end = find_end(position.at, position.newest_epoch, seen)
        if end is not None:
            self._positions.apply(position, end)
        position.on_looked()

    async def _look_at_stalled(self, position: RunPosition, seen: Seen) -> None:
        """See whether reading has stalled because the server no longer has the next events, or goes
        on under a new epoch that has none yet."""
        at = position.at
        after = f"({position.after.decode()}"
        left = await self._link.command("XRANGE", position.key, after, "+", "COUNT", 1)
        if not left and position.at == at and (stalled := find_stalled(at, seen)):
            self._positions.apply(position, stalled)

    def _look_for(self, run_id: str, row: Row) -> None:
        """Restore a missing run that is back; after `gone_s`, deliver a gap for what it lost."""
        position = self._positions.gone.get(run_id)
        if position is None:
            return
        seen = seen_in(row) if row else None
        overdue = position.is_overdue(time.monotonic(), self._timing.gone_s)
        found = find_missing(run_id, position.at, seen, self._local.furthest(run_id), overdue)
        if found is not None:
            self._positions.apply(position, found)
            self._local.arrived.set()
