"""`tournament`: plays what is left of a balanced schedule, and says how all stand."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Final, NamedTuple, TextIO

from arena_tui.cli.arguments import (
    Parser,
    add_consumers,
    add_low_bandwidth,
    add_no_consumers,
    add_playing,
)
from arena_tui.cli.output import begin_log, counted, tell
from arena_tui.cli.progress import GameCount
from arena_tui.cli.stored import open_store
from arena_tui.cli.tournament_table import Format, say_standings
from arena_tui.config import Config, load_config
from arena_tui.errors import ArenaError, BrokerError, StoreError
from arena_tui.folds.standings import Game, standings
from arena_tui.games.quiet import quiet_fds
from arena_tui.games.tournament import TournamentSpec, check_tournament, games_in
from arena_tui.services.ending import ending_signals
from arena_tui.services.sharing import open_runtime
from arena_tui.services.tournament import Begun, begun
from arena_tui.store.history import read_tournament
from arena_tui.store.place import MEMORY

_CRASHES_TOLD: Final = 20


def add_arguments(parser: Parser) -> None:
    parser.set_defaults(
        function=tournament, store=True, follow=[], serve=None, names=[], metrics=None
    )
    parser.add_argument(
        "games", metavar="game[,game…]", help="games of open_spiel, or synth, for all of them"
    )
    parser.add_argument(
        "agents", nargs="*", metavar="agent", help="random, mcts:N, minimax:D, uci:PATH"
    )
    parser.add_argument(
        "--rounds", type=int, default=1, metavar="N",
        help="in each, all meet once in every seat of every game",
    )  # fmt: skip
    parser.add_argument("--parallel", type=int, default=1, metavar="N", help="games at a time")
    add_playing(parser)
    parser.add_argument(
        "--until-settled", action="store_true",
        help="end after the round that settles the order of all",
    )  # fmt: skip
    parser.add_argument(
        "--new", action="store_true", help="begin afresh, whatever the store has of it"
    )
    parser.add_argument("--watch", action="store_true", help="play it in the dashboard")
    parser.add_argument("--theme", help="of the dashboard")
    add_low_bandwidth(parser)
    parser.add_argument(
        "--format", choices=("text", "json", "markdown"), default="text", help="of the table"
    )
    add_consumers(parser)
    add_no_consumers(parser)


def tournament(arguments: argparse.Namespace) -> int:
    """Play what is left; returns 1 when a game crashed, 128 + n when signal n ended it."""
    spec = TournamentSpec(
        games=games_in(arguments.games),
        agents=tuple(arguments.agents),
        rounds=arguments.rounds,
        parallel=arguments.parallel,
        seed=arguments.seed,
        max_turns=arguments.max_turns,
        delay_s=arguments.delay,
        label=arguments.label,
        until_settled=arguments.until_settled,
        new=arguments.new,
    )
    config = load_config(arguments.broker, arguments.db)
    style: Format = "json" if arguments.json else arguments.format
    if arguments.watch:
        return _watch(config, spec, arguments, style)
    log = begin_log(arguments.debug)
    with _own_stderr() as stderr, quiet_fds(log.path):
        count = GameCount(stderr, quiet=style == "json")
        played = asyncio.run(_play(config, spec, arguments, count))
    return _report(spec, played, style)


class Played(NamedTuple):
    """What became of a tournament.

    Attributes:
        begun: How it stands by the store.
        signal: What ended it, if that was a signal.
        unstored: Games that crashed before they had a run.
    """

    begun: Begun
    signal: int | None = None
    settled: bool = False
    unstored: Sequence[Game] = ()
    notices: Sequence[str] = ()


@contextmanager
def _own_stderr() -> Iterator[TextIO]:
    """What stderr is now, whatever becomes of its descriptor."""
    with os.fdopen(os.dup(2), "w", encoding="utf-8", errors="replace", buffering=1) as stderr:
        yield stderr


async def _play(
    config: Config, spec: TournamentSpec, arguments: argparse.Namespace, count: GameCount
) -> Played:
    await asyncio.to_thread(check_tournament, spec)  # before a store is made for it
    loop = asyncio.get_running_loop()
    signalled: list[int] = []
    unstored: list[Game] = []
    runtime = await open_runtime(
        config, consumers=arguments.consumers, installed=arguments.installed
    )

    def finished(game: Game) -> None:
        loop.call_soon_threadsafe(count.add, game)
        if game.run_id is None:
            unstored.append(game)

    try:
        warnings = runtime.broker.warnings.newest()
        notices = [str(each) for each in warnings if each.severity == "error"]
        tournament = await runtime.games.enter(spec, finished)

        def stop(number: int) -> None:
            signalled.append(number)
            tournament.stop()

        for number in ending_signals():
            loop.add_signal_handler(number, stop, number)
        with count.shown(len(tournament.begun.over), len(tournament.begun.meetings)):
            runtime.games.begin(tournament)
            await asyncio.to_thread(tournament.join)
        begun = await tournament.so_far()
    finally:
        unsaved = await runtime.aclose()
    if unsaved:
        raise StoreError(unsaved) if runtime.database else BrokerError(unsaved)
    signal = signalled[0] if signalled else None
    return Played(begun, signal, tournament.settled, unstored, notices)


def _watch(
    config: Config, spec: TournamentSpec, arguments: argparse.Namespace, style: Format
) -> int:
    """Play it in the dashboard; once that is left, say how it stands by the store."""
    from arena_tui.cli.watch import show

    with quiet_fds(os.devnull):
        tables = check_tournament(spec)
    code = show(arguments, [spec])
    if code or config.db == MEMORY:
        return code
    with open_store(arguments) as database:
        runs = database.read_now(partial(read_tournament, entry=spec.entry))
    found = begun(spec, tables, runs)
    return _report(spec, Played(found), style) if found else code


def _report(spec: TournamentSpec, played: Played, style: Format) -> int:
    """Print how it stands, and what to do next; returns the exit code."""
    begun = played.begun
    games, scheduled = begun.games, len(begun.meetings)
    facts = {"id": begun.id, "seed": begun.seed, "games": spec.games, "agents": spec.agents,
             "rounds": spec.rounds}  # fmt: skip
    title = (
        f"{', '.join(spec.games)}: {len(spec.agents)} agents, {counted(spec.rounds, 'round')}, "
        f"seed {begun.seed}"
    )
    say_standings(title, scheduled, standings(spec.agents, games), games, style, facts)
    sys.stdout.flush()
    crashed = [*(game for game in games if game.status == "crashed"), *played.unstored]
    for notice in played.notices:
        tell(f"arena-tui: {notice}")
    for game in crashed[:_CRASHES_TOLD]:
        tell(f"arena-tui: game {game.index} crashed: {game.reason}")
    if len(crashed) > _CRASHES_TOLD:
        tell(f"arena-tui: {len(crashed) - _CRASHES_TOLD:,} more games crashed")
    if played.settled:
        tell("arena-tui: the order of all is settled")
    elif len(games) < scheduled:
        tell(f"arena-tui: {len(games):,} of {counted(scheduled, 'game')} are over: "
             f"the same command{' without --new' if spec.new else ''} goes on")  # fmt: skip
    if played.signal is not None:
        return 128 + played.signal
    return ArenaError.exit_code if crashed else 0
