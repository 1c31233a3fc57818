"""The dashboard in a flood of events, all of them stored: does it stay usable, is any lost?"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Final

import duckdb
from msgspec import Struct

from arena_tui.bench.load import sample_events
from arena_tui.bench.measure import (
    OWN,
    BenchError,
    Figure,
    Goal,
    Plan,
    alternate,
    at_least,
    at_most,
    compare,
    percentile,
    remove,
)
from arena_tui.bench.pipeline import APPENDER, append_us
from arena_tui.bench.terminal import Terminal
from arena_tui.bench.ui import PUBLISHED, frames_in, press_key
from arena_tui.bench.ui_child import Report, Screen, ScreenLoad, command_of, report_of, selected
from arena_tui.folds.accounts import Account

_PANES: Final = 48
_THREADS: Final = 4
_SIZE: Final = (200, 60)
_FRAME_S: Final = 0.1
_STORE_S: Final = 60.0
"""How long what was emitted may take to be stored, after the last of it."""
_LOOK_S: Final = 0.1

_NO_SCREEN: Final = "floor: the same without a screen"
_PEER: Final = f"{_PANES} ScrollViews, nothing stored"
_EMITTED: Final = "emitted by the threads"
_ACCOUNT: Final = "stored, by the account"
_ALL: Final = at_least(1, timed=False)


class Flood(Struct, frozen=True, kw_only=True):
    """What became of one flood.

    Attributes:
        emitted: Events that the threads handed over.
        emitted_per_s: The same a second, until the last of them was stored if there is a store.
        cpu: Percent of one core used by the process, including the load.
        frames: Frames a second that reached the terminal.
        key_ms: From each key press to its effect on the terminal; empty without a screen.
        account: Of the store when all was over; empty without one.
        rows: Events in the store's file.
    """

    emitted: int
    emitted_per_s: float
    cpu: float
    frames: float
    key_ms: tuple[float, ...]
    account: Account
    rows: int


def measure_flood(plan: Plan) -> Iterator[Figure]:
    """Throughput, CPU, frames and keys; then the account at the end, beside what the threads handed
    over and what is in the file."""
    title = f"{_PANES} panes, {plan.sizes.flood_per_s:,.0f} ev/s, {plan.sizes.flood_s:g} s"
    screens: dict[str, Screen] = {OWN: "arena", _NO_SCREEN: "none", _PEER: "scroll_views"}
    watch = {name: partial(_watch, plan, screen) for name, screen in screens.items()}
    floods = alternate(watch, plan, title)
    events = sample_events(plan.sizes.pipeline)
    appended = alternate({APPENDER: partial(append_us, plan, events)}, plan, title)[APPENDER]
    own = floods[OWN]
    for number, each in enumerate(own, 1):
        plan.tell(f"flood, round {number} of {plan.rounds}: {each.account}")

    def of(figure: Callable[[Flood], float], *names: str) -> dict[str, list[float]]:
        return {name: [figure(each) for each in floods[name]] for name in names}

    stored = of(lambda each: each.emitted_per_s, OWN, _NO_SCREEN)
    stored[APPENDER] = [1e6 / each for each in appended]
    emitted = [float(each.emitted) for each in own]
    published = [float(each.account.published) for each in own]
    in_account = [float(each.account.stored) for each in own]
    rows: list[tuple[str, str, Mapping[str, list[float]], Goal | None]] = [
        ("stored", "ev/s", stored, None),
        ("CPU", "%", of(lambda each: each.cpu, OWN, _NO_SCREEN, _PEER), None),
        ("frames", "/s", of(lambda each: each.frames, OWN, _PEER), at_least(4, "value")),
        ("key → paint p50", "ms", of(partial(_key_ms, 50), OWN, _PEER), None),
        ("key → paint p99", "ms", of(partial(_key_ms, 99), OWN, _PEER), at_most(250)),
        ("published", "events", {OWN: published, _EMITTED: emitted}, _ALL),
        ("stored in the file", "events",
         {OWN: [float(each.rows) for each in own], _ACCOUNT: in_account}, _ALL),
        ("in flight", "events", of(lambda each: each.account.in_flight, OWN, _NO_SCREEN), None),
        ("lost", "events", of(lambda each: each.account.lost, OWN, _NO_SCREEN), None),
    ]  # fmt: skip
    for name, unit, samples, goal in rows:
        peer = list(samples)[-1]
        yield from compare("flood", f"{title}: {name}", unit, samples, {peer: goal} if goal else {})


def _key_ms(percent: int, flood: Flood) -> float:
    return percentile(flood.key_ms, percent)


def _watch(plan: Plan, screen: Screen) -> Flood:
    """A flood of `flood_s` seconds: frames and CPU in its first half, keys in its second."""
    db = None if screen == "scroll_views" else plan.folder / "flood.duckdb"
    load = ScreenLoad(
        screen=screen, panes=_PANES, rate_per_s=plan.sizes.flood_per_s, threads=_THREADS,
        frame_s=_FRAME_S, db=None if db is None else str(db),
    )  # fmt: skip
    half_s = plan.sizes.flood_s / 2
    key_ms: list[float] = []
    with Terminal(command_of(load), plan.folder, _SIZE) as terminal:
        terminal.reported()  # the load has started
        started = time.perf_counter()
        if screen != "none":
            terminal.wait_for(selected(screen, 0))
        if screen == "arena":
            terminal.press(b"a", PUBLISHED)  # a figure that every frame changes
        terminal.watch(plan.sizes.settle_s)
        cpu_s = report_of(terminal).cpu_s
        output = terminal.watch(half_s)
        cpu_s = report_of(terminal).cpu_s - cpu_s
        while time.perf_counter() < started + 2 * half_s or not (key_ms or screen == "none"):
            if screen == "none":
                terminal.watch(half_s)
            else:
                key_ms.append(press_key(terminal, screen, len(key_ms)))
        terminal.signal(signal.SIGUSR2)
        report = _settled(terminal)
        seconds = time.perf_counter() - started
    return Flood(
        emitted=report.emitted, emitted_per_s=report.emitted / seconds, cpu=100 * cpu_s / half_s,
        frames=frames_in(output) / half_s, key_ms=tuple(key_ms),
        account=report.account or Account(), rows=0 if db is None else _rows(db),
    )  # fmt: skip


def _settled(terminal: Terminal) -> Report:
    """The report once the load has ended, and all of it is stored or lost; or at the latest after
    a minute."""
    deadline = time.perf_counter() + _STORE_S
    while True:
        report = report_of(terminal)
        account = report.account
        arrived = account is None or (account.published == report.emitted and not account.in_flight)
        if (not report.emitting and arrived) or time.perf_counter() > deadline:
            return report
        terminal.watch(_LOOK_S)


def _rows(path: Path) -> int:
    """Events in a store's file, which is deleted."""
    with duckdb.connect(path) as connection:
        found = connection.execute("SELECT count(*) FROM events").fetchone()
    remove(path)
    if found is None:
        raise BenchError("the store's file cannot be read")
    return int(found[0])
