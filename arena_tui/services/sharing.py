"""One store, many processes: the first to come has it open, all others are attached to that one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import Any

from arena_tui.broker.own_log import own_log
from arena_tui.config import Config
from arena_tui.errors import StoreLockedError
from arena_tui.services.runtime import Runtime
from arena_tui.services.storing import Sharing
from arena_tui.unix_socket import connected

_log = own_log(__name__)


def is_shareable(config: Config) -> bool:
    """Whether other processes of this machine could use the store of a runtime of these settings,
    too: it is in process, with a file."""
    return config.broker.kind == "memory" and config.db not in (None, ":memory:")


def is_owned(config: Config) -> bool:
    """Whether a process shares the store now; blocks for no longer than a look at it takes.

    Raises:
        StoreForeignError: It is another user's.
    """
    if not is_shareable(config) or config.db is None:
        return False
    try:
        link = connected(config.db, 0)
    except TimeoutError:  # so many want to
        return True
    if link is None:
        return False
    link.close()
    return True


def place_of(runtime: Runtime) -> str:
    """Where the events of a runtime are, and who else uses that; for display."""
    if runtime.stand_in is not None and (here := runtime.stand_in.place()):
        return here
    if pid := getattr(runtime.broker, "owner_pid", 0):
        return f"attached to {pid}"
    count = len({each.pid for each in runtime.storing.attached()})
    return f"{runtime.broker.name}, {count} attached" if count else runtime.broker.name


def make_runtime(config: Config, attached: bool, **options: Any) -> Runtime:
    """A runtime that has its store to itself, or shares it with others, or is attached to the
    process that does. The options are those of `Runtime`."""
    if attached:
        stand_in = _StandIn(config, bool(options.get("installed", True)))
        return Runtime(config, stand_in=stand_in, **options)
    return Runtime(config, share=_share, **options)


async def open_runtime(config: Config, **options: Any) -> Runtime:
    """Make and open one.

    Raises:
        ArenaError: See `Runtime.open`. What was opened is closed.
    """
    make = partial(make_runtime, config, **options)
    try:
        return await _opened(partial(make, attached=is_owned(config)))
    except StoreLockedError:  # it may have been opened meanwhile
        if not is_shareable(config):
            raise
        return await _opened(partial(make, attached=True))


async def _opened(make: Callable[[], Runtime]) -> Runtime:
    runtime = make()
    try:
        await runtime.open()
    except BaseException:
        try:
            await runtime.aclose()
        except Exception as error:  # noqa: BLE001 - the first one is raised
            _log.error("what was opened cannot be closed: %s", error)
        raise
    return runtime


async def _share(runtime: Runtime) -> Sharing:
    # Takes 200 ms to import, for which the screen would stand still.
    owner = await asyncio.to_thread(import_module, "arena_tui.services.http.owner")
    assert runtime.database is not None
    sharing: Sharing = owner.OwnerServer(runtime, runtime.database.path)
    return sharing


class _StandIn:
    """See `StandIn`. This process stays attached, if need be to itself."""

    def __init__(self, config: Config, installed: bool) -> None:
        self._config = config
        self._installed = installed
        self._runtime: Runtime | None = None
        self._opening = asyncio.Lock()
        self._closed = False

    async def take_over(self) -> bool:
        async with self._opening:
            if self._runtime is not None or self._closed:
                return self._runtime is not None
            self._runtime = await _opened(
                partial(Runtime, self._config, installed=self._installed, share=_share)
            )
        _log.info("this process has the store %s open now", self._config.db)
        return True

    async def aclose(self, within_s: float | None) -> str | None:
        async with self._opening:
            self._closed = True
            return None if self._runtime is None else await self._runtime.aclose(within_s)

    def place(self) -> str:
        return "" if self._runtime is None else place_of(self._runtime)

    def forsake(self) -> None:
        if self._runtime is not None:
            self._runtime.forsake()
