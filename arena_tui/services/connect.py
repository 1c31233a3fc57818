"""`connect()`: the synchronous face for agents, with a broker of its own or the running app's."""

from __future__ import annotations

import asyncio
import atexit
import logging
import os
import threading
from collections.abc import Coroutine, Mapping, Sequence
from types import TracebackType
from typing import Any, TypeVar

from msgspec.structs import replace

from arena_tui.config import BrokerUrl, Config, load_config
from arena_tui.errors import ArenaError, BrokerError, StoreError
from arena_tui.events import AgentInfo
from arena_tui.producers.run import Run
from arena_tui.producers.sink import MultiRunBrokerSink
from arena_tui.services.runtime import Runtime

__all__ = ["Arena", "connect"]

_log = logging.getLogger(__name__)

T = TypeVar("T")


class Arena:
    """A connection to a broker; a context manager. Safe from any thread.

    Leaving it ends those of its runs that are still open. The last connection of the process to
    leave waits until everything is stored; the end of the program does the same for those that
    were not closed.
    """

    def __init__(self, sink: MultiRunBrokerSink, own: _OwnRuntime | None) -> None:
        self._sink = sink
        self._own = own
        self._runs: list[Run] = []
        self._lock = threading.Lock()
        self._closed = False

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
        run = self._sink.run(game, agents, run_id=run_id, seed=seed, label=label, tags=tags,
                             config=config)  # fmt: skip
        with self._lock:
            self._runs = [*(each for each in self._runs if not each.ended), run]
        return run

    def close(self) -> None:
        """End the runs still open, and let go. Idempotent.

        Raises:
            StoreError: Some events could not be stored; says how many and why.
        """
        with _lock:
            if self._closed:
                return
            self._closed = True
            for run in self._runs:
                if self._sink.is_open(run.id):
                    run.end(status="stopped", reason="its connection was closed")
            if self._own is not None:
                self._own.leave()


def connect(url: str | None = None, *, db: str | None = None, store: bool = True) -> Arena:
    """Connect to a broker: `memory:` (the default), or what `ARENA_BROKER` or `REDIS_URL` says.

    Within a running `arena-tui` it is the app's broker: runs show on its screen. Elsewhere
    `memory:` is a broker of this process's own, and runs are kept in the store; `redis://…` is a
    server, and whoever watches there sees and stores the runs. Connections of one process to the
    same broker and store share both.

    While the server is away, events are kept until there are 100,000; then emitting waits. They go
    out in order, each once, when it is back.

    Args:
        url: The broker.
        db: The store's file; default as for the command (`ARENA_DB`, or the user's data folder).
        store: False to keep nothing.

    Raises:
        UsageError: The broker is not known, or its URL cannot be used.
        BrokerError: The server cannot be reached.
        StoreError: The store cannot be opened, for instance because another process has it.
    """
    broker = None if url is None else BrokerUrl(url)
    del url  # a traceback that shows what frames hold has no password to show
    config = load_config(broker=broker, db=db, store=store)
    if config.db is not None and config.db != ":memory:":
        config = replace(config, db=os.path.realpath(config.db))
    running = Runtime.current
    if running is not None and broker in (None, running.config.broker):
        return Arena(running.sink, None)
    with _lock:
        own = _owned.get(config)
        if own is None:
            own = _owned[config] = _OwnRuntime(config)
        own.users += 1
        return Arena(own.sink, own)


class _OwnRuntime:
    """A runtime on a loop in a thread of its own, shared by the process's connections.

    Attributes:
        users: Connections that have not left yet.
    """

    def __init__(self, config: Config) -> None:
        self.users = 0
        self._config = config
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="arena", daemon=True)
        self._thread.start()
        try:
            self._runtime = self._call(self._open())
        except BaseException:
            self._stop()
            raise
        self.sink = self._runtime.sink

    def leave(self) -> None:
        """One connection less; the last one closes everything."""
        self.users -= 1
        if self.users == 0:
            self.close()

    def close(self) -> None:
        """End all runs, wait until all is stored, stop."""
        _owned.pop(self._config, None)
        try:
            unsaved = self._call(self._runtime.aclose())
        finally:
            self._stop()
        if unsaved:
            raise StoreError(unsaved) if self._runtime.persister else BrokerError(unsaved)

    async def _open(self) -> Runtime:
        runtime = Runtime(self._config, producer=True, shared=False)
        try:
            await runtime.open()
        except BaseException:
            await runtime.aclose()
            raise
        for notice in runtime.notices:
            _log.warning(notice)
        return runtime

    def _call(self, work: Coroutine[None, None, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def _stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


_owned: dict[Config, _OwnRuntime] = {}
_lock = threading.RLock()


@atexit.register
def _close_forgotten() -> None:
    for own in list(_owned.values()):
        try:
            own.close()
        except ArenaError as error:
            _log.error("%s", error)
