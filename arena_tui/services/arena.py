"""`connect()`: the synchronous face for agents, with a broker of its own or the running app's."""

from __future__ import annotations

import asyncio
import atexit
import logging
import threading
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any

from arena_tui.broker.run import Run
from arena_tui.broker.sink import MultiRunBrokerSink
from arena_tui.config import load_config
from arena_tui.errors import ArenaError, StoreError
from arena_tui.events import AgentInfo
from arena_tui.services.runtime import Runtime

__all__ = ["Arena", "connect"]

_log = logging.getLogger(__name__)


class Arena:
    """A connection to a broker; a context manager. Safe from any thread.

    Leaving it (or the end of the program) ends the runs still open and waits until all is stored.
    """

    def __init__(self, sink: MultiRunBrokerSink, own: _OwnRuntime | None) -> None:
        self._sink = sink
        self._own = own

    def __enter__(self) -> Arena:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def run(
        self,
        game: str,
        agents: Sequence[str | AgentInfo] = (),
        *,
        run_id: str | None = None,
        seed: int | None = None,
        label: str | None = None,
        tags: Sequence[str] = (),
        config: Mapping[str, Any] | None = None,
    ) -> Run:
        """A new run, as a context manager: `run_start` on entering, `run_end` on leaving.

        Args:
            game: What is played.
            agents: Who plays: ids, or ids with names and specs.
            run_id: Of your own choice, 1 to 128 of `A-Z a-z 0-9 . _ : -`, and unique.
        """
        return self._sink.run(
            game, agents, run_id=run_id, seed=seed, label=label, tags=tags, config=config
        )

    def close(self) -> None:
        """End open runs, wait until all is stored, let go. Idempotent.

        Raises:
            StoreError: Some events could not be stored; says how many and why.
        """
        if self._own is not None:
            own, self._own = self._own, None
            own.close()


def connect(url: str | None = None, *, db: str | None = None, store: bool = True) -> Arena:
    """Connect to a broker: `memory:` (the default), or what `ARENA_BROKER` says.

    Within a running `arena-tui`, `memory:` is the app's broker: runs show on its screen. Elsewhere
    it is a broker of this process's own, and runs are kept in the store.

    Args:
        url: The broker.
        db: The store's file; default as for the command (`ARENA_DB`, or the user's data folder).
        store: False to keep nothing.

    Raises:
        UsageError: The broker is not known.
        StoreError: The store cannot be opened, for instance because another process has it.
    """
    config = load_config(broker=url, db=db, store=store)
    running = Runtime.current
    if running is not None:
        return Arena(running.sink, None)
    own = _OwnRuntime()
    try:
        sink = own.call(own.start(config))
    except BaseException:
        own.stop()
        raise
    atexit.register(own.close)
    return Arena(sink, own)


class _OwnRuntime:
    """A runtime on a loop in a thread of its own."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="arena", daemon=True)
        self._thread.start()
        self._runtime: Runtime | None = None

    def call(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def start(self, config: Any) -> MultiRunBrokerSink:
        runtime = Runtime(config)
        try:
            await runtime.open_store()
        except ArenaError:
            await runtime.aclose()
            raise
        for notice in runtime.notices:
            _log.warning(notice)
        self._runtime = runtime
        return runtime.sink

    def close(self) -> None:
        atexit.unregister(self.close)
        runtime, self._runtime = self._runtime, None
        if runtime is None:
            return
        try:
            unsaved = self.call(runtime.aclose())
        finally:
            self.stop()
        if unsaved:
            raise StoreError(unsaved)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
