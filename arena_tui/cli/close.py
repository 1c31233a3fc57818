"""`close`: ends a run whose producer died, so that it is open no longer."""

from __future__ import annotations

import argparse
import asyncio

from arena_tui.cli.arguments import Parser, as_text
from arena_tui.cli.output import begin_log, counted, say, say_json
from arena_tui.cli.stored import run_fields
from arena_tui.config import load_config
from arena_tui.errors import UsageError
from arena_tui.services.dead_runs import end_shared, end_stored


def add_arguments(parser: Parser) -> None:
    parser.set_defaults(function=close)
    parser.add_argument("run", type=as_text, help="its id, or the beginning or end of it")
    parser.add_argument(
        "--status", choices=("stopped", "crashed"), default="stopped", help="default stopped"
    )
    parser.add_argument(
        "--reason", type=as_text, default="closed by hand", metavar="TEXT",
        help="default: closed by hand",
    )  # fmt: skip


def close(arguments: argparse.Namespace) -> int:
    """Close it on the server with `--broker`, else in the store; prints the run."""
    config = load_config(arguments.broker, arguments.db)
    begin_log(arguments.debug)
    if config.broker.kind != "memory":
        end = end_shared
    elif config.db == ":memory:":
        raise UsageError("close in :memory: has nothing to close: give a file with --db")
    else:
        end = end_stored
    totals = asyncio.run(end(config, arguments.run, arguments.status, arguments.reason))
    if arguments.json:
        say_json(run_fields(totals))
    else:
        why = f" ({totals.reason})" if totals.reason else ""
        events = counted(totals.events, "event")
        say(f"closed run {totals.run_id}: {totals.status}{why}, {events}")
    return 0
