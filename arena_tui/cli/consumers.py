"""`consumers`: lists the consumers that installed packages bring, and how far each is.

Reads their files, and imports them to see whether they can be; runs none.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from msgspec import Struct

from arena_tui.cli.arguments import Parser
from arena_tui.cli.output import local_time, say, say_json, say_table, tell
from arena_tui.config import Config, consumers_path, load_config
from arena_tui.consumers.cursor_file import CURSOR_FILE, look_at
from arena_tui.consumers.entry_points import Declared, declared
from arena_tui.consumers.place import is_held, read_holder
from arena_tui.errors import ConsumerError

_HEADER = ("consumer", "package", "place", "state", "runs", "unfinished", "last kept")
_NONE = "–"


class Place(Struct, frozen=True, kw_only=True):
    """An installed consumer's state for one shared broker, or one store of a broker in process.

    Attributes:
        pid: The process that runs it at present.
        runs, unfinished, kept_at: See `CursorsSeen`; None: it keeps its cursors in its own way.
    """

    place: str
    folder: str
    pid: int | None
    runs: int | None = None
    unfinished: int | None = None
    kept_at: datetime | None = None


class Listed(Struct, frozen=True, kw_only=True):
    """One installed consumer. Printed by `--json`.

    Attributes:
        problem: Why it cannot run; None if it can be imported.
        durable: None where only running it would tell.
    """

    consumer: str
    package: str
    version: str
    target: str
    problem: str | None
    durable: bool | None
    folder: str
    places: tuple[Place, ...]


class Known(Struct, frozen=True, kw_only=True):
    """A durable consumer that a shared broker knows, of whatever process. Printed by `--json`.

    Attributes:
        kept: Whether events are kept for it; it has been silent for too long, if not.
    """

    known_as: str
    broker: str
    kept: bool


def add_arguments(parser: Parser) -> None:
    parser.set_defaults(function=consumers)


def consumers(arguments: argparse.Namespace) -> int:
    """List them; returns 1 when one cannot run."""
    config = load_config(arguments.broker, arguments.db)
    with contextlib.redirect_stdout(sys.stderr):  # whatever their modules print
        found = [_listed(each) for each in declared()]
    known = [] if config.broker.kind == "memory" else asyncio.run(_known(config))
    if arguments.json:
        for each in (*found, *known):
            say_json(each)
    else:
        _say(found, known)
    return int(any(each.problem for each in found))


def _say(found: list[Listed], known: list[Known]) -> None:
    if found:
        say_table(_HEADER, [row for each in found for row in _rows(each)])
    else:
        say("no consumers are installed: docs/CONSUMERS.md tells how to write one")
    for each in found:
        if each.problem:
            tell(f"arena-tui: {each.consumer}: {each.problem}")
    if known:
        say()
        say_table(
            ("known to the broker as", "its events"),
            [(each.known_as, "kept" if each.kept else "kept no longer") for each in known],
        )


def _rows(listed: Listed) -> Iterator[list[str]]:
    package = f"{listed.package} {listed.version}"
    idle = "cannot run" if listed.problem else "stopped"
    if not listed.places:
        state = "cannot run" if listed.problem else "never run"
        yield [listed.consumer, package, _NONE, state, _NONE, _NONE, _NONE]
    for each in listed.places:
        state = idle if each.pid is None else f"runs in process {each.pid}"
        runs, unfinished = map(_count, (each.runs, each.unfinished))
        kept_at = _NONE if each.kept_at is None else local_time(each.kept_at)
        yield [listed.consumer, package, each.place, state, runs, unfinished, kept_at]


def _count(number: int | None) -> str:
    return _NONE if number is None else f"{number:,}"


def _listed(declared: Declared) -> Listed:
    problem, durable = declared.refusal, None
    if problem is None:
        try:
            durable = getattr(declared.load(), "durable", None)
        except ConsumerError as error:
            problem = str(error)
    folder = consumers_path() / declared.name
    return Listed(
        consumer=declared.name, package=declared.package, version=declared.version,
        target=declared.target, problem=problem,
        durable=durable if isinstance(durable, bool) else None, folder=str(folder),
        places=() if declared.refusal else tuple(_places(folder)),
    )  # fmt: skip


def _places(folder: Path) -> Iterator[Place]:
    try:
        found = sorted(each for each in folder.iterdir() if each.is_dir())
    except OSError:  # never run
        return
    for each in found:
        holder = read_holder(each)
        if holder is None:
            continue
        pid = holder.pid if is_held(each) else None
        seen = look_at(each / CURSOR_FILE)
        if seen is None:
            yield Place(place=holder.place, folder=str(each), pid=pid)
        else:
            yield Place(
                place=holder.place, folder=str(each), pid=pid, runs=seen.runs,
                unfinished=seen.unfinished, kept_at=seen.kept_at,
            )  # fmt: skip


async def _known(config: Config) -> list[Known]:
    """Raises BrokerError when it cannot be reached."""
    from arena_tui.broker.redis.broker import RedisBroker  # takes 100 ms to import

    broker = RedisBroker(config.broker, reading=False)
    try:
        await broker.start()
        known = await broker.known_consumers()
    finally:
        await broker.aclose()
    return [
        Known(known_as=name, broker=broker.name, kept=kept) for name, kept in sorted(known.items())
    ]
