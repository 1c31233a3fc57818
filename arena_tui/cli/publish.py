"""`publish`: JSON lines from a file or a pipe to the broker, as they arrive."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import threading
from functools import partial
from io import FileIO
from typing import Final

from msgspec.structs import replace

from arena_tui.cli.arguments import Parser
from arena_tui.cli.output import Console, begin_log, counted, say_json, tell
from arena_tui.config import Config, load_config
from arena_tui.errors import ArenaError, BrokerError, UsageError
from arena_tui.producers.begun import BegunRuns
from arena_tui.producers.lines import LineIntake, PacedSink
from arena_tui.producers.source import LineSource
from arena_tui.services.ending import ending_signals
from arena_tui.services.runtime import Runtime
from arena_tui.services.sharing import open_runtime

_GIVE_UP_S: Final = 5.0
"""How long shutting down waits for an unreachable broker."""


def add_arguments(parser: Parser) -> None:
    parser.set_defaults(function=publish)
    parser.add_argument("file", nargs="?", default="-", metavar="FILE", help="default -, stdin")
    parser.add_argument(
        "--keep-open",
        action="store_true",
        help="runs that the lines begin and do not end stay open; otherwise they end as stopped",
    )


def publish(arguments: argparse.Namespace) -> int:
    """Publish; returns 1 when anything was refused, 128 + n when signal n ended it."""
    config = load_config(arguments.broker, arguments.db)
    if config.broker.kind != "memory":
        config = replace(config, db=None)
    begin_log(arguments.debug)
    with _open(arguments.file) as source:
        return asyncio.run(_publish(config, source, arguments))


async def _publish(config: Config, source: FileIO, arguments: argparse.Namespace) -> int:
    if config.broker.kind == "memory":
        runtime = await open_runtime(config, producer=True, installed=True)
    else:
        runtime = Runtime(config, producer=True, give_up_s=_GIVE_UP_S)
    return await publish_from(source, runtime, arguments.keep_open, arguments.json)


async def publish_from(
    source: FileIO, runtime: Runtime, keep_open: bool = False, as_json: bool = False
) -> int:
    """Publish the source until it ends or a signal arrives, then print a summary.

    Opens and closes the runtime. Waits for an unreachable broker; after a signal, for at most
    `_GIVE_UP_S` to publish what was read, and as long again to end the runs.
    """
    name = _name(source)
    paced = PacedSink(runtime.sink)
    begun = BegunRuns(runtime.sink, paced.emit, runtime.names.name)
    intake = LineIntake(begun.publish, partial(_tell_line, name))
    reader = _Reader(source, intake, paced)
    try:
        await runtime.open()
        with Console():
            await reader.run()
    finally:
        # Counted before closing publishes the ends of runs, which no line asked for.
        refused, backlog = await _refused(runtime), await _unsent(runtime)
        if keep_open:
            runtime.sink.disown(begun.runs)
        lost = await runtime.aclose()
    unsent = await _unsent(runtime)
    if runtime.sink.stats().refused.events > refused and not backlog and not unsent:
        lost = None  # only ends of runs that others had ended
    figures = {
        "published": intake.published - refused - min(backlog, unsent), "runs": len(begun.runs),
        "coerced": runtime.sink.stats().coerced, "refused": refused + intake.refused,
    }  # fmt: skip
    _summarize(figures, as_json)
    code = ArenaError.exit_code if figures["refused"] or reader.is_damaged else 0
    if lost is not None and unsent and not reader.signals:
        raise BrokerError(lost)
    if lost is not None and (unsent or not code):  # else it is summed up already
        tell(f"arena-tui: {lost}")
        code = ArenaError.exit_code
    return 128 + reader.signals[0] if reader.signals else code


class _Reader:
    """Publishes the source from a thread until its end or a signal.

    Attributes:
        signals: Numbers of the signals received.
        is_damaged: Whether the source could not be read to its end.
    """

    def __init__(self, source: FileIO, intake: LineIntake, paced: PacedSink) -> None:
        self.signals: list[int] = []
        self.is_damaged = False
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
            source = LineSource(self._source)
            self._intake.take(source.until_end(self._stop))
            if source.damage is not None:
                self.is_damaged = True
                tell(f"arena-tui: {_name(self._source)}: {source.damage}: what was read until "
                     "there is kept")  # fmt: skip
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


async def _refused(runtime: Runtime) -> int:
    return runtime.sink.stats().refused.events + (await runtime.broker.stats()).refused.events


async def _unsent(runtime: Runtime) -> int:
    return runtime.sink.stats().queued + (await runtime.broker.stats()).unsent


def _summarize(figures: dict[str, int], as_json: bool) -> None:
    if as_json:
        say_json(figures)
        return
    published, runs = counted(figures["published"], "event"), counted(figures["runs"], "run")
    text = f"published {published} of {runs}"
    for what in ("coerced", "refused"):
        text += f", {what} {counted(figures[what], 'line')}" if figures[what] else ""
    tell(text)


def _tell_line(name: str, number: int, why: str) -> None:
    tell(f"arena-tui: {name} line {number}: {why}")


def _name(source: FileIO) -> str:
    return "standard input" if isinstance(source.name, int) else str(source.name)
