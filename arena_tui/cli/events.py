"""`events`: the events of a stored run, or of all."""

from __future__ import annotations

import argparse
import sys
from functools import partial

from arena_tui.broker.protocol import Cursor
from arena_tui.cli.arguments import Parser, whole_number
from arena_tui.cli.output import local, say
from arena_tui.cli.stored import NO_LIMIT, open_store
from arena_tui.codec import encode_event, encode_line
from arena_tui.events import Delivery, Envelope, Gap
from arena_tui.folds.places import Places
from arena_tui.folds.totals import RunTotals
from arena_tui.store.database import Database
from arena_tui.store.history import read_run, read_runs
from arena_tui.store.windows import WINDOW, begun_in, read_lengths, read_window


def add_arguments(parser: Parser) -> None:
    """The arguments of `events`."""
    parser.set_defaults(function=events)
    parser.add_argument("run", nargs="?", help="its id, or a part; all runs when left out")
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
        "--to", dest="last", type=_seq, default=2**53, metavar="SEQ", help="the last, likewise"
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
        for totals in wanted:
            _say_events(database, totals, arguments)
    return 0


def _seq(text: str) -> Cursor | int:
    epoch, dash, seq = text.rpartition("-")
    return Cursor(whole_number(epoch), whole_number(seq)) if dash else whole_number(text)


def _say_events(database: Database, totals: RunTotals, arguments: argparse.Namespace) -> None:
    run_id, first, last = totals.run_id, arguments.first, arguments.last
    places = Places(database.read_now(partial(read_lengths, run_id=run_id)))
    for epoch in places.epochs:
        is_start = True
        for span in places.spans(*_asked_for(places, epoch, first, last), WINDOW):
            window = database.read_now(
                partial(read_window, run_id=run_id, epoch=epoch, from_seq=span.first,
                        to_seq=span.last)
            )  # fmt: skip
            for delivery in begun_in(window, span.first, is_start):
                _say_event(delivery, arguments)
            is_start = False


def _asked_for(
    places: Places, epoch: int, first: Cursor | int, last: Cursor | int
) -> tuple[int, int]:
    """The places of an epoch between two limits: an event id, or a seq in every epoch."""
    start, length = places.before(epoch), places.lengths[epoch]
    low = first if isinstance(first, int) else first.seq if epoch == first.epoch else 1
    high = last if isinstance(last, int) else last.seq if epoch == last.epoch else length
    if not isinstance(first, int) and epoch < first.epoch:
        low = length + 1
    if not isinstance(last, int) and epoch > last.epoch:
        high = 0
    return start + max(low, 1), start + min(high, length)


def _say_event(delivery: Delivery, arguments: argparse.Namespace) -> None:
    if (
        arguments.kind
        and isinstance(delivery, Envelope)
        and delivery.event.kind not in arguments.kind
    ):
        return
    if arguments.json:
        sys.stdout.buffer.write(encode_line(delivery) + b"\n")
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
