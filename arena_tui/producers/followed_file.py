"""One followed file: reads what is added, notices when it is another file, and warns.

What becomes of a line, `FollowedRuns` decides; here it is found in which chain the line is.
"""

from __future__ import annotations

import contextlib
import logging
import os
import stat
import threading
from collections.abc import Iterable
from glob import escape
from pathlib import Path
from typing import Final, Literal, NamedTuple

from arena_tui.broker.chain import Chain, new_chain
from arena_tui.broker.warned import Warned
from arena_tui.broker.warnings import Warnings
from arena_tui.errors import EventError
from arena_tui.events import Event
from arena_tui.producers.followed_runs import FollowedRuns
from arena_tui.producers.lines import Line, LineIntake
from arena_tui.producers.origin import Place, Tracker
from arena_tui.producers.scan import Scan, scan
from arena_tui.producers.source import LineSource, RewrittenError

_WARNED_MAX: Final = 3
_LOGGED_MAX: Final = 1_000
"""Bad lines of one file reported one by one: warned of, and in the log."""

_PACKED: Final = (".gz", ".bz2", ".xz", ".zst")

_log = logging.getLogger(__name__)

_Restarted = Literal["file_replaced", "file_cut_short", "file_rewritten"]


class _Key(NamedTuple):
    """A chain in the file; see `Place`."""

    run_id: str
    number: int


