"""`fork`: plays on from a turn of a stored run, as runs of their own."""

from __future__ import annotations

import argparse
import asyncio
from functools import partial

from arena_tui.cli.arguments import (
    Parser,
    add_consumers,
    add_no_consumers,
    add_playing,
    as_text,
)
from arena_tui.cli.playing import check_recording, play_out, spec_of
from arena_tui.cli.stored import open_store
from arena_tui.config import load_config
from arena_tui.errors import UsageError
from arena_tui.games.forking import ForkSpec, check_fork
from arena_tui.games.specs import GameSpec
from arena_tui.services.forking import stored_turn
from arena_tui.store.history import History


def add_arguments(parser: Parser) -> None:
    parser.intermixed = True
    parser.set_defaults(function=fork, slow_store=0, rate=None)
    parser.add_argument("run", type=as_text, help="its id, or the beginning or end of it")
    parser.add_argument(
        "agents", nargs="*", metavar="agent",
        help="random, mcts:N, minimax:D, uci:PATH; without any, those of the run",
    )  # fmt: skip
    parser.add_argument(
        "--turn", type=int, required=True, metavar="T", help="the first turn that is played anew"
    )
    parser.add_argument("--games", type=int, default=1, metavar="N", help="how many to play")
    parser.add_argument("--parallel", type=int, default=1, metavar="N", help="how many at a time")
    add_playing(parser)
    add_consumers(parser)
    add_no_consumers(parser)


def fork(arguments: argparse.Namespace) -> int:
    """Play the games; returns 1 when one crashed, 128 + n when signal n ended them."""
    config = load_config(arguments.broker, arguments.db)
    if config.db == ":memory:":
        raise UsageError("fork in :memory: has no run to go on from: give a file with --db")
    check_recording(config, arguments, "fork")
    return play_out(config, arguments, partial(_wanted, arguments))


def _wanted(arguments: argparse.Namespace) -> tuple[ForkSpec, GameSpec]:
    """What is asked for, of what is stored; the store is closed again."""
    with open_store(arguments) as store:
        here = asyncio.run(stored_turn(History(store), arguments.run, arguments.turn))
    fork = here.fork(spec_of(arguments, here.position.game))
    check_fork(fork)
    return fork, fork.spec
