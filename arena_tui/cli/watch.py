"""`watch`: the dashboard, with the terminal to itself."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from arena_tui.cli.arguments import (
    Parser,
    add_consumers,
    add_follow,
    add_low_bandwidth,
    add_metrics,
    add_no_consumers,
    add_no_store,
    check_metrics,
    followable,
)
from arena_tui.cli.last_resort import LastResort
from arena_tui.cli.listening import add_names, listening_at
from arena_tui.cli.output import begin_log, counted, tell
from arena_tui.cli.terminal import (
    Output,
    check_terminal,
    in_browser,
    own_pipe,
    reopened,
    text_output,
)
from arena_tui.config import load_config
from arena_tui.services.http.address import Address
from arena_tui.services.playables import Playable, parse_playable
from arena_tui.tui.environment import prepare
from arena_tui.tui.interpreter import start_quickly

if TYPE_CHECKING:
    from arena_tui.broker.protocol import Cursor
    from arena_tui.services.session import Session


def add_arguments(parser: Parser) -> None:
    parser.set_defaults(function=watch)
    parser.add_argument(
        "--play", metavar="SPEC", action="extend", nargs="+", default=[],
        help='start these: "connect_four mcts:200 random games=4", "tournament chess mcts:200 '
        'random rounds=2", or agent.py; a script with its arguments in quotes: '
        '"agent.py --model x"',
    )  # fmt: skip
    add_follow(parser)
    add_consumers(parser)
    add_looks(parser)


def add_looks(parser: Parser) -> None:
    """The arguments of every dashboard."""
    add_metrics(parser)
    add_no_store(parser, "live only: keep nothing, open no store")
    parser.add_argument(
        "--serve", nargs="?", const="", metavar="HOST:PORT",
        help="also answer over HTTP, as arena-tui serve does (127.0.0.1:8737)",
    )  # fmt: skip
    add_names(parser)
    add_no_consumers(parser)
    add_low_bandwidth(parser)
    parser.add_argument("--theme", help="arena-dark, arena-light, or a theme of Textual's")


def watch(arguments: argparse.Namespace) -> int:
    return show(arguments, [parse_playable(text) for text in arguments.play])


def show(
    arguments: argparse.Namespace, playables: Sequence[Playable], continuous: bool = False,
    opens_at: tuple[str, Cursor | None] | None = None,
) -> int:  # fmt: skip
    """Show the dashboard with these games, until the user quits; `opens_at` is a run to open."""
    config = load_config(
        arguments.broker, arguments.db, arguments.store, arguments.theme,
        low_bandwidth=arguments.low_bandwidth,
    )  # fmt: skip
    check_metrics(arguments.metrics, config)
    files = [followable(name, config) for name in arguments.follow]
    listening = None
    if arguments.serve is not None:
        listening = listening_at(Address.parse(arguments.serve), arguments.names)
        listening.check()
    if not in_browser():
        check_terminal()
        for size_of_the_start in ("COLUMNS", "LINES"):  # would stand for the size for good
            os.environ.pop(size_of_the_start, None)
    log = begin_log(arguments.debug)
    prepare(config.low_bandwidth)
    start_quickly()
    from arena_tui.services.session import Session
    from arena_tui.tui.app import ArenaApp
    from arena_tui.tui.driver import TerminalDriver
    from arena_tui.tui.frugal import FrugalDriver, is_remote

    session = Session(
        config, playables, continuous, files, arguments.consumers, arguments.installed,
        log.problem, listening, arguments.metrics,
    )  # fmt: skip
    if in_browser():
        with own_pipe(log.path):
            return ArenaApp(session, driver=None, opens_at=opens_at).run() or 0
    last_resort = LastResort(reopened(sys.stdout.fileno()), os.dup(sys.stderr.fileno()))
    with _own_terminal(log.path) as output:
        last_resort.unsaved = session.unsaved
        driver = FrugalDriver if config.low_bandwidth or is_remote(os.environ) else TerminalDriver
        app = ArenaApp(
            session, on_signal=output.leave, on_leaving=last_resort.begin, driver=driver,
            opens_at=opens_at,
        )  # fmt: skip
        code = app.run()
    code = app.return_code or code or 0
    if app.refusal is not None:
        last_resort.done(code)
        raise app.refusal
    if app.exit_message:
        tell(f"arena-tui: {app.exit_message}")
    elif code == 1:
        where = "not logged" if log.problem else f"see {log.path}"
        tell(f"arena-tui: an internal error, {where}: what was played is stored")
    elif code == 0:
        for line in _parting(session, app.left_at):
            tell(line)
    last_resort.done(code)
    return code


def _parting(session: Session, left_at: str | None) -> list[str]:
    """What there was, where it is, and the commands that show it again."""
    runs, events = session.seen
    seen = f"{counted(runs, 'run')}, {counted(events, 'event')}"
    db = session.config.db
    if db is None or db == ":memory:":
        how = "--db :memory:" if db else "--no-store"
        return [f"{seen}: nothing is kept, {how}"] if runs else []
    elsewhere = "" if db == load_config().db else f" --db {shlex.quote(db)}"
    lines = []
    if runs:
        lines += [f"{seen}, stored in {db}",
                  f"see them again: arena-tui{elsewhere}, then 2 for History"]  # fmt: skip
    if left_at is not None:
        lines.append(f"left at {left_at}: arena-tui open{elsewhere} {left_at}")
    return lines


@contextmanager
def _own_terminal(log: Path) -> Iterator[Output]:
    """Reserve the terminal for the app: all other output, of C++ game code too, goes to the log.

    Textual draws on `sys.__stderr__` and asks `sys.__stdout__` for the terminal's size.
    """
    from arena_tui.games.quiet import quiet_fds

    before = sys.__stdout__, sys.__stderr__
    output = Output(sys.stdout.fileno())
    with text_output(output) as terminal, quiet_fds(log, stdout=True):
        sys.__stdout__ = sys.__stderr__ = terminal  # type: ignore[misc]
        try:
            yield output
        finally:
            sys.__stdout__, sys.__stderr__ = before  # type: ignore[misc]
