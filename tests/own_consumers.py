"""Two consumers as anybody might write them: one durable, with cursors of its own, one not."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from arena_tui.broker.protocol import Cursor
from arena_tui.consumers.protocol import Consumer, Counters
from arena_tui.events import Delivery


class Counted(Counters, frozen=True, kw_only=True):
    """Deliveries taken."""

    taken: int


class Tally(Consumer):
    """Durable: keeps what it has taken of each run in a file of its own, cursors and all.

    Refuses a batch as long as `refusals` last, and takes none while it is not `open`.
    """

    name = "tally"
    durable = True
    batch_events = 10
    batch_interval_s = 0.001

    def __init__(self, path: Path, refusals: float = 0) -> None:
        self.refusals = refusals
        self.open = asyncio.Event()
        self.open.set()
        self.handed: list[list[Delivery]] = []
        self.starts = 0
        self.closings = 0
        self.taken: dict[str, list[int]] = {}
        self._path = path
        self._cursors: dict[str, Cursor] = {}

    async def start(self) -> Mapping[str, Cursor]:
        self.starts += 1
        kept = json.loads(self._path.read_text()) if self._path.exists() else {}
        self.taken = {run_id: seqs for run_id, (_, seqs) in kept.items()}
        self._cursors = {run_id: Cursor(epoch, seqs[-1]) for run_id, (epoch, seqs) in kept.items()}
        return self._cursors

    async def handle(self, batch: Sequence[Delivery]) -> Mapping[str, Cursor]:
        self.handed.append(list(batch))
        await self.open.wait()
        if self.refusals:
            self.refusals -= 1
            raise OSError("no")
        for each in batch:
            cursor = Cursor(each.epoch, each.last_seq)
            if cursor > self._cursors.get(each.run_id, Cursor(0, 0)):
                self.taken.setdefault(each.run_id, []).append(each.last_seq)
                self._cursors[each.run_id] = cursor
        new = self._path.with_suffix(".new")
        new.write_text(
            json.dumps({run: (self._cursors[run].epoch, seqs) for run, seqs in self.taken.items()})
        )
        new.replace(self._path)
        return {each.run_id: self._cursors[each.run_id] for each in batch}

    def stats(self) -> Counted:
        return Counted(taken=sum(map(len, self.taken.values())))

    async def aclose(self) -> None:
        self.closings += 1


class Onlooker(Consumer):
    """Not durable: remembers what it was handed; raises as long as `failing`."""

    durable = False
    batch_events = 10
    batch_interval_s = 0.001

    def __init__(
        self, name: str = "onlooker", polled: bool = False, runs: list[str] | None = None
    ) -> None:
        self.name = name
        self.polled = polled
        self.runs = runs
        self.failing = False
        self.seen: list[Delivery] = []

    async def start(self) -> Literal["oldest"]:
        self.seen.clear()
        return "oldest"

    async def handle(self, batch: Sequence[Delivery]) -> Mapping[str, Cursor]:
        if self.failing:
            raise ValueError("cannot look")
        self.seen += batch
        return {}

    def stats(self) -> Counted:
        return Counted(taken=len(self.seen))
