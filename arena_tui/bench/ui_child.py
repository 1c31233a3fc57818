"""The program that `ui` and `memory` measure: a screen, and a thread that emits events into it.

Started as `python -m arena_tui.bench.ui_child DESCRIPTOR LOAD`. Writes its CPU seconds so far to
the descriptor, a line when the load starts and one at every SIGUSR1.
"""

from __future__ import annotations

import asyncio
import os
import re
import resource
import select
import signal
import sys
import threading
import time
from collections.abc import Mapping
from importlib import import_module
from typing import Final, Literal, TypeAlias

import msgspec
from msgspec import Struct

from arena_tui.bench.load import EmittingThread, run_ids, small_event, talkative_event
from arena_tui.config import Config
from arena_tui.services.connect import PROCESS
from arena_tui.services.runtime import Runtime
from arena_tui.services.session import Session

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
        talkative: Whether events are as long as those of language models.
        db: The store's file; None: no store.
    """

    screen: Screen
    panes: int
    rate_per_s: float
    frame_s: float
    talkative: bool = False
    db: str | None = None


def main(report: int, load: ScreenLoad) -> None:
    """Show the screen until killed."""
    signal.signal(signal.SIGUSR1, lambda *_: _write_figure(report, _cpu_s()))
    threading.Thread(target=_emit, args=(report, load), daemon=True).start()
    threading.Thread(target=_end_with_reader, args=(report,), daemon=True).start()
    config = Config(db=load.db)
    if load.screen == "arena":
        app = import_module("arena_tui.tui.app").ArenaApp(Session(config), frame_s=load.frame_s)
        app.run()
    elif load.screen == "scroll_views":
        names = [pane_name(number) for number in range(load.panes)]
        import_module("arena_tui.bench.ui_peers").ScrollViews(names, load.frame_s).run()
    else:
        asyncio.run(_serve(config))


async def _serve(config: Config) -> None:
    runtime = Runtime(config)
    PROCESS.offer(runtime)
    await runtime.open()
    await asyncio.Event().wait()


def _emit(report: int, load: ScreenLoad) -> None:
    while (runtime := PROCESS.offered) is None:
        time.sleep(_POLL_S)
    games = {run_id: pane_name(number) for number, run_id in enumerate(run_ids(load.panes))}
    event = talkative_event if load.talkative else small_event
    EmittingThread(runtime.sink.emit, load.rate_per_s, games, event)
    _write_figure(report, _cpu_s())


def _end_with_reader(report: int) -> None:
    """End once nobody reads the figures: without its terminal a screen may wait for ever."""
    watch = select.poll()
    watch.register(report, 0)  # for errors alone
    watch.poll()
    os._exit(1)


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _write_figure(report: int, figure: float) -> None:
    os.write(report, f"{figure}\n".encode())


if __name__ == "__main__":
    main(int(sys.argv[1]), msgspec.json.decode(sys.argv[2], type=ScreenLoad))
