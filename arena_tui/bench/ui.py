"""Benchmarks the dashboard under load on a real terminal: CPU, frames, key-to-paint latency."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Final

from msgspec import Struct

from arena_tui.bench.measure import (
    OWN,
    Figure,
    Plan,
    alternate,
    at_least,
    at_most,
    compare,
    percentile,
    remove,
)
from arena_tui.bench.terminal import Terminal
from arena_tui.bench.ui_child import Screen, ScreenLoad, command_of, report_of, selected

_LOW_BANDWIDTH = "the same with --low-bandwidth"
_FLOOR = "floor: the same without a screen"
_RIGHT, _LEFT = b"l", b"h"
_PAUSE_S = (0.02, 0.06)
_CPU_LEAST = 0.01
PUBLISHED: Final = re.compile("(?:published|●) ([\\d,]+)".encode())


class Case(Struct, frozen=True, kw_only=True):
    """A load on the screen, and its goals.

    Attributes:
        size: Columns and lines of the terminal.
        low_bandwidth: Whether it is measured with `--low-bandwidth`, too.
        stored: Whether the dashboard stores the events, too; its peer never does.
        cpu_max: Goal, percent of a core; share_max: goal as a share of the peer's CPU, 0 for none.
    """

    name: str
    panes: int
    rate_per_s: float
    frames_per_s: float
    size: tuple[int, int]
    stored: bool
    cpu_max: float
    share_max: float
    low_bandwidth: bool = False

    @property
    def peer(self) -> str:
        return f"{self.panes} ScrollViews"


_CASES: Final = (
    Case(name="6 panes, 10,000 ev/s", panes=6, rate_per_s=10_000, frames_per_s=20,
         size=(160, 48), stored=False, cpu_max=20, share_max=0.333),
    Case(name="48 panes, 5,000 ev/s, stored", panes=48, rate_per_s=5_000, frames_per_s=10,
         size=(200, 60), stored=True, cpu_max=35, share_max=0.0, low_bandwidth=True),
)  # fmt: skip
_FRAMES_SHARE = 0.95
"""Of the requested frames: they are paced by sleeping, not by deadlines."""


class Sample(Struct, frozen=True, kw_only=True):
    """One screen's figures over `watch_s`.

    Attributes:
        cpu: Percent of one core used by the process, including the load.
        frames: Frames per second that reached the terminal.
        kilobytes: kB per second that reached it.
        key_ms: From each key press to its effect on the terminal; empty without a screen.
    """

    cpu: float
    frames: float = 0.0
    kilobytes: float = 0.0
    key_ms: tuple[float, ...] = ()


def measure_ui(plan: Plan) -> Iterator[Figure]:
    """CPU, frames a second and key to paint, for few busy panes and for many stored ones."""
    for case in _CASES:
        yield from _measure(plan, case)


def _measure(plan: Plan, case: Case) -> Iterator[Figure]:
    """Measure one case; a screen's CPU is its process's minus that of the load alone."""
    screens: dict[str, Screen] = {OWN: "arena", _FLOOR: "none", case.peer: "scroll_views"}
    watch = {name: partial(_watch, plan, case, screen) for name, screen in screens.items()}
    if case.low_bandwidth:
        watch[_LOW_BANDWIDTH] = partial(_watch, plan, case, "arena", low_bandwidth=True)
    samples = alternate(watch, plan, case.name)
    sent = {
        name: [each.kilobytes for each in rounds]
        for name, rounds in samples.items()
        if name != _FLOOR
    }
    yield from compare("ui", f"{case.name}: to the terminal", "kB/s", sent)
    samples.pop(_LOW_BANDWIDTH, None)
    alone = samples.pop(_FLOOR)
    cpu = {
        name: [
            max(_CPU_LEAST, each.cpu - floor.cpu) for each, floor in zip(rounds, alone, strict=True)
        ]
        for name, rounds in samples.items()
    }
    cpu[_FLOOR] = [each.cpu for each in alone]
    goals = {_FLOOR: at_most(case.cpu_max)}
    if case.share_max:
        goals[case.peer] = at_most(case.share_max, "ratio")
    yield from compare("ui", f"{case.name}: CPU", "%", cpu, goals)
    frames = {name: [each.frames for each in rounds] for name, rounds in samples.items()}
    goal = at_least(_FRAMES_SHARE * case.frames_per_s, "value")
    yield from compare("ui", f"{case.name}: frames", "/s", frames, {case.peer: goal})
    keys = {name: _p99(rounds) for name, rounds in samples.items()}
    yield from compare("ui", f"{case.name}: key → paint p99", "ms", keys, {case.peer: at_most(40)})


def _p99(rounds: Sequence[Sample]) -> list[float]:
    """The p99 over the keys of all rounds, as one round has too few."""
    keys = [key_ms for each in rounds for key_ms in each.key_ms]
    return [percentile(keys, 99)] * len(rounds)


def _watch(plan: Plan, case: Case, screen: Screen, low_bandwidth: bool = False) -> Sample:
    stored = case.stored and screen == "arena"
    load = ScreenLoad(
        screen=screen,
        panes=case.panes,
        rate_per_s=case.rate_per_s,
        frame_s=1 / case.frames_per_s,
        db=str(plan.folder / "screen.duckdb") if stored else None,
        low_bandwidth=low_bandwidth,
    )
    watch_s = plan.sizes.watch_s
    with Terminal(command_of(load), plan.folder, case.size) as terminal:
        terminal.reported()  # the load has started
        if screen != "none":
            terminal.wait_for(selected(screen, 0))
        if screen == "arena" and not low_bandwidth:
            terminal.press(b"a", PUBLISHED)  # a figure that every frame changes
        terminal.watch(plan.sizes.settle_s)
        cpu_s = report_of(terminal).cpu_s
        output = terminal.watch(watch_s)
        cpu = 100 * (report_of(terminal).cpu_s - cpu_s) / watch_s
        keys = plan.sizes.keys if screen != "none" and not low_bandwidth else 0
        key_ms = tuple(press_key(terminal, screen, number) for number in range(keys))
    remove(plan.folder / "screen.duckdb")
    return Sample(
        cpu=cpu, frames=frames_in(output) / watch_s, kilobytes=len(output) / watch_s / 1_000,
        key_ms=key_ms,
    )  # fmt: skip


def frames_in(output: bytes) -> int:
    """Frames that reached the terminal, each with more events published than the one before."""
    return len(set(PUBLISHED.findall(output)))


def press_key(terminal: Terminal, screen: Screen, number: int) -> float:
    """Switch between the first two panes at a random moment between frames; returns ms."""
    terminal.watch(random.uniform(*_PAUSE_S))
    pane = 1 - number % 2
    return terminal.press(_RIGHT if pane else _LEFT, selected(screen, pane)) * 1_000
