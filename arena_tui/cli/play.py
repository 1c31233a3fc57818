"""`play`: plays games without a screen and stores them like any others."""

from __future__ import annotations

import argparse
from typing import Final

from arena_tui.cli.arguments import (
    Parser,
    add_consumers,
    add_no_consumers,
    add_no_store,
    add_playing,
    whole_number,
)
from arena_tui.cli.playing import check_recording, play_out, spec_of
from arena_tui.config import Config, load_config
from arena_tui.errors import UsageError
from arena_tui.games.specs import SYNTH

_SLOW_STORE_MAX_MS: Final = 5_000
"""Half of the time without progress after which leaving gives up."""


def add_arguments(parser: Parser) -> None:
    parser.set_defaults(function=play)
    parser.add_argument("game", help="a game of open_spiel, for example connect_four; or synth")
    parser.add_argument(
        "agents", nargs="*", metavar="agent", help="random, mcts:N, minimax:D, uci:PATH"
    )
    parser.add_argument("--games", type=int, default=1, metavar="N", help="how many to play")
    parser.add_argument("--parallel", type=int, default=1, metavar="N", help="how many at a time")
    add_playing(parser)
    parser.add_argument(
        "--rate",
        type=float,
        metavar="EV_PER_S",
        help="only of synth: events a second of all games together, instead of as fast as possible",
    )
    parser.add_argument(
        "--slow-store",
        type=_delay_ms,
        default=0,
        metavar="MS",
        help="wait so long before each commit of the store, as if the disk were slow: games are "
        "held back, but no longer than 2 s, and then events overflow",
    )
    add_no_store(parser, "keep nothing")
    add_consumers(parser)
    add_no_consumers(parser)


def play(arguments: argparse.Namespace) -> int:
    """Play the games; returns 1 when one crashed, 128 + n when signal n ended them."""
    config = load_config(arguments.broker, arguments.db, arguments.store)
    _check(config, arguments)
    spec = spec_of(arguments, arguments.game)
    return play_out(config, arguments, lambda: (spec, spec))


def _check(config: Config, arguments: argparse.Namespace) -> None:
    """Raise UsageError if the arguments do not go together."""
    check_recording(config, arguments, "play")
    if arguments.rate is not None and arguments.game != SYNTH:
        raise UsageError("--rate is for synth only: slow other games down with --delay")
    if arguments.slow_store and (config.broker.kind != "memory" or config.db is None):
        raise UsageError(
            "--slow-store needs a store that this process fills: leave out --no-store and --broker"
        )


def _delay_ms(text: str) -> int:
    if not 1 <= (delay_ms := whole_number(text)) <= _SLOW_STORE_MAX_MS:
        raise argparse.ArgumentTypeError(
            f"{delay_ms} is not usable: give 1 to {_SLOW_STORE_MAX_MS:,} ms, without commas"
        )
    return delay_ms
