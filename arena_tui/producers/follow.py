"""Follows growing files of JSON lines and publishes their events. Never writes to the files.

A file's events have the same epoch and seqs whenever it is read, so the store resumes where it was.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import stat
import threading
from collections.abc import Awaitable, Callable, Iterable, Sequence
from pathlib import Path
from typing import Literal, TypeAlias

from msgspec import Struct

from arena_tui.broker.own_log import own_log
from arena_tui.broker.protocol import BrokerProtocol, RunMeta
from arena_tui.broker.warned import Warned
from arena_tui.broker.warnings import Warnings
from arena_tui.codec import sealed
from arena_tui.errors import RunExistsError
from arena_tui.events import Event
from arena_tui.producers.lines import Line, LineIntake, PacedSink, Publish
from arena_tui.producers.sink import MultiRunBrokerSink
from arena_tui.producers.source import LineSource

_POLL_S = 0.25
_PAUSE_AT = 0.25
"""A file can wait: reading pauses long before the broker warns of a lagging store."""

_WARNED_MAX = 3
_LOGGED_MAX = 1_000
"""Bad lines of one file reported one by one: warned of, and in the log."""

OpenRun: TypeAlias = Callable[[str, Event, int], None]
"""Opens the run of this id, first event and epoch."""

_log = own_log(__name__)


class Follower:
    """Publishes the lines of files, and those appended later, from a thread of its own.

    A file may appear later, and may grow. One that is truncated or replaced is read again from its
    beginning, but nothing is published twice. Runs without `run_end` stay open on closing, and
    continue when their file is followed again.

    Create it on the broker's loop; call `aclose` before the broker's.

    Args:
        paths: Files of JSON lines; a file named twice is followed once.
        published: Awaited on the loop every few hundred events, so that a screen can read the
            events of a big file before they are trimmed.
        poll_s: Interval of polling idle files.

    Attributes:
        sink: Publishes what was read. It is not the games': they would queue behind a big file,
            which can wait for the store earlier and longer than they can.
    """

    def __init__(
        self,
        broker: BrokerProtocol,
        paths: Sequence[Path],
        published: Callable[[], Awaitable[object]] | None = None,
        poll_s: float = _POLL_S,
    ) -> None:
        self._broker = broker
        self._poll_s = poll_s
        self._loop = asyncio.get_running_loop()
        self.sink = MultiRunBrokerSink(broker, pause_at=_PAUSE_AT)
        paced = PacedSink(self.sink, published, owned=False)
        self._opened: set[str] = set()
        self._files = [
            _File(path, self._open_run, paced.emit, broker.warnings)
            for path in {os.path.realpath(path): path for path in paths}.values()
        ]
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="follower", daemon=True)

    @property
    def refused(self) -> int:
        return sum(file.refused for file in self._files)

    def start(self) -> None:
        """Start the reading thread, if there are any files."""
        for file in self._files:
            _log.info("following %s", file.path)
        if self._files:
            self._thread.start()

    async def aclose(self) -> None:
        """Stop reading and publish what was read."""
        self._stop.set()
        await self.sink.aclose()
        if self._thread.ident is not None:
            await asyncio.to_thread(self._thread.join)

    def _follow(self) -> None:
        files = list(self._files)
        while files and not self._stop.is_set():
            moved = [self._read_more(file, files) for file in list(files)]
            if True not in moved:
                self._stop.wait(self._poll_s)
        for file in files:
            file.close()

    def _read_more(self, file: _File, files: list[_File]) -> bool:
        """Read on in one of the files; one that fails is told of and left, the others go on."""
        try:
            return file.read_more()
        except Exception as error:  # noqa: BLE001 - nothing else reports a thread's error
            if not self._stop.is_set():  # else: a closed sink refused the line in hand
                self._broker.warnings.add("file_left", error=error, file=file.name)
            files.remove(file)
            file.close()
            return False

    def _open_run(self, run_id: str, event: Event, epoch: int) -> None:
        """Open the run before its first event; a run that is open already continues."""
        if run_id in self._opened:
            return
        self._opened.add(run_id)
        opening = self._broker.open_run(RunMeta.of(run_id, event), epoch)
        with contextlib.suppress(RunExistsError):
            asyncio.run_coroutine_threadsafe(opening, self._loop).result()


class _Progress(Struct):
    """How many events of a run one pass over a file has read, and an earlier one published."""

    epoch: int
    published: int
    seq: int = 0


class _File:
    """One followed file. Belongs to the follower's thread.

    Attributes:
        path, name: Where it is, and its name for warnings.
        refused: Bad lines so far.
    """

    def __init__(self, path: Path, open_run: OpenRun, emit: Publish, warnings: Warnings) -> None:
        self.path = path
        self.name = path.name
        self._open_run = open_run
        self._emit = emit
        self._warnings = warnings
        self._source: LineSource | None = None
        self._intake = LineIntake(self._publish, self._refuse)
        self._progress: dict[str, _Progress] = {}
        self._earlier_progress: dict[str, _Progress] = {}
        self._trouble: Warned | None = None
        self._restarted: Warned | None = None
        self._summary: Warned | None = None

    @property
    def refused(self) -> int:
        return self._intake.refused

    def read_more(self) -> bool:
        """Publish the next lines; False when there are none now."""
        try:
            if self._source is None:
                file = open(self.path, "rb", buffering=0, opener=_open_nonblocking)  # noqa: SIM115
                self._source = LineSource(file)
            moved = self._read(self._source) or self._restart_if_replaced(self._source)
        except FileNotFoundError:
            self._report_trouble("file_missing")
        except OSError as error:
            self._report_trouble("file_unreadable", error.strerror or repr(error))
        else:
            self._warnings.withdraw(self._trouble)
            self._trouble = None
            return moved
        return False

    def close(self) -> None:
        if self._source is not None:
            self._source.file.close()
            self._source = None

    def _read(self, source: LineSource) -> bool:
        lines = source.read()
        if lines is not None:
            self._take(lines)
        return lines is not None

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

    def _restart_if_replaced(self, source: LineSource) -> bool:
        """At the end of the file, restart if it was replaced or truncated; False if it was not."""
        try:
            now = self.path.stat()
        except FileNotFoundError:
            return False  # moved away: keep reading it until another file replaces it
        if not os.path.samestat(now, os.fstat(source.file.fileno())):
            if self._read(source):  # written after the end was reached
                return True
            self._take(source.rest())
            self._restart("file_replaced")
            return True
        if stat.S_ISREG(now.st_mode) and now.st_size < source.file.tell():
            self._restart("file_cut_short")
            return True
        return False

    def _restart(self, why: Literal["file_replaced", "file_cut_short"]) -> None:
        self._warnings.withdraw(self._restarted)
        self._restarted = self._warnings.add(why, file=self.name)
        self.close()
        self._earlier_progress |= self._progress
        self._progress = {}

    def _publish(self, run_id: str, event: Event, line: Line) -> None:
        progress = self._progress.get(run_id) or self._begin_run(run_id, event, line)
        if progress.seq < progress.published:
            sealed(event)
        else:
            self._emit(run_id, event, line)
        progress.seq += 1

    def _begin_run(self, run_id: str, event: Event, line: Line) -> _Progress:
        sealed(event)  # validate before opening the run
        epoch = line.epoch(event)
        self._open_run(run_id, event, epoch)
        earlier = self._earlier_progress.get(run_id)
        # The first event has the same time to the millisecond: the file was rewritten, and this is
        # the same run.
        again = earlier is not None and earlier.epoch == epoch != 1
        published = max(earlier.seq, earlier.published) if earlier and again else 0
        progress = self._progress[run_id] = _Progress(epoch, published)
        return progress

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
