"""`delete`: deletes stored runs, by id or by filter."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from arena_tui.cli.arguments import Parser, as_text
from arena_tui.cli.deleting import add_yes, delete_picked
from arena_tui.cli.stored import wanted_runs
from arena_tui.errors import UsageError
from arena_tui.folds.totals import RunTotals
from arena_tui.services.deleting import may_be_live
from arena_tui.services.stored import live_runs
from arena_tui.store.filters import parse_filter
from arena_tui.store.reading import Store


def add_arguments(parser: Parser) -> None:
    parser.set_defaults(function=delete)
    parser.add_argument("runs", nargs="*", metavar="RUN", type=as_text, help="its id, or a part")
    parser.add_argument("--filter", type=as_text, help="all that match instead; see runs")
    add_yes(parser)


def delete(arguments: argparse.Namespace) -> int:
    """Delete the runs and all that is stored of them, bookmarks too; export keeps both."""
    if bool(arguments.runs) == bool(arguments.filter):
        raise UsageError("delete takes runs or a --filter: give one of them")
    parse_filter(arguments.filter or "")

    def pick(store: Store) -> Sequence[RunTotals]:
        if arguments.filter:
            return wanted_runs(store, arguments.filter)
        found = [wanted_runs(store, "", run)[0] for run in arguments.runs]
        live = live_runs(store)
        for each in found:
            if may_be_live(each, live):
                raise UsageError(
                    f"run {each.run_id} is not over: end it first (arena-tui close {each.run_id})"
                )
        return list({each.run_id: each for each in found}.values())

    return delete_picked(arguments, pick)
