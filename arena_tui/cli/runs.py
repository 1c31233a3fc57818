"""`runs`: lists stored runs."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Collection
from typing import Final

from arena_tui.cli.arguments import Parser, as_text, whole_number
from arena_tui.cli.output import local_time, say, say_json, say_table
from arena_tui.cli.stored import NO_LIMIT, open_store, run_fields
from arena_tui.events import short_id
from arena_tui.folds.result import result_text
from arena_tui.folds.totals import RunTotals, lost_text
from arena_tui.services.stored import live_runs, status_of
from arena_tui.store.filters import parse_filter
from arena_tui.store.history import read_runs

_HEADER: Final = (
    "run", "started", "game", "agents", "status", "turns", "events", "err", "lost", "cost",
)  # fmt: skip


def add_arguments(parser: Parser) -> None:
    parser.set_defaults(function=runs)
    parser.add_argument(
        "filter", nargs="*", type=as_text, help='game:chess err>0 cost>0.1 "rate limit"'
    )
    parser.add_argument("--limit", type=whole_number, metavar="N", help="the newest N only")


def runs(arguments: argparse.Namespace) -> int:
    """List runs, oldest first."""
    text, limit = filter_text(arguments.filter), arguments.limit or NO_LIMIT
    parse_filter(text)  # what is wrong with it is said first
    with open_store(arguments) as database:
        live = live_runs(database)
        where, parameters = parse_filter(text, dict.fromkeys(live, "running"))
        found = database.read_now(
            lambda connection: read_runs(connection, where, parameters, limit=limit)
        )[::-1]
    if arguments.json:
        for totals in found:
            say_json(run_fields(totals, live))
    elif not found and not arguments.filter:
        say("no runs yet")
    elif not found:
        say("no runs match")
    else:
        say_table(_HEADER, [_run_cells(each, live) for each in found])
    return 0


def filter_text(words: list[str]) -> str:
    """A single argument is a whole filter; of several, those with spaces are quoted again."""
    if len(words) == 1:
        return words[0]
    return " ".join(shlex.quote(word) if " " in word else word for word in words)


def _run_cells(totals: RunTotals, live: Collection[str]) -> list[str]:
    started = "–" if totals.started_at is None else local_time(totals.started_at)
    status, result = status_of(totals, live), result_text(totals.agents, totals.outcome)
    return [
        short_id(totals.run_id),
        started,
        f"{totals.game} · {totals.label}" if totals.label else totals.game,
        " vs ".join(agent.id for agent in totals.agents),
        status if status != "finished" or result == status else f"{status} · {result}",
        str(totals.turns),
        str(totals.events),
        str(totals.errors),
        lost_text(totals.lost, totals.lost_unknown),
        "–" if totals.cost_usd is None else f"${totals.cost_usd:.3f}",
    ]
