"""`play`: plays games without a screen and stores them like any others."""

from __future__ import annotations

import argparse
import asyncio
import sys
from functools import partial
from typing import Final

from msgspec.structs import asdict

from arena_tui.broker.protocol import STORE
from arena_tui.cli.arguments import (
    Parser,
    add_consumers,
    add_no_consumers,
    add_no_store,
    add_playing,
    whole_number,
)
from arena_tui.cli.output import begin_log, say, say_json, tell
from arena_tui.config import Config, load_config
from arena_tui.errors import ArenaError, BrokerError, StoreError, UsageError
from arena_tui.folds.accounts import Account
from arena_tui.folds.numbers import number
from arena_tui.games.play import GameResult, Player
from arena_tui.games.quiet import quiet_fds
from arena_tui.games.specs import SYNTH, GameSpec
from arena_tui.services.ending import ending_signals
from arena_tui.services.runtime import Runtime
from arena_tui.services.sharing import open_runtime

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
    spec = GameSpec(
        game=arguments.game,
        agents=tuple(arguments.agents),
        games=arguments.games,
        parallel=arguments.parallel,
        seed=arguments.seed,
        max_turns=arguments.max_turns,
        delay_s=arguments.delay,
        label=arguments.label,
        rate_per_s=arguments.rate or 0.0,
    )
    log = begin_log(arguments.debug)
    with quiet_fds(log.path):
        code, problems = asyncio.run(_play(config, spec, arguments))
    for problem in problems:
        tell(f"arena-tui: {problem}")
    return code


def _check(config: Config, arguments: argparse.Namespace) -> None:
    """Raise UsageError if the arguments do not go together."""
    if arguments.consumers and config.broker.kind != "memory":
        raise UsageError(
            "play only publishes to a shared broker: give --record to arena-tui persist or watch"
        )
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


def _say_result(result: GameResult, spec: GameSpec, as_json: bool) -> None:
    if as_json:
        say_json({"game": spec.game, "agents": spec.agents, **asdict(result)})
    else:
        scores = "  ".join(f"{agent} {number(score)}" for agent, score in result.outcome.items())
        reason = f"  ({result.reason})" if result.reason else ""
        turns = f"{result.turns or 0:>4} turns"
        say(f"{result.run_id}  {result.status:<9} {turns}  {scores}{reason}")
    sys.stdout.flush()


async def _say_account(runtime: Runtime, as_json: bool) -> None:
    """Say what became of all events; of what is not stored here, only others can."""
    account = await _account(runtime)
    published = account.published if account else runtime.sink.stats().published
    if as_json:
        names = ("stored", "lost", "in_flight")
        counts = {name: getattr(account, name, None) for name in names}
        rare = {name: getattr(account, name, 0) for name in ("already_stored", "lost_unknown")}
        counts |= {name: count for name, count in rare.items() if count}
        say_json({"type": "account", "published": published, **counts})
    elif account is not None:
        say(str(account))
    else:
        where = f"to {runtime.broker.name}" if runtime.broker.shared else "not stored"
        say(f"published {published:,}, {where}")


async def _account(runtime: Runtime) -> Account | None:
    """What became of all events by what is stored here, once all is closed; None if nothing is."""
    published = (await runtime.broker.stats()).published
    try:
        return runtime.running(STORE).info().account(published)
    except KeyError:
        return None


async def _play(
    config: Config, spec: GameSpec, arguments: argparse.Namespace
) -> tuple[int, list[str]]:
    """The exit code, and the problems to tell once all games are over and stored."""
    loop = asyncio.get_running_loop()
    runtime = await open_runtime(
        config, producer=True, consumers=arguments.consumers, installed=arguments.installed,
        store_delay_s=arguments.slow_store / 1_000,
    )  # fmt: skip
    player: Player | None = None
    signalled: list[int] = []
    try:
        if arguments.slow_store and runtime.storing.elsewhere:
            raise UsageError(
                f"--slow-store needs a store of its own, and {config.db} is open in another "
                "process: give another --db"
            )
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
    await _say_account(runtime, arguments.json)
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
