"""The games this process plays: built-in ones and users' scripts, each in its own threads."""

from __future__ import annotations

import asyncio
import os
import runpy
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeAlias, Union

from arena_tui.broker.forked import leave
from arena_tui.broker.protocol import BrokerProtocol
from arena_tui.broker.warnings import Warnings
from arena_tui.errors import UsageError
from arena_tui.producers.sink import MultiRunBrokerSink

if TYPE_CHECKING:
    from arena_tui.folds.standings import Game
    from arena_tui.games.specs import GameSpec
    from arena_tui.games.tournament import TournamentSpec
    from arena_tui.services.tournament import Tournament
    from arena_tui.store.history import History


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


Playable: TypeAlias = Union["GameSpec", "TournamentSpec", Script]
"""What `--play` takes: `connect_four mcts:200 random`, `tournament chess mcts:50 random rounds=2`,
or `agent.py`."""


class Playing(Protocol):
    """Games being played; all of it from any thread."""

    @property
    def playing(self) -> int: ...
    def stop(self) -> None: ...
    def join(self, timeout_s: float | None = None) -> bool: ...


def parse_playable(text: str) -> Playable:
    """Parse a game spec, a tournament, or the path of an existing Python file; raises
    UsageError."""
    if text.endswith(".py"):
        try:
            path = Path(text).expanduser()
            if path.is_file():
                return Script(path)
        except (OSError, RuntimeError):  # the name is too long, or no home directory
            pass
        raise UsageError(f"no file {text[:200]}: give a Python file, or a game and its agents")
    from arena_tui.games.specs import GameSpec
    from arena_tui.games.tournament import WORD, TournamentSpec

    if text.split(maxsplit=1)[:1] == [WORD]:
        return TournamentSpec.parse(text)
    return GameSpec.parse(text)


class Games:
    """Starts and stops games; warns of scripts that fail.

    Args:
        history: The reader of the store that keeps what is played, if one does.
    """

    def __init__(
        self, sink: MultiRunBrokerSink, broker: BrokerProtocol,
        history: Callable[[], History | None],
    ) -> None:  # fmt: skip
        self._sink = sink
        self._broker = broker
        self._history = history
        self._playing: list[Playing] = []
        self._scripts: list[threading.Thread] = []

    @property
    def playing(self) -> int:
        """Number of games and scripts still running."""
        self._playing = [each for each in self._playing if each.playing]
        self._scripts = [thread for thread in self._scripts if thread.is_alive()]
        return sum(each.playing for each in self._playing) + len(self._scripts)

    async def start(self, playable: Playable, continuous: bool = False) -> None:
        """Start playing; a game is loaded in a thread.

        Raises:
            ArenaError: It cannot be played; the message says why.
        """
        from arena_tui.games.tournament import TournamentSpec

        if isinstance(playable, Script):
            name = f"script {playable.path.name}"
            run = partial(playable.run, self._broker.warnings)
            thread = threading.Thread(target=run, name=name, daemon=True)
            thread.start()
            self._scripts.append(thread)
        elif isinstance(playable, TournamentSpec):
            self.begin(await self.enter(playable))
        else:
            from arena_tui.games.play import Player

            player = await asyncio.to_thread(
                partial(Player, playable, self._sink.run, continuous=continuous)
            )
            player.start()
            self._playing.append(player)

    async def enter(
        self, spec: TournamentSpec, on_finished: Callable[[Game], None] = lambda _: None
    ) -> Tournament:
        """A tournament that is yet to `begin`; `on_finished` is called in worker threads.

        Raises:
            UsageError: It cannot be played, or nothing is stored here.
            StoreError: What was played cannot be read.
        """
        from arena_tui.games.tournament import check_tournament
        from arena_tui.services.tournament import Tournament

        history = self._history()
        if history is None:
            raise UsageError("a tournament needs a store, which tells what was played: "
                             "leave out --no-store, or give another --db")  # fmt: skip
        tables = await asyncio.to_thread(check_tournament, spec)
        tournament = Tournament(spec, tables, self._sink, self._broker, history, on_finished)
        await tournament.open()
        return tournament

    def begin(self, tournament: Tournament) -> None:
        """Play what the store lacks of it."""
        tournament.start()
        self._playing.append(tournament)

    def stop(self, within_s: float) -> None:
        """Ask all games to end, and wait for them; scripts are not stopped."""
        until = time.monotonic() + within_s
        for each in self._playing:
            each.stop()
        for each in self._playing:
            each.join(max(0.0, until - time.monotonic()))
