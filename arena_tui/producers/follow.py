"""Follows growing files of JSON lines into the broker of this process. Writes to none of them.

A file's events have the same epoch and seqs whenever it is read: the store goes on where it was.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import stat
import threading
from collections.abc import Awaitable, Callable, Iterable, Sequence
from io import FileIO
from pathlib import Path
from typing import TypeAlias

from arena_tui.broker.protocol import BrokerProtocol, RunMeta
from arena_tui.codec import sealed
from arena_tui.errors import RunExistsError
from arena_tui.events import Event
from arena_tui.producers.lines import Line, LineCutter, LineIntake, PacedSink, Publish
from arena_tui.producers.sink import MultiRunBrokerSink

__all__ = ["Follower"]

_POLL_S = 0.25
_CHUNK = 256 * 1024
_PAUSE_AT = 0.25
"""A file can wait: long before the broker warns of a store that is behind."""

_NOTICED_MAX = 3
_LOGGED_MAX = 1_000
"""Bad lines of one file that are told one by one, on the screen and in the log."""

_log = logging.getLogger(__name__)


class Follower:
    """Publishes what stands in the files and what is added to them, from a thread of its own.

    A file may come later, grow, be cut short, or be replaced: then it is read from its beginning
    again, except for what is there a second time. Runs without `run_end` stay open on closing, and
    go on when their file is followed again.

    Make it on the broker's loop; end it with `aclose`, before the broker's.

    Args:
        paths: Files of JSON lines; one named twice is followed once.
        notices: Takes what the user should know.
        published: Awaited on the loop every few hundred events, for a screen that would otherwise
            find the events of a big file gone by the time it looks.
        poll_s: How often the files are looked at while nothing comes.
    """

    def __init__(
        self,
        broker: BrokerProtocol,
        paths: Sequence[Path],
        notices: list[str],
        published: Callable[[], Awaitable[object]] | None = None,
        poll_s: float = _POLL_S,
    ) -> None:
        self._broker = broker
        self._notices = notices
        self._poll_s = poll_s
        self._loop = asyncio.get_running_loop()
        self._sink = MultiRunBrokerSink(broker, owns_runs=False, pause_at=_PAUSE_AT)
        paced = PacedSink(self._sink, published)
        self._opened: set[str] = set()
        self._files = [
            _File(path, self._open_run, paced.emit, notices)
            for path in {os.path.realpath(path): path for path in paths}.values()
        ]
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="follower", daemon=True)

    @property
    def refused(self) -> int:
        """Bad lines so far."""
        return sum(file.refused for file in self._files)

    def start(self) -> None:
        """Begin to read, when there is a file."""
        if self._files:
            self._thread.start()

    async def aclose(self) -> None:
        """Stop reading and publish what was read."""
        self._stop.set()
        await self._sink.aclose()
        if self._thread.ident is not None:
            await asyncio.to_thread(self._thread.join)

    def _follow(self) -> None:
        try:
            while not self._stop.is_set():
                moved = [file.read_on() for file in self._files]
                if True not in moved:
                    self._stop.wait(self._poll_s)
        except Exception:  # noqa: BLE001 - in a thread, nobody else would say so
            if not self._stop.is_set():  # a closed sink refuses what the thread had in hand
                _log.exception("following files ended")
                self._notices.append("files are no longer followed: see the log, start again")
        finally:
            for file in self._files:
                file.close()

    def _open_run(self, run_id: str, event: Event, epoch: int) -> None:
        """Open the run before its first event; one that is there already just goes on."""
        if run_id in self._opened:
            return
        self._opened.add(run_id)
        opening = self._broker.open_run(RunMeta.of(run_id, event), epoch)
        with contextlib.suppress(RunExistsError):
            asyncio.run_coroutine_threadsafe(opening, self._loop).result()


_OpenRun: TypeAlias = Callable[[str, Event, int], None]


class _Place:
    """How far one reading of a file has come in a run.

    Attributes:
        seq: Events of the run read so far.
        published: Events of it that were published when this reading began.
    """

    __slots__ = ("epoch", "published", "seq")

    def __init__(self, epoch: int, published: int) -> None:
        self.epoch = epoch
        self.published = published
        self.seq = 0


class _File:
    """One followed file. Belongs to the follower's thread.

    Attributes:
        refused: Bad lines so far.
    """

    def __init__(self, path: Path, open_run: _OpenRun, emit: Publish, notices: list[str]) -> None:
        self._path = path
        self._open_run = open_run
        self._emit = emit
        self._notices = notices
        self._file: FileIO | None = None
        self._cutter = LineCutter()
        self._intake = LineIntake(self._publish, self._refuse)
        self._places: dict[str, _Place] = {}
        self._earlier: dict[str, _Place] = {}
        self._trouble: str | None = None
        self._sum: str | None = None

    @property
    def refused(self) -> int:
        return self._intake.refused

    def read_on(self) -> bool:
        """Publish the next lines that are there; False when there is nothing now."""
        try:
            if self._file is None:
                self._file = open(self._path, "rb", buffering=0, opener=_open_at_once)  # noqa: SIM115
            moved = self._read(self._file) or self._begins_anew(self._file)
        except FileNotFoundError:
            self._note_trouble(f"{self._path.name} does not exist yet: waiting for it")
        except OSError as error:
            self._note_trouble(f"cannot read {self._path.name}: {error.strerror}: trying again")
        else:
            self._note_trouble(None)
            return moved
        return False

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _read(self, file: FileIO) -> bool:
        data = file.read(_CHUNK)
        if data:
            self._take(self._cutter.feed(data))
        return bool(data)

    def _take(self, lines: Iterable[Line]) -> None:
        refused = self.refused
        self._intake.take(lines)
        if self.refused > max(refused, _NOTICED_MAX):
            text = f"{self._path.name}: {self.refused:,} lines are not events: see the log"
            self._tell(text, instead_of=self._sum)
            self._sum = text

    def _begins_anew(self, file: FileIO) -> bool:
        """At the end: whether another file, or a shorter one, stands in this one's place."""
        try:
            now = self._path.stat()
        except FileNotFoundError:
            return False  # moved away: what is still written to it counts, until there is another
        if not os.path.samestat(now, os.fstat(file.fileno())):
            if self._read(file):  # written since the end was seen
                return True
            self._take(self._cutter.rest())
            self._begin_anew("was replaced")
            return True
        if stat.S_ISREG(now.st_mode) and now.st_size < file.tell():
            self._begin_anew("was cut short")
            return True
        return False

    def _begin_anew(self, what: str) -> None:
        text = f"{self._path.name} {what}: reading it from its beginning"
        _log.warning("%s (%s)", text, self._path)
        self._tell(text, instead_of=text)
        self.close()
        self._cutter = LineCutter()
        self._earlier |= self._places
        self._places = {}

    def _publish(self, run_id: str, event: Event, line: Line) -> None:
        place = self._places.get(run_id) or self._begin_run(run_id, event, line)
        if place.seq < place.published:
            sealed(event)
        else:
            self._emit(run_id, event, line)
        place.seq += 1

    def _begin_run(self, run_id: str, event: Event, line: Line) -> _Place:
        sealed(event)  # before a run is opened for it
        epoch = line.epoch(event)
        self._open_run(run_id, event, epoch)
        earlier = self._earlier.get(run_id)
        # The same first event to the millisecond: the run was written out again, not begun again.
        again = earlier is not None and earlier.epoch == epoch != 1
        published = max(earlier.seq, earlier.published) if earlier and again else 0
        place = self._places[run_id] = _Place(epoch, published)
        return place

    def _refuse(self, number: int, why: str) -> None:
        if self.refused <= _NOTICED_MAX:
            self._tell(f"{self._path.name} line {number}: {why}")
        if self.refused <= _LOGGED_MAX:
            _log.error("%s line %d: %s", self._path, number, why)
        if self.refused == _LOGGED_MAX:
            _log.error("%s: further lines that are not events are only counted", self._path)

    def _note_trouble(self, text: str | None) -> None:
        if text != self._trouble:
            if text is not None:
                _log.warning("%s (%s)", text, self._path)
            self._tell(text, instead_of=self._trouble)
            self._trouble = text

    def _tell(self, text: str | None, instead_of: str | None = None) -> None:
        """Give a notice, in place of an older one; None only takes that back."""
        if instead_of in self._notices:
            self._notices.remove(instead_of)
        if text is not None:
            self._notices.append(text)


def _open_at_once(path: str, flags: int) -> int:
    """Opening a named pipe, or reading it, never waits for its writer."""
    return os.open(path, flags | os.O_NONBLOCK)
