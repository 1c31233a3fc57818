"""`play`: plays games without a screen and stores them like any others."""

from __future__ import annotations

import argparse
import asyncio
import sys
from functools import partial

from msgspec.structs import asdict

from arena_tui.cli.arguments import (
    Parser,
    add_consumers,
    add_no_consumers,
    add_no_store,
    add_playing,
)
from arena_tui.cli.output import begin_log, say, say_json, tell
from arena_tui.config import Config, load_config
from arena_tui.errors import ArenaError, BrokerError, StoreError, UsageError
from arena_tui.games.play import GameResult, Player
from arena_tui.games.quiet import quiet_fds
from arena_tui.games.specs import GameSpec
from arena_tui.services.ending import ending_signals
from arena_tui.services.sharing import open_runtime


def add_arguments(parser: Parser) -> None:
    parser.set_defaults(function=play)
    parser.add_argument("game", help="a game of open_spiel, for example connect_four; or synth")
    parser.add_argument(
        "agents", nargs="*", metavar="agent", help="random, mcts:N, minimax:D, uci:PATH"
    )
    parser.add_argument("--games", type=int, default=1, metavar="N", help="how many to play")
    parser.add_argument("--parallel", type=int, default=1, metavar="N", help="how many at a time")
    add_playing(parser)
    add_no_store(parser, "keep nothing")
    add_consumers(parser)
    add_no_consumers(parser)


def play(arguments: argparse.Namespace) -> int:
    """Play the games; returns 1 when one crashed, 128 + n when signal n ended them."""
    config = load_config(arguments.broker, arguments.db, arguments.store)
    if arguments.consumers and config.broker.kind != "memory":
        raise UsageError(
            "play only publishes to a shared broker: give --record to arena-tui persist or watch"
        )
    spec = GameSpec(
        game=arguments.game,
        agents=tuple(arguments.agents),
        games=arguments.games,
        parallel=arguments.parallel,
        seed=arguments.seed,
        max_turns=arguments.max_turns,
        delay_s=arguments.delay,
        label=arguments.label,
        rate_per_s=0.0,
    )
    log = begin_log(arguments.debug)
    with quiet_fds(log.path):
        code, problems = asyncio.run(_play(config, spec, arguments))
    for problem in problems:
        tell(f"arena-tui: {problem}")
    return code


def _say_result(result: GameResult, spec: GameSpec, as_json: bool) -> None:
    if as_json:
        say_json({"game": spec.game, "agents": spec.agents, **asdict(result)})
    else:
        scores = "  ".join(f"{agent} {score:g}" for agent, score in result.outcome.items())
        reason = f"  ({result.reason})" if result.reason else ""
        turns = f"{result.turns or 0:>4} turns"
        say(f"{result.run_id}  {result.status:<9} {turns}  {scores}{reason}")
    sys.stdout.flush()


async def _play(
    config: Config, spec: GameSpec, arguments: argparse.Namespace
) -> tuple[int, list[str]]:
    """The exit code, and the problems to tell once all games are over and stored."""
    loop = asyncio.get_running_loop()
    runtime = await open_runtime(
        config, producer=True, consumers=arguments.consumers, installed=arguments.installed
    )
    player: Player | None = None
    signalled: list[int] = []
    try:
        warnings = runtime.broker.warnings.newest()
        notices = [str(each) for each in warnings if each.severity == "error"]

        def finished(result: GameResult) -> None:
            loop.call_soon_threadsafe(_say_result, result, spec, arguments.json)

        player = await asyncio.to_thread(
            partial(Player, spec, runtime.sink.run, on_finished=finished)
        )

        def stop(number: int) -> None:
            signalled.append(number)
            player.stop()

        for number in ending_signals():
            loop.add_signal_handler(number, stop, number)
        player.start()
        await asyncio.to_thread(player.join)
    finally:
        unsaved = await runtime.aclose()
    if unsaved:
        raise StoreError(unsaved) if runtime.database else BrokerError(unsaved)
    if signalled:
        return 128 + signalled[0], notices
    crashed = [
        f"game {result.index} crashed: {result.reason}"
        for result in player.results
        if result.status == "crashed"
    ]
    return (ArenaError.exit_code if crashed else 0), [*notices, *crashed]
