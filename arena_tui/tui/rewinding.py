"""The clock of a frozen mosaic: it stands, is moved, and plays on to now. Paints nothing."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Final

from arena_tui.folds.absent import AbsentPane
from arena_tui.folds.view import Pane
from arena_tui.services.playback.mosaic import PastMosaic
from arena_tui.services.scripts.scripts import ScriptPane
from arena_tui.tui.render.mosaic import Tile
from arena_tui.tui.render.text import clock_time, duration
from arena_tui.tui.screens.base import ArenaScreen

_SPEEDS: Final = (1, 2, 4, 8, 16)
_PASSED_MAX_S: Final = 2.0
"""More than that did not pass while one looked: another screen was on top."""
_AHEAD_MAX: Final = timedelta(minutes=1)
"""Clocks of producers that are further ahead of this machine's are not believed."""
_LOOKED_AT_MAX: Final = 72
"""Runs of which tapes are open at most: some screenfuls of panes."""
_WORKERS: Final = "past"


class Rewinding:
    """One screen's: `freeze` it, move and play it, and `tick` once a frame. Tapes are open from the
    first move, or from playing, until `go_live`.

    Attributes:
        at: The time shown, UTC, as the events have it; None while that is now.
    """

    def __init__(self, screen: ArenaScreen) -> None:
        self.at: datetime | None = None
        self._screen = screen
        self._arena = screen.arena
        self._frozen: dict[str, Pane] = {}
        self._now_from = datetime.min.replace(tzinfo=UTC)
        self._mosaic: PastMosaic | None = None
        self._playing = False
        self._speed = _SPEEDS[0]
        self._ticked_s = self._arena.monotonic()
        self._is_there = True

    @property
    def panes(self) -> tuple[Pane, ...]:
        """All panes as they were frozen."""
        return tuple(self._frozen.values())

    @property
    def badge(self) -> str:
        """`FROZEN 12:03:14, 41 s behind`, `REPLAY 4x 12:03:14, 41 s behind`; "" while now is
        shown."""
        if self.at is None:
            return ""
        behind_s = max(0, int((self._now() - self.at).total_seconds()))
        behind = f"{behind_s} s" if behind_s < 60 else duration(behind_s)
        mode = f"REPLAY {self._speed}x" if self._playing else "FROZEN"
        text = f"{mode} {clock_time(self.at, self._arena.zone)}, {behind} behind"
        if self._mosaic is not None and self._arena.session.history is None:
            text += ", from memory alone"
        return text if self._is_there else f"{text} …"

    def do(self, what: str, amount: int = 0) -> None:
        """What a key asks for: to `hold` or, if it is held, show what is `now`; to `move` by so
        many seconds, to `play` or pause, or to change the `speed` by so many steps."""
        if what == "now" or (what == "hold" and self.at is not None):
            self.go_live()
        elif what == "hold":
            self._freeze()
        elif what == "move":
            self._move(timedelta(seconds=amount))
        elif what == "play":
            self._playing = not self._playing
            if self._playing:
                self._look()
        else:
            step = _SPEEDS.index(self._speed) + amount
            self._speed = _SPEEDS[max(0, min(len(_SPEEDS) - 1, step))]

    def go_live(self) -> None:
        """Show what is now. Idempotent."""
        self.at, self._playing, self._speed = None, False, _SPEEDS[0]
        self._is_there = True
        self._screen.workers.cancel_group(self._screen, _WORKERS)
        if self._mosaic is not None:
            self._mosaic.close()
            self._mosaic = None
        self._screen.refresh_bindings()

    def tick(self) -> None:
        """Play on for the time that has passed, fold what there is for it, and read what lacks.

        The time stands until all runs in sight are there; at the present it is live again.
        """
        now_s = self._arena.monotonic()
        passed_s, self._ticked_s = min(now_s - self._ticked_s, _PASSED_MAX_S), now_s
        mosaic = self._mosaic
        if self.at is None or mosaic is None:
            return
        sight = self._runs(self._screen.runs_in_sight())
        soon = self._runs(self._screen.runs_in_sight(soon=True))
        looked_at = list((sight | soon).items())[:_LOOKED_AT_MAX]
        mosaic.look_at(dict(looked_at), len(sight))
        if self._playing and self._is_there:
            self.at += timedelta(seconds=passed_s * self._speed)
            if self.at >= self._now():
                self.go_live()
                return
            mosaic.go_on(self.at)
        self._is_there = mosaic.fold_on()
        self._playing = self._playing and not mosaic.has_failed
        if mosaic.lacking and not mosaic.reading:
            self._screen.run_worker(
                mosaic.read_on(lambda: None), "reading", _WORKERS, exit_on_error=False
            )

    def shown(self, tile: Tile) -> Tile:
        """What a tile shows at the time; a script is as it was when all was frozen."""
        if self._mosaic is None or isinstance(tile, ScriptPane):
            return tile
        return self._mosaic.pane(tile.run_id) or tile

    def open_run(self, run_id: str) -> None:
        """Open a run where it stands at the time."""
        at = None
        if self._mosaic is not None:
            at = self._mosaic.cursor(run_id)
            if at is None:
                is_gone = isinstance(self._mosaic.pane(run_id), AbsentPane)
                said = "is no longer held" if is_gone else "is still being read: try again"
                self._screen.notify(f"this run {said}", severity="warning")
                return
        self._arena.open_run(run_id, at)

    def _freeze(self) -> None:
        session = self._arena.session
        self._frozen = {pane.run_id: pane for pane in session.feed.all_panes()}
        now_s = self._ticked_s = self._arena.monotonic()
        self.at = _present(self._arena.session.wall(), self._times(now_s))
        self._now_from = self.at - timedelta(seconds=now_s)
        self._screen.refresh_bindings()

    def _times(self, now_s: float) -> Iterable[datetime]:
        """What time it is by the clocks of the runs: so long after their newest events."""
        for run_id in self._frozen:
            view = self._arena.session.feed.view(run_id)
            if view is not None and view.totals.last_at is not None:
                since = timedelta(seconds=max(0.0, now_s - view.arrived_at))
                with suppress(OverflowError):  # a producer may say anything
                    yield view.totals.last_at + since

    def _now(self) -> datetime:
        return self._now_from + timedelta(seconds=self._arena.monotonic())

    def _move(self, by: timedelta) -> None:
        """Not to before all runs had begun."""
        if self.at is None:
            return
        began = [pane.started_at for pane in self._frozen.values() if pane.started_at is not None]
        first = min([*began, self.at])
        self.at = max(first, self.at + by)
        if self.at >= self._now():
            self.go_live()
        else:
            self._look()

    def _look(self) -> None:
        """Look at the time there is now, in place of what is still being read."""
        if self.at is None:
            return
        self._screen.workers.cancel_group(self._screen, _WORKERS)
        if self._mosaic is None:
            session = self._arena.session
            self._mosaic = PastMosaic(
                session.runtime, session.prices, self.at, session.feed.place_since
            )
        self._mosaic.go_to(self.at)
        self._is_there = False

    def _runs(self, keys: Iterable[str]) -> dict[str, Pane]:
        """Those of them that are runs, with their panes as they were frozen."""
        return {key: self._frozen[key] for key in keys if key in self._frozen}


def _present(wall: datetime, times: Iterable[datetime]) -> datetime:
    """The latest time there is by the runs' own clocks, so that runs of another day, which a file
    may have, are played, too; by this machine's where no run knows."""
    wall = wall.astimezone(UTC)
    return max((each for each in times if each <= wall + _AHEAD_MAX), default=wall)
