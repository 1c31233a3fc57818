"""`show`: the fields of one stored run."""

from __future__ import annotations

import argparse
from datetime import datetime

from arena_tui.cli.arguments import Parser, as_text
from arena_tui.cli.output import local_time, say, say_json
from arena_tui.cli.stored import open_store, run_fields
from arena_tui.folds.numbers import number
from arena_tui.folds.totals import lost_text
from arena_tui.services.stored import live_runs
from arena_tui.store.history import read_run


def add_arguments(parser: Parser) -> None:
    parser.set_defaults(function=show)
    parser.add_argument("run", type=as_text, help="its id, or the beginning or end of it")


def show(arguments: argparse.Namespace) -> int:
    with open_store(arguments) as database:
        totals = database.read_now(lambda connection: read_run(connection, arguments.run))
        fields = run_fields(totals, live_runs(database))
    if arguments.json:
        say_json(fields)
    else:
        for name, value in fields.items():
            if name == "agents":
                value = ", ".join(agent.id for agent in totals.agents)  # noqa: PLW2901
            elif isinstance(value, list):
                value = ", ".join(value)  # noqa: PLW2901
            elif isinstance(value, datetime):
                value = local_time(value)  # noqa: PLW2901
            elif isinstance(value, dict):
                value = "  ".join(f"{key} {number(each)}" for key, each in value.items())  # noqa: PLW2901
            elif name == "lost":
                value = lost_text(totals.lost, totals.lost_unknown)  # noqa: PLW2901
            elif name == "lost_unknown":
                continue
            say(f"{name:<14} {'–' if value in (None, '', []) else value}")
    return 0
