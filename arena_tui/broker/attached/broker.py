"""The broker of a process that shares a store which another one has open."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from arena_tui.broker.attached.link import OwnerLink, TakeOver
from arena_tui.broker.attached.outlet import OwnerOutlet
from arena_tui.broker.attached.upstream import OwnerRegister, OwnerUpstream
from arena_tui.broker.attached.wire import Store
from arena_tui.broker.mirror.broker import Local, MirrorBroker, cache
from arena_tui.broker.protocol import STORE, Limits
from arena_tui.broker.timing import Timing
from arena_tui.events import RunStatus

_PATIENCE_S: Final = 10.0
_BACKOFF_S: Final = (0.05, 0.25)
"""An owner is looked for on this machine, which costs a millisecond. Owners may come and go: who
looks less often misses them."""

_LOOK_S: Final = 0.05


class AttachedBroker(MirrorBroker):
    """See `MirrorBroker`: the log is in the process that owns the store.

    What this process publishes it keeps until it is stored: whoever owns the store next, gets what
    the one before had not stored, each event once. `flush` and `settled` wait for that.

    Args:
        store: The store's file.
        held: How much of a run this process caches.
        reading: False for a process that only publishes.
        take_over: See `OwnerLink`.
        patience_s: How long `start` looks for an owner.
    """

    def __init__(
        self,
        store: str,
        limits: Limits | None = None,
        *,
        held: Limits | None = None,
        reading: bool = True,
        timing: Timing | None = None,
        clock: Callable[[], float] = time.time,
        take_over: TakeOver | None = None,
        patience_s: float = _PATIENCE_S,
    ) -> None:
        timing = timing or Timing(backoff_s=_BACKOFF_S)
        ledger = cache(limits or Limits(), held, clock)
        link = OwnerLink(store, os.path.basename(store), ledger.warnings, timing, take_over)
        self._owner_link = link
        to_store = asyncio.Event()
        self._outlet = OwnerOutlet(link, ledger.limits.capacity, to_store.set)
        self._owner: OwnerUpstream

        def upstream(local: Local) -> OwnerUpstream:
            self._owner = OwnerUpstream(
                link,
                self._outlet,
                to_store,
                local,
                store=store,
                reading=reading,
                patience_s=patience_s,
            )
            return self._owner

        super().__init__(
            ledger, link, self._outlet, OwnerRegister(link), upstream, reading=reading,
            timing=timing,
        )  # fmt: skip

    @property
    def owner_pid(self) -> int:
        """See `OwnerLink.owner_pid`."""
        return self._owner_link.owner_pid

    async def end_run(self, run_id: str, status: RunStatus, reason: str | None) -> None:
        """See `OwnerUpstream.end`."""
        await self._owner.end(run_id, status, reason)

    def follow(self, files: Sequence[str]) -> None:
        """Have whoever owns the store follow these files."""
        self._owner.follow(files)

    def store(self) -> Store | None:
        """How the owner's store fares; None while that is not known."""
        return self._owner.reader.store

    @property
    def unsent(self) -> int:
        """Events of this process that are not known to be stored."""
        return super().unsent + sum(self._outlet.unstored.values())

    def forsake(self) -> None:
        """See `OwnerHttp.forsake`."""
        self._owner.forsake()

    def lags(self, consumer: str) -> dict[str, int]:
        return dict(self._outlet.unstored) if consumer == STORE else super().lags(consumer)

    async def flush(self, run_ids: Iterable[str] | None = None) -> None:
        wanted = None if run_ids is None else list(run_ids)
        await super().flush(wanted)
        await self._until_stored(wanted)

    async def settled(self, run_ids: Iterable[str], consumer: str | None = None) -> None:
        wanted = list(run_ids)
        if consumer != STORE:
            await super().settled(wanted, consumer)
        if consumer in (None, STORE):
            await self._until_stored(wanted)

    async def _until_stored(self, run_ids: list[str] | None) -> None:
        def is_stored() -> bool:
            if run_ids is None:
                return not self.unsent
            return not any(run_id in self._outlet.unstored for run_id in run_ids)

        while not (self._ledger.closed or is_stored()):
            self._owner.stored.clear()
            with contextlib.suppress(TimeoutError):  # what is refused is never stored
                await asyncio.wait_for(self._owner.stored.wait(), _LOOK_S)

    async def aclose(self) -> None:
        self._ledger.close()
        self._owner.stored.set()
        await super().aclose()
