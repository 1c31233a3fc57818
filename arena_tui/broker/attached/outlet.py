"""Sends a process's events to the owner of the store, and keeps them until they are stored."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final

from msgspec import Struct

from arena_tui.broker.attached.link import OwnerLink
from arena_tui.broker.attached.wire import Append, Open, Row, Sent, Stored
from arena_tui.broker.mirror.calls import Call, PublishedRun
from arena_tui.broker.protocol import Cursor, RunMeta
from arena_tui.errors import BrokerError

_WAIT_S: Final = 2.0
"""How long the owner may take to answer that more is stored."""


class _Unit(Struct, gc=False):
    """Events of one call that the owner has appended.

    Attributes:
        first: The producer's number of the first.
        at: Cursor of the last.
    """

    run: PublishedRun
    first: int
    events: list[bytes]
    ends: bool
    at: Cursor


class OwnerOutlet:
    """See `Outlet`. What the owner has appended it may lose with its life, until it is stored.

    Args:
        capacity: Most events of a run that are kept: the owner has no more of it, either.
        on_appended: Called when calls have been answered.

    Attributes:
        unstored: Events that are appended and not known to be stored, by run.
    """

    def __init__(self, link: OwnerLink, capacity: int, on_appended: Callable[[], None]) -> None:
        self._link = link
        self._capacity = capacity
        self._dropped: dict[PublishedRun, int] = {}
        self._on_appended = on_appended
        self._units: dict[str, deque[_Unit]] = {}
        self.unstored: dict[str, int] = {}

    async def open(self, meta: RunMeta, epoch: int | None) -> int | None:
        return await self._link.retry("open", lambda: self._link.ask(
            lambda owner: Open(owner=owner, process=self._link.process, meta=meta, epoch=epoch),
            int | None,  # type: ignore[arg-type]
        ))  # fmt: skip

    async def open_again(self, run: PublishedRun) -> None:
        """Do nothing: the next events open it, and what is not stored is sent again."""

    async def exchange(self, calls: Sequence[Call]) -> list[Any]:
        sent = [_sent(call) for call in calls]
        rows = await self._link.ask(
            lambda owner: Append(owner=owner, process=self._link.process, calls=sent), list[Row]
        )
        answers: list[Any] = []
        for call, row in zip(calls, rows, strict=True):
            if isinstance(row, str):
                answers.append(BrokerError(row))
                continue
            answers.append(row)
            if row[0] > 0:
                self._keep(call, Cursor(*row))
        self._on_appended()
        return answers

    async def wait(self) -> bool:
        """Wait a while for more to be stored, and let go of what is; returns whether any was.

        Raises:
            Link.errors: See `OwnerLink.ask`.
        """
        known = {run_id: units[0].at for run_id, units in self._units.items()}
        before = {run_id: Cursor(at.epoch, at.seq - 1) for run_id, at in known.items()}
        stored = await self._link.ask(
            lambda owner: Stored(owner=owner, known=before), dict[str, Cursor], _WAIT_S
        )
        found = False
        for run_id, at in stored.items():
            units = self._units.get(run_id, ())
            while units and units[0].at <= at:
                self._count(run_id, -len(units[0].events))
                units.popleft()
                found = True
            if not units:
                self._units.pop(run_id, None)
                self._dropped = {
                    run: count for run, count in self._dropped.items()
                    if run.meta.run_id != run_id
                }  # fmt: skip
        return found

    def take_all(self) -> list[Call]:
        """Take out all that is not known to be stored, as calls to be sent again, in order."""
        calls = []
        for units in self._units.values():
            for run in dict.fromkeys(unit.run for unit in units):
                of_run = [unit for unit in units if unit.run is run]
                run.go_back_to(of_run[0].first, self._dropped.pop(run, 0))
                call = Call(run, may_open=True)
                call.payloads = [event for unit in of_run for event in unit.events]
                call.bytes = sum(map(len, call.payloads))
                call.ends = of_run[-1].ends
                calls.append(call)
        self._units.clear()
        self.unstored.clear()
        return calls

    def _keep(self, call: Call, at: Cursor) -> None:
        run_id = call.run.meta.run_id
        if not call.payloads:
            return
        unit = _Unit(call.run, call.run.next, call.payloads, call.ends, at)
        units = self._units.setdefault(run_id, deque())
        units.append(unit)
        self._count(run_id, len(call.payloads))
        while self.unstored[run_id] > self._capacity and len(units) > 1:
            oldest = units.popleft()
            self._count(run_id, -len(oldest.events))
            self._dropped[oldest.run] = self._dropped.get(oldest.run, 0) + len(oldest.events)

    def _count(self, run_id: str, change: int) -> None:
        left = self.unstored.get(run_id, 0) + change
        if left:
            self.unstored[run_id] = left
        else:
            self.unstored.pop(run_id, None)


def _sent(call: Call) -> Sent:
    run = call.run
    may_open = call.may_open and not run.open
    return Sent(run.producer, run.next, run.lost, call.ends, may_open, run.meta, call.payloads)
