"""`stats`: the accounts of the Broker screen without a screen. What it prints is made elsewhere.

Asks the process that has the store open; reads the store's file when none has; of a server it
reads the runs and what the stores have acked, and neither stores nor acks anything itself.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Final

from msgspec.structs import replace

from arena_tui.broker.protocol import Limits
from arena_tui.cli.arguments import Parser
from arena_tui.cli.output import counted, local_time, say, say_json, say_table
from arena_tui.cli.stored import open_store
from arena_tui.config import Config, load_config
from arena_tui.errors import BrokerError
from arena_tui.events import short_id
from arena_tui.folds.totals import lost_text
from arena_tui.services.runtime import Runtime
from arena_tui.services.stats import stats_of, stats_of_file
from arena_tui.services.stats_lines import (
    LEVELS,
    STATS,
    BrokerLine,
    ConsumerLine,
    Line,
    LoopLine,
    RunLine,
    ServerLine,
    StoreLine,
    decode_round,
)
from arena_tui.store.kept import read_kept
from arena_tui.store.reading import Reader, asked_of_owner

_LEAST_S: Final = 0.5
_MOST_S: Final = 86_400.0
_RUNS: Final = 20
"""Most runs in a table."""

_CATCH_UP_S: Final = 120.0
_ALL_RUNS: Final = Limits(closed_runs=1_000_000)
"""Of runs that have ended, a store may lack events, too."""

_NONE: Final = "–"
_CONSUMER_HEADER: Final = ("consumer", "state", "lag", "behind", "delivered", "in gaps", "ev/s")
_RUN_HEADER: Final = ("run", "state", "newest", "stored", "in flight", "lost", "overflow", "ev/s")


def add_arguments(parser: Parser) -> None:
    parser.set_defaults(function=stats)
    parser.add_argument(
        "--watch", type=_interval, metavar="S", help=f"again every S seconds, from {_LEAST_S}"
    )


def stats(arguments: argparse.Namespace) -> int:
    """Print one round, or one every few seconds; returns 1 when an account does not add up."""
    config = load_config(arguments.broker, arguments.db)
    if config.broker.kind != "memory":
        return asyncio.run(_of_server(config, arguments))
    while True:
        began = time.monotonic()
        code = _show(_of_store(arguments), arguments)
        if arguments.watch is None:
            return code
        time.sleep(_rest(began, arguments))


def _interval(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not _LEAST_S <= seconds <= _MOST_S:
        raise argparse.ArgumentTypeError(
            f"{text[:20]!r} is not usable: give seconds from {_LEAST_S}, 2 say"
        )
    return seconds


def _of_store(arguments: argparse.Namespace) -> list[Line]:
    """One round of its owner, else of its file, which is open for no longer than that."""
    with open_store(arguments) as store:

        def ask(reader: Reader) -> list[Line]:
            answer = asked_of_owner(reader, STATS)
            if answer is None:
                return stats_of_file(read_kept(reader), store.path)
            return decode_round(answer)

        return store.read_now(ask)


async def _of_server(config: Config, arguments: argparse.Namespace) -> int:
    runtime = Runtime(replace(config, db=None), _ALL_RUNS)
    try:
        await runtime.open()
        try:
            async with asyncio.timeout(_CATCH_UP_S):
                await runtime.broker.runs(caught_up=True)
        except TimeoutError:
            raise BrokerError(f"{runtime.broker.name} does not answer: see doctor") from None
        for _ in range(2):  # in the first, what was read to catch up counts as a rate
            await runtime.instruments.next()
        while True:
            began = time.monotonic()
            code = _show(await stats_of(runtime), arguments)
            if arguments.watch is None:
                return code
            await asyncio.sleep(_rest(began, arguments))
    finally:
        await runtime.aclose()


def _rest(began: float, arguments: argparse.Namespace) -> float:
    """End a round that is not the last one; returns for how long to wait, in seconds."""
    if not arguments.json:
        say()
    sys.stdout.flush()
    return max(0.0, began + float(arguments.watch) - time.monotonic())


def _show(lines: Sequence[Line], arguments: argparse.Namespace) -> int:
    """Print one round; returns the exit code."""
    broker = lines[0]
    assert isinstance(broker, BrokerLine)
    if arguments.json:
        for each in lines:
            say_json(each)
    else:
        _say_tables(broker, lines)
    return int(bool(broker.discrepancies))


def _say_tables(broker: BrokerLine, lines: Sequence[Line]) -> None:
    say(f"{local_time(broker.at)}  {_place(broker)}")
    for off in broker.discrepancies:
        say(f"the account of {off.account} does not add up: {off.equation}, "
            f"but {off.expected:,} are expected and {off.found:,} found")  # fmt: skip
    for each in lines:
        if not isinstance(each, BrokerLine | ConsumerLine | RunLine):
            for text in _words(each):
                say(text)
    consumers = [each for each in lines if isinstance(each, ConsumerLine)]
    if consumers:
        say()
        say_table(_CONSUMER_HEADER, map(_consumer_cells, consumers))
    runs = [each for each in lines if isinstance(each, RunLine)]
    if runs:
        say()
        say_table(_RUN_HEADER, map(_run_cells, runs[:_RUNS]))
    if len(runs) > _RUNS:
        say(f"… and {len(runs) - _RUNS:,} more")


def _place(broker: BrokerLine) -> str:
    """`in-process, 2 attached`, and what is wrong with the connection to a server."""
    if broker.name is None:
        return "nobody has the store open"
    pids = {each.pid for each in broker.attached}
    return ", ".join([
        broker.name, *([f"{len(pids)} attached"] if pids else []),
        *([broker.link] if broker.link else []),
    ])  # fmt: skip


def _words(line: StoreLine | ServerLine | LoopLine) -> Iterator[str]:
    match line:
        case StoreLine():
            yield str(line.account)
            said = [counted(line.runs, "run")]
            if line.store_bytes is not None and line.wal_bytes is not None:
                said.append(f"{(line.store_bytes + line.wal_bytes) / 1e6:,.1f} MB")
            if line.commit_p50_ms is not None and line.commit_p99_ms is not None:
                said.append(
                    f"commit p50 {line.commit_p50_ms:.1f} ms p99 {line.commit_p99_ms:.1f} ms"
                )
            if line.last_error is not None:
                said.append(f"failing: {line.last_error}")
            yield f"store {', '.join(said)}"
        case ServerLine():
            memory = "" if line.memory_bytes is None else f", {line.memory_bytes / 1e6:,.1f} MB"
            yield f"{line.product} {line.version}, ping {line.ping_ms:.1f} ms{memory}"
        case LoopLine():
            held_back = counted(line.held_back, "producer")
            yield f"loop {line.late_ms:.0f} ms late, {line.queued:,} queued, {held_back} held back"


def _consumer_cells(line: ConsumerLine) -> list[str]:
    state = line.state or ("gone" if line.silent_s is None else "elsewhere")
    behind = _NONE if line.lag_s is None else f"{line.lag_s:.1f} s"
    return [
        line.name, _marked(state, line.level), f"{line.lag:,}", behind,
        _count(line.delivered), _count(line.in_gaps), _count(line.delivered_per_s),
    ]  # fmt: skip


def _run_cells(line: RunLine) -> list[str]:
    lost = _NONE if line.lost is None else lost_text(line.lost, line.lost_unknown or 0)
    return [
        " · ".join(filter(None, (line.title, short_id(line.run_id)))),
        _marked(line.state or "stored", line.level or LEVELS[0]), f"{line.last_seq:,}",
        _count(line.stored), _count(line.in_flight), lost, _count(line.overflow),
        _count(line.published_per_s),
    ]  # fmt: skip


def _marked(state: str, level: str) -> str:
    """`ok`, `ok, high`."""
    return state if level == LEVELS[0] else f"{state}, {level}"


def _count(number: int | None) -> str:
    return _NONE if number is None else f"{number:,}"
