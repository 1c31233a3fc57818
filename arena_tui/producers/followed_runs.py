"""Where each run of the followed files stands: in the store, in the broker, and in its chains.

Reads no file. What a line is, its file decides; what becomes of it here:

- one that is stored already is a *repeat*. If the whole run is in one chain its repeats are
  published under the same epoch and seqs, so that screens show it; else they are left out;
- any other goes on with its run, after the newest event stored;
- unless it begins the run again, or the run has ended: that is a new epoch.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine, Iterable, Mapping
from typing import Any, Protocol, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from arena_tui.broker.chain import Chain, KnownRun, new_chain
from arena_tui.broker.memory import InProcessBroker
from arena_tui.broker.protocol import Cursor, RunMeta
from arena_tui.errors import UnknownRunError
from arena_tui.events import Event, RunStart
from arena_tui.producers.lines import Line
from arena_tui.producers.origin import Place
from arena_tui.producers.sink import MultiRunBrokerSink

T = TypeVar("T")


class _Emit(Protocol):
    def __call__(
        self, run_id: str, event: Event, line: Line, chain: Chain | None = None,
        opens_at: Cursor | None = None,
    ) -> None: ...  # fmt: skip


class _Run(Struct):
    """A run in its newest epoch.

    Attributes:
        seq: The newest one stored when the store was read.
        over: Whether what comes next is a new epoch.
        opened: Whether it is in the broker since.
        replaying: The chain whose repeats are being published.
    """

    epoch: int
    seq: int
    over: bool
    chains: dict[str, Chain]
    opened: bool = False
    replaying: str | None = None


class FollowedRuns:
    """Belongs to the follower's thread, except for `beating`.

    Attributes:
        claimed: Ids of the chains that an open file goes on with.
    """

    def __init__(self, broker: InProcessBroker, sink: MultiRunBrokerSink, emit: _Emit) -> None:
        self._broker = broker
        self._sink = sink
        self._emit = emit
        self._loop = asyncio.get_running_loop()
        self._runs: dict[str, _Run] = {}
        self.claimed: set[str] = set()

    def load(self, known: Mapping[str, KnownRun]) -> None:
        """Begin with what a store knows."""
        for run_id, run in known.items():
            chains = {each.id: each for each in run.chains}
            self._runs[run_id] = _Run(run.epoch, run.seq, run.over, chains)

    def beating(self) -> list[str]:
        """The runs in the broker that have not ended: their producer is alive. From any thread."""
        return [run_id for run_id, run in list(self._runs.items()) if run.opened and not run.over]

    @property
    def is_empty(self) -> bool:
        return not self._runs

    def knows(self, run_id: str) -> bool:
        return run_id in self._runs

    def unclaimed(self, run_id: str) -> list[Chain]:
        """The chains of a run that no open file goes on with."""
        run = self._runs.get(run_id)
        chains: Iterable[Chain] = run.chains.values() if run else ()
        return [each for each in chains if each.id not in self.claimed]

    def unchained(self, run_id: str, epoch: int, place: Place) -> Chain | None:
        """A chain for all that is stored of a run whose first line has this epoch, and of which no
        chains are known: an earlier version stored it."""
        run = self._runs.get(run_id)
        if run is None or run.opened or run.chains or epoch == 1 or epoch != run.epoch:
            return None
        return replace(new_chain(), epoch=epoch, lines=run.seq, first=place.first)

    def is_replaying(self, chain_id: str, run_id: str) -> bool:
        run = self._runs.get(run_id)
        return run is not None and run.replaying == chain_id

    def repeat(self, run_id: str, event: Event, line: Line, place: Place, chain: Chain) -> None:
        """Take a line that is stored already."""
        run = self._runs[run_id]
        whole = chain.epoch == run.epoch and chain.lines == run.seq
        opens_at = None
        if place.lines == 1 and whole and not run.opened:
            opens_at = Cursor(run.epoch, 1)
            run.replaying = chain.id
        if run.replaying != chain.id:
            return
        self._emit(run_id, event, line, opens_at=opens_at)
        run.opened = True
        if place.lines == chain.lines:
            run.replaying = None

    def add(self, run_id: str, event: Event, line: Line, place: Place, chain_id: str) -> None:
        """Publish a line that is not stored yet.

        Raises:
            RunClosedError: It is refused.
        """
        run, opens_at = self._runs.get(run_id), None
        if run is None or not run.opened or run.over or (place.lines == 1 and _begins(event)):
            run, opens_at = self._stand(run_id, run, event, line)
        before = run.chains.get(chain_id)
        epoch = run.epoch if before is None else before.epoch
        chain = Chain(chain_id, epoch, place.lines, place.first, place.digest)
        self._emit(run_id, event, line, chain, opens_at)
        run.opened = True
        run.over = place.ends
        run.chains[chain_id] = chain

    def lose(self, run_id: str) -> None:
        """Tell that an unknown number of a run's lines were never read."""
        run = self._runs.get(run_id)
        if run is not None and run.opened and not run.over:
            with contextlib.suppress(UnknownRunError):
                self._after_all(self._broker.forwarded.tell_loss(run_id))

    def abandon(self, run_id: str, chain_id: str) -> None:
        """If this chain's repeats were being published, what comes next is a new epoch."""
        run = self._runs.get(run_id)
        if run is not None and run.replaying == chain_id:
            run.replaying, run.over = None, True

    def forget(self, run_id: str) -> None:
        """Know nothing more of a run than that it was: it was deleted, and let go of."""
        self._runs[run_id] = _Run(self._runs[run_id].epoch, 0, True, {})

    def _stand(
        self, run_id: str, run: _Run | None, event: Event, line: Line
    ) -> tuple[_Run, Cursor | None]:
        """Make the run ready for its next new event; returns where that opens it, if it does."""
        if run is None:
            run = self._runs[run_id] = _Run(line.epoch(), 0, False, {})
        elif run.over or _begins(event):
            self._begin_again(run_id, run, event, max(line.epoch(), run.epoch + 1))
        return run, None if run.opened else Cursor(run.epoch, run.seq + 1)

    def _begin_again(self, run_id: str, run: _Run, event: Event, epoch: int) -> None:
        self._sink.ended.pop(run_id, None)  # else it takes no more events of it
        if run.opened:
            try:
                again = self._broker.forwarded.begin_again(RunMeta.of(run_id, event), epoch)
                run.epoch = self._after_all(again)
            except UnknownRunError:  # it had ended, and was let go
                run.opened = False
        if not run.opened:
            run.epoch, run.seq = epoch, 0
        run.over = False

    def _after_all(self, work: Coroutine[Any, Any, T]) -> T:
        """Run it on the loop once all that was emitted is published."""

        async def flushed() -> T:
            await self._sink.flush()
            return await work

        return asyncio.run_coroutine_threadsafe(flushed(), self._loop).result()


def _begins(event: Event) -> bool:
    return type(event) is RunStart
