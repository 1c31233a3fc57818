"""Plays a series of games without a screen, and says how each ended: what commands that play have
in common. Imports no command."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Callable
from functools import partial

from msgspec.structs import asdict

from arena_tui.broker.protocol import STORE
from arena_tui.cli.output import begin_log, say, say_json, tell
from arena_tui.config import Config
from arena_tui.errors import ArenaError, BrokerError, StoreError, UsageError
from arena_tui.folds.accounts import Account
from arena_tui.folds.numbers import number
from arena_tui.games.play import GameResult, Player, Series
from arena_tui.games.quiet import quiet_fds
from arena_tui.games.specs import GameSpec
from arena_tui.services.ending import ending_signals
from arena_tui.services.runtime import Runtime
from arena_tui.services.sharing import open_runtime


def spec_of(arguments: argparse.Namespace, game: str) -> GameSpec:
    """The spec that the arguments of a command ask for; raises UsageError."""
    return GameSpec(
        game=game,
        agents=tuple(arguments.agents),
        games=arguments.games,
        parallel=arguments.parallel,
        seed=arguments.seed,
        max_turns=arguments.max_turns,
        delay_s=arguments.delay,
        label=arguments.label,
        rate_per_s=arguments.rate or 0.0,
    )


def check_recording(config: Config, arguments: argparse.Namespace, command: str) -> None:
    """Raise UsageError if files are to be recorded where the command reads nothing."""
    if arguments.consumers and config.broker.kind != "memory":
        raise UsageError(
            f"{command} only publishes to a shared broker: "
            "give --record to arena-tui persist or watch"
        )


def play_out(
    config: Config, arguments: argparse.Namespace, wanted: Callable[[], tuple[Series, GameSpec]]
) -> int:
    """Play the series that `wanted` makes, saying each result as one of its spec, then the account.

    What game code prints goes to the log. Returns 1 when a game crashed, 128 + n when signal n
    ended them.
    """
    log = begin_log(arguments.debug)
    with quiet_fds(log.path):
        code, problems = asyncio.run(_play(config, *wanted(), arguments))
    for problem in problems:
        tell(f"arena-tui: {problem}")
    return code


async def _play(
    config: Config, series: Series, spec: GameSpec, arguments: argparse.Namespace
) -> tuple[int, list[str]]:
    """Returns the exit code, and the problems to tell once all games are over and stored."""
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
            partial(Player, series, runtime.sink.run, on_finished=finished)
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
