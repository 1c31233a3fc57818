"""A file with the metrics of one process, for the textfile collector of the node exporter.

Its samples have the label `process`, the file's name. The last file stays when the process ends:
`arena_running` is 0 in it then, unless the process was killed. `arena_metrics_timestamp_seconds` in
it tells how old it is, as `node_textfile_mtime_seconds` of the collector does.
"""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from pathlib import Path
from typing import Final

from arena_tui.broker.tasks import cancel_until_done, restart_on_failure
from arena_tui.broker.warned import Warned
from arena_tui.broker.warnings import Warnings
from arena_tui.services.metrics.exporter import Exporter
from arena_tui.services.runtime import Runtime
from arena_tui.store.threads import DaemonThreads

EVERY_S: Final = 5.0
_LAST_WRITE_S: Final = 1.0
"""How long leaving waits for a disk that does not answer."""


class MetricsFile:
    """Writes the file every few seconds from `start` to `aclose`, whole each time: who reads it has
    either the one before or the new one.

    What cannot be written is warned of once, until it can be again.
    """

    def __init__(self, exporter: Exporter, warnings: Warnings, path: Path,
                 every_s: float = EVERY_S) -> None:  # fmt: skip
        self._exporter = exporter
        self._warnings = warnings
        self._path = path
        self._every_s = every_s
        self._thread = DaemonThreads(1, "metrics")
        self._tasks: list[asyncio.Task[None]] = []
        self._problem: Warned | None = None

    async def start(self) -> None:
        """Count and write from now on; raises BrokerError once the runtime is closed."""
        await self._exporter.start()
        writing = restart_on_failure(f"writing of {self._path}", self._run, self._warnings)
        self._tasks = [asyncio.create_task(writing)]

    async def aclose(self) -> None:
        """Write a last time, and stop; after the runtime is closed, so that all is told."""
        if not self._tasks:
            return
        await cancel_until_done(self._tasks)
        self._tasks = []
        with suppress(TimeoutError):
            async with asyncio.timeout(_LAST_WRITE_S):
                await self._write(running=False)
        self._thread.shutdown(wait=False)

    async def _run(self) -> None:
        while True:
            await self._write()
            await asyncio.sleep(self._every_s)

    async def _write(self, running: bool = True) -> None:
        text = await self._exporter.export_file(self._path.stem, running)
        try:
            await asyncio.wrap_future(self._thread.submit(lambda: _replace(self._path, text)))
        except OSError as error:
            if self._problem is None:
                why = error.strerror or str(error)
                self._problem = self._warnings.add(
                    "metrics_unwritten", file=str(self._path), why=why
                )
        else:
            self._warnings.withdraw(self._problem)
            self._problem = None


def metrics_file(runtime: Runtime, path: Path) -> MetricsFile:
    """The file of a runtime that no server shows."""
    return MetricsFile(Exporter(runtime), runtime.broker.warnings, path)


def _replace(path: Path, text: bytes) -> None:
    """Replace the file; what is half written has a name that no collector reads."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        beside.write_bytes(text)
        beside.replace(path)
    except OSError:
        with suppress(OSError):
            beside.unlink()
        raise
