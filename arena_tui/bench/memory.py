"""Memory of the dashboard with many open runs, watched from outside for as long as is asked."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import linear_regression
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from arena_tui.bench.curve import draw_curves
from arena_tui.bench.measure import (
    OWN,
    BenchError,
    Figure,
    Goal,
    Plan,
    at_most,
    compare,
    remove,
)
from arena_tui.bench.terminal import Terminal
from arena_tui.bench.ui_child import ScreenLoad, command_of

_LOAD: Final = ScreenLoad(
    screen="arena", panes=200, rate_per_s=1_000, frame_s=0.1, talkative=True, db="memory.duckdb"
)
_SIZE: Final = (200, 60)
_AT_REST: Final = "floor: the same runs at rest"
_MINIMAL: Final = "a Textual app of one word"
_REST_SHARE, _REST_MAX_S = 1 / 6, 60.0
"""How long the others are watched: a share of what is asked, and at most so long."""

_WARM_SHARE, _WARM_MAX_S = 1 / 6, 600.0
"""How long memory may grow at first: logs and caches fill."""

_HOUR_S: Final = 3_600
_FLAT_MB_PER_H: Final = 0.1
"""What grows less is said to grow so much: a ratio to nothing would say nothing."""

_SAMPLES, _SAMPLE_MAX_S = 60, 5.0
_GOAL: Final = at_most(250, timed=False)
_GROWTH_GOAL: Final = at_most(10, timed=False)


class Sample(Struct, frozen=True, kw_only=True):
    """`at_s`: since the first one. `memory_mb`: resident. `store_mb`: files of the store."""

    at_s: float
    memory_mb: float
    store_mb: float


def measure_memory(plan: Plan) -> Iterator[Figure]:
    """Memory at several moments, and its growth, beside the same at rest and a minimal app."""
    seconds = plan.sizes.memory_s
    rest_s = min(seconds * _REST_SHARE, _REST_MAX_S)
    figure = f"{_LOAD.panes} open runs, {_LOAD.rate_per_s:,.0f} ev/s, {seconds:g} s"
    plan.note(_MINIMAL)
    minimal = _watch_minimal(plan, rest_s)
    plan.note(_AT_REST)
    rest = _watch_screen(plan, replace(_LOAD, rate_per_s=0), rest_s, lambda _: None)

    def draw(samples: Sequence[Sample]) -> None:
        plan.note(f"{samples[-1].at_s:.0f} of {seconds:g} s: {samples[-1].memory_mb:.0f} MB")
        if plan.curve is not None:
            plan.curve.write_text(_picture(figure, samples, rest[-1], minimal[-1]))

    own = _watch_screen(plan, _LOAD, seconds, draw)
    contenders = {OWN: own, _AT_REST: rest, _MINIMAL: minimal}
    rows: list[tuple[str, str, Callable[[Sequence[Sample]], float], Goal | None]] = [
        ("at the start", "MB", lambda samples: samples[0].memory_mb, None),
        (f"after {_warm_s(own):.0f} s", "MB", lambda samples: _warm(samples)[0].memory_mb, None),
        ("at the end", "MB", lambda samples: samples[-1].memory_mb, None),
        ("most", "MB", lambda samples: max(each.memory_mb for each in samples), _GOAL),
        (
            "growth thereafter",
            "MB/h",
            growth_mb_per_h,
            _GROWTH_GOAL if seconds >= _HOUR_S else None,
        ),
        ("the store's files at the end", "MB", lambda samples: samples[-1].store_mb, None),
    ]
    for title, unit, of, goal in rows:
        values = {name: [of(samples)] for name, samples in contenders.items()}
        if title.startswith("the store"):
            del values[_MINIMAL]
        goals = {_AT_REST: goal} if goal else {}
        yield from compare("memory", f"{figure}: {title}", unit, values, goals)


def growth_mb_per_h(samples: Sequence[Sample]) -> float:
    """The slope of the straight line through all samples but those of the time when logs and
    caches fill."""
    warm = _warm(samples)
    if len(warm) < 2:
        return _FLAT_MB_PER_H
    line = linear_regression([each.at_s for each in warm], [each.memory_mb for each in warm])
    return max(_FLAT_MB_PER_H, line.slope * _HOUR_S)


def _warm_s(samples: Sequence[Sample]) -> float:
    return min(samples[-1].at_s * _WARM_SHARE, _WARM_MAX_S)


def _warm(samples: Sequence[Sample]) -> list[Sample]:
    return [each for each in samples if each.at_s >= _warm_s(samples)]


def _watch_minimal(plan: Plan, seconds: float) -> list[Sample]:
    command = [sys.executable, "-m", "arena_tui.bench.ui_minimal"]
    with Terminal(command, plan.folder, _SIZE) as terminal:
        terminal.watch(plan.sizes.settle_s)
        return _watch(terminal, seconds, plan.folder / "none", lambda _: None)


def _watch_screen(
    plan: Plan, load: ScreenLoad, seconds: float, tell: Callable[[Sequence[Sample]], None]
) -> list[Sample]:
    assert load.db is not None
    store = plan.folder / load.db
    load = replace(load, db=str(store))
    with Terminal(command_of(load), plan.folder, _SIZE) as terminal:
        terminal.reported()  # the load has started
        terminal.watch(plan.sizes.settle_s)
        samples = _watch(terminal, seconds, store, tell)
    remove(store)
    return samples


def _watch(
    terminal: Terminal, seconds: float, store: Path, tell: Callable[[Sequence[Sample]], None]
) -> list[Sample]:
    """Samples from now on; `tell` is given those so far after each."""
    samples: list[Sample] = []
    started = time.perf_counter()
    while True:
        at_s = time.perf_counter() - started
        memory_mb, store_mb = resident_bytes(terminal.pid) / 1e6, _bytes_of(store) / 1e6
        samples.append(Sample(at_s=at_s, memory_mb=memory_mb, store_mb=store_mb))
        tell(samples)
        if at_s >= seconds:
            return samples
        terminal.watch(min(seconds / _SAMPLES, _SAMPLE_MAX_S, seconds - at_s))


def resident_bytes(pid: int) -> int:
    """Resident memory of a process.

    Raises:
        BenchError: It has ended, or nothing here tells.
    """
    try:
        if Path("/proc/self/statm").exists():
            told = Path(f"/proc/{pid}/statm").read_text().split()[1]
            return int(told) * os.sysconf("SC_PAGE_SIZE")
        told = subprocess.check_output(["ps", "-o", "rss=", "-p", str(pid)], text=True)
        return int(told) * 1024
    except (OSError, subprocess.CalledProcessError) as error:
        raise BenchError(
            f"no memory of process {pid}: it has ended, or there is no ps here"
        ) from error


def _bytes_of(store: Path) -> int:
    return sum(file.stat().st_size for file in store.parent.glob(f"{store.name}*"))


def _picture(figure: str, samples: Sequence[Sample], rest: Sample, minimal: Sample) -> str:
    """Its memory over time, and what the others have, as level lines."""
    ends = (samples[0].at_s, samples[-1].at_s)
    return draw_curves(
        f"Resident memory: {figure}",
        "MB",
        {
            OWN: [(each.at_s, each.memory_mb) for each in samples],
            _AT_REST: [(at, rest.memory_mb) for at in ends],
            _MINIMAL: [(at, minimal.memory_mb) for at in ends],
        },
    )
