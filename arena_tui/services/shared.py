"""A runtime that connections of one process share. Knows no connection."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Final, TypeVar

from arena_tui.broker.forked import ForkLock, keep_for_ever
from arena_tui.broker.own_log import own_log
from arena_tui.broker.tasks import cancel_until_done
from arena_tui.config import Config
from arena_tui.consumers.protocol import ConsumerFactory
from arena_tui.errors import BrokerError, ForkedError, StoreError
from arena_tui.services.consumption import Consumption
from arena_tui.services.runtime import Runtime
from arena_tui.services.sharing import is_shareable, open_runtime

_TASKS_END_WITHIN_S: Final = 2.0

_log = own_log(__name__)

T = TypeVar("T")


class Shared:
    """A runtime on an event loop in its own thread, or one that is given with its loop.

    A forked child has no threads, so it opens a runtime of its own once it uses this: over a
    server, or attached to the process that has the store open. A broker in process without a
    store's file stays the parent's. Thread-safe.

    Args:
        given: A runtime that its owner opens and closes.
        on_open: Called whenever one has been opened.

    Attributes:
        config: What it is opened with.
        given: See above; None in a forked child.
        users: The connections to it that are open.
    """

    def __init__(
        self, config: Config, given: Runtime | None = None, *, on_open: Callable[[], None]
    ) -> None:
        self.config = config
        self.given = given
        self.users = 0
        self._on_open = on_open
        self._runtime = given
        self._loop: _LoopThread | None = None
        self._closed = False
        self._pid = os.getpid()
        self._parent: int | None = None
        self._lock = ForkLock()

    @property
    def runtime(self) -> Runtime:
        """The runtime; opens one in a child that uses what it has inherited.

        Raises:
            BrokerError: The server cannot be reached, or it is closed.
            ForkedError: There is neither a server nor a store's file.
        """
        with self._lock:
            if self._runtime is None:
                if self._closed:
                    raise BrokerError("the broker is closed: nothing more can be published")
                if self.config.broker.kind == "memory" and not is_shareable(self.config):
                    raise ForkedError(self._refusal())
                self.open()
            assert self._runtime is not None
            return self._runtime

    @property
    def is_open(self) -> bool:
        """Whether something of its own is open, or being closed."""
        return self._loop is not None

    def open(self, consumers: Sequence[ConsumerFactory] = ()) -> None:
        """Open it on a loop of its own; raises as `Runtime.open` does."""
        with self._lock:
            loop = _LoopThread()
            try:
                self._runtime = loop.call(
                    open_runtime(self.config, producer=True, consumers=consumers, installed=True)
                )
            except BaseException:
                loop.stop()
                raise
            self._loop = loop
            self._on_open()

    def lend(self, consumers: Sequence[ConsumerFactory]) -> list[Consumption[Any]]:
        """See `Runtime.lend`."""
        return self._runtime.lend(consumers) if consumers and self._runtime else []

    def take_back(self, lent: Sequence[Consumption[Any]]) -> None:
        """See `Runtime.take_back`; raises BrokerError for what could not be kept."""
        if lent and self._runtime and (unkept := self._runtime.take_back(lent)):
            raise BrokerError(unkept)

    def close(self) -> None:
        """End all runs, wait until everything is stored, and stop the thread. Idempotent."""
        with self._lock:
            self._closed = True
            runtime, loop = self._runtime, self._loop
            if runtime is None or loop is None:
                return
            try:
                unsaved = loop.call(runtime.aclose())
            finally:
                loop.stop()
                self._loop = None
        if unsaved:
            raise StoreError(unsaved) if runtime.database else BrokerError(unsaved)

    def interrupt(self, reason: str, code: int) -> None:
        """Have open runs end for this reason, and whoever records more leave with this code."""
        if self._runtime is not None:
            self._runtime.sink.interrupt(reason, code)

    def inherit(self) -> None:
        """In a forked child: leave it to the parent, and its thread and its loop with it."""
        keep_for_ever(self._runtime, self._loop)
        if self._runtime is not None:
            self._runtime.forsake()
            self._runtime.sink.hand_over(lambda: self.runtime.sink)
        self.given = self._runtime = self._loop = None
        self._parent, self._pid = self._pid, os.getpid()

    def _refusal(self) -> str:
        return (
            f"process {self._parent}, which this one was forked from, has the broker to itself, "
            "without a store that both could use: let it store, or use a server in both, "
            "redis://127.0.0.1:6379 say (`arena-tui redis` starts one)"
        )


class _LoopThread:
    """An event loop in a thread of its own."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="arena", daemon=True)
        self._thread.start()

    def call(self, work: Coroutine[None, None, T]) -> T:
        """Run `work` on the loop to its end."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def stop(self) -> None:
        """Stop the loop and its thread, whatever tasks are left, as `asyncio.run` does."""
        self.call(self._end_tasks())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _end_tasks(self) -> None:
        left = asyncio.all_tasks() - {asyncio.current_task()}
        await cancel_until_done(left, _TASKS_END_WITHIN_S)
        await self._loop.shutdown_asyncgens()
