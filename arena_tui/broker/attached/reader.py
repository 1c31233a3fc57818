"""Reads what the owner's broker holds into this process's ledger, in one stream."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Final, get_args

from msgspec.structs import replace

from arena_tui.broker.attached.link import OwnerLink
from arena_tui.broker.attached.wire import (
    PREFIX,
    Events,
    Feed,
    Fetch,
    Frame,
    Frames,
    Idle,
    Kept,
    Missing,
    Run,
    Store,
    encode,
)
from arena_tui.broker.mirror.broker import Local
from arena_tui.broker.mirror.positions import RunPosition
from arena_tui.broker.protocol import NO_CURSOR, Cursor
from arena_tui.codec import received
from arena_tui.events import Delivery, Envelope, Gap, GapReason

FEED: Final = f"{PREFIX}/feed"
_SILENT_S: Final = 15.0
"""An owner that says nothing for so long is no longer there."""

_NEVER: Final = 2**53
"""A seq beyond that of any run."""

_GAP_REASONS: Final[Mapping[str, GapReason]] = {each: each for each in get_args(GapReason)}


class FeedReader:
    """See the module. `run` is a task on the ledger's loop.

    Attributes:
        store: What the owner last said of its store; None before that.
    """

    def __init__(self, link: OwnerLink, local: Local) -> None:
        self.store: Store | None = None
        self._link = link
        self._local = local
        self._feed: AsyncIterator[Frame] | None = None
        self._told: set[str] | None = None  # the runs that the owner holds, as it begins to tell
        self._missing: dict[str, float] = {}  # since when another owner does not hold them

    async def catch_up(self) -> None:
        """Attach the runs that the owner holds; one that is just leaving is not waited for."""
        self._feed = self._frames()
        with contextlib.suppress(*self._link.errors):
            async for frame in self._feed:
                await self._take(frame)
                if isinstance(frame, Idle):
                    return
        self._feed = None

    async def run(self) -> None:
        """Read on and on, from wherever this has come."""
        attempt, away_at = 0, 0.0
        while True:
            try:
                if self._feed is None:
                    self._feed = self._frames()
                async for frame in self._feed:
                    if attempt:
                        self._link.on_success("reader")
                        away_s = self._local.ledger.clock() - away_at
                        for each in self._local.positions.read.values():
                            each.stream.discount_outage(away_s)
                        attempt = 0
                    await self._take(frame)
                raise ConnectionResetError("the owner hung up")
            except self._link.errors as error:
                self._feed = None
                if not attempt:
                    away_at = self._local.ledger.clock()
                await self._link.on_failure("reader", error, attempt)
                attempt += 1

    async def _frames(self) -> AsyncIterator[Frame]:
        positions = self._local.positions
        cursors = dict(positions.ended) | {run_id: at.at for run_id, at in positions.read.items()}
        asked = Feed(process=self._link.process, cursors=cursors)
        self._told = set()
        frames = Frames()
        pieces = self._link.http.stream(FEED, encode(asked), _SILENT_S)
        async with contextlib.aclosing(pieces):
            async for piece in pieces:
                for frame in frames.take(piece):
                    yield frame
                self._local.arrived.set()

    async def _take(self, frame: Frame) -> None:
        match frame:
            case Run():
                self._missing.pop(frame.info.meta.run_id, None)
                if self._told is not None:
                    self._told.add(frame.info.meta.run_id)
                self._take_run(frame)
            case Events():
                await self._take_deliveries(frame.run_id, frame.epoch, _envelopes(frame))
            case Missing():
                await self._take_deliveries(frame.run_id, frame.epoch, [_gap(frame)])
            case Store():
                self.store = frame
                await self._note_losses()
            case Idle() if self._told is not None:
                told, self._told = self._told, None
                for position in list(self._local.positions.read.values()):
                    if position.run_id not in told:
                        await self._fill(position)
                        self._missing.setdefault(position.run_id, self._local.ledger.clock())

    async def _note_losses(self) -> None:
        """Tell what was read here of runs that nobody goes on with, and was lost with an owner
        before it was stored."""
        since = self._local.ledger.clock() - self._local.timing.gone_s
        overdue = [run_id for run_id, at in self._missing.items() if at <= since]
        if not overdue:
            return
        kept = await self._link.ask(
            lambda owner: Kept(owner=owner, run_ids=overdue), dict[str, Cursor]
        )
        for run_id in overdue:
            del self._missing[run_id]
            position = self._local.positions.read.get(run_id)
            stored = kept.get(run_id, NO_CURSOR)
            if position is not None and stored < position.at:
                lost = position.at.seq - (stored.seq if stored.epoch == position.at.epoch else 0)
                self._local.ledger.warnings.add("lost_with_owner", run_id, events=lost)

    def _take_run(self, frame: Run) -> None:
        positions, ledger, info = self._local.positions, self._local.ledger, frame.info
        run_id = info.meta.run_id
        known = ledger.streams.get(run_id)
        if known is None:
            if info.epoch <= positions.ended.get(run_id, NO_CURSOR).epoch:
                return  # read to its end, and reaped here
            stream = ledger.attach(
                info.meta, info.epoch, frame.after + 1, info.ended, info.last_seq, "found",
                info.silent_s,
            )  # fmt: skip
            positions.follow(stream, Cursor(info.epoch, frame.after))
            self._local.acks.resend(stream)
            return
        position = positions.read.get(run_id)
        if position is None and known.log.epoch < info.epoch:
            positions.follow(known, Cursor(known.log.epoch, known.log.last))
            position = positions.read[run_id]
        if position is not None:
            if position.at.epoch < info.epoch:
                positions.renew(position, info.epoch, info.ended)
            position.stream.on_alive(ledger.clock() - info.silent_s)

    async def _take_deliveries(
        self, run_id: str, epoch: int, deliveries: Sequence[Delivery]
    ) -> None:
        position = self._local.positions.read.get(run_id)
        if position is None or position.at.epoch != epoch:
            return  # a stream that was made anew comes as a run
        if deliveries[0].first_seq > position.at.seq + 1:
            await self._fill(position, deliveries[0].first_seq - 1)
        self._append(position, deliveries)

    async def _fill(self, position: RunPosition, to_seq: int | None = None) -> None:
        """Read what another owner has stored, and this one does not hold: up to there, or to the
        end of what is stored. What is not stored is a gap."""
        while to_seq is None or position.at.seq < to_seq:
            first, last = position.at.seq + 1, _NEVER if to_seq is None else to_seq
            found = await self.fetch(position.run_id, position.at.epoch, first, last)
            before = position.at
            self._append(position, found)
            if position.at == before or position.stream.closed:
                break
        if to_seq is not None and position.at.seq < to_seq:
            self._local.positions.skip_to(position, to_seq)

    def _append(self, position: RunPosition, deliveries: Sequence[Delivery]) -> None:
        """Append what is new of these, which follow on what has been read."""
        stream, ledger, seq = position.stream, self._local.ledger, position.at.seq
        for each in deliveries:
            if stream.closed:
                break
            if isinstance(each, Gap):
                if each.reason == "reset" or (each.count and each.to_seq <= seq):
                    continue
                gap = replace(each, from_seq=seq + 1) if each.count else each
                ledger.append_gap(stream, gap)
                seq = max(seq, each.to_seq)
                if each.reason == "reaped":
                    ledger.end(stream)
            elif each.seq > seq:
                seq = ledger.append(stream, each.event, each.raw)
        position.read_to(Cursor(position.at.epoch, seq))
        if stream.closed:
            self._local.positions.end(position)

    async def fetch(self, run_id: str, epoch: int, first: int, last: int) -> list[Delivery]:
        """The next of these that the owner has."""
        answer = await self._link.ask(
            lambda owner: Fetch(
                owner=owner, run_id=run_id, epoch=epoch, from_seq=first, to_seq=last
            ),
            bytes,
        )
        found: list[Delivery] = []
        for frame in Frames().take(answer):
            match frame:
                case Events():
                    found += _envelopes(frame)
                case Missing():
                    found.append(_gap(frame))
                case _:
                    pass
        return found


def _envelopes(frame: Events) -> list[Envelope]:
    return [
        Envelope(frame.run_id, frame.epoch, seq, *received(raw))
        for seq, raw in enumerate(frame.events, frame.first_seq)
    ]


def _gap(frame: Missing) -> Gap:
    reason = _GAP_REASONS.get(frame.reason, "unknown")
    return Gap(frame.run_id, frame.epoch, frame.from_seq, frame.to_seq, reason, frame.raw)
