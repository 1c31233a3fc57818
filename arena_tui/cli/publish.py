"""`publish`: JSON lines from a file or a pipe to the broker, as they arrive."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import select
import threading
from collections.abc import Iterable, Iterator
from io import FileIO
from typing import Final

from arena_tui.cli.arguments import Parser
from arena_tui.cli.ending import ending_signals
from arena_tui.cli.output import begin_log, counted, say_json, tell
from arena_tui.config import Config, load_config
from arena_tui.errors import ArenaError, BrokerError, UsageError
from arena_tui.producers.lines import LineCutter, LineIntake, PacedSink
from arena_tui.services.runtime import Runtime

_CHUNK_BYTES: Final = 64 * 1024
_POLL_S: Final = 0.1
_GIVE_UP_S: Final = 5.0
"""How long shutting down waits for an unreachable broker."""


def add_arguments(parser: Parser) -> None:
    """The arguments of `publish`."""
    parser.set_defaults(function=publish)
    parser.add_argument("file", nargs="?", default="-", metavar="FILE", help="default -, stdin")
    parser.add_argument(
        "--keep-open",
        action="store_true",
        help="runs the lines leave open stay open; otherwise they end as stopped",
    )


def publish(arguments: argparse.Namespace) -> int:
    """Publish; returns 1 when anything was refused, 128 + n when signal n ended it."""
    config = load_config(arguments.broker, store=False)
    if config.broker.kind == "memory":
        raise UsageError(
            "publish needs a broker that others watch: give --broker redis://host:6379 "
            "(`arena-tui redis` starts one), or show a file with arena-tui --follow FILE"
        )
    begin_log(arguments.debug)
    with _open(arguments.file) as source:
        return asyncio.run(_publish(config, source, arguments.keep_open, arguments.json))


async def _publish(config: Config, source: FileIO, keep_open: bool, as_json: bool) -> int:
    runtime = Runtime(config, producer=True, give_up_s=_GIVE_UP_S)
    return await publish_from(source, runtime, keep_open, as_json)


async def publish_from(
    source: FileIO, runtime: Runtime, keep_open: bool = False, as_json: bool = False
) -> int:
    """Publish the source until it ends or a signal arrives, then print a summary.

    Opens and closes the runtime. Waits for an unreachable broker; after a signal, for at most
    `_GIVE_UP_S` to publish what was read, and as long again to end the runs.
    """
    paced = PacedSink(runtime.sink)
    intake = LineIntake(paced.emit, _report_refused)
    reader = _Reader(source, intake, paced)
    try:
        await runtime.open()
        with _WarningsOnStderr():
            await reader.run()
    finally:
        # Counted before closing publishes the ends of runs, which no line asked for.
        refused, backlog = runtime.sink.stats().refused.events, await _unsent(runtime)
        if keep_open:
            runtime.sink.disown()
        lost = await runtime.aclose()
    unsent = await _unsent(runtime)
    code = _summarize(intake, refused, min(backlog, unsent), as_json)
    if lost is not None and unsent and not reader.signals:
        raise BrokerError(lost)
    if lost is not None and (unsent or not code):  # else it is summed up already
        tell(f"arena-tui: {lost}")
        code = ArenaError.exit_code
    return 128 + reader.signals[0] if reader.signals else code


def publish_lines(source: Iterable[bytes], intake: LineIntake) -> None:
    """Publish the lines of all chunks; an empty chunk is the end, and also ends the last line."""
    cutter = LineCutter()
    for data in source:
        intake.take(cutter.feed(data) if data else cutter.rest())


def read_chunks(source: FileIO, stop: threading.Event) -> Iterator[bytes]:
    """Chunks as they arrive, and an empty one at the end of the source, but not after `stop`."""
    while not stop.is_set():
        ready, _, _ = select.select([source.fileno()], [], [], _POLL_S)
        data = source.read(_CHUNK_BYTES) if ready else None
        if data is not None:
            yield data
        if data == b"":
            return


class _Reader:
    """Publishes the source from a thread until its end or a signal.

    Attributes:
        signals: Numbers of the signals received.
    """

    def __init__(self, source: FileIO, intake: LineIntake, paced: PacedSink) -> None:
        self.signals: list[int] = []
        self._source = source
        self._intake = intake
        self._paced = paced
        self._loop = asyncio.get_running_loop()
        self._ended: asyncio.Future[None] = self._loop.create_future()
        self._stop = threading.Event()

    async def run(self) -> None:
        """Return once everything read is published, or publishing was given up."""
        for number in ending_signals():
            self._loop.add_signal_handler(number, self._on_signal, number)
        # A daemon is not joined at exit, which must not wait for an unreachable broker.
        threading.Thread(target=self._read, name="reader", daemon=True).start()
        try:
            await self._ended
        finally:
            self._stop.set()

    def _on_signal(self, number: int) -> None:
        self.signals.append(number)
        self._stop.set()
        self._loop.call_later(_GIVE_UP_S if len(self.signals) == 1 else 0, self._end)

    def _read(self) -> None:
        error: Exception | None = None
        try:
            publish_lines(read_chunks(self._source, self._stop), self._intake)
            self._paced.flush()
        except OSError as raised:
            error = UsageError(f"cannot read {_name(self._source)}: {raised.strerror}")
        except Exception as raised:  # noqa: BLE001 - raised again on the loop
            error = raised
        with contextlib.suppress(RuntimeError):  # given up before: the loop is closed
            self._loop.call_soon_threadsafe(self._end, error)

    def _end(self, error: Exception | None = None) -> None:
        if not self._ended.done():
            if error is None:
                self._ended.set_result(None)
            else:
                self._ended.set_exception(error)


class _WarningsOnStderr(logging.Handler):
    """Prints log warnings to stderr while its context is open."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)

    def __enter__(self) -> None:
        logging.getLogger("arena_tui").addHandler(self)

    def __exit__(self, *_: object) -> None:
        logging.getLogger("arena_tui").removeHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        tell(f"arena-tui: {record.getMessage()}")


def _open(name: str) -> FileIO:
    try:
        source = FileIO(0, closefd=False) if name == "-" else FileIO(name)
    except OSError as error:
        raise UsageError(
            f"cannot read {'standard input' if name == '-' else name}: {error.strerror}: "
            "give a file of JSON lines, or - for a pipe"
        ) from None
    if source.isatty():
        tell("arena-tui: reading JSON lines from the terminal: ctrl-d ends them")
    return source


def _name(source: FileIO) -> str:
    return "standard input" if source.name == 0 else str(source.name)


def _report_refused(number: int, why: str) -> None:
    tell(f"arena-tui: line {number}: {why}")


async def _unsent(runtime: Runtime) -> int:
    return runtime.sink.stats().queued + (await runtime.broker.stats()).unsent


def _summarize(intake: LineIntake, refused: int, unsent: int, as_json: bool) -> int:
    """Print the summary; returns 1 when lines, or `refused` of their events, were refused."""
    published = intake.published - refused - unsent
    refused += intake.refused
    if as_json:
        say_json({"published": published, "runs": len(intake.runs), "refused": refused})
    else:
        text = f"published {counted(published, 'event')} of {counted(len(intake.runs), 'run')}"
        tell(text + (f", refused {counted(refused, 'line')}" if refused else ""))
    return ArenaError.exit_code if refused else 0
