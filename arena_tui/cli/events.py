"""`events`: the events of a stored run, or of all."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Sequence

from arena_tui.broker.protocol import Cursor
from arena_tui.cli.arguments import Parser, as_text, whole_number
from arena_tui.cli.output import local, say, say_json_line
from arena_tui.cli.stored import NO_LIMIT, open_store
from arena_tui.codec import encode_event, encode_line
from arena_tui.events import Delivery, Envelope, Gap
from arena_tui.folds.places import Places
from arena_tui.folds.totals import RunTotals
from arena_tui.store.history import History, read_run, read_runs
from arena_tui.store.replay import read_stored

_SEQ_MAX = 2**53


def add_arguments(parser: Parser) -> None:
    parser.set_defaults(function=events)
    parser.add_argument(
        "run", nargs="?", type=as_text, help="its id, or a part; all runs when left out"
    )
    parser.add_argument(
        "--from",
        dest="first",
        type=_seq,
        default=1,
        metavar="SEQ",
        help="the first to print; of a run whose stream was made anew, in each of its epochs, "
        "or EPOCH-SEQ (as in --json): from there on",
    )
    parser.add_argument(
        "--to", dest="last", type=_seq, default=_SEQ_MAX, metavar="SEQ", help="the last, likewise"
    )
    parser.add_argument("--kind", action="append", metavar="KIND", help="only these kinds")


def events(arguments: argparse.Namespace) -> int:
    """Print events as flat JSON lines, or one short line each."""
    with open_store(arguments) as database:
        if arguments.run:
            wanted = [database.read_now(lambda connection: read_run(connection, arguments.run))]
        else:
            wanted = database.read_now(lambda connection: read_runs(connection, limit=NO_LIMIT))[
                ::-1
            ]
        asyncio.run(_say_events(History(database), wanted, arguments))
    return 0


def _seq(text: str) -> Cursor | int:
    epoch, dash, seq = text.rpartition("-")
    return Cursor(whole_number(epoch), whole_number(seq)) if dash else whole_number(text)


async def _say_events(
    history: History, wanted: Sequence[RunTotals], arguments: argparse.Namespace
) -> None:
    """Print the events between two limits: each is an event id, or a seq in every epoch."""
    first, last = arguments.first, arguments.last
    for run_id in [totals.run_id for totals in wanted]:
        places = Places(await history.lengths(run_id))
        for epoch in places.epochs:
            low = Cursor(epoch, first) if isinstance(first, int) else first
            high = Cursor(epoch, last) if isinstance(last, int) else last
            low, high = max(low, Cursor(epoch, 1)), min(high, Cursor(epoch, _SEQ_MAX))
            if low.epoch == high.epoch == epoch:
                after = Cursor(epoch, low.seq - 1)
                async for window in read_stored(history, run_id, places, after, high):
                    for delivery in window:
                        _say_event(delivery, arguments)


def _say_event(delivery: Delivery, arguments: argparse.Namespace) -> None:
    if (
        arguments.kind
        and isinstance(delivery, Envelope)
        and delivery.event.kind not in arguments.kind
    ):
        return
    if arguments.json:
        say_json_line(encode_line(delivery))
    elif isinstance(delivery, Gap):
        missing = f"{delivery.count:,} events, {delivery.reason}"
        if delivery.unknown:
            missing = "an unknown number of events lost"
        say(f"{delivery.from_seq:>7}  gap: {missing}")
    else:
        event = delivery.event
        text = encode_event(event).decode()
        turn = "" if event.turn is None else event.turn
        at = local(event.ts)
        say(f"{delivery.seq:>7}  {at:%H:%M:%S.%f}  {turn:>4}  {event.kind:<15} {text}")
