"""`persist`: stores what other processes publish, without a screen, until a signal."""

from __future__ import annotations

import argparse
import asyncio
import logging
import shutil
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

from msgspec import Struct

from arena_tui.broker.protocol import STORE, BrokerStats
from arena_tui.cli.ending import ending_signals
from arena_tui.cli.output import begin_log, harmless, say_json, tell
from arena_tui.config import Config, load_config
from arena_tui.consumers.feed import stored_and_lost
from arena_tui.consumers.lines import Recorder
from arena_tui.errors import StoreError, StoreLockedError, UsageError
from arena_tui.services.runtime import Runtime

__all__ = ["persist"]

_EVERY_S: Final = 1.0
_FLUSH_S: Final = 10.0
_FLUSH_LOOK_S: Final = 0.05


class _Account(Struct, frozen=True, kw_only=True):
    """Where every event is: `published == stored + in_flight + lost`; what `--json` prints.

    Attributes:
        published: Seen by this process; those that were stored before are part of `stored`.
        lag_s: Age of the oldest event in flight.
        overflow: Events lost because the broker had to let go of them; part of `lost`.
        quarantined: Events set aside raw, part of `lost`; failures: commits tried again.
        link: What is wrong with the connection now; error: why the store refuses now.
    """

    broker: str
    db: str
    runs: int
    published: int
    stored: int
    in_flight: int
    lost: int
    lag_s: float
    overflow: int
    quarantined: int
    failures: int
    link: str | None
    error: str | None

    def __str__(self) -> str:
        return (
            f"published {self.published:,} = stored {self.stored:,} + "
            f"in flight {self.in_flight:,} + lost {self.lost:,}"
        )


def persist(arguments: argparse.Namespace) -> int:
    """Store until SIGINT, SIGTERM or SIGHUP; what has come by then is stored first."""
    config = load_config(arguments.broker, arguments.db)
    if config.broker.kind == "memory":
        raise UsageError(
            "persist stores what other processes publish: give --broker redis://host:6379 "
            "(`arena-tui redis` starts a server; games in one process are stored without)"
        )
    if config.db == ":memory:":
        raise UsageError("persist in :memory: would keep nothing: give a file with --db")
    begin_log(arguments.debug)
    account = asyncio.run(_persist(config, arguments.record))
    if arguments.json:
        say_json(account)
    return 0


async def _persist(config: Config, record: str | None) -> _Account:
    stopped = asyncio.Event()
    _handle_signals(stopped)
    lines = _Lines()
    logging.getLogger("arena_tui").addHandler(lines)
    runtime = Runtime(config)
    try:
        if record:
            await runtime.consume(Recorder(Path(record)))
        await _open(runtime)
        lines.say(f"storing what comes through {runtime.broker.name} in {config.db}")
        await _watch(runtime, lines, stopped)
        await _flush(runtime)
        account = await _account(runtime)
    finally:
        await runtime.aclose()
        lines.show("")
        logging.getLogger("arena_tui").removeHandler(lines)
    if account.error is not None:
        raise StoreError(f"not everything could be stored: {account.error}: {account}")
    lines.say(f"{account}; what comes now is stored next time")
    return account


def _handle_signals(stopped: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()
    for number in ending_signals():
        loop.add_signal_handler(number, stopped.set)


async def _open(runtime: Runtime) -> None:
    try:
        await runtime.open()
    except StoreLockedError as error:
        owner = f"process {error.pid}" if error.pid else "another process"
        raise StoreLockedError(
            f"the store {runtime.config.db} is open in {owner}, which stores what it sees: "
            "quit that one, or give another --db",
            error.pid,
        ) from None


async def _watch(runtime: Runtime, lines: _Lines, stopped: asyncio.Event) -> None:
    """Say how it goes, once a second, until stopped."""
    account = await _account(runtime)
    before, published, lost = time.monotonic(), account.published, 0
    while not stopped.is_set():
        with suppress(TimeoutError):
            await asyncio.wait_for(stopped.wait(), _EVERY_S)
        account = await _account(runtime)
        if account.lost > lost:
            lines.say(f"{account.lost - lost:,} events could not be had any more: noted as gaps")
        now = time.monotonic()
        rate = (account.published - published) / (now - before)
        before, published, lost = now, account.published, account.lost
        wrong = account.link or (account.error and "the store refuses")
        lines.show(
            f"{account} · {rate:,.0f} ev/s · lag {account.lag_s:.1f} s"
            + (f" · {wrong}" if wrong else "")
        )


async def _flush(runtime: Runtime) -> None:
    """Store what has come until now, unless the store refuses; there may be no end of events."""
    target = (await runtime.broker.stats()).published
    with suppress(TimeoutError):
        async with asyncio.timeout(_FLUSH_S):
            while (account := await _account(runtime)).error is None:
                if account.stored + account.lost >= target:
                    return
                await asyncio.sleep(_FLUSH_LOOK_S)


async def _account(runtime: Runtime) -> _Account:
    storing = runtime.storing
    assert storing is not None
    assert runtime.config.db is not None
    stats: BrokerStats = await runtime.broker.stats()
    counters, health = storing.consumer.stats(), storing.health
    stored, lost = stored_and_lost(stats, counters, runtime.broker.shared)
    return _Account(
        broker=runtime.broker.name,
        db=runtime.config.db,
        runs=len(stats.runs),
        published=stats.published,
        stored=stored,
        in_flight=stats.published - stored - lost,
        lost=lost,
        lag_s=next((each.lag_s for each in stats.consumers if each.name == STORE), 0.0),
        overflow=stats.overflow,
        quarantined=counters.quarantined,
        failures=health.failures,
        link=stats.link,
        error=health.last_error,
    )


class _Lines(logging.Handler):
    """Lines on stderr, warnings of the log among them, above a last one that changes in place."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._last = ""
        self._terminal = sys.stderr.isatty()

    def emit(self, record: logging.LogRecord) -> None:
        self.say(record.getMessage())

    def say(self, text: str) -> None:
        """One line that stays."""
        self._write("\r\x1b[K" if self._last else "")
        tell(f"arena-tui: {text}")
        self._write(self._last)
        sys.stderr.flush()

    def show(self, text: str) -> None:
        """What the last line of a terminal says from now on; nothing elsewhere."""
        if self._terminal:
            self._last = harmless(text)[: shutil.get_terminal_size().columns - 1]
            self._write(f"\r\x1b[K{self._last}")
            sys.stderr.flush()

    def _write(self, text: str) -> None:
        if self._terminal:
            sys.stderr.write(text)
