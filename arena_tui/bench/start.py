"""Benchmarks startup: the help text, and the first frame."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Final

from arena_tui.bench.measure import OWN, Figure, Plan, at_most, race
from arena_tui.bench.terminal import first_seen_s

_PYTHON = "python -c pass"
MINIMAL: Final = "a Textual app of one word"
FIRST_FRAME: Final = re.compile(b" 1 Live ")
_MINIMAL_FRAME = re.compile(b"minimal")


def measure_start(plan: Plan) -> Iterator[Figure]:
    """Seconds to the help text and to the first frame."""
    own = [sys.executable, "-m", "arena_tui"]
    help_text: dict[str, Callable[[], float]] = {
        OWN: partial(_run_time_s, [*own, "--help"]),
        _PYTHON: partial(_run_time_s, [sys.executable, "-c", "pass"]),
    }
    yield from race("start", "--help", "s", help_text, plan, {_PYTHON: at_most(0.15)})
    contenders: dict[str, Callable[[], float]] = {
        OWN: partial(first_seen_s, [*own, "--no-store"], plan.folder, FIRST_FRAME),
        MINIMAL: partial(minimal_s, plan),
    }
    for start in contenders.values():
        start()  # not counted: Python caches what it compiles
    goals = {MINIMAL: at_most(1.5, "ratio")}
    yield from race("start", "first frame", "s", contenders, plan, goals)


def minimal_s(plan: Plan) -> float:
    """Seconds to the first frame of an app that shows one word."""
    command = [sys.executable, "-m", "arena_tui.bench.ui_minimal"]
    return first_seen_s(command, plan.folder, _MINIMAL_FRAME)


def _run_time_s(command: list[str]) -> float:
    started = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started
