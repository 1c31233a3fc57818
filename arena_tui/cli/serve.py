"""`serve`: runs and their events over HTTP, and what is published stored, without a screen."""

from __future__ import annotations

import argparse
import asyncio
import sys
from importlib.resources import files

from arena_tui.cli.arguments import Parser, add_consumers, add_metrics
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
    add_metrics(parser)
    for flag, name, text in (
        ("--print-dashboard", "dashboard.json", "print a Grafana dashboard of the metrics"),
        ("--print-rules", "rules.yml", "print alert rules for Prometheus"),
    ):
        parser.add_argument(
            flag, dest="printed", action="store_const", const=name, help=f"{text}, and end"
        )


def serve(arguments: argparse.Namespace) -> int:
    """Serve until SIGINT, SIGTERM or SIGHUP."""
    if arguments.printed:
        folder = files("arena_tui.services.metrics") / "data"
        sys.stdout.write((folder / arguments.printed).read_text("utf-8"))
        return 0
    try:
        from arena_tui.services.http.address import HOST, PORT, Address
        from arena_tui.services.http.server import HttpServer
        from arena_tui.services.metrics.textfile import MetricsFile
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
            runtime = Runtime(config, consumers=arguments.consumers)
            server = HttpServer(runtime, address)
            file: MetricsFile | None = None
            try:
                await runtime.open()
                await server.start()
                if path := arguments.metrics:
                    file = MetricsFile(server.metrics, runtime.broker.warnings, path)
                    await file.start()
                console.say(
                    f"serving {runtime.broker.name} and {config.db} at {server.address.url}"
                )
                await stopped.wait()
            finally:
                await server.aclose()
                unsaved = await runtime.aclose()
                if file is not None:
                    await file.aclose()
            if unsaved:
                console.say(unsaved)

    asyncio.run(until_stopped())
    return 0
