"""The `arena-tui` command line: one table of commands, each a module of its own.

A module has `add_arguments`, which also sets the `function` to call. It is imported only when its
command runs, or its own help is asked for.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from typing import Final

from arena_tui import __version__
from arena_tui.cli.arguments import Parser, add_common
from arena_tui.cli.streams import make_safe
from arena_tui.errors import ArenaError, OutputError, StoreError, UsageError

_COMMANDS: Final = {
    "watch": ("watch", "the dashboard (also without the word)"),
    "demo": ("demo", "the dashboard with a set of real games already playing"),
    "play": ("play", "play games without a screen, and store them"),
    "fork": ("fork", "play on from a turn of a stored run, with the same or other agents"),
    "tournament": ("tournament", "play all agents against each other, and say how they stand"),
    "runs": ("runs", "list stored runs"),
    "show": ("show", "one stored run"),
    "events": ("events", "the events of a stored run"),
    "search": ("search", "look for a text in the events of all stored runs"),
    "compare": ("compare", "two runs side by side, or many of one game: where they part"),
    "sql": ("sql", "ask the store in SQL: one query that reads"),
    "export": ("export", "write runs to a file: JSON lines, CSV or Parquet"),
    "import": ("importing", "read exported files, and JSON lines, into the store"),
    "delete": ("delete", "delete runs, and give their space back"),
    "prune": ("prune", "delete the oldest runs, by age or size"),
    "open": ("open", "the dashboard at one event of a run"),
    "close": ("close", "end a run whose producer died"),
    "ratings": ("ratings", "how good the players are, and how sure that is"),
    "stats": ("stats", "where every event is, who is behind, what is full"),
    "verify": ("verify", "check that the store is whole, but for known gaps"),
    "publish": ("publish", "JSON lines to a broker: the way in for every language"),
    "persist": ("persist", "store what other processes publish, without a screen"),
    "web": ("web", "the dashboard itself in a browser of this machine"),
    "serve": ("serve", "runs and events over HTTP, stored, without a screen"),
    "consumers": ("consumers", "the consumers that installed packages bring, and how far they are"),
    "redis": ("server", "a Redis server for this machine, its data kept"),
    "doctor": ("doctor", "check the installation and say where everything is"),
    "bench": ("benching", "measure this machine, beside floors and peers"),
}
"""A command's file in this package, and what it does."""

_EXAMPLES = """\
examples:
  arena-tui demo                                       real games, live, at once
  arena-tui --play "chess mcts:200 random games=4"     the dashboard with your games
  arena-tui --play agent.py                            the dashboard with your own agents
  arena-tui --follow log.jsonl                         the dashboard with what a program writes
  my-agent | arena-tui publish --broker redis://host   the same, for dashboards elsewhere
  arena-tui play connect_four mcts:200 random --games 20 --parallel 4 --seed 7
  arena-tui tournament chess mcts:200 mcts:50 random --rounds 10    who is best
  arena-tui runs                                       what is stored
  arena-tui export game:chess --output chess.jsonl.gz  to keep, or for another store
  arena-tui prune --keep-bytes 2GB                     the oldest runs go
  arena-tui fork 7f3a --turn 17 mcts:500 random        what else might have come of it

exit codes: 0 good, 1 a check failed, 2 wrong usage, 3 cannot reach or open something
"""

_COMMON = {"--broker": 2, "--db": 2, "--json": 1, "--debug": 1, "--no-store": 1, "--theme": 2}
"""Flags accepted before the command, and how many arguments each occupies."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code."""
    if argv is not None:
        return _run(_with_command(list(argv)))
    output = make_safe()
    try:
        code = _run_hidden(sys.argv[1:])
    except OSError:
        if output.error is None:
            raise
        code = 0
    except SystemExit as error:  # of argparse, which swallows what happens to its output
        code = int(error.code or 0)
    except KeyboardInterrupt:
        return 130
    with suppress(OSError):
        sys.stdout.flush()
    if output.error is None or isinstance(output.error, BrokenPipeError):
        return code  # a reader that closed the pipe (head, less) has seen enough
    refused = OutputError(f"cannot write the output: {output.error.strerror}")
    return code or _report_error(refused)


def _run_hidden(words: list[str]) -> int:
    """Run a command, its arguments without passwords."""
    if any("://" in word for word in words):
        from arena_tui.cli.secrets import hide_passwords

        try:
            hide_passwords()
        except UsageError as error:
            return _report_error(error)
    return _run(_with_command(words))


def _run(words: list[str]) -> int:
    arguments = _parser(words[0]).parse_args(words)
    from logging import NullHandler, getLogger

    # Else logging prints to stderr what a command without a log says by itself.
    getLogger("arena_tui").addHandler(NullHandler())
    try:
        code = arguments.function(arguments)
    except ArenaError as error:
        if isinstance(error, StoreError):
            error.name_options(*arguments.store_options)
        if arguments.debug:
            import traceback

            traceback.print_exc()
            return error.exit_code
        return _report_error(error)
    return int(code)


def _report_error(error: ArenaError) -> int:
    print(f"arena-tui: {error}", file=sys.stderr)  # noqa: T201
    return error.exit_code


def _with_command(words: list[str]) -> list[str]:
    """The arguments with the command first: it may follow common flags, or be left out."""
    index = 0
    while index < len(words) and (words[index].partition("=")[0] in _COMMON):
        index += 1 if "=" in words[index] else _COMMON[words[index]]
    if index < len(words) and words[index] in _COMMANDS:
        return [words[index], *words[:index], *words[index + 1 :]]
    if words and (not words[0].startswith("-") or words[0] in ("-h", "--help", "--version")):
        return words
    return ["watch", *words]


def _parser(called: str) -> Parser:
    """The parser of all commands, of which only the one called knows its arguments."""
    parser = Parser(
        prog="arena-tui",
        description="Watch many game-playing agents live, and scrub through any past run.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"arena-tui {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", title="commands", required=True)
    for name, (module, help_text) in _COMMANDS.items():
        description = help_text[0].upper() + help_text[1:]
        command = commands.add_parser(name, help=help_text, description=description)
        if name == called:
            add_common(command)
            import_module(f"arena_tui.cli.{module}").add_arguments(command)
    return parser
