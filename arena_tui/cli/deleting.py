"""What `delete` and `prune` have in common: they ask, delete, and say what became of it."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Callable, Sequence
from typing import TypeAlias

from msgspec.structs import asdict

from arena_tui.cli.arguments import Parser
from arena_tui.cli.output import Console, counted, say_json, tell
from arena_tui.cli.stored import open_store
from arena_tui.config import load_config
from arena_tui.errors import ArenaError, UsageError
from arena_tui.folds.totals import RunTotals
from arena_tui.services.deleting import Choice, Deleted, choose, delete_all
from arena_tui.store.reading import Store

Pick: TypeAlias = Callable[[Store], Sequence[RunTotals]]
"""Finds the runs that are to go."""


def add_yes(parser: Parser) -> None:
    parser.add_argument("--yes", action="store_true", help="do not ask")


def delete_picked(arguments: argparse.Namespace, pick: Pick) -> int:
    """Delete the runs that are picked, after asking; returns 1 if somebody said no."""
    config = load_config(arguments.broker, arguments.db)
    if config.db == ":memory:":
        raise UsageError("in :memory: there is nothing to delete: give a file with --db")
    with open_store(arguments) as store:
        choice = choose(store, pick(store), measured=not arguments.yes)
    if not choice.runs:
        _tell(arguments, Deleted(kept=choice.kept))
        return 0
    if not arguments.yes and not _agreed(choice):
        tell("nothing was deleted")
        return ArenaError.exit_code
    with Console() as console:
        done = asyncio.run(
            delete_all(
                config,
                [each.run_id for each in choice.runs],
                lambda count: console.show_status(f"{count:,} of {len(choice.runs):,} runs"),
            )
        )
    done.kept += choice.kept
    _tell(arguments, done)
    return 0


def size_text(size: int) -> str:
    """`1.5 GB`, `20 MB`, `512 bytes`."""
    for unit, name in ((10**9, "GB"), (10**6, "MB"), (10**3, "kB")):
        if size >= unit:
            return f"{size / unit:,.1f}".removesuffix(".0") + f" {name}"
    return counted(size, "byte")


def _agreed(choice: Choice) -> bool:
    events = counted(sum(each.events for each in choice.runs), "event")
    runs = counted(len(choice.runs), "run")
    what = f"{runs}, {events}, about {size_text(choice.size_bytes)}"
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise UsageError(f"this would delete {what}: add --yes")
    sys.stderr.write(f"delete {what}? [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _tell(arguments: argparse.Namespace, done: Deleted) -> None:
    if arguments.json:
        say_json(asdict(done))
        return
    kept = f"; kept {counted(done.kept, 'run')} that may still go on" if done.kept else ""
    if not done.runs:
        tell(f"nothing to delete{kept}")
        return
    tell(f"deleted {counted(done.runs, 'run')}{kept}; {_space(done)}")


def _space(done: Deleted) -> str:
    if done.problem is not None:
        return done.problem
    now = size_text(done.after_bytes)
    if done.owner is not None:
        return (
            f"the store has {now}: process {done.owner}, which has it open, uses the space again; "
            "delete something when that one has ended, and the file gets smaller"
        )
    return f"the store has {now}, had {size_text(done.before_bytes)}"
