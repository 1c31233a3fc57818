"""The program that `ui`, `flood` and `memory` measure: a screen, and threads that emit into it.

Started as `python -m arena_tui.bench.ui_child DESCRIPTOR LOAD`. Writes a line to the descriptor
when the load starts, and a `Report` as JSON at every SIGUSR1; ends the load at SIGUSR2.
"""

from __future__ import annotations

import asyncio
import math
import os
import re
import resource
import select
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from functools import partial
from importlib import import_module
from typing import Final, Literal, TypeAlias

import msgspec
from msgspec import Struct

from arena_tui.bench.load import EmittingThread, run_ids, small_event, talkative_event
from arena_tui.bench.terminal import Terminal
from arena_tui.broker.protocol import STORE
from arena_tui.config import Config
from arena_tui.folds.accounts import Account
from arena_tui.services.connect import PROCESS
from arena_tui.services.runtime import Runtime
from arena_tui.services.session import Session
from arena_tui.tui.environment import prepare

Screen: TypeAlias = Literal["none", "arena", "scroll_views"]

_POLL_S = 0.01
"""Interval of looking whether the screen is up: it has no signal for that but its offered runtime.
The load, and with it all that is measured, begins afterwards."""


def pane_name(number: int) -> str:
    """Name of that pane's game, short enough for the narrowest frame."""
    return f"p{number:02}"


_TITLES: Final[Mapping[Screen, str]] = {
    # A selected pane's title has the style of its frame, the others' titles have their own.
    "arena": "\x1b\\[([0-9;]+)m╭─?(?:\x1b\\[0m)?(?:\x1b\\[\\1m)? {} ·",
    "scroll_views": "▸{}",
}


def selected(screen: Screen, number: int) -> re.Pattern[bytes]:
    """Matches output that is sent only while that pane is selected."""
    return re.compile(_TITLES[screen].format(pane_name(number)).encode())


class ScreenLoad(Struct, frozen=True, kw_only=True):
    """A screen and what it is to show.

    Attributes:
        panes: Runs, all of them open.
        rate_per_s: Events a second, over all runs; 0: none but those that open the runs.
        threads: That share the runs.
        talkative: Whether events are as long as those of language models.
        db: The store's file; None: no store.
        low_bandwidth: Whether the dashboard sends as little as it can.
    """

    screen: Screen
    panes: int
    rate_per_s: float
    frame_s: float
    threads: int = 1
    talkative: bool = False
    db: str | None = None
    low_bandwidth: bool = False


class Report(Struct, frozen=True, kw_only=True):
    """How far the program is.

    Attributes:
        cpu_s: Used so far by all its threads.
        emitting: Whether the threads still emit, or have yet to begin.
        emitted: Events that they handed over.
        account: Of the store; None if there is none.
    """

    cpu_s: float
    emitting: bool
    emitted: int
    account: Account | None


def command_of(load: ScreenLoad) -> list[str]:
    """The command of this program, for a `Terminal`."""
    program = [sys.executable, "-m", "arena_tui.bench.ui_child", "{report}"]
    return [*program, msgspec.json.encode(load).decode()]


def report_of(terminal: Terminal) -> Report:
    """How far the program on this terminal is now."""
    return msgspec.json.decode(terminal.ask(), type=Report)


class _Load:
    """Emits into the process's runtime, as soon as it has one, until it is told to stop."""

    def __init__(self, load: ScreenLoad) -> None:
        self._load = load
        self._threads: list[EmittingThread] = []
        self._stopping = threading.Event()
        self._emitting = True

    def run(self, on_start: Callable[[], None]) -> None:
        """From a thread; `on_start` is called when the runtime is there."""
        load = self._load
        while (runtime := PROCESS.offered) is None:
            time.sleep(_POLL_S)
        games = [(run_id, pane_name(number)) for number, run_id in enumerate(run_ids(load.panes))]
        event = talkative_event if load.talkative else small_event
        rate_per_s = load.rate_per_s / load.threads
        step = math.ceil(load.panes / load.threads)
        for first in range(0, load.panes, step):
            share = dict(games[first : first + step])
            thread = EmittingThread(runtime.sink.emit, rate_per_s, share, event)
            self._threads.append(thread)
            while thread.emitted < len(share):  # panes stand in the order in which runs begin
                time.sleep(_POLL_S)
        on_start()
        self._stopping.wait()
        for thread in self._threads:
            thread.stop()
        self._emitting = False

    def stop(self) -> None:
        """End all runs soon; from a signal handler."""
        self._stopping.set()

    def report(self) -> Report:
        """From the main thread, where the runtime's loop is."""
        used = resource.getrusage(resource.RUSAGE_SELF)
        runtime = PROCESS.offered
        infos = runtime.consumers() if runtime else ()
        accounts = (each.account(each.published) for each in infos if each.name == STORE)
        return Report(
            cpu_s=used.ru_utime + used.ru_stime,
            emitting=self._emitting,
            emitted=sum(thread.emitted for thread in self._threads),
            account=next(accounts, None),
        )


def main(report: int, given: ScreenLoad) -> None:
    """Show the screen until killed."""
    load = _Load(given)

    def write(*_: object) -> None:
        os.write(report, msgspec.json.encode(load.report()) + b"\n")

    signal.signal(signal.SIGUSR1, write)
    signal.signal(signal.SIGUSR2, lambda *_: load.stop())
    began = partial(os.write, report, b"began\n")
    threading.Thread(target=load.run, args=(began,), daemon=True).start()
    threading.Thread(target=_end_with_reader, args=(report,), daemon=True).start()
    config = Config(db=given.db, low_bandwidth=given.low_bandwidth)
    prepare(config.low_bandwidth)
    if given.screen == "arena":
        _show(config, given.frame_s)
    elif given.screen == "scroll_views":
        names = [pane_name(number) for number in range(given.panes)]
        import_module("arena_tui.bench.ui_peers").ScrollViews(names, given.frame_s).run()
    else:
        asyncio.run(_serve(config))


def _show(config: Config, frame_s: float) -> None:
    name = ("frugal", "FrugalDriver") if config.low_bandwidth else ("driver", "TerminalDriver")
    driver = getattr(import_module(f"arena_tui.tui.{name[0]}"), name[1])
    app = import_module("arena_tui.tui.app").ArenaApp(
        Session(config), frame_s=frame_s, driver=driver
    )
    app.run()


async def _serve(config: Config) -> None:
    runtime = Runtime(config)
    PROCESS.offer(runtime)
    await runtime.open()
    await asyncio.Event().wait()


def _end_with_reader(report: int) -> None:
    """End once nobody reads the figures: without its terminal a screen may wait for ever."""
    watch = select.poll()
    watch.register(report, 0)  # for errors alone
    watch.poll()
    os._exit(1)


if __name__ == "__main__":
    main(int(sys.argv[1]), msgspec.json.decode(sys.argv[2], type=ScreenLoad))
