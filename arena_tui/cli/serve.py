"""`serve`: runs and their events over HTTP, and what is published stored, without a screen."""

from __future__ import annotations

import argparse
import asyncio

from arena_tui.cli.arguments import Parser, add_consumers, add_no_consumers
from arena_tui.cli.output import Console, begin_log
from arena_tui.config import load_config
from arena_tui.errors import MissingExtraError
from arena_tui.services.ending import ending_event
from arena_tui.services.runtime import Runtime


def add_arguments(parser: Parser) -> None:
    parser.set_defaults(function=serve)
    parser.add_argument("--host", help="address to listen on (127.0.0.1)")
    parser.add_argument("--port", type=int, help="port to listen on (8737); 0: any that is free")
    add_consumers(parser)
    add_no_consumers(parser)


def serve(arguments: argparse.Namespace) -> int:
    """Serve until SIGINT, SIGTERM or SIGHUP."""
    try:
        from arena_tui.services.http.address import HOST, PORT, Address
        from arena_tui.services.http.server import HttpServer
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            f"the HTTP API needs {error.name}: pip install 'arena-tui[serve]'"
        ) from None
    config = load_config(arguments.broker, arguments.db)
    begin_log(arguments.debug)
    port = PORT if arguments.port is None else arguments.port
    address = Address(arguments.host or HOST, port)

    async def until_stopped() -> None:
        stopped = ending_event()
        with Console() as console:
            runtime = Runtime(config, consumers=arguments.consumers, installed=arguments.installed)
            server = HttpServer(runtime, address)
            try:
                await runtime.open()
                await server.start()
                console.say(
                    f"serving {runtime.broker.name} and {config.db} at {server.address.url}"
                )
                await stopped.wait()
            finally:
                await server.aclose()
                unsaved = await runtime.aclose()
            if unsaved:
                console.say(unsaved)

    asyncio.run(until_stopped())
    return 0
