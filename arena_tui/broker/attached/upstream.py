"""What an attached process asks of the owner, besides reading and appending."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial

from arena_tui.broker.attached.http import BadAnswerError
from arena_tui.broker.attached.link import OwnerChangedError, OwnerLink
from arena_tui.broker.attached.outlet import OwnerOutlet
from arena_tui.broker.attached.reader import FeedReader
from arena_tui.broker.attached.wire import (
    Ack,
    Beat,
    Claim,
    Consumers,
    End,
    Follow,
    Forget,
    Newest,
    Reap,
)
from arena_tui.broker.mirror.broker import Local
from arena_tui.broker.protocol import Cursor
from arena_tui.broker.recovery import Answer
from arena_tui.errors import BrokerError, StoreForeignError, StoreLockedError, UsageError
from arena_tui.events import Gap, RunStatus
from arena_tui.locked import locked
from arena_tui.unix_socket import cannot_be_shared

_END_S = 10.0
"""How long storing the end of a run may take."""


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
        store: The store's file.
        to_store: Set when the outlet has something to be stored.
        patience_s: How long an owner is looked for before it counts as not to be reached.

    Attributes:
        reader: Reads the runs.
        stored: Set whenever more is stored of what this process has published.
    """

    def __init__(
        self, link: OwnerLink, outlet: OwnerOutlet, to_store: asyncio.Event, local: Local, *,
        store: str, reading: bool, patience_s: float,
    ) -> None:  # fmt: skip
        self.reader = FeedReader(link, local)
        self.stored = asyncio.Event()
        self._link = link
        self._outlet = outlet
        self._local = local
        self._reading = reading
        self._store = store
        self._patience_s = patience_s
        self._to_store = to_store
        self._files: list[str] = []
        self._to_follow = asyncio.Event()
        link.on_change(self._on_change)

    async def connect(self) -> None:
        """Find the owner, or become it."""
        clock = asyncio.get_running_loop().time
        give_up_at, attempt = clock() + self._patience_s, 0
        while True:
            try:
                await self._newest()
                break
            except OwnerChangedError:
                break
            except self._link.errors as error:
                await self._link.on_failure("connect", error, attempt)
                attempt += 1
                self._check_hope(error, clock() > give_up_at)
        self._link.on_success("connect")

    def _check_hope(self, error: Exception, is_late: bool) -> None:
        """Raise if waiting for an owner is in vain, or has been."""
        if isinstance(error, BadAnswerError):
            raise StoreForeignError(error.told)
        refused = self._link.refused
        if isinstance(refused, StoreLockedError):
            told = locked(self._store, refused.pid, asked=True)
            in_vain = refused.lasting or cannot_be_shared(self._store)
            if is_late or in_vain or isinstance(told, StoreForeignError):
                raise told
        elif refused is not None and is_late:
            raise refused
        if is_late:
            raise BrokerError(self._link.refusal(error))

    async def catch_up(self) -> None:
        await self.reader.catch_up()

    def tasks(self) -> dict[str, Callable[[], Awaitable[None]]]:
        tasks: dict[str, Callable[[], Awaitable[None]]] = {
            "keeper": self._keep, "files": self._have_followed,
        }  # fmt: skip
        if self._reading:
            tasks["reader"] = self.reader.run
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
            "fetch", lambda: self.reader.fetch(gap.run_id, gap.epoch, gap.from_seq, gap.to_seq),
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

    async def server(self) -> None:
        """Return None: the owner tells how it does on its own screen."""

    async def end(self, run_id: str, status: RunStatus, reason: str | None) -> None:
        """Have the owner end a run whose producer is gone; raises UsageError if it is not."""
        try:
            await self._link.ask(
                lambda owner: End(owner=owner, run_id=run_id, status=status, reason=reason),
                type(None), _END_S,
            )  # fmt: skip
        except BadAnswerError as error:
            raise UsageError(error.told) from None

    def follow(self, files: Sequence[str]) -> None:
        """Have whoever owns the store follow these files."""
        self._files += files
        self._to_follow.set()

    def forsake(self) -> None:
        """See `OwnerHttp.forsake`."""
        self._link.http.forsake()

    async def aclose(self) -> None:
        await self._link.http.aclose()

    async def _newest(self) -> dict[str, Cursor]:
        return await self._link.ask(lambda owner: Newest(owner=owner), dict[str, Cursor])

    def _on_change(self) -> None:
        self._local.writer.send_again(self._outlet.take_all())
        self._to_follow.set()

    async def _have_followed(self) -> None:
        while True:
            await self._to_follow.wait()
            self._to_follow.clear()
            if files := list(self._files):
                await self._link.retry("files", partial(self._ask_to_follow, files), forever=True)

    async def _ask_to_follow(self, files: list[str]) -> None:
        await self._link.ask(lambda owner: Follow(owner=owner, files=files), type(None))

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
