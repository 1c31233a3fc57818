"""`connect()`: the synchronous API for agents, on its own broker or the running app's."""

from __future__ import annotations

import asyncio
import atexit
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from multiprocessing.util import Finalize
from typing import Any, Final

from msgspec.structs import replace

from arena_tui.broker.forked import ForkLock
from arena_tui.broker.own_log import own_log
from arena_tui.broker_url import BrokerUrl
from arena_tui.config import Config, load_config
from arena_tui.consumers.protocol import ConsumerFactory
from arena_tui.errors import ArenaError, BrokerError, StoreError, UsageError
from arena_tui.events import AgentInfo, check_run_id, run_id_of
from arena_tui.producers.record import strictly
from arena_tui.producers.run import Run
from arena_tui.producers.values import text_of
from arena_tui.services.consumption import Consumption
from arena_tui.services.ending import Termination, forget_handlers
from arena_tui.services.runtime import Runtime
from arena_tui.services.shared import Shared

_log = own_log(__name__)


class Arena:
    """A connection to a broker, usable as a context manager. Thread-safe.

    Closing it ends its open runs. Closing the last connection to a broker and store blocks until
    everything is stored. Connections still open at exit are closed then.
    """

    def __init__(self, shared: Shared, leave: Callable[[], None], strict: bool = False) -> None:
        self._shared = shared
        self._sink = shared.runtime.sink
        self._strict = strict
        self._leave = leave
        self._runs: list[Run] = []
        self._adding = ForkLock()
        self._closing = ForkLock()
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
        PROCESS.settle_signals()

    def run(
        self, game: str, agents: str | AgentInfo | Sequence[str | AgentInfo] = (), *,
        run_id: object = None, seed: int | None = None, label: str | None = None,
        tags: Sequence[str] = (), config: Mapping[str, Any] | None = None,
    ) -> Run:  # fmt: skip
        """Create a run, a context manager: `run_start` on entering, `run_end` on leaving.

        Args:
            agents: The players in the order in which they move: ids, or ids with names and specs;
                one alone needs no list.
            config: Whatever describes the run. `{"teams": {"ann": "red", "bob": "red", …}}` says
                who plays together: ratings take a team for one side.
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
            run_id = self._shared.runtime.names.name(run_id_of(text))
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
    Elsewhere `memory:` is this machine: the first process has the store open, and shares it with
    all others of its user, which show and store what any of them records. `redis://…` is a server,
    and the `arena-tui` connected to it shows and stores the runs. Connections in one process to the
    same broker and store share both.

    While the server, or the process that has the store open, does not answer, up to 100,000 events
    are buffered; beyond that, emitting blocks. Once it is back they are published in order, each
    once. When the process that has the store open ends, another one opens it.

    A forked child has connections of its own: what it inherits opens one on first use, and runs
    that the parent has open stay the parent's to end. Only without a server and without a store's
    file, the child is refused. One that ends by `os._exit` has to close its connections before.

    SIGTERM ends open runs and stores them before it ends the process, unless the program handles it
    or connects in another thread than the main one.

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
        StoreError: The store cannot be opened, for instance because a process has it open that does
            not share it.
    """
    broker = None if url is None else BrokerUrl(url)
    del url  # keeps the password out of tracebacks that show local variables
    try:
        return PROCESS.connect(broker, db, store, consumers, strict)
    except StoreError as error:
        error.name_options("db=", "store=False")
        raise


