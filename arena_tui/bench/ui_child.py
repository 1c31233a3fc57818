"""The program that `bench.ui` watches: a screen, and a thread that emits events into it.

Started as `python -m arena_tui.bench.ui_child DESCRIPTOR LOAD`. Writes a line to the descriptor
when the load begins, and at every SIGUSR1 the CPU seconds it has taken.
"""

from __future__ import annotations

import asyncio
import os
import re
import resource
import signal
import sys
import threading
import time
from collections.abc import Mapping
from importlib import import_module
from typing import Final, Literal, TypeAlias

import msgspec
from msgspec import Struct

from arena_tui.bench.load import EmittingThread
from arena_tui.config import Config
from arena_tui.services.connect import PROCESS
from arena_tui.services.runtime import Runtime

__all__ = ["Screen", "ScreenLoad", "pane_name", "selected"]

Screen: TypeAlias = Literal["none", "arena", "scroll_views"]

_LOOK_S = 0.01


def pane_name(number: int) -> str:
    """What the game of that pane is called: short enough for the narrowest frame."""
    return f"p{number:02}"


_TITLES: Final[Mapping[Screen, str]] = {
    # A selected pane's title has the style of its frame, others have one of their own.
    "arena": "\x1b\\[([0-9;]+)m╭─?(?:\x1b\\[0m)?(?:\x1b\\[\\1m)? {} ·",
    "scroll_views": "▸{}",
}


def selected(screen: Screen, number: int) -> re.Pattern[bytes]:
    """What is on its way to the terminal only while that pane is the selected one."""
    return re.compile(_TITLES[screen].format(pane_name(number)).encode())


class ScreenLoad(Struct, frozen=True, kw_only=True):
    """What is shown and how often, and how many events a second; `db` None: nothing is stored."""

    screen: Screen
    panes: int
    rate_per_s: float
    frame_s: float
    db: str | None = None


def main(report: int, load: ScreenLoad) -> None:
    """Show the screen until the signal to end."""
    signal.signal(signal.SIGUSR1, lambda *_: _tell(report, _cpu_s()))
    threading.Thread(target=_emit, args=(report, load), daemon=True).start()
    config = Config(db=load.db)
    if load.screen == "arena":
        import_module("arena_tui.tui.app").ArenaApp(config, frame_s=load.frame_s).run()
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
        time.sleep(_LOOK_S)
    names = [pane_name(number) for number in range(load.panes)]
    EmittingThread(runtime.sink.emit, load.rate_per_s, names)
    _tell(report, _cpu_s())


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _tell(report: int, figure: float) -> None:
    os.write(report, f"{figure}\n".encode())


if __name__ == "__main__":
    main(int(sys.argv[1]), msgspec.json.decode(sys.argv[2], type=ScreenLoad))
