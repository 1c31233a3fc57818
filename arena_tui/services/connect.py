"""`connect()`: the synchronous API for agents, on its own broker or the running app's."""

from __future__ import annotations

import asyncio
import atexit
import logging
import os
import threading
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, Final, TypeVar

from msgspec.structs import replace

from arena_tui.broker.tasks import cancel_until_done
from arena_tui.broker_url import BrokerUrl
from arena_tui.config import Config, load_config
from arena_tui.consumers.protocol import ConsumerFactory
from arena_tui.errors import ArenaError, BrokerError, StoreError, UsageError
from arena_tui.events import AgentInfo, check_run_id, run_id_of
from arena_tui.producers.record import strictly
from arena_tui.producers.run import Run
from arena_tui.producers.values import text_of
from arena_tui.services.consumption import Consumption
from arena_tui.services.runtime import Runtime

_log = logging.getLogger(__name__)

_TASKS_END_WITHIN_S: Final = 2.0

T = TypeVar("T")


class Arena:
    """A connection to a broker, usable as a context manager. Thread-safe.

    Closing it ends its open runs. Closing the last connection to a broker and store blocks until
    everything is stored. Connections still open at exit are closed then.
    """

    def __init__(self, runtime: Runtime, leave: Callable[[], None], strict: bool = False) -> None:
        self._runtime = runtime
        self._sink = runtime.sink
        self._strict = strict
        self._leave = leave
        self._runs: list[Run] = []
        self._adding = threading.Lock()
        self._closing = threading.Lock()
        self._closed = False

    @property
    def coerced(self) -> int:
        """Events that lost something because their values did not fit; all of this broker's."""
        return self._sink.stats().coerced

    @property
    def refused(self) -> int:
        """Events that were not published, and never will be; all of this broker's."""
        return self._sink.stats().refused.events

    def __enter__(self) -> Arena:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def __aenter__(self) -> Arena:
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.to_thread(self.close)

    def run(
        self, game: str, agents: str | AgentInfo | Sequence[str | AgentInfo] = (), *,
        run_id: object = None, seed: int | None = None, label: str | None = None,
        tags: Sequence[str] = (), config: Mapping[str, Any] | None = None,
    ) -> Run:  # fmt: skip
        """Create a run, a context manager: `run_start` on entering, `run_end` on leaving.

        Args:
            agents: The players: ids, or ids with names and specs; one alone needs no list.
            run_id: An id; None generates one. Text, a number or a UUID: other characters than
                `A-Z a-z 0-9 . _ : / -` are replaced. One that is taken (by a run that goes on, here
                or elsewhere, or by one that has ended) gets a number, `id-2`, which is warned of.
                A run whose process died before its end goes on under its id. `run.id` tells.

        Raises:
            BrokerError: The connection is closed.
            EventError: It is strict, and the id is not usable.
        """
        if self._closed:
            raise BrokerError("the connection is closed: connect again")
        if run_id is not None:
            text = text_of(run_id)
            if self._strict:
                check_run_id(text)
            run_id = self._runtime.name_run(run_id_of(text))
        make = partial(self._sink.run, refused=strictly) if self._strict else self._sink.run
        run = make(game, agents, run_id=run_id, seed=seed, label=label, tags=tags, config=config)
        with self._adding:
            self._runs = [*(each for each in self._runs if not each.ended), run]
        return run

    def close(self) -> None:
        """End the open runs and close the connection. Idempotent.

        Always ends, and closes everything: what makes no progress for ten seconds is given up, and
        what fails is raised at the end.

        Raises:
            BrokerError: Some events were refused, or could not be published to a server;
            StoreError: or could not be stored. The message says how many, and why.
        """
        with self._closing:
            if self._closed:
                return
            self._closed = True
            failed: list[Exception] = []
            for run in self._runs:
                if self._sink.is_open(run.id):
                    with _collected(failed):
                        run.end(status="stopped", reason="its connection was closed")
            with _collected(failed):
                self._leave()
        if len(failed) == 1:
            raise failed[0]
        if failed:
            raise BrokerError("; ".join(map(str, failed))) from failed[0]


def connect(
    url: str | None = None,
    *,
    db: str | None = None,
    store: bool = True,
    consumers: Sequence[ConsumerFactory] = (),
    strict: bool = False,
) -> Arena:
    """Connect to a broker: `url`, else `ARENA_BROKER` or `REDIS_URL`, else `memory:`.

    Inside a running `arena-tui` this joins the app's broker, and its screen shows the runs.
    Elsewhere `memory:` is a broker private to this process, and its runs are stored; `redis://…`
    is a server, and the `arena-tui` connected to it shows and stores the runs. Connections in one
    process to the same broker and store share both.

    While the server is unreachable, up to 100,000 events are buffered; beyond that, emitting
    blocks. Once it is back they are published in order, each once.

    Args:
        db: The store's file; default as for the command (`ARENA_DB`, or the user's data folder).
        store: False to store nothing.
        consumers: Make consumers that run in the broker of this process until the connection is
            closed, which waits for the durable ones.
        strict: True to raise EventError for values that events do not have, and for calls after a
            run's end. Otherwise what a game records never raises: values are recorded as near as
            it goes, the event's field `coerced` says what they lost, and the first is warned of.

    Raises:
        UsageError: The kind of broker is unknown, its URL is invalid, there are `consumers` and
            the broker is shared, or a durable one of the same name runs already.
        ConsumerError: One of the consumers cannot be made or started.
        BrokerError: The server cannot be reached, or takes no events: a wrong password, a right
            that this user lacks, a replica, too old a version.
        StoreError: The store cannot be opened, for instance because another process holds it.
    """
    broker = None if url is None else BrokerUrl(url)
    del url  # keeps the password out of tracebacks that show local variables
    return PROCESS.connect(broker, db, store, consumers, strict)


