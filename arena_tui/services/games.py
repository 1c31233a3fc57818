"""The games this process plays: built-in ones and users' scripts, each in its own threads."""

from __future__ import annotations

import asyncio
import os
import runpy
import sys
import threading
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, Union

from arena_tui.broker.forked import leave
from arena_tui.broker.warnings import Warnings
from arena_tui.errors import UsageError
from arena_tui.producers.sink import MultiRunBrokerSink

if TYPE_CHECKING:
    from arena_tui.games.play import Player
    from arena_tui.games.specs import GameSpec


class Script:
    """A Python file that plays through `arena_tui.connect()`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def run(self, warnings: Warnings) -> None:
        """Run the file as `__main__`; warns if it raises.

        A child that the file forked ends here, with the exit code of a program of its own.
        """
        pid, code = os.getpid(), 0
        try:
            sys.path.insert(0, str(self.path.resolve().parent))
            runpy.run_path(str(self.path), run_name="__main__")
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a user's program may raise anything
            code = _exit_code(error)
            if code and not (os.getpid() != pid and isinstance(error, SystemExit)):
                why = str(error) or type(error).__name__
                warnings.add("script_failed", error=error, script=self.path.name, why=why)
        finally:
            if os.getpid() != pid:
                leave(code)


def _exit_code(error: BaseException) -> int:
    """What a program ends with that raises this."""
    if not isinstance(error, SystemExit):
        return 1
    if error.code is None or isinstance(error.code, int):
        return error.code or 0
    return 1


Playable: TypeAlias = Union["GameSpec", Script]
"""What `--play` takes: `connect_four mcts:200 random`, or `agent.py`."""


def parse_playable(text: str) -> Playable:
    """Parse a game spec, or the path of an existing Python file; raises UsageError."""
    if text.endswith(".py"):
        try:
            path = Path(text).expanduser()
            if path.is_file():
                return Script(path)
        except (OSError, RuntimeError):  # the name is too long, or no home directory
            pass
        raise UsageError(f"no file {text[:200]}: give a Python file, or a game and its agents")
    from arena_tui.games.specs import GameSpec

    return GameSpec.parse(text)


class Games:
    """Starts and stops games; warns of scripts that fail."""

    def __init__(self, sink: MultiRunBrokerSink, warnings: Warnings) -> None:
        self._sink = sink
        self._warnings = warnings
        self._players: list[Player] = []
        self._scripts: list[threading.Thread] = []

    @property
    def playing(self) -> int:
        """Number of games and scripts still running."""
        self._players = [player for player in self._players if player.running]
        self._scripts = [thread for thread in self._scripts if thread.is_alive()]
        return sum(min(p.spec.parallel, p.spec.games) for p in self._players) + len(self._scripts)

    def start(self, playable: Playable, continuous: bool = False) -> None:
        """Start playing. Blocks for up to a few hundred ms while the game loads.

        Raises:
            ArenaError: It cannot be played; the message says why.
        """
        if isinstance(playable, Script):
            name = f"script {playable.path.name}"
            run = partial(playable.run, self._warnings)
            thread = threading.Thread(target=run, name=name, daemon=True)
            thread.start()
            self._scripts.append(thread)
        else:
            from arena_tui.games.play import Player

            player = Player(playable, self._sink.run, continuous=continuous)
            player.start()
            self._players.append(player)

    async def start_in_thread(self, playable: Playable, continuous: bool = False) -> None:
        """Like `start`, without blocking the event loop while the game loads."""
        await asyncio.to_thread(self.start, playable, continuous)

    def stop(self, within_s: float) -> None:
        """Ask all games to end, and wait for them; scripts are not stopped."""
        until = time.monotonic() + within_s
        for player in self._players:
            player.stop()
        for player in self._players:
            player.join(max(0.0, until - time.monotonic()))
