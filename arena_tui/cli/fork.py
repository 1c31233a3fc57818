"""`fork`: plays on from a turn of a stored run, as runs of their own."""

from __future__ import annotations

import argparse
import asyncio

from arena_tui.cli.arguments import (
    Parser,
    add_consumers,
    add_no_consumers,
    add_playing,
    as_text,
)
from arena_tui.cli.output import begin_log, tell
from arena_tui.cli.playing import play_all
from arena_tui.cli.stored import open_store
from arena_tui.config import load_config
from arena_tui.errors import UsageError
from arena_tui.games.forking import ForkSpec, check_fork
from arena_tui.games.quiet import quiet_fds
from arena_tui.games.specs import GameSpec
from arena_tui.services.forking import stored_turn
from arena_tui.store.history import History


def add_arguments(parser: Parser) -> None:
    parser.intermixed = True
    parser.set_defaults(function=fork, slow_store=0)
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
    if arguments.consumers and config.broker.kind != "memory":
        raise UsageError(
            "fork only publishes to a shared broker: give --record to arena-tui persist or watch"
        )
    log = begin_log(arguments.debug)
    with quiet_fds(log.path):
        wanted = _wanted(arguments)
        check_fork(wanted)
        code, problems = asyncio.run(play_all(config, wanted, wanted.spec, arguments))
    for problem in problems:
        tell(f"arena-tui: {problem}")
    return code


def _wanted(arguments: argparse.Namespace) -> ForkSpec:
    """What is asked for, of what is stored; the store is closed again."""
    with open_store(arguments) as store:
        here = asyncio.run(stored_turn(History(store), arguments.run, arguments.turn))
    return here.fork(
        GameSpec(
            game=here.position.game,
            agents=tuple(arguments.agents),
            games=arguments.games,
            parallel=arguments.parallel,
            seed=arguments.seed,
            max_turns=arguments.max_turns,
            delay_s=arguments.delay,
            label=arguments.label,
            rate_per_s=0.0,
        )
    )
