"""How far a tournament has come, on stderr. Knows nothing of what plays it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from arena_tui.cli.output import harmless
from arena_tui.folds.numbers import number
from arena_tui.folds.standings import Game


class GameCount:
    """A bar on a terminal; elsewhere a line for each game that is over, unless it is `quiet`."""

    def __init__(self, stderr: TextIO, quiet: bool) -> None:
        self._stderr = stderr
        self._quiet = quiet
        self._over = self._crashed = self._total = 0

    @contextmanager
    def shown(self, over: int, total: int) -> Iterator[None]:
        """Show the games from here on, of which some were over before."""
        self._over, self._total = over, total
        if not self._stderr.isatty():
            yield
            return
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
        from rich.progress import TimeRemainingColumn as Remaining

        columns = (BarColumn(), MofNCompleteColumn(), TextColumn("games{task.fields[crashed]}"),
                   Remaining(compact=True))  # fmt: skip
        console = Console(file=self._stderr)
        with Progress(*columns, console=console, transient=True) as self._bar:
            self._task = self._bar.add_task("", completed=over, total=total, crashed="")
            yield

    def add(self, game: Game) -> None:
        """One more is over."""
        self._over += 1
        self._crashed += game.status == "crashed"
        if self._stderr.isatty():
            crashed = f", {self._crashed:,} crashed" if self._crashed else ""
            self._bar.update(self._task, completed=self._over, crashed=crashed)
        elif not self._quiet:
            number = f"{self._over:,} of {self._total:,}"
            players = " – ".join(game.agents)
            self._stderr.write(
                harmless(f"{number}  {game.game}  {players}  {_ending(game)}") + "\n"
            )


def _ending(game: Game) -> str:
    if game.status != "finished":
        return f"{game.status} ({game.reason})"
    return " : ".join("?" if score is None else number(score) for score in game.scores)
