"""Benchmarks startup: the help text, and the first frame with and without a large store."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial

from arena_tui.bench.large import make_store
from arena_tui.bench.measure import OWN, Figure, Plan, alternate, at_most, compare, race
from arena_tui.bench.terminal import first_seen_s

_PYTHON = "python -c pass"
_MINIMAL = "a Textual app of one word"
_FIRST_FRAME = re.compile(b" 1 Live ")
_MINIMAL_FRAME = re.compile(b"minimal")


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
    asyncio.run(make_store(store, plan.sizes.history))
    minimal = [sys.executable, "-m", "arena_tui.bench.ui_minimal"]
    contenders: dict[str, Callable[[], float]] = {
        OWN: partial(first_seen_s, [*own, "--no-store"], plan.folder, _FIRST_FRAME),
        "stored": partial(first_seen_s, [*own, "--db", store], plan.folder, _FIRST_FRAME),
        _MINIMAL: partial(first_seen_s, minimal, plan.folder, _MINIMAL_FRAME),
    }
    for start in contenders.values():
        start()  # not counted: Python caches what it compiles
    seconds = alternate(contenders, plan, "first frame")
    goals = {_MINIMAL: at_most(1.5, "ratio")}
    stored_s = seconds.pop("stored")
    yield from compare("start", "first frame", "s", seconds, goals)
    name = f"first frame, {plan.sizes.history:,} events stored"
    yield from compare("start", name, "s", {**seconds, OWN: stored_s}, goals)


def _run_time_s(command: list[str]) -> float:
    started = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started
