"""`search`: the events of all stored runs in which a text can be seen, as they are found."""

from __future__ import annotations

import argparse
import asyncio
import sys

from arena_tui.cli.arguments import Parser, as_text, whole_number
from arena_tui.cli.output import counted, local, say, say_json, tell
from arena_tui.cli.runs import filter_text
from arena_tui.cli.stored import NO_LIMIT, open_store
from arena_tui.errors import UsageError
from arena_tui.events import short_id
from arena_tui.services.stored import live_runs
from arena_tui.store.filters import parse_filter
from arena_tui.store.history import History, read_runs
from arena_tui.store.reading import Store
from arena_tui.store.searching import Hit, Search


def add_arguments(parser: Parser) -> None:
    parser.set_defaults(function=search)
    parser.add_argument("text", type=as_text, help="what is looked for; case does not matter")
    parser.add_argument(
        "filter", nargs="*", type=as_text, help="only in these runs: game:chess err>0 since:1d"
    )
    parser.add_argument("--limit", type=whole_number, metavar="N", help="the first N hits only")


def search(arguments: argparse.Namespace) -> int:
    """Print hits, those of the newest run first; ctrl+c ends it."""
    if not arguments.text.strip():
        raise UsageError("nothing to look for: give a text")
    parse_filter(filter_text(arguments.filter))  # what is wrong with it is said first
    with open_store(arguments) as database:
        asyncio.run(_say_hits(database, arguments))
    return 0


async def _say_hits(database: Store, arguments: argparse.Namespace) -> None:
    live = live_runs(database)
    where, parameters = parse_filter(filter_text(arguments.filter), dict.fromkeys(live, "running"))
    history = History(database)
    found = await history.read(lambda reader: read_runs(reader, where, parameters, limit=NO_LIMIT))
    searching = Search(arguments.text, found)
    most = left = NO_LIMIT if arguments.limit is None else arguments.limit
    while left and not searching.is_over:
        hits = (await history.read(searching.read))[:left]
        left -= len(hits)
        for hit in hits:
            _say_hit(hit, arguments.json)
        sys.stdout.flush()
    if left == most and most and not arguments.json:
        tell(f"no event contains it, in {counted(len(found), 'run')}")


def _say_hit(hit: Hit, as_json: bool) -> None:
    if as_json:
        say_json(hit._asdict())
    else:
        agent = hit.agent_id or "–"
        at = f"{local(hit.ts):%Y-%m-%d %H:%M:%S}"
        say(f"{short_id(hit.run_id)}  {hit.seq:>7}  {at}  {hit.kind:<13}  {agent}  {hit.text}")
