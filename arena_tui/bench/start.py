"""Benchmarks startup: the help text, and the first frame with and without a large store."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial

from arena_tui.bench.measure import OWN, Figure, Plan, alternate, at_most, compare, race
from arena_tui.bench.terminal import Terminal
from arena_tui.store.database import Connection, Database

_PYTHON = "python -c pass"
_MINIMAL = "a Textual app of one word"
_FIRST_FRAME = re.compile(b" 1 Live ")
_MINIMAL_FRAME = re.compile(b"minimal")
_EVENTS_PER_RUN = 10_000

_FILL_EVENTS = """
INSERT INTO events
SELECT 'stored-' || lpad((n // {run})::VARCHAR, 6, '0'), 1, n % {run} + 1, n % {run} // 7 + 1,
       'action', 'gpt-x', TIMESTAMP '2026-01-01' + to_milliseconds(n),
       '{{"kind":"action","action":"column ' || n % 7 || '"}}'
FROM range({count}) AS numbers(n)
"""
_FILL_RUNS = """
INSERT INTO runs (run_id, epoch, seq, game, status, turns, events, errors, lost, started_at,
                  last_at)
SELECT run_id, 1, max(seq), 'bench', 'finished', max(turn), count(*), 0, 0, min(ts), max(ts)
FROM events GROUP BY run_id
"""


def measure_start(plan: Plan) -> Iterator[Figure]:
    """Seconds to the help text and to the first frame."""
    own = [sys.executable, "-m", "arena_tui"]
    help_text: dict[str, Callable[[], float]] = {
        OWN: partial(_run_time_s, [*own, "--help"]),
        _PYTHON: partial(_run_time_s, [sys.executable, "-c", "pass"]),
    }
    yield from race("start", "--help", "s", help_text, plan, {_PYTHON: at_most(0.15)})
    plan.note("making a store")
    store = str(plan.folder / "large.duckdb")
    asyncio.run(_fill(store, plan.sizes.stored))
    minimal = [sys.executable, "-m", "arena_tui.bench.ui_minimal"]
    contenders: dict[str, Callable[[], float]] = {
        OWN: partial(_first_frame_s, plan, [*own, "--no-store"], _FIRST_FRAME),
        "stored": partial(_first_frame_s, plan, [*own, "--db", store], _FIRST_FRAME),
        _MINIMAL: partial(_first_frame_s, plan, minimal, _MINIMAL_FRAME),
    }
    for start in contenders.values():
        start()  # not counted: Python caches what it compiles
    seconds = alternate(contenders, plan, "first frame")
    goals = {_MINIMAL: at_most(1.5, "ratio")}
    stored_s = seconds.pop("stored")
    yield from compare("start", "first frame", "s", seconds, goals)
    name = f"first frame, {plan.sizes.stored:,} events stored"
    yield from compare("start", name, "s", {**seconds, OWN: stored_s}, goals)


def _run_time_s(command: list[str]) -> float:
    started = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def _first_frame_s(plan: Plan, command: list[str], text: re.Pattern[bytes]) -> float:
    with Terminal(command, plan.folder) as terminal:
        return terminal.wait_for(text) - terminal.started_at


async def _fill(path: str, count: int) -> None:
    """Fill a store with `count` events, in runs of 10,000."""
    database = Database(path)

    def fill(connection: Connection) -> None:
        connection.execute(_FILL_EVENTS.format(run=_EVENTS_PER_RUN, count=count))
        connection.execute(_FILL_RUNS)

    await database.write(fill)
    await database.aclose()