class Connections:
    """The runtimes behind this process's connections. The only instance is `PROCESS`.

    It is global because it cannot be passed in: code that the app runs, a consumer's say, calls
    `connect()` and must find the app's runtime; two libraries that connect to one store must share
    it, since a file has one owner; and runtimes still open at exit must be closed by an exit
    handler.

    Thread-safe. A forked child begins with none of its own, and leaves the parent's alone.
    """

    def __init__(self) -> None:
        self._lock = ForkLock()
        self._own: dict[Config, Shared] = {}
        self._held: list[Shared] = []
        self._offered: Shared | None = None
        self._termination = Termination(self._is_idle, self._terminate)
        os.register_at_fork(
            before=self._termination.before_fork, after_in_parent=self._termination.after_fork,
            after_in_child=self._begin_child,
        )  # fmt: skip

    @property
    def offered(self) -> Runtime | None:
        """The runtime that new connections join; None: they create their own."""
        return self._offered.given if self._offered else None

    def offer(self, runtime: Runtime) -> None:
        """Let connections that name no other broker join this runtime, until `withdraw`."""
        self._offered = Shared(runtime.config, runtime, on_open=self._close_at_exit)

    def withdraw(self, runtime: Runtime) -> None:
        if self.offered is runtime:
            self._offered = None

    def connect(
        self, broker: BrokerUrl | None, db: str | None, store: bool,
        consumers: Sequence[ConsumerFactory] = (), strict: bool = False,
    ) -> Arena:  # fmt: skip
        """See `connect`."""
        config = load_config(broker=broker, db=db, store=store)
        if config.db is not None and config.db != ":memory:":
            config = replace(config, db=os.path.realpath(config.db))
        offered = self._offered
        if offered and (broker is None or broker == offered.config.broker):
            config = offered.config
        else:
            offered = None
        if consumers and config.broker.kind != "memory":
            raise UsageError(
                "consumers of a shared broker run in a process of their own: "
                "use arena_tui.consumer.run(…) there"
            )
        if offered is not None and offered.given is not None:
            return self._join(offered, consumers, strict)
        with self._lock:
            own = self._own.get(config)
            if own is not None:
                return self._join(own, consumers, strict)
            own = Shared(config, on_open=self._close_at_exit)
            self._held.append(own)
            try:
                own.open(consumers)
            except BaseException:
                self._held.remove(own)
                raise
            self._own[config] = own
            own.users += 1
            return Arena(own, partial(self._leave, own, ()), strict)

    def close_forgotten(self) -> None:
        """Close the runtimes still open at exit; failures are logged."""
        self._close_all()
        self._termination.finish()

    def settle_signals(self) -> None:
        """Take back what the last connection leaves; to be called in the main thread."""
        if self._is_idle():
            self._termination.take_back()

    def _is_idle(self) -> bool:
        return not any(each.is_open for each in self._held)

    def _terminate(self) -> None:
        for each in list(self._held):
            each.interrupt("SIGTERM", 128 + signal.SIGTERM)
        self._close_all()

    def _close_all(self) -> None:
        for each in list(self._held):
            try:
                self._close(each)
            except Exception as error:  # noqa: BLE001 - the others must be closed, too
                _log.error("%s", error, exc_info=None if isinstance(error, ArenaError) else error)

    def _join(self, shared: Shared, consumers: Sequence[ConsumerFactory], strict: bool) -> Arena:
        lent = shared.lend(consumers)
        shared.users += 1
        return Arena(shared, partial(self._leave, shared, lent), strict)

    def _leave(self, shared: Shared, lent: Sequence[Consumption[Any]]) -> None:
        """Release a runtime; the last connection closes it, and new ones wait meanwhile."""
        if shared.given is not None:  # its owner closes it
            shared.users -= 1
            shared.take_back(lent)
            return
        with self._lock:
            shared.users -= 1
            if shared.users == 0:
                self._close(shared)
            else:
                shared.take_back(lent)

    def _close(self, shared: Shared) -> None:
        if self._own.get(shared.config) is shared:
            del self._own[shared.config]
        try:
            shared.close()
        finally:
            if shared in self._held:
                self._held.remove(shared)
            self.settle_signals()

    def _close_at_exit(self) -> None:
        """Have what is open closed at exit, in whichever way this process ends."""
        self._termination.install()
        # Only now that DuckDB is imported: exit handlers run last to first, and those of DuckDB
        # end its queries.
        atexit.unregister(self.close_forgotten)
        atexit.register(self.close_forgotten)
        if multiprocessing.parent_process() is not None:  # it may end without exit handlers
            Finalize(None, self.close_forgotten, exitpriority=0)

    def _begin_child(self) -> None:
        """In a forked child, leave what is open to the parent, which has its loops and its file."""
        if self._offered is not None and self._offered not in self._held:
            self._held.append(self._offered)
            forget_handlers()
        for each in self._held:
            each.inherit()
        self._own = {}
        self._termination.begin_child()


@contextmanager
def _collected(failed: list[Exception]) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # noqa: BLE001 - raised when all else is closed
        failed.append(error)


PROCESS: Final = Connections()