class FollowedFile:
    """Belongs to the follower's thread.

    Attributes:
        path, name: Where it is, and its name for warnings.
        refused: Bad lines so far.
        idle: Whether its end was reached when it was read last.
    """

    def __init__(
        self, path: Path, runs: FollowedRuns, warnings: Warnings, stop: threading.Event
    ) -> None:
        self.path = path
        self.name = path.name
        self.idle = False
        self._runs = runs
        self._warnings = warnings
        self._stop = stop
        self._source: LineSource | None = None
        self._is_damaged = False  # and that was told
        self._between: list[Path] = []  # rotated away unseen, to be read before what is at `path`
        self._intake = LineIntake(self._publish, self._refuse)
        self._tracker = Tracker()
        self._scanned = Scan()
        self._chains: dict[_Key, Chain] = {}
        self._doubtful: dict[str, str] = {}  # the chain of each run that may have gone on unread
        self._trouble: Warned | None = None
        self._restarted: Warned | None = None
        self._summary: Warned | None = None

    @property
    def refused(self) -> int:
        return self._intake.refused

    @property
    def replaying(self) -> bool:
        """Whether repeats of a run are being published: no other file may add to it meanwhile."""
        return any(
            self._runs.is_replaying(chain.id, key.run_id) for key, chain in self._chains.items()
        )

    def read_more(self) -> bool:
        """Publish the next lines; False when there are none now."""
        try:
            if self._source is None:
                self._source = self._open()
            moved = self._read(self._source) or self._restart_if_replaced(self._source)
        except FileNotFoundError:
            self._report_trouble("file_missing")
        except RewrittenError as error:
            if error.shorter:
                self._restart("file_cut_short", lossy=True)
            else:
                self._restart("file_rewritten", lossy=True)
            return True
        except OSError as error:
            self._report_trouble("file_unreadable", error.strerror or repr(error))
        else:
            self._warnings.withdraw(self._trouble)
            self._trouble = None
            self.idle = not moved
            return moved
        return False

    def finish(self) -> None:
        """Publish a last line without its newline, if it is whole: nothing more is to come now."""
        if self._source is not None:
            self._take_unfinished(self._source)
            for _ in self._source.rest():  # else half a line, which is read when it is whole
                pass
            self._take(())

    def close(self) -> None:
        if self._source is not None:
            self._source.file.close()
            self._source = None

    def has(self, run_id: str) -> bool:
        """Whether it holds lines of this run."""
        return any(key.run_id == run_id for key in self._chains)

    def _open(self) -> LineSource:
        path = self._between[0] if self._between else self.path
        try:
            file = open(path, "rb", buffering=0, opener=_open_nonblocking)  # noqa: SIM115
        except OSError:
            if self._between:  # moved once more: the file in its place is tried next
                self._between.pop(0)
            raise
        try:
            self._scanned = scan(file, self._runs, self._stop)
        except BaseException:
            file.close()
            raise
        return LineSource(file, watched=True)

    def _read(self, source: LineSource) -> bool:
        lines = source.read()
        if lines is not None:
            self._take(lines)
            return True
        if self.replaying:  # a last line without its newline was stored, too
            self._take_unfinished(source)
        if self._chains:  # its end is reached, and something was in it
            while self._doubtful:
                self._runs.lose(self._doubtful.popitem()[0])
        return False

    def _take(self, lines: Iterable[Line]) -> None:
        refused = self.refused
        self._intake.take(lines)
        if self.refused > max(refused, _WARNED_MAX):
            if self._summary is None:
                self._summary = self._warnings.add(
                    "lines_refused", file=self.name, lines=self.refused
                )
            else:
                self._summary = self._warnings.update(self._summary, lines=self.refused)
        damage = None if self._source is None else self._source.damage
        if damage is not None and not self._is_damaged:
            self._is_damaged = True
            self._warnings.add("file_damaged", file=self.name, why=damage)

    def _take_unfinished(self, source: LineSource) -> None:
        if (line := source.unfinished()) is not None:
            with contextlib.suppress(EventError):
                line.decode()
                self._take(source.take_unfinished())

    def _restart_if_replaced(self, source: LineSource) -> bool:
        """At the end of the file, restart if it was replaced; False if it was not."""
        old = os.fstat(source.file.fileno())
        if self._between:
            self._take(source.rest())
            self._between.pop(0)
            self._start_anew()
            return True
        try:
            now = self.path.stat()
        except FileNotFoundError:
            return False  # moved away: keep reading it until another file replaces it
        if os.path.samestat(now, old):
            return False
        if stat.S_ISREG(now.st_mode) and not now.st_size:
            return False  # its writer may still have the old one open, and add to that
        if self._read(source):  # written after the end was reached
            return True
        self._take(source.rest())
        self._between, unreadable = self._rotated_between(old, now)
        # Of a file that is gone nobody can say whether another one stood in its place for a moment.
        self._restart("file_replaced", lossy=unreadable or not old.st_nlink)
        return True

    def _rotated_between(self, old: os.stat_result, now: os.stat_result) -> tuple[list[Path], bool]:
        """The files beside it that took its place and were moved away before they were seen, oldest
        first, and whether any of them is packed: written after the old one, before the new one."""
        found: list[tuple[int, Path]] = []
        for beside in self.path.parent.glob(f"{escape(self.path.name)}?*"):
            try:
                status = beside.stat(follow_symlinks=False)
            except FileNotFoundError:  # moved once more
                continue
            if (
                stat.S_ISREG(status.st_mode)
                and not os.path.samestat(status, old)
                and not os.path.samestat(status, now)
                and old.st_mtime_ns <= status.st_mtime_ns <= now.st_mtime_ns
            ):
                found.append((status.st_mtime_ns, beside))
        paths = [path for _, path in sorted(found)]
        plain = [path for path in paths if path.suffix not in _PACKED]
        return plain, len(plain) < len(paths)

    def _restart(self, why: _Restarted, lossy: bool) -> None:
        """Read what is there now from its beginning; `lossy`: the old file may have gone on."""
        self._warnings.withdraw(self._restarted)
        self._restarted = self._warnings.add(why, file=self.name)
        if lossy:
            for run_id, number in self._tracker.open.items():
                self._doubtful[run_id] = self._chains[_Key(run_id, number)].id
        self._start_anew()

    def _start_anew(self) -> None:
        self.close()
        for key, chain in self._chains.items():
            self._runs.abandon(key.run_id, chain.id)
            self._runs.claimed.discard(chain.id)
        self._chains = {}
        self._tracker = Tracker()
        self._is_damaged = False

    def _publish(self, run_id: str, event: Event, line: Line) -> None:
        place = self._tracker.next(run_id, event, line.raw or b"")
        key = _Key(run_id, place.number)
        chain = self._chains.get(key) or self._chain_of(key, event, line, place)
        if place.lines <= chain.lines:
            self._runs.repeat(run_id, event, line, place, chain)
        else:
            self._runs.add(run_id, event, line, place, chain.id)
        if key not in self._chains:
            self._chains[key] = chain
            self._runs.claimed.add(chain.id)
        self._tracker.keep(run_id, place)
        if place.lines == chain.lines and chain.digest not in (b"", place.digest):
            # Its beginning was that of a chain which is stored, the rest is not.
            self._runs.lose(run_id)
            self._warnings.add("file_rewritten", file=self.name)
            self._chains[key] = new_chain()

    def _chain_of(self, key: _Key, event: Event, line: Line, place: Place) -> Chain:
        """The chain that goes on or begins with the first line of one in this file."""
        epoch = line.epoch()
        chain = self._scanned.chains.get(key)
        if chain is None and epoch != 1:
            # A file that is still being written out again: its times say that it is the same.
            at_most = self._scanned.lines.get(key, 0)
            longer = [
                each
                for each in self._runs.unclaimed(key.run_id)
                if each.first == place.first and each.lines > at_most
            ]
            chain = max(longer, key=lambda each: each.lines, default=None)
        if (doubtful := self._doubtful.pop(key.run_id, None)) is not None and (
            chain is None or chain.id != doubtful
        ):
            self._runs.lose(key.run_id)
        return chain or new_chain()

    def _refuse(self, number: int, why: str) -> None:
        if self.refused <= _WARNED_MAX:
            self._warnings.add("line_refused", file=self.name, line=number, why=why)
        elif self.refused <= _LOGGED_MAX:
            _log.error("%s line %d: %s", self.name, number, why)
        if self.refused == _LOGGED_MAX:
            _log.error("%s: further lines that are not events are only counted", self.name)

    def _report_trouble(
        self, code: Literal["file_missing", "file_unreadable"], why: str = ""
    ) -> None:
        """Warn instead of the trouble before, unless it is the same."""
        now = self._trouble
        if now is None or (now.code, now.figures["why"]) != (code, why):
            self._warnings.withdraw(now)
            self._trouble = self._warnings.add(code, file=self.name, why=why)


def _open_nonblocking(path: str, flags: int) -> int:
    """Open without blocking: a named pipe would wait for its writer, on opening and on reading."""
    return os.open(path, flags | os.O_NONBLOCK)
