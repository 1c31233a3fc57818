"""The durable consumer that appends every event to a file, as JSON lines.

The cursors are in a sidecar file, `FILE.cursors`. Restarted after a crash at any point, even a
power cut, it neither loses nor duplicates an event.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import stat
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import msgspec
from msgspec import Struct

from arena_tui.broker.protocol import Cursor
from arena_tui.codec import encode_line
from arena_tui.consumers.protocol import Consumer, ConsumerFactory, Counters, identity_in
from arena_tui.errors import RecordingError, UsageError
from arena_tui.events import Delivery, Gap, RunEnd
from arena_tui.store.place import check_apart
from arena_tui.store.threads import DaemonThreads

T = TypeVar("T")


class RecorderStats(Counters, frozen=True, kw_only=True):
    """Counters since creation; `recorded`: events written."""

    recorded: int


class _Kept(Struct, frozen=True):
    """What is durable on disk.

    Attributes:
        offset: Length of the file in bytes.
        cursors: Each run's cursor there.
        unfinished: Runs without an end there, with the name of the broker they came through.
        lost: Runs whose newest line is a gap of unknown length.
    """

    offset: int = 0
    cursors: dict[str, Cursor] = {}
    unfinished: dict[str, str] = {}
    lost: frozenset[str] = frozenset()


class Recorder(Consumer):
    """Appends to one file. See `Consumer`.

    A batch is synced to disk before its cursors, and they before the ack. Lines past the offset
    saved with the cursors belong to a batch that a crash interrupted: `start` truncates them,
    since the broker delivers them again.

    Each batch rewrites all cursors, some 60 bytes per run.

    Args:
        path: Created if missing. A file not recorded by this class is refused, unchanged.
        broker: Name of the broker that the events come through.
        store: The store's file, if there is one: nothing is recorded into it.
    """

    durable = True
    batch_interval_s = 0.5

    def __init__(self, path: Path, broker: str, store: str | None = None) -> None:
        self.name = f"recorder of {path}"
        self.identity = identity_in(path, "recorder")
        self._path = path
        self._broker = broker
        self._store = store
        self._sidecar = path.with_name(path.name + ".cursors")
        self._thread: DaemonThreads | None = None
        self._descriptor = -1
        self._kept = _Kept()
        self._counters = RecorderStats(recorded=0)

    async def start(self) -> Mapping[str, Cursor]:
        """Open the file, and truncate what a crash left half-written; raises RecordingError."""
        self._thread = DaemonThreads(1, "recorder")
        await self._in_thread(self._open, "give another file")
        kept = self._kept
        self.unfinished = [run for run, name in kept.unfinished.items() if name == self._broker]
        return kept.cursors

    async def handle(self, batch: Sequence[Delivery]) -> Mapping[str, Cursor]:
        """Write and sync the lines of a batch, then the cursors; raises RecordingError."""
        cursors = await self._in_thread(lambda: self._append(batch), "make room there")
        runs = {each.run_id for each in batch}
        return {run_id: cursors[run_id] for run_id in runs if run_id in cursors}

    def stats(self) -> RecorderStats:
        return self._counters

    async def aclose(self) -> None:
        if self._thread is not None:
            await self._in_thread(self._close, "check what it holds")
            self._thread.shutdown()
            self._thread = None

    async def _in_thread(self, work: Callable[[], T], what_to_do: str) -> T:
        """Run in the one thread, so that cancelled work still running ends before the next."""
        assert self._thread is not None
        try:
            return await asyncio.wrap_future(self._thread.submit(work))
        except OSError as error:
            raise RecordingError(
                f"cannot record into {self._path}: {error.strerror}: {what_to_do}"
            ) from error

    def _open(self) -> None:
        try:
            check_apart(self._path, self._store)
        except UsageError as error:
            raise RecordingError(f"cannot record: {error}") from None
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK
        self._descriptor = os.open(self._path, flags, 0o666)
        state = os.fstat(self._descriptor)
        if not stat.S_ISREG(state.st_mode):
            raise RecordingError(
                f"cannot record into {self._path}: not a regular file: give another name"
            )
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RecordingError(
                f"another process records into {self._path}: give another name"
            ) from None
        kept = self._read_kept()
        if kept is None and state.st_size:
            raise RecordingError(
                f"{self._path} is not a recording, {self._sidecar.name} is missing beside it: "
                "give another name"
            )
        if kept is not None and state.st_size < kept.offset:
            raise RecordingError(
                f"{self._path} is shorter than {self._sidecar.name} says: "
                "remove that one to begin anew, or give another name"
            )
        os.ftruncate(self._descriptor, 0 if kept is None else kept.offset)
        self._keep(kept or _Kept())

    def _read_kept(self) -> _Kept | None:
        try:
            return msgspec.json.decode(self._sidecar.read_bytes(), type=_Kept)
        except FileNotFoundError:
            return None
        except msgspec.MsgspecError:
            raise RecordingError(
                f"{self._sidecar} is damaged: give another name to record into"
            ) from None

    def _append(self, batch: Sequence[Delivery]) -> Mapping[str, Cursor]:
        cursors, lost = dict(self._kept.cursors), set(self._kept.lost)
        news = [new for each in batch if (new := _take(each, cursors, lost)) is not None]
        if not news:
            return cursors
        data = b"".join([encode_line(each) + b"\n" for each in news])
        offset = self._kept.offset
        view = memoryview(data)
        while view:
            written = os.pwrite(self._descriptor, view, offset)
            view, offset = view[written:], offset + written
        os.fsync(self._descriptor)
        self._keep(_Kept(offset, cursors, self._unfinished_after(news), frozenset(lost)))
        gaps, before = [each for each in news if isinstance(each, Gap)], self._counters
        self._counters = RecorderStats(
            recorded=before.recorded + len(news) - len(gaps),
            lost=before.lost + sum(gap.count for gap in gaps),
            lost_unknown=before.lost_unknown + sum(gap.unknown for gap in gaps),
        )
        return cursors

    def _unfinished_after(self, news: Sequence[Delivery]) -> dict[str, str]:
        """The runs that have yet to end; one whose stream is lost is not waited for, when its loss
        is told."""
        unfinished = dict(self._kept.unfinished)
        for each in news:
            if isinstance(each, Gap):
                ends = each.unknown or each.reason == "reset"
            else:
                ends = isinstance(each.event, RunEnd)
            if ends:
                unfinished.pop(each.run_id, None)
            else:
                unfinished[each.run_id] = self._broker
        return unfinished

    def _keep(self, kept: _Kept) -> None:
        """Replace the cursors on disk atomically."""
        beside = self._sidecar.with_name(self._sidecar.name + ".new")
        with beside.open("wb") as file:
            file.write(msgspec.json.encode(kept))
            file.flush()
            os.fsync(file.fileno())
        beside.replace(self._sidecar)
        folder = os.open(self._sidecar.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        self._kept = kept

    def _close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def recording(path: Path) -> ConsumerFactory:
    """Make a recorder into this file for any runtime."""
    return lambda context: Recorder(path, context.broker.name, context.config.db)


def _take(each: Delivery, cursors: dict[str, Cursor], lost: set[str]) -> Delivery | None:
    """The part of the delivery past its run's cursor, which advances; None if there is none, or if
    it is a gap in which nothing was lost.

    A gap of unknown length covers no seq: at the cursor it is past it, unless the run is `lost`
    already, that is, unless its newest line is one.
    """
    if isinstance(each, Gap) and not each.count and each.reason == "reset":
        return None
    cursor = cursors.get(each.run_id, Cursor(each.epoch, 0))
    if each.epoch < cursor.epoch:
        return None
    unknown = isinstance(each, Gap) and each.unknown
    if each.epoch == cursor.epoch:
        if each.first_seq <= each.last_seq <= cursor.seq:
            return None
        told_to = cursor.seq if each.run_id in lost else cursor.seq - 1
        if unknown and each.last_seq <= told_to:
            return None
        if isinstance(each, Gap) and each.from_seq <= cursor.seq < each.to_seq:
            each = msgspec.structs.replace(each, from_seq=cursor.seq + 1)
    cursors[each.run_id] = max(cursor, Cursor(each.epoch, each.last_seq))
    lost.discard(each.run_id)
    if unknown:
        lost.add(each.run_id)
    return each