class Connections:
    """The runtimes behind this process's connections. The only instance is `PROCESS`.

    It is global because it cannot be passed in: a script that the app runs calls `connect()` and
    must find the app's runtime; two libraries that connect to one store must share it, since a
    file has one owner; and runtimes still open at exit must be closed by an exit handler.

    Thread-safe.

    Attributes:
        offered: The runtime that new connections join; None: they create their own.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._own: dict[Config, _OwnRuntime] = {}
        self.offered: Runtime | None = None

    def offer(self, runtime: Runtime) -> None:
        """Let connections that name no other broker join this runtime, until `withdraw`."""
        self.offered = runtime

    def withdraw(self, runtime: Runtime) -> None:
        if self.offered is runtime:
            self.offered = None

    def connect(
        self, broker: BrokerUrl | None, db: str | None, store: bool,
        consumers: Sequence[ConsumerFactory] = (), strict: bool = False,
    ) -> Arena:  # fmt: skip
        """See `connect`."""
        config = load_config(broker=broker, db=db, store=store)
        if config.db is not None and config.db != ":memory:":
            config = replace(config, db=os.path.realpath(config.db))
        offered = self.offered
        joins = offered if broker is None or (offered and broker == offered.config.broker) else None
        if consumers and (joins.config if joins else config).broker.kind != "memory":
            raise UsageError(
                "consumers of a shared broker run in a process of their own: "
                "use arena_tui.consumer.run(…) there"
            )
        if joins is not None:
            return Arena(joins, partial(_take_back, joins, _lent(joins, consumers)), strict)
        with self._lock:
            own = self._own.get(config)
            lent: list[Consumption[Any]] = []
            if own is None:
                own = self._own[config] = _OwnRuntime(config, consumers)
                # Only now that DuckDB is imported: exit handlers run last to first, and those of
                # DuckDB end its queries.
                atexit.unregister(self.close_forgotten)
                atexit.register(self.close_forgotten)
            else:
                lent = _lent(own.runtime, consumers)
            own.users += 1
            return Arena(own.runtime, partial(self._leave, own, lent), strict)

    def close_forgotten(self) -> None:
        """Close the runtimes still open at exit; failures are logged."""
        for own in list(self._own.values()):
            try:
                self._close(own)
            except Exception as error:  # noqa: BLE001 - the others must be closed, too
                _log.error("%s", error, exc_info=None if isinstance(error, ArenaError) else error)

    def _leave(self, own: _OwnRuntime, lent: Sequence[Consumption[Any]]) -> None:
        """Release a runtime; the last connection closes it, and new ones wait meanwhile."""
        with self._lock:
            own.users -= 1
            if own.users == 0:
                self._close(own)
            else:
                _take_back(own.runtime, lent)

    def _close(self, own: _OwnRuntime) -> None:
        self._own.pop(own.config, None)
        own.close()


@contextmanager
def _collected(failed: list[Exception]) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # noqa: BLE001 - raised when all else is closed
        failed.append(error)


def _lent(runtime: Runtime, consumers: Sequence[ConsumerFactory]) -> list[Consumption[Any]]:
    return runtime.lend(consumers) if consumers else []


def _take_back(runtime: Runtime, lent: Sequence[Consumption[Any]]) -> None:
    if lent and (unkept := runtime.take_back(lent)):
        raise BrokerError(unkept)


class _OwnRuntime:
    """A runtime on an event loop in its own thread, shared by connections of the same config."""

    def __init__(self, config: Config, consumers: Sequence[ConsumerFactory]) -> None:
        self.config = config
        self.users = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="arena", daemon=True)
        self._thread.start()
        try:
            self.runtime = self._call(self._open(consumers))
        except BaseException:
            self._stop()
            raise

    def close(self) -> None:
        """End all runs, wait until everything is stored, and stop the thread."""
        try:
            unsaved = self._call(self.runtime.aclose())
        finally:
            self._stop()
        if unsaved:
            raise StoreError(unsaved) if self.runtime.database else BrokerError(unsaved)

    async def _open(self, consumers: Sequence[ConsumerFactory]) -> Runtime:
        runtime = Runtime(self.config, producer=True, consumers=consumers)
        try:
            await runtime.open()
        except BaseException:
            try:
                await runtime.aclose()
            except Exception as error:  # noqa: BLE001 - the first one is raised
                _log.error("what was opened cannot be closed: %s", error)
            raise
        return runtime

    def _call(self, work: Coroutine[None, None, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def _stop(self) -> None:
        """Stop the loop and its thread, whatever tasks are left, as `asyncio.run` does."""
        self._call(self._end_tasks())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _end_tasks(self) -> None:
        left = asyncio.all_tasks() - {asyncio.current_task()}
        await cancel_until_done(left, _TASKS_END_WITHIN_S)
        await self._loop.shutdown_asyncgens()


PROCESS: Final = Connections()
