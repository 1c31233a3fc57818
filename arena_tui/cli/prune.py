"""`prune`: deletes the oldest runs, by their age or by the size of the store."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from arena_tui.cli.arguments import Parser, as_text
from arena_tui.cli.deleting import add_yes, delete_picked
from arena_tui.cli.stored import wanted_runs
from arena_tui.errors import UsageError
from arena_tui.events import utc_now
from arena_tui.folds.totals import RunTotals
from arena_tui.services.deleting import may_be_live, too_many, too_old
from arena_tui.services.stored import live_runs
from arena_tui.store.filters import parse_filter
from arena_tui.store.reading import Store
from arena_tui.store.sizes import read_sizes

_HOURS: Final = {"h": 1, "d": 24, "w": 7 * 24}
_BYTES: Final = {
    "": 1, "b": 1, "k": 10**3, "kb": 10**3, "m": 10**6, "mb": 10**6, "g": 10**9, "gb": 10**9,
    "kib": 2**10, "mib": 2**20, "gib": 2**30,
}  # fmt: skip
_AMOUNT: Final = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,6})?) ?([A-Za-z]*)")


def add_arguments(parser: Parser) -> None:
    parser.set_defaults(function=prune)
    parser.add_argument(
        "--older-than", type=_age, metavar="AGE",
        help="runs whose newest event is older: 30d, 12h, 2w",
    )  # fmt: skip
    parser.add_argument(
        "--keep-bytes", type=_size, metavar="SIZE",
        help="the oldest runs, until the store has about this size: 500MB, 2GB",
    )  # fmt: skip
    parser.add_argument("--filter", type=as_text, default="", help="only among these; see runs")
    add_yes(parser)


def prune(arguments: argparse.Namespace) -> int:
    """Delete what is too old, then the oldest of what is too much; never a run being played."""
    if arguments.older_than is None and arguments.keep_bytes is None:
        raise UsageError("prune what? give --older-than 30d, or --keep-bytes 500MB")
    parse_filter(arguments.filter)

    def pick(store: Store) -> Sequence[RunTotals]:
        runs = wanted_runs(store, arguments.filter)
        found = []
        if arguments.older_than is not None:
            found = too_old(runs, utc_now() - arguments.older_than)
        if arguments.keep_bytes is not None:
            live = live_runs(store)
            sizes = store.read_now(read_sizes)
            others = [each for each in runs if not may_be_live(each, live)]
            gone = {each.run_id for each in found if not may_be_live(each, live)}
            found += too_many(others, sizes, arguments.keep_bytes, gone)
        return found

    return delete_picked(arguments, pick)


def _age(text: str) -> timedelta:
    amount, unit = _amount(text)
    if unit not in _HOURS or amount > 10**7:
        raise argparse.ArgumentTypeError(f"{text[:20]!r} is no age: say 30d, 12h or 2w")
    return timedelta(hours=amount * _HOURS[unit])


def _size(text: str) -> int:
    amount, unit = _amount(text)
    if unit not in _BYTES:
        raise argparse.ArgumentTypeError(f"{text[:20]!r} is no size: say 500MB or 2GB")
    return int(amount * _BYTES[unit])


def _amount(text: str) -> tuple[float, str]:
    found = _AMOUNT.fullmatch(text.strip())
    return (float(found[1]), found[2].lower()) if found else (0.0, "?")
