"""`export`: writes stored runs to a file, or to standard output."""

from __future__ import annotations

import argparse
import asyncio
import re
import sys
from functools import partial
from typing import Final

from arena_tui.cli.arguments import Parser, as_text
from arena_tui.cli.output import Console, counted, say_json, tell
from arena_tui.cli.runs import filter_text
from arena_tui.cli.stored import open_store, wanted_runs
from arena_tui.errors import UsageError
from arena_tui.services.exporting import (
    FORMS,
    Exported,
    Form,
    Progress,
    check_one,
    export_runs,
    format_of,
    print_runs,
)
from arena_tui.store.archive_files import Format, Texts
from arena_tui.store.history import History

_LEAST: Final = (60, 15)
_MOST: Final = (500, 200)
_IDLE_MAX_S: Final = 3_600.0


def add_arguments(parser: Parser) -> None:
    parser.set_defaults(function=export)
    parser.add_argument(
        "filter", nargs="*", type=as_text, help='as for runs: game:chess err>0 "rate limit"'
    )
    parser.add_argument("--run", type=as_text, help="this one only, by its id or a part of it")
    parser.add_argument(
        "--format", choices=FORMS, help="default: what the name of the file ends with, or jsonl"
    )
    parser.add_argument(
        "--output", default="-", metavar="FILE",
        help="compressed if it ends with .gz or .zst; appears when it is whole; default -, stdout",
    )  # fmt: skip
    parser.add_argument(
        "--size", type=_size, metavar="COLSxLINES", help="of an asciicast; default 100x30"
    )
    parser.add_argument(
        "--idle", type=_seconds, metavar="SECONDS",
        help="longest silence kept in an asciicast; default 2",
    )  # fmt: skip


def export(arguments: argparse.Namespace) -> int:
    """Export the runs, oldest first; says how much that was on stderr, or with --json on stdout.

    Without a run no file is written, and one that is there stays.
    """
    output = arguments.output
    form = arguments.format or format_of(output)
    if arguments.run and arguments.filter:
        raise UsageError("--run and a filter exclude each other: give one of them")
    if output == "-" and form == "parquet":
        raise UsageError("Parquet is not written to standard output: give a file with --output")
    if output == "-" and form != "jsonl" and arguments.json:
        raise UsageError(f"{form} is no JSON: give a file with --output, or leave out --json")
    made = _maker(form, arguments)
    with open_store(arguments) as store:
        runs = wanted_runs(store, filter_text(arguments.filter), arguments.run)
        check_one(form, len(runs))
        if not runs:
            tell("no runs match" if arguments.filter else "no runs yet")
        if not runs and output != "-":
            if arguments.json:
                say_json({"runs": 0, "events": 0, "output": None})
            return 0
        with Console() as console:
            told = _progress(console, len(runs))
            if output == "-":
                work = partial(print_runs, out=sys.stdout.buffer)
            else:
                work = partial(export_runs, path=output)
            ids = [each.run_id for each in runs]
            done = asyncio.run(work(History(store), ids, made, progress=told))
    if arguments.json and output != "-":
        say_json({"runs": done.runs, "events": done.events, "output": output})
    elif output != "-":
        what = f"{counted(done.events, 'event')} of {counted(done.runs, 'run')}"
        tell(f"exported {what} to {output}")
    return 0


def _maker(form: Form, arguments: argparse.Namespace) -> Format | Texts:
    given = [name for name in ("size", "idle") if getattr(arguments, name) is not None]
    if given and form != "asciicast":
        raise UsageError(f"--{given[0]} is for a recording: give --format asciicast, too")
    if form in ("jsonl", "csv", "parquet"):
        return form
    from arena_tui.tui.forms import IDLE_S, SIZE, maker
    from arena_tui.tui.render.cast import Size

    size = SIZE if arguments.size is None else Size(*arguments.size)
    return maker(form, size, IDLE_S if arguments.idle is None else arguments.idle)


def _size(text: str) -> tuple[int, int]:
    """`100x30`: columns and lines that a terminal may have and a run needs."""
    found = re.fullmatch(r"([0-9]{2,3})x([0-9]{2,3})", text)
    size = (int(found[1]), int(found[2])) if found else (0, 0)
    if not (_LEAST[0] <= size[0] <= _MOST[0] and _LEAST[1] <= size[1] <= _MOST[1]):
        raise argparse.ArgumentTypeError(
            f"{text!r} is no size: give 100x30, or any from 60x15 to 500x200"
        )
    return size


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 < seconds <= _IDLE_MAX_S:
        raise argparse.ArgumentTypeError(f"{text!r} is no silence: give seconds, 2 say")
    return seconds


def _progress(console: Console, total: int) -> Progress:
    def show(done: Exported) -> None:
        console.show_status(f"{done.runs:,} of {total:,} runs, {done.events:,} events")

    return show
