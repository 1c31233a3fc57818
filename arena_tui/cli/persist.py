"""`persist`: stores what other processes publish, without a screen, until it is signalled."""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from msgspec.structs import asdict

from arena_tui.broker.protocol import STORE
from arena_tui.cli.arguments import (
    Parser,
    add_consumers,
    add_metrics,
    add_no_consumers,
    check_metrics,
)
from arena_tui.cli.output import Console, begin_log, local, say_json
from arena_tui.config import load_config
from arena_tui.consumers.persister_stats import PersisterStats
from arena_tui.errors import StoreError, StoreLockedError, UsageError
from arena_tui.events import utc_now
from arena_tui.folds.accounts import Account
from arena_tui.services.brokers import server_of
from arena_tui.services.ending import ending_event
from arena_tui.services.runtime import Runtime

if TYPE_CHECKING:
    from arena_tui.services.metrics.textfile import MetricsFile

_REPORT_INTERVAL_S: Final = 1.0
_FLUSH_TIMEOUT_S: Final = 10.0
_FLUSH_POLL_S: Final = 0.05


def add_arguments(parser: Parser) -> None:
    parser.set_defaults(function=persist)
    add_consumers(parser)
    add_no_consumers(parser)
    add_metrics(parser)


class _Report(Account, frozen=True, kw_only=True):
    """Where every event is, and what is wrong. Printed by `--json`.

    Attributes:
        since: When this process began to count; what earlier ones lost is in the store.
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
    lag_s: float
    overflow: int
    quarantined: int
    failures: int
    link: str | None
    error: str | None

    def __str__(self) -> str:
        return f"since {local(self.since):%Y-%m-%d %H:%M}: {super().__str__()}"


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
    check_metrics(arguments.metrics, config)
    begin_log(arguments.debug)
    runtime = partial(Runtime, config, consumers=arguments.consumers, installed=arguments.installed)
    report = asyncio.run(_persist(runtime, arguments.metrics))
    if arguments.json:
        say_json(report)
    return 0


async def _persist(make: Callable[[], Runtime], metrics: Path | None) -> _Report:
    since = utc_now()
    stopped = ending_event()
    with Console() as console:
        runtime = make()
        file = await _metrics(runtime, metrics)
        try:
            await _open(runtime)
            console.say(f"storing what comes through {runtime.broker.name} in {runtime.config.db}")
            await _watch(runtime, console, stopped, since)
            await _flush(runtime, since)
            report = await _report(runtime, since)
        finally:
            unsaved = await runtime.aclose()
            if file is not None:
                await file.aclose()
    if report.error is not None or unsaved:
        why = "; ".join(dict.fromkeys(filter(None, (report.error, unsaved))))
        raise StoreError(f"not everything could be stored: {why}: {report}")
    console.say(f"{report}; what comes now is stored next time")
    return report


async def _metrics(runtime: Runtime, path: Path | None) -> MetricsFile | None:
    if path is None:
        return None
    from arena_tui.services.metrics.textfile import metrics_file

    file = metrics_file(runtime, path)
    await file.start()
    return file


async def _open(runtime: Runtime) -> None:
    try:
        await runtime.open()
    except StoreLockedError as error:
        owner = f"process {error.pid}" if error.pid else "another process"
        raise StoreLockedError(
            f"the store {runtime.config.db} is open in {owner}, which stores what it sees: "
            "quit that one, or",
            error.pid,
            elsewhere=True,
        ) from None


async def _watch(
    runtime: Runtime, console: Console, stopped: asyncio.Event, since: datetime
) -> None:
    """Print the account once a second until stopped."""
    report = await _report(runtime, since)
    before, published, lost, unknown = time.monotonic(), report.published, 0, 0
    while not stopped.is_set():
        with suppress(TimeoutError):
            await asyncio.wait_for(stopped.wait(), _REPORT_INTERVAL_S)
        report = await _report(runtime, since)
        if report.lost > lost or report.lost_unknown > unknown:
            less = f"{report.lost - lost:,}" if report.lost > lost else "an unknown number of"
            others = ", which another store may have" if await _has_others(runtime) else ""
            console.say(f"{less} events could not be had any more{others}: noted as gaps")
        now = time.monotonic()
        rate = (report.published - published) / (now - before)
        before, published = now, report.published
        lost, unknown = report.lost, report.lost_unknown
        problem = report.link or (report.error and "the store refuses")
        console.show_status(
            f"{report} · {rate:,.0f} ev/s · lag {report.lag_s:.1f} s"
            + (f" · {problem}" if problem else "")
        )


async def _has_others(runtime: Runtime) -> bool:
    """Whether another store reads from the same server."""
    server = server_of(runtime.broker)
    stats = None if server is None else await server()
    own = runtime.running(STORE).info().identity
    return stats is not None and any(each.name != own for each in stats.stores)


async def _flush(runtime: Runtime, since: datetime) -> None:
    """Wait until everything published before the call is stored, unless the store fails.

    Later events are not waited for: there may be no end to them.
    """
    target = (await runtime.broker.stats()).published
    with suppress(TimeoutError):
        async with asyncio.timeout(_FLUSH_TIMEOUT_S):
            while (report := await _report(runtime, since)).error is None:
                if report.published - report.in_flight >= target:
                    return
                await asyncio.sleep(_FLUSH_POLL_S)


async def _report(runtime: Runtime, since: datetime) -> _Report:
    assert runtime.config.db is not None
    stats, store = await runtime.broker.stats(), runtime.running(STORE).info()
    assert isinstance(store.stats, PersisterStats)
    return _Report(
        **asdict(store.account(stats.published)),
        broker=runtime.broker.name,
        db=runtime.config.db,
        runs=len(stats.runs),
        since=since,
        lag_s=store.lag_s,
        overflow=stats.overflow,
        quarantined=store.stats.quarantined,
        failures=store.failures,
        link=stats.link,
        error=store.last_error,
    )
