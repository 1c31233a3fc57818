"""`open`: the dashboard at one event of a run."""

from __future__ import annotations

import argparse

from arena_tui.cli.arguments import Parser, add_follow, as_text
from arena_tui.cli.stored import open_store
from arena_tui.cli.watch import add_looks, show
from arena_tui.services.playback.address import parse_address
from arena_tui.store.history import read_run


def add_arguments(parser: Parser) -> None:
    parser.set_defaults(function=open_run, play=[], consumers=[])
    parser.add_argument(
        "address", type=as_text, metavar="RUN[:SEQ]",
        help="its id, or the beginning or end of it, and an event; a run of several epochs has "
        "EPOCH-SEQ",
    )  # fmt: skip
    add_follow(parser)
    add_looks(parser)


def open_run(arguments: argparse.Namespace) -> int:
    """Show the dashboard with one run open; said before anything is drawn if there is none."""
    run, at = parse_address(arguments.address)
    with open_store(arguments) as store:
        run_id = store.read_now(lambda reader: read_run(reader, run)).run_id
    return show(arguments, (), opens_at=(run_id, at))
