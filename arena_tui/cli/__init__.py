"""The `arena-tui` command line. A command's module is imported only when the command runs."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Protocol

from arena_tui import __version__
from arena_tui.errors import ArenaError, UsageError

if TYPE_CHECKING:
    from arena_tui.broker.protocol import Cursor
    from arena_tui.broker_url import BrokerUrl

_EXAMPLES = """\
examples:
  arena-tui demo                                       real games, live, at once
  arena-tui --play "chess mcts:200 random games=4"     the dashboard with your games
  arena-tui --play agent.py                            the dashboard with your own agents
  arena-tui --follow log.jsonl                         the dashboard with what a program writes
  my-agent | arena-tui publish --broker redis://host   the same, for dashboards elsewhere
  arena-tui play connect_four mcts:200 random --games 20 --parallel 4 --seed 7
  arena-tui runs                                       what is stored

exit codes: 0 good, 1 a check failed, 2 wrong usage, 3 cannot reach or open something
"""

_COMMON = {"--broker": 2, "--db": 2, "--json": 1, "--debug": 1, "--no-store": 1, "--theme": 2}
"""Flags accepted before the command, and how many arguments each occupies."""

_COMMANDS = (
    "watch",
    "demo",
    "play",
    "runs",
    "show",
    "events",
    "verify",
    "publish",
    "persist",
    "redis",
    "doctor",
    "bench",
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    if argv is None and any("://" in word for word in words):
        from arena_tui.cli.secrets import hide_passwords

        try:
            hide_passwords()
        except UsageError as error:
            return _report_error(error)
    parser = _parser()
    arguments = parser.parse_args(_with_command(words))
    try:
        module, function = arguments.function.split(":")
        code = getattr(import_module(module), function)(arguments)
        sys.stdout.flush()
    except ArenaError as error:
        if arguments.debug:
            import traceback

            traceback.print_exc()
            return error.exit_code
        return _report_error(error)
    except BrokenPipeError:
        # The reader (head, less) closed the pipe; keep the interpreter from complaining at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return 130
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


def _parser() -> _Parser:
    parser = _Parser(
        prog="arena-tui",
        description="Watch many game-playing agents live, and scrub through any past run.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"arena-tui {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", title="commands", required=True)

    watch = _command(commands, "watch", "the dashboard (also without the word)", "watch:watch")
    watch.add_argument(
        "--play",
        metavar="SPEC",
        action="extend",
        nargs="+",
        default=[],
        help='start these: "connect_four mcts:200 random games=4", or agent.py',
    )
    watch.add_argument(
        "--follow",
        metavar="FILE",
        action="extend",
        nargs="+",
        default=[],
        help="show and store the events in these files of JSON lines, as they grow",
    )
    demo = _command(
        commands, "demo", "the dashboard with a set of real games already playing", "watch:demo"
    )
    _add_record(watch)
    for dashboard in (watch, demo):
        dashboard.add_argument(
            "--no-store",
            dest="store",
            action="store_false",
            help="live only: keep nothing, open no store",
        )
        dashboard.add_argument("--theme", help="arena-dark, arena-light, or a theme of Textual's")

    play = _command(commands, "play", "play games without a screen, and store them", "play:play")
    play.add_argument("game", help="a game of open_spiel, for example connect_four; or synth")
    play.add_argument(
        "agents", nargs="*", metavar="agent", help="random, mcts:N, minimax:D, uci:PATH"
    )
    play.add_argument("--games", type=int, default=1, metavar="N", help="how many to play")
    play.add_argument("--parallel", type=int, default=1, metavar="N", help="how many at a time")
    play.add_argument("--seed", type=int, metavar="N", help="same seed, same games")
    play.add_argument("--max-turns", type=int, metavar="N", help="stop a game there")
    play.add_argument("--delay", type=float, default=0.0, metavar="S", help="seconds between turns")
    play.add_argument("--label", metavar="L", help="shown with the runs")
    play.add_argument("--no-store", dest="store", action="store_false", help="keep nothing")
    _add_record(play)

    runs = _command(commands, "runs", "list stored runs", "stored:runs")
    runs.add_argument("filter", nargs="*", help='game:chess err>0 cost>0.1 "rate limit"')
    runs.add_argument("--limit", type=_count, metavar="N", help="the newest N only")
    show = _command(commands, "show", "one stored run", "stored:show")
    show.add_argument("run", help="its id, or the beginning or end of it")
    events = _command(commands, "events", "the events of a stored run", "stored:events")
    events.add_argument("run", nargs="?", help="its id, or a part; all runs when left out")
    events.add_argument(
        "--from",
        dest="first",
        type=_seq,
        default=1,
        metavar="SEQ",
        help="the first to print; of a run whose stream was made anew, in each of its epochs, "
        "or EPOCH-SEQ (as in --json): from there on",
    )
    events.add_argument(
        "--to", dest="last", type=_seq, default=2**53, metavar="SEQ", help="the last, likewise"
    )
    events.add_argument("--kind", action="append", metavar="KIND", help="only these kinds")
    _command(
        commands, "verify", "check that the store is whole, but for known gaps", "stored:verify"
    )
    publish = _command(
        commands, "publish", "JSON lines to a broker: the way in for every language",
        "publish:publish",
    )  # fmt: skip
    publish.add_argument("file", nargs="?", default="-", metavar="FILE", help="default -, stdin")
    publish.add_argument(
        "--keep-open",
        action="store_true",
        help="runs the lines leave open stay open; otherwise they end as stopped",
    )
    persist = _command(
        commands, "persist", "store what other processes publish, without a screen",
        "persist:persist",
    )  # fmt: skip
    _add_record(persist)
    redis = _command(
        commands, "redis", "a Redis server for this machine, its data kept", "server:redis"
    )
    redis.add_argument("--port", type=_port, default=6379, metavar="N", help="default 6379")
    _command(
        commands, "doctor", "check the installation and say where everything is", "doctor:doctor"
    )
    bench = _command(
        commands, "bench", "measure this machine, beside floors and peers", "benching:bench"
    )
    bench.add_argument(
        "what",
        nargs="*",
        metavar="WHAT",
        help="broker, redis, store, pipeline, ui, start; default all",
    )
    bench.add_argument("--rounds", type=int, default=5, metavar="N", help="medians are of N rounds")
    return parser


class _Commands(Protocol):
    """What `add_subparsers` returns: argparse has no public name for it."""

    def add_parser(self, name: str, *, help: str, description: str) -> _Parser: ...


def _command(
    commands: _Commands,
    name: str,
    help_text: str,
    function: str,
) -> _Parser:
    command = commands.add_parser(
        name, help=help_text, description=help_text[0].upper() + help_text[1:]
    )
    command.set_defaults(function=f"arena_tui.cli.{function}")
    command.add_argument(
        "--broker",
        metavar="URL",
        type=_broker,
        help="memory:, redis://…, rediss://…, unix://… (ARENA_BROKER)",
    )
    command.add_argument("--db", metavar="PATH", help="the store's file, or :memory: (ARENA_DB)")
    command.add_argument("--json", action="store_true", help="one JSON object a line, nothing else")
    command.add_argument("--debug", action="store_true", help="a traceback with an error")
    return command


def _add_record(command: _Parser) -> None:
    command.add_argument(
        "--record",
        metavar="FILE",
        help="append every event to this file, too, as a JSON line; goes on where it stopped",
    )


def _broker(text: str) -> BrokerUrl:
    from arena_tui.broker_url import BrokerUrl

    return BrokerUrl(text)


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise argparse.ArgumentTypeError(f"{text[:20]!r} is not a number from 0")
    return int(text)


def _seq(text: str) -> Cursor | int:
    from arena_tui.broker.protocol import Cursor

    epoch, dash, seq = text.rpartition("-")
    if not dash:
        return _count(text)
    return Cursor(_count(epoch), _count(seq))


def _port(text: str) -> int:
    if _count(text) not in range(1, 65_536):
        raise argparse.ArgumentTypeError(f"{text[:20]!r} is not a port from 1 to 65535")
    return int(text)


class _Parser(argparse.ArgumentParser):
    """Reports wrong usage in one line that points to --help."""

    def error(self, message: str) -> None:  # type: ignore[override]
        raise SystemExit(_report_usage(self.prog, message))


def _report_usage(prog: str, message: str) -> int:
    from arena_tui.broker_url import redacted

    print(f"arena-tui: {redacted(message)}: see {prog} --help", file=sys.stderr)  # noqa: T201
    return UsageError.exit_code
