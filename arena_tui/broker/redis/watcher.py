"""Which runs the server has, and what becomes of them. Reads no events."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Sequence

from arena_tui.broker.ledger import Ledger
from arena_tui.broker.protocol import Cursor
from arena_tui.broker.redis.advice import FAILURES
from arena_tui.broker.redis.codec import NO_CURSOR, RawEntry, decode_meta, parse_ended, parse_id
from arena_tui.broker.redis.connection import Line
from arena_tui.broker.redis.link import Link
from arena_tui.broker.redis.looking import AT_ONCE, Row, batched, look, runs_in_index
from arena_tui.broker.redis.places import Place, Places
from arena_tui.broker.redis.scripts import INDEX, RENEW, meta_key
from arena_tui.broker.stream import RunStream
from arena_tui.broker.timing import Timing
from arena_tui.errors import EventError
from arena_tui.events import Gap

__all__ = ["Watcher"]

_log = logging.getLogger(__name__)


class Watcher:
    """Takes up new runs from the index, and looks after those that are read.

    Args:
        furthest: How far anybody in this process has a run: its producers, its consumers.
        attached: Called with each run that is taken up.
        arrived: Set when a run has ended here without another event.

    Attributes:
        index: Id of the newest entry of the index that was taken.
    """

    def __init__(
        self,
        link: Link,
        ledger: Ledger,
        places: Places,
        timing: Timing,
        furthest: Callable[[str], Cursor],
        attached: Callable[[RunStream], None],
        arrived: asyncio.Event,
    ) -> None:
        self.index = b"0-0"
        self._link = link
        self._ledger = ledger
        self._places = places
        self._timing = timing
        self._furthest = furthest
        self._attached = attached
        self._arrived = arrived
        self._hurry = asyncio.Event()

    async def run(self) -> None:
        """Look every few seconds: which producers are alive, is anything gone that was not read?"""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._timing.look_s):
                    await self._hurry.wait()
            self._hurry.clear()
            try:
                for places in batched(list(self._places.read.values())):
                    await self._look(places)
                for run_ids in batched(list(self._places.gone)):
                    rows = await look(self._link, run_ids, whole=True)
                    for run_id, row in zip(run_ids, rows, strict=True):
                        self._look_after_gone(run_id, row)
            except FAILURES as error:
                _log.info("cannot look at the runs: %s", error)

    async def catch_up(self, line: Line) -> None:
        """Find the runs there are, and what happened to those known while nobody looked."""
        newest = parse_id(self.index)
        entries = await line.ask("XREVRANGE", INDEX, "+", "-", "COUNT", 1)
        if not entries or parse_id(entries[0][0]) < newest:
            self.index = b"0-0"  # the index was lost, or made anew by an earlier clock
        await self._look(list(self._places.read.values()))
        while True:
            start = f"({self.index.decode()}"
            entries = await line.ask("XRANGE", INDEX, start, "+", "COUNT", AT_ONCE)
            if not entries:
                return
            await self.take_index(entries)

    async def take_index(self, entries: Sequence[RawEntry]) -> None:
        """Take up the runs that new entries of the index name."""
        for run_ids in batched(runs_in_index(entries)):
            rows = await look(self._link, run_ids, whole=True)
            for run_id, row in zip(run_ids, rows, strict=True):
                if row:
                    self._attach(run_id, row)
        self.index = entries[-1][0]  # not before: a failure on the way must not skip a run

    def forgive_silence(self, away_s: float) -> None:
        """While the server was away, nobody could be heard."""
        for place in self._places.read.values():
            place.stream.alive_at += away_s

    async def leave_out_other_types(self) -> None:
        """Read no key that is no stream: one would make every read fail."""
        try:
            for place in list(self._places.read.values()):
                kind = await self._link.control.type(place.key)
                if kind not in (b"stream", b"none"):
                    self._places.note_gone(place, time.monotonic())
        except FAILURES as error:
            _log.info("cannot look at the keys: %s", error)

    def _attach(self, run_id: str, row: Row) -> None:
        """Take up a run from its newest events, or go on with one that is known."""
        places, known = self._places, self._ledger.streams.get(run_id)
        epoch, last_seq, _, silent_ms, ended, raw_meta, oldest = row
        if known is not None:
            if run_id in places.gone:
                places.come_back(run_id)
            elif run_id not in places.read and known.log.epoch != epoch:
                places.follow(known, Cursor(known.log.epoch, known.log.last))
            return
        furthest = self._furthest(run_id)
        if run_id in places.known and epoch <= furthest.epoch:
            return  # published here, over, and reaped before the index came to it
        try:
            meta = decode_meta(raw_meta, run_id)
        except EventError as error:
            self._ledger.warnings.add(f"left a run out: {error}")
            return
        first = max(1, last_seq - self._ledger.limits.retain + 1)
        held = parse_id(oldest)
        if not oldest:
            first = last_seq + 1
        elif held.epoch == epoch:
            first = max(first, held.seq)
        stream = self._ledger.attach(meta, epoch, first, parse_ended(ended))
        stream.alive_at = self._ledger.clock() - silent_ms / 1_000
        stream.seen = stream.log.last + last_seq - first + 1
        places.follow(stream, Cursor(epoch, first - 1))
        self._attached(stream)
        if furthest > (epoch, last_seq):
            self._hurry.set()

    async def _look(self, places: Sequence[Place]) -> None:
        rows = await look(self._link, [place.run_id for place in places])
        for place, row in zip(places, rows, strict=True):
            if not row:
                self._places.note_gone(place, time.monotonic())
                continue
            epoch, seq, _, silent_ms, _ = row
            stream = place.stream
            stream.alive_at = max(stream.alive_at, self._ledger.clock() - silent_ms / 1_000)
            newest = max(place.at, self._furthest(place.run_id))
            if newest > (epoch, seq):
                await self._link.call(RENEW, (meta_key(place.run_id), place.key), newest)
            elif place.at < (epoch, seq) and place.at == place.looked_at:
                await self._look_for(place, Cursor(epoch, seq))
            place.looked_at = place.at

    async def _look_for(self, place: Place, newest: Cursor) -> None:
        """The server has had more of a run that does not get on: is any of it still there?"""
        at = place.at
        left = await self._link.command(
            self._link.control, "XRANGE", place.key, f"({place.after.decode()}", "+", "COUNT", 1
        )
        if not left and place.at == at and newest.epoch == at.epoch:
            self._places.leave_out(place, newest.seq)

    def _look_after_gone(self, run_id: str, row: Row) -> None:
        """It is there again; or nobody makes it anew, and nobody will tell what it had."""
        if row and row[-1]:
            self._places.come_back(run_id)
            return
        place = self._places.gone.get(run_id)
        gone_s = self._timing.gone_s
        if place is None or place.gone_at is None or time.monotonic() < place.gone_at + gone_s:
            return
        place.gone_at = None
        epoch, seq = place.at
        ends = [Cursor(*row[:2]) if row else NO_CURSOR, self._furthest(run_id)]
        last = max([seq, *(end.seq for end in ends if end.epoch == epoch)])
        gap = Gap(run_id, epoch, seq + 1, last, "reset")
        if gap.count:
            self._ledger.append_gap(place.stream, gap)
        else:
            self._ledger.append_note(place.stream, gap)
        count = f"{gap.count:,}" if gap.count else "an unknown number of"
        self._ledger.warnings.add(f"run {run_id}: it does not come back, {count} events lost")
        place.at = Cursor(epoch, last)
        self._arrived.set()
