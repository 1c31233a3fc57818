"""A durable consumer whose cursors are kept for it: its author writes one method.

At least once: the cursors are kept after `process` has returned, so that what it took when the
process was killed comes again. A consumer that must have each event exactly once keeps its cursors
itself, with its data.
"""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final, TypeVar

from arena_tui.broker.protocol import Cursor
from arena_tui.consumers.cursor_file import CURSOR_FILE, CursorFile
from arena_tui.consumers.protocol import Consumer, Context, identity_in
from arena_tui.events import Delivery, Gap, RunEnd
from arena_tui.store.threads import DaemonThreads

T = TypeVar("T")

_THREAD: Final = "cursors"


class SimpleConsumer(Consumer):
    """Subclass it, give it a name, and write `process`.

    From its first start on it is handed every event: what was stored before is not. Its cursors are
    in its folder, those of all runs it was handed anything of.

    Attributes:
        context: What it may use.
    """

    durable = True

    def __init__(self, context: Context) -> None:
        self.context = context
        self._threads: DaemonThreads | None = None
        self._file: CursorFile | None = None

    @abstractmethod
    async def process(self, batch: Sequence[Delivery]) -> None:
        """Take a batch of events, and of gaps for those that nobody has any more.

        What it was handed before and may be handed again has the same `run_id`, `epoch` and `seq`.

        Raises:
            Exception: Of any type; the batch comes again after a pause.
        """

    async def start(self) -> Mapping[str, Cursor]:
        path = self.context.folder(self.name) / CURSOR_FILE
        self.identity = identity_in(path, self.name)
        self._threads = DaemonThreads(1, _THREAD)
        self._file = file = await self._in_thread(partial(CursorFile, path))
        if file.is_new:
            history, broker = self.context.history, self.context.broker.name
            stored = await history.cursors(broker) if history is not None else {}
            await self._in_thread(partial(file.begin, stored))
        self.unfinished = await self._in_thread(file.unfinished)
        return await self._in_thread(file.read)

    async def handle(self, batch: Sequence[Delivery]) -> Mapping[str, Cursor]:
        await self.process(batch)
        cursors = {each.run_id: Cursor(each.epoch, each.last_seq) for each in batch}
        over = {each.run_id: _ends(each) for each in batch}
        ended = {run_id for run_id, is_over in over.items() if is_over}
        assert self._file is not None
        await self._in_thread(partial(self._file.write, cursors, ended))
        return cursors

    async def aclose(self) -> None:
        threads, file, self._threads, self._file = self._threads, self._file, None, None
        if threads is None:
            return
        try:
            if file is not None:  # after what is still being written
                await asyncio.wrap_future(threads.submit(file.close))
        finally:
            threads.shutdown(wait=False)

    async def _in_thread(self, work: Callable[[], T]) -> T:
        """Run in the one thread, so that cancelled work still running ends before the next."""
        assert self._threads is not None
        return await asyncio.wrap_future(self._threads.submit(work))


def _ends(delivery: Delivery) -> bool:
    """Whether nothing more of the run is waited for: it has ended, or its stream is lost."""
    if isinstance(delivery, Gap):
        return delivery.unknown or delivery.reason == "reset"
    return isinstance(delivery.event, RunEnd)
