"""Follows growing files of JSON lines and publishes their events. Never writes to the files.

How far they are stored, the store knows: each event carries there what of its file it completes
(`origin`), and is stored in one transaction with that.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from pathlib import Path

from arena_tui.broker.chain import Known, KnownRun
from arena_tui.broker.memory import InProcessBroker
from arena_tui.broker.own_log import own_log
from arena_tui.broker.stream import HEARTBEAT_S
from arena_tui.errors import BrokerError, UsageError
from arena_tui.events import EVENT_MAX_BYTES
from arena_tui.producers.followed_file import FollowedFile
from arena_tui.producers.followed_runs import FollowedRuns
from arena_tui.producers.lines import PacedSink
from arena_tui.producers.sink import MultiRunBrokerSink

_POLL_S = 0.25
_HOLD_S = 2.0
"""How long a file may be read on before a run is not deleted."""

_LAST_LINES_S = 2.0
"""How long closing waits for what was read to be emitted."""

_PAUSE_AT = 0.25
"""A file can wait: reading pauses long before the broker warns of a lagging store."""

_log = own_log(__name__)


class Follower:
    """Publishes the lines of files, and those appended later, from a thread of its own.

    A file may appear later, and may grow. One that is truncated, replaced or written anew is read
    again from its beginning; a line that was published is told by those before it, and not stored
    twice. What may have been missed is a gap of unknown length. Runs without `run_end` stay open on
    closing, and continue when their file is followed again; one that begins anew is a new epoch.

    Create it on the broker's loop; call `aclose` before the broker's.

    Args:
        paths: Files of JSON lines; a file named twice is followed once.
        published: Awaited on the loop every few hundred events, so that a screen can read the
            events of a big file before they are trimmed.
        poll_s: Interval of polling idle files.
        known: Gives what is stored; None: nothing is.
        event_max_bytes: What a larger event is cut to, in bytes of JSON.

    Attributes:
        sink: Publishes what was read. It is not the games': they would queue behind a big file,
            which can wait for the store earlier and longer than they can.
    """

    def __init__(
        self,
        broker: InProcessBroker,
        paths: Sequence[Path],
        published: Callable[[], Awaitable[object]] | None = None,
        poll_s: float = _POLL_S,
        known: Known | None = None,
        event_max_bytes: int = EVENT_MAX_BYTES,
    ) -> None:
        self._broker = broker
        self._poll_s = poll_s
        self._loop = asyncio.get_running_loop()
        self.sink = MultiRunBrokerSink(broker, pause_at=_PAUSE_AT, event_max_bytes=event_max_bytes)
        self._known = known
        paced = PacedSink(self.sink, published, owned=False)
        self._runs = FollowedRuns(broker, self.sink, paced.emit)
        self._stop = threading.Event()
        self._reading = threading.Lock()
        self._files = [
            FollowedFile(path, self._runs, broker.warnings, self._stop)
            for path in {_identity(path): path for path in paths}.values()
        ]
        self._beating: asyncio.Task[None] | None = None
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
            self._beating = self._loop.create_task(self._beat(), name="follower heartbeat")

    async def aclose(self) -> None:
        """Stop reading and publish what was read."""
        self._stop.set()
        if self._beating is not None:
            self._beating.cancel()
        started = self._thread.ident is not None
        if started:  # a thread that waits for the broker goes on once the sink is closed
            await asyncio.to_thread(self._thread.join, _LAST_LINES_S)
        await self.sink.aclose()
        if started:
            await asyncio.to_thread(self._thread.join)

    def is_silent(self, run_id: str) -> bool:
        """Whether it forwards this run, which has not ended, and nothing more arrives of it."""
        if run_id not in self._runs.beating():
            return False
        return all(file.idle for file in self._files if file.has(run_id))

    @contextlib.asynccontextmanager
    async def letting_go(self, run_id: str) -> AsyncIterator[None]:
        """Read no file while a silent run is deleted; what arrives of it later is a new epoch.

        Raises:
            UsageError: More of it arrives, or is not stored yet.
        """
        refusal = UsageError(f"run {run_id} is not over: delete it when nothing more arrives")
        if not await asyncio.to_thread(self._reading.acquire, timeout=_HOLD_S):
            raise refusal
        try:
            await self.sink.flush()
            if not (self.is_silent(run_id) and await self._broker.forwarded.drop(run_id)):
                raise refusal
            self._runs.forget(run_id)
            yield
        finally:
            self._reading.release()

    def _follow(self) -> None:
        files = list(self._files)
        if not self._load():
            return
        while files and not self._stop.is_set():
            moved = [self._read_more(file, files) for file in list(files)]
            if True not in moved:
                self._stop.wait(self._poll_s)
        for file in files:
            with contextlib.suppress(BrokerError):  # the sink was closed meanwhile
                file.finish()
            file.close()

    def _read_more(self, file: FollowedFile, files: list[FollowedFile]) -> bool:
        """Read on in one of the files; one that fails is told of and left, the others go on."""
        try:
            with self._reading:
                moved = file.read_more()
                while file.replaying and not self._stop.is_set():
                    moved |= file.read_more()
                return moved
        except Exception as error:  # noqa: BLE001 - nothing else reports a thread's error
            if not self._stop.is_set():  # else: a closed sink refused the line in hand
                self._broker.warnings.add("file_left", error=error, file=file.name)
            files.remove(file)
            file.close()
            return False

    def _load(self) -> bool:
        """Learn what is stored; without that nothing can be told from what is."""
        if self._known is None:
            return True
        try:
            known = asyncio.run_coroutine_threadsafe(self._loaded(self._known), self._loop).result()
        except Exception as error:  # noqa: BLE001 - nothing else reports a thread's error
            for file in self._files:
                self._broker.warnings.add("file_left", error=error, file=file.name)
            return False
        self._runs.load(known)
        return True

    async def _loaded(self, known: Known) -> Mapping[str, KnownRun]:
        return await known()

    async def _beat(self) -> None:
        """A run is not lost because its file is silent."""
        while True:
            await self._broker.heartbeat(self._runs.beating())
            await asyncio.sleep(HEARTBEAT_S)


def _identity(path: Path) -> object:
    """The same for all names of a file, hard links and symbolic ones."""
    try:
        status = os.stat(path)
    except OSError:
        return os.path.realpath(path)
    return status.st_dev, status.st_ino
