"""`connect()`: the synchronous face for agents, with a broker of its own or the running app's."""

from __future__ import annotations

import asyncio
import atexit
import logging
import os
import threading
from collections.abc import Callable, Coroutine, Mapping, Sequence
from functools import partial
from types import TracebackType
from typing import Any, Final, TypeVar

from msgspec.structs import replace

from arena_tui.config import BrokerUrl, Config, load_config
from arena_tui.errors import ArenaError, BrokerError, StoreError
from arena_tui.events import AgentInfo
from arena_tui.producers.run import Run
from arena_tui.producers.sink import MultiRunBrokerSink
from arena_tui.services.runtime import Runtime

__all__ = ["PROCESS", "Arena", "Connections", "connect"]

_log = logging.getLogger(__name__)

T = TypeVar("T")


class Arena:
    """A connection to a broker; a context manager. Safe from any thread.

    Leaving it ends those of its runs that are still open. The last connection of the process to
    leave waits until everything is stored; the end of the program does the same for those that
    were not closed.
    """

    def __init__(self, sink: MultiRunBrokerSink, leave: Callable[[], None]) -> None:
        self._sink = sink
        self._leave = leave
        self._runs: list[Run] = []
        self._adding = threading.Lock()
        self._closing = threading.Lock()
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
        with self._adding:
            self._runs = [*(each for each in self._runs if not each.ended), run]
        return run

    def close(self) -> None:
        """End the runs still open, and let go. Idempotent.

        Raises:
            StoreError: Some events could not be stored; says how many and why.
        """
        with self._closing:
            if self._closed:
                return
            self._closed = True
            for run in self._runs:
                if self._sink.is_open(run.id):
                    run.end(status="stopped", reason="its connection was closed")
            self._leave()


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
    return PROCESS.connect(broker, db, store)


class Connections:
    """The runtimes that this process's connections use. There is one, `PROCESS`.

    It cannot be handed around: a script that an app runs calls `connect()` and is to find the app's
    runtime; two libraries that connect to one store have to share it, since a file has one owner;
    and the end of the program is nobody's, but what is still open has to be stored then.

    Safe from any thread.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._own: dict[Config, _OwnRuntime] = {}
        self._offered: Runtime | None = None

    @property
    def offered(self) -> Runtime | None:
        """The runtime that connections join; None: each makes its own."""
        return self._offered

    def offer(self, runtime: Runtime) -> None:
        """Let connections that name no other broker join this runtime, until `withdraw`."""
        self._offered = runtime

    def withdraw(self, runtime: Runtime) -> None:
        """Let no more connections join it."""
        if self._offered is runtime:
            self._offered = None

    def connect(self, broker: BrokerUrl | None, db: str | None, store: bool) -> Arena:
        """See `connect`."""
        config = load_config(broker=broker, db=db, store=store)
        if config.db is not None and config.db != ":memory:":
            config = replace(config, db=os.path.realpath(config.db))
        offered = self._offered
        if offered is not None and broker in (None, offered.config.broker):
            return Arena(offered.sink, lambda: None)
        with self._lock:
            own = self._own.get(config)
            if own is None:
                own = self._own[config] = _OwnRuntime(config)
                # Behind DuckDB's import: its own exit function interrupts commits, and what is
                # registered last runs first.
                atexit.unregister(self.close_forgotten)
                atexit.register(self.close_forgotten)
            own.users += 1
            return Arena(own.sink, partial(self._leave, own))

    def close_forgotten(self) -> None:
        """Close what the program has left open."""
        for own in list(self._own.values()):
            try:
                self._close(own)
            except ArenaError as error:
                _log.error("%s", error)

    def _leave(self, own: _OwnRuntime) -> None:
        """One connection less; the last one closes everything, while new ones wait."""
        with self._lock:
            own.users -= 1
            if own.users == 0:
                self._close(own)

    def _close(self, own: _OwnRuntime) -> None:
        self._own.pop(own.config, None)
        own.close()


class _OwnRuntime:
    """A runtime on a loop in a thread of its own, shared by the process's connections.

    Attributes:
        config: What was asked for.
        users: Connections that have not left yet.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        self.users = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="arena", daemon=True)
        self._thread.start()
        try:
            self._runtime = self._call(self._open())
        except BaseException:
            self._stop()
            raise
        self.sink = self._runtime.sink

    def close(self) -> None:
        """End all runs, wait until all is stored, stop."""
        try:
            unsaved = self._call(self._runtime.aclose())
        finally:
            self._stop()
        if unsaved:
            raise StoreError(unsaved) if self._runtime.storing else BrokerError(unsaved)

    async def _open(self) -> Runtime:
        runtime = Runtime(self.config, producer=True)
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


PROCESS: Final = Connections()
