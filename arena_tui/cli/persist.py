"""`persist`: stores what other processes publish, without a screen, until it is signalled."""

from __future__ import annotations

import argparse
import asyncio
import logging
import shutil
import sys
import time
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Final

from msgspec import Struct

from arena_tui.broker.protocol import STORE, BrokerStats
from arena_tui.cli.arguments import Parser, add_record
from arena_tui.cli.ending import ending_signals
from arena_tui.cli.output import begin_log, harmless, local, say_json, tell
from arena_tui.config import Config, load_config
from arena_tui.consumers.feed import stored_and_lost
from arena_tui.consumers.lines import Recorder
from arena_tui.errors import StoreError, StoreLockedError, UsageError
from arena_tui.events import utc_now
from arena_tui.services.runtime import Runtime

_REPORT_INTERVAL_S: Final = 1.0
_FLUSH_TIMEOUT_S: Final = 10.0
_FLUSH_POLL_S: Final = 0.05


def add_arguments(parser: Parser) -> None:
    """The arguments of `persist`."""
    parser.set_defaults(function=persist)
    add_record(parser)


class _Account(Struct, frozen=True, kw_only=True):
    """Accounts for every event: `published == stored + in_flight + lost`. Printed by `--json`.

    Attributes:
        since: When this process began to count; what earlier ones lost is in the store.
        published: Events this process has seen; those stored earlier count in `stored`.
        lost_unknown: Gaps of unknown length; their events are no part of `lost`.
        lag_s: Age of the oldest event in flight.
        overflow: Events trimmed before they were stored; part of `lost`.
        quarantined: Events kept raw because the store cannot accept them; part of `lost`.
        failures: Commits that were retried.
        link: Current problem of the broker connection, or None.
        error: Current problem of the store, or None.
    """

    broker: str
    db: str
    runs: int
    since: datetime
    published: int
    stored: int
    in_flight: int
    lost: int
    lost_unknown: int
    lag_s: float
    overflow: int
    quarantined: int
    failures: int
    link: str | None
    error: str | None

    def __str__(self) -> str:
        return (
            f"since {local(self.since):%Y-%m-%d %H:%M}: "
            f"published {self.published:,} = stored {self.stored:,} + "
            f"in flight {self.in_flight:,} + lost {self.lost:,}"
            + (", and an unknown number" if self.lost_unknown else "")
        )


def persist(arguments: argparse.Namespace) -> int:
    """Store until SIGINT, SIGTERM or SIGHUP; events received by then are stored first."""
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
    since = utc_now()
    stopped = asyncio.Event()
    _handle_signals(stopped)
    console = _Console()
    logging.getLogger("arena_tui").addHandler(console)
    runtime = Runtime(config)
    try:
        if record:
            await runtime.consume(Recorder(Path(record), runtime.broker.name))
        await _open(runtime)
        console.say(f"storing what comes through {runtime.broker.name} in {config.db}")
        await _watch(runtime, console, stopped, since)
        await _flush(runtime, since)
        account = await _account(runtime, since)
    finally:
        await runtime.aclose()
        console.show_status("")
        logging.getLogger("arena_tui").removeHandler(console)
    if account.error is not None:
        raise StoreError(f"not everything could be stored: {account.error}: {account}")
    console.say(f"{account}; what comes now is stored next time")
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


async def _watch(
    runtime: Runtime, console: _Console, stopped: asyncio.Event, since: datetime
) -> None:
    """Report the account once a second until stopped."""
    account = await _account(runtime, since)
    before, published, lost, unknown = time.monotonic(), account.published, 0, 0
    while not stopped.is_set():
        with suppress(TimeoutError):
            await asyncio.wait_for(stopped.wait(), _REPORT_INTERVAL_S)
        account = await _account(runtime, since)
        if account.lost > lost:
            console.say(f"{account.lost - lost:,} events could not be had any more: noted as gaps")
        if account.lost_unknown > unknown:
            console.say("an unknown number of events could not be had any more: noted as gaps")
        now = time.monotonic()
        rate = (account.published - published) / (now - before)
        before, published = now, account.published
        lost, unknown = account.lost, account.lost_unknown
        problem = account.link or (account.error and "the store refuses")
        console.show_status(
            f"{account} · {rate:,.0f} ev/s · lag {account.lag_s:.1f} s"
            + (f" · {problem}" if problem else "")
        )


async def _flush(runtime: Runtime, since: datetime) -> None:
    """Wait until everything published before the call is stored, unless the store fails.

    Later events are not waited for: there may be no end to them.
    """
    target = (await runtime.broker.stats()).published
    with suppress(TimeoutError):
        async with asyncio.timeout(_FLUSH_TIMEOUT_S):
            while (account := await _account(runtime, since)).error is None:
                if account.stored + account.lost >= target:
                    return
                await asyncio.sleep(_FLUSH_POLL_S)


async def _account(runtime: Runtime, since: datetime) -> _Account:
    storing = runtime.storing
    assert storing is not None
    assert runtime.config.db is not None
    stats: BrokerStats = await runtime.broker.stats()
    counters, health = storing.consumer.stats(), storing.health
    stored, lost = stored_and_lost(stats, counters)
    return _Account(
        broker=runtime.broker.name,
        db=runtime.config.db,
        runs=len(stats.runs),
        since=since,
        published=stats.published,
        stored=stored,
        in_flight=stats.published - stored - lost,
        lost=lost,
        lost_unknown=counters.lost_unknown,
        lag_s=next((each.lag_s for each in stats.consumers if each.name == STORE), 0.0),
        overflow=stats.overflow,
        quarantined=counters.quarantined,
        failures=health.failures,
        link=stats.link,
        error=health.last_error,
    )


class _Console(logging.Handler):
    """Prints lines and log warnings to stderr, above a status line that is updated in place."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._status = ""
        self._is_terminal = sys.stderr.isatty()

    def emit(self, record: logging.LogRecord) -> None:
        self.say(record.getMessage())

    def say(self, text: str) -> None:
        """Print one permanent line."""
        self._write("\r\x1b[K" if self._status else "")
        tell(f"arena-tui: {text}")
        self._write(self._status)
        sys.stderr.flush()

    def show_status(self, text: str) -> None:
        """Set the status line; does nothing without a terminal."""
        if self._is_terminal:
            self._status = harmless(text)[: shutil.get_terminal_size().columns - 1]
            self._write(f"\r\x1b[K{self._status}")
            sys.stderr.flush()

    def _write(self, text: str) -> None:
        if self._is_terminal:
            sys.stderr.write(text)
