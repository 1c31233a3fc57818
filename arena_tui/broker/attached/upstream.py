"""Reads what the owner's broker holds into this process's ledger, and asks it all else."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Final, get_args

from msgspec.structs import replace

from arena_tui.broker.attached.link import OwnerChangedError, OwnerLink
from arena_tui.broker.attached.outlet import OwnerOutlet
from arena_tui.broker.attached.wire import (
    Ack,
    Beat,
    Claim,
    Consumers,
    Events,
    Feed,
    Fetch,
    Forget,
    Frame,
    Frames,
    Idle,
    Missing,
    Newest,
    Reap,
    Run,
    Store,
    encode,
)
from arena_tui.broker.mirror.broker import Local
from arena_tui.broker.mirror.positions import RunPosition
from arena_tui.broker.protocol import NO_CURSOR, Cursor
from arena_tui.broker.recovery import Answer
from arena_tui.codec import received
from arena_tui.errors import BrokerError
from arena_tui.events import Delivery, Envelope, Gap, GapReason

FEED: Final = "/log/feed"
SILENT_S: Final = 15.0
"""An owner that says nothing for so long is no longer there."""

_NEVER: Final = 2**53
"""A seq beyond that of any run."""

_GAP_REASONS: Final[Mapping[str, GapReason]] = {each: each for each in get_args(GapReason)}


class OwnerRegister:
    """See `AckRegister`. The owner trims by itself."""

    def __init__(self, link: OwnerLink) -> None:
        self._link = link

    async def ack(self, identity: str, cursors: Mapping[str, Cursor]) -> bool:
        acked = dict(cursors)
        return await self._link.ask(
            lambda owner: Ack(owner=owner, identity=identity, cursors=acked), bool
        )

    async def known(self) -> dict[str, bool]:
        return await self._link.ask(lambda owner: Consumers(owner=owner), dict[str, bool])

    async def forget(self, identity: str) -> None:
        await self._link.ask(lambda owner: Forget(owner=owner, identity=identity), type(None))

    async def sweep(self) -> None:
        """Do nothing."""


class OwnerUpstream:
    """See `Upstream`.

    Args:
        patience_s: How long an owner is looked for before it counts as not to be reached.

    Attributes:
        store: What the owner last said of its store; None before that.
    """

    def __init__(
        self, link: OwnerLink, outlet: OwnerOutlet, local: Local, *, reading: bool,
        patience_s: float,
    ) -> None:  # fmt: skip
        self.store: Store | None = None
        self.stored = asyncio.Event()
        self._link = link
        self._outlet = outlet
        self._local = local
        self._reading = reading
        self._patience_s = patience_s
        self._to_store = asyncio.Event()
        self._feed: AsyncIterator[Frame] | None = None
        self._told: set[str] | None = None  # the runs that the owner holds, as it begins to tell
        outlet.on_appended = self._to_store.set
        link.on_change(self._on_change)

    async def connect(self) -> None:
        """Find the owner, or become it."""
        give_up_at = asyncio.get_running_loop().time() + self._patience_s
        attempt = 0
        while True:
            try:
                await self._newest()
            except OwnerChangedError:
                break
            except self._link.errors as error:
                if asyncio.get_running_loop().time() > give_up_at:
                    raise BrokerError(self._link.refusal(error)) from None
                await self._link.on_failure("connect", error, attempt)
                attempt += 1
            else:
                break
        self._link.on_success("connect")

    async def catch_up(self) -> None:
        self._feed = self._frames()
        async for frame in self._feed:
            await self._take(frame)
            if isinstance(frame, Idle):
                return

    def tasks(self) -> dict[str, Callable[[], Awaitable[None]]]:
        tasks: dict[str, Callable[[], Awaitable[None]]] = {"keeper": self._keep}
        if self._reading:
            tasks["reader"] = self._read
        return tasks

    async def until_caught_up(self) -> None:
        newest = await self._link.retry("newest", self._newest)
        positions, arrived = self._local.positions, self._local.arrived
        wanted = {run_id: at for run_id, at in newest.items() if run_id in positions.read}
        while not self._local.ledger.closed:
            if all(positions.has_read(*each) for each in wanted.items()):
                return
            arrived.clear()
            await arrived.wait()

    async def recover(self, gap: Gap) -> Answer:
        if gap.unknown or gap.reason == "reset":
            return [gap], None
        found = await self._link.retry(
            "fetch", lambda: self._fetch(gap.run_id, gap.epoch, gap.from_seq, gap.to_seq),
            forever=True,
        )  # fmt: skip
        if not found:
            return [gap], None
        rest = Gap(gap.run_id, gap.epoch, found[-1].last_seq + 1, gap.to_seq, gap.reason)
        return found, rest if rest.count else None

    async def claim(self, run_id: str) -> bool:
        return await self._link.retry("claim", lambda: self._link.ask(
            lambda owner: Claim(owner=owner, process=self._link.process, run_id=run_id), bool
        ))  # fmt: skip

    async def beat(self, run_ids: Sequence[str]) -> None:
        if run_ids:
            await self._link.ask(
                lambda owner: Beat(owner=owner, process=self._link.process, run_ids=list(run_ids)),
                type(None),
            )

    async def reap(self, run_id: str) -> None:
        await self._link.ask(lambda owner: Reap(owner=owner, run_id=run_id), type(None))

    def forsake(self) -> None:
        """See `OwnerHttp.forsake`."""
        self._link.http.forsake()

    async def aclose(self) -> None:
        await self._link.http.aclose()

    async def _newest(self) -> dict[str, Cursor]:
        return await self._link.ask(lambda owner: Newest(owner=owner), dict[str, Cursor])

    def _on_change(self) -> None:
        self._local.writer.send_again(self._outlet.take_all())

    async def _keep(self) -> None:
        """Learn what is stored of what this process has published."""
        attempt = 0
        while True:
            if not self._outlet.unstored:
                self.stored.set()
                self._to_store.clear()
                await self._to_store.wait()
                continue
            try:
                if await self._outlet.wait():
                    self.stored.set()
            except self._link.errors as error:
                await self._link.on_failure("store", error, attempt)
                attempt += 1
            else:
                self._link.on_success("store")
                attempt = 0

    async def _read(self) -> None:
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
        self._told = set()
        frames = Frames()
        pieces = self._link.http.stream(FEED, encode(Feed(cursors=cursors)), SILENT_S)
        async with contextlib.aclosing(pieces):
            async for piece in pieces:
                for frame in frames.take(piece):
                    yield frame
                self._local.arrived.set()

    async def _take(self, frame: Frame) -> None:
        match frame:
            case Run():
                if self._told is not None:
                    self._told.add(frame.info.meta.run_id)
                self._take_run(frame)
            case Events():
                await self._take_deliveries(frame.run_id, frame.epoch, _envelopes(frame))
            case Missing():
                await self._take_deliveries(frame.run_id, frame.epoch, [_gap(frame)])
            case Store():
                self.store = frame
            case Idle() if self._told is not None:
                told, self._told = self._told, None
                for position in list(self._local.positions.read.values()):
                    if position.run_id not in told:
                        await self._fill(position)

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
            found = await self._fetch(position.run_id, position.at.epoch, first, last)
            if not found or position.stream.closed:
                break
            self._append(position, found)
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

    async def _fetch(self, run_id: str, epoch: int, first: int, last: int) -> list[Delivery]:
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
