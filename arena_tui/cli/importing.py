"""`import`: reads exported files, and JSON lines as producers write them, into the store."""

from __future__ import annotations

import argparse
import asyncio
from functools import partial
from typing import Final

from msgspec.structs import asdict

from arena_tui.cli.arguments import Parser
from arena_tui.cli.output import Console, begin_log, counted, say_json, tell
from arena_tui.config import Config, load_config
from arena_tui.errors import ArenaError, UsageError
from arena_tui.services.ending import ending_signals
from arena_tui.services.import_lines import lines_of
from arena_tui.services.importing import Import, Imported, opened_import

_TOLD_MAX: Final = 20
"""Refused lines of one file that are told; the others are counted."""


def add_arguments(parser: Parser) -> None:
    parser.set_defaults(function=import_)
    parser.add_argument(
        "files", nargs="+", metavar="FILE",
        help="JSON lines, also in gzip or zstd, or Parquet of export; - is standard input",
    )  # fmt: skip


def import_(arguments: argparse.Namespace) -> int:
    """Import the files, one after another; returns 1 when anything was refused, 2 when a
    file could not be read to its end, 128 + n when signal n ended it."""
    config = load_config(arguments.broker, arguments.db)
    begin_log(arguments.debug)
    figures, failed, signalled = asyncio.run(_import(config, arguments.files))
    if arguments.json:
        say_json(asdict(figures))
    if signalled:
        tell(f"ended early: {_summary(figures)}: import again for the rest")
        return 128 + signalled
    if not arguments.json:
        tell(_summary(figures))
    if failed:
        return UsageError.exit_code
    return ArenaError.exit_code if figures.refused else 0


async def _import(config: Config, files: list[str]) -> tuple[Imported, bool, int]:
    """What became of the lines, whether a file could not be read to its end, and the signal that
    ended it; 0: none did. A second signal waits for nothing."""
    loop = asyncio.get_running_loop()
    signalled: list[int] = []
    async with opened_import(config) as importing:
        taking = asyncio.ensure_future(_take(importing, files))

        def stop(number: int) -> None:
            signalled.append(number)
            taking.cancel()
            loop.remove_signal_handler(number)

        for number in ending_signals():
            loop.add_signal_handler(number, stop, number)
        await asyncio.wait([taking])
    failed = not taking.cancelled() and taking.result()
    return importing.figures, failed, next(iter(signalled), 0)


async def _take(importing: Import, files: list[str]) -> bool:
    """Import them; returns whether one could not be read to its end."""
    failed = False
    with Console() as console:
        for name in files:
            refusals = _Refusals(name, console)
            try:
                with lines_of(name) as lines:
                    show = partial(_show, console, name, importing.figures)
                    await importing.take(lines, refusals.add, show)
            except UsageError as error:
                failed = True
                console.say(str(error))
            refusals.tell_others()
    return failed


class _Refusals:
    """Tells the first refused lines of a file, and how many more there were."""

    def __init__(self, name: str, console: Console) -> None:
        self._name = "standard input" if name == "-" else name
        self._console = console
        self._count = 0

    def add(self, number: int, why: str) -> None:
        self._count += 1
        if self._count <= _TOLD_MAX:
            line = f" line {number}" if number else ""
            self._console.say(f"{self._name}{line}: {why}")

    def tell_others(self) -> None:
        if self._count > _TOLD_MAX:
            self._console.say(f"{self._name}: {self._count - _TOLD_MAX:,} more like these")


def _show(console: Console, name: str, figures: Imported) -> None:
    console.show_status(f"{name}: {figures.events:,} events, {figures.repeated:,} stored already")


def _summary(figures: Imported) -> str:
    text = f"imported {counted(figures.events, 'event')} of {counted(figures.runs, 'run')}"
    more = {
        "stored already": figures.repeated, "not in the files, stored as gaps": figures.missing,
        "that the store counts as lost": figures.in_gaps,
    }  # fmt: skip
    text += "".join(f"; {number:,} {what}" for what, number in more.items() if number)
    return text + (f"; refused {counted(figures.refused, 'line')}" if figures.refused else "")
