"""`redis`: runs a Redis server for this machine in the foreground."""

from __future__ import annotations

import argparse
import signal
import sys

from arena_tui.cli.arguments import Parser, whole_number
from arena_tui.cli.output import say_json, tell
from arena_tui.config import redis_path
from arena_tui.errors import BrokerError
from arena_tui.services.ending import ending_signals
from arena_tui.services.servers import RedisServer, server_name


def add_arguments(parser: Parser) -> None:
    parser.set_defaults(function=redis)
    parser.add_argument("--port", type=_port, default=6379, metavar="N", help="default 6379")


def redis(arguments: argparse.Namespace) -> int:
    """Run a server until a signal ends it; acknowledged writes are kept.

    Each port has its own folder: two servers sharing one would corrupt the data.
    """
    server = RedisServer(redis_path() / str(arguments.port), port=arguments.port)
    for number in ending_signals():
        signal.signal(number, signal.default_int_handler)
    try:
        with server:
            _introduce(server, arguments.json)
            code = server.wait()
    except KeyboardInterrupt:
        return 0
    if code != 0:
        raise BrokerError(f"the server ended by itself (exit code {code}): see {server.log}")
    return 0


def _port(text: str) -> int:
    if whole_number(text) not in range(1, 65_536):
        raise argparse.ArgumentTypeError(f"{text[:20]!r} is not a port from 1 to 65535")
    return int(text)


def _introduce(server: RedisServer, as_json: bool) -> None:
    name = server_name(server.binary)
    if as_json:
        say_json({"server": name, "url": server.url, "pid": server.pid, "data": str(server.folder)})
        sys.stdout.flush()
        return
    tell(f"{name} (PID {server.pid}) listens at {server.url}, for this machine only")
    tell(f"data   {server.folder}")
    tell(f"watch  arena-tui --broker {server.url}")
    tell(f"play   arena-tui play chess random random --broker {server.url}")
    tell("Ctrl-C ends it; the data is kept")
