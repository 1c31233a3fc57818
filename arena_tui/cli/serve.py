"""`serve`: runs and their events over HTTP, and what is published stored, without a screen."""

from __future__ import annotations

import argparse
import asyncio
import secrets
import socket
import sys
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from importlib.resources import files
from pathlib import Path

from arena_tui.cli.arguments import (
    Parser,
    add_consumers,
    add_follow,
    add_metrics,
    add_no_consumers,
    add_no_store,
    check_metrics,
    followable,
)
from arena_tui.cli.listening import add_names, listening_at
from arena_tui.cli.output import Console, begin_log
from arena_tui.config import load_config
from arena_tui.errors import StoreError
from arena_tui.services.ending import ending_event
from arena_tui.services.http.address import HOST, PORT, Address, Listening
from arena_tui.services.runtime import Runtime
from arena_tui.services.sharing import open_runtime, place_of


def add_arguments(parser: Parser) -> None:
    parser.set_defaults(function=serve)
    parser.add_argument(
        "--host",
        default=HOST,
        help=f"address to listen on ({HOST}); one that other machines reach needs a token, "
        "which ARENA_TOKEN names, else one is made up",
    )
    parser.add_argument(
        "--port", default=str(PORT), help=f"port to listen on ({PORT}); 0: any that is free"
    )
    add_names(parser)
    add_no_store(parser, "keep nothing: answer with what the broker holds")
    add_follow(parser)
    add_consumers(parser)
    add_no_consumers(parser)
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
    address = Address.of(arguments.host, arguments.port)
    listening = listening_at(address, arguments.names)
    made_up = None
    if listening.token is None and not address.is_loopback:
        made_up = secrets.token_urlsafe(24)
        listening = listening._replace(token=made_up)
    config = load_config(arguments.broker, arguments.db, arguments.store)
    check_metrics(arguments.metrics, config)
    followed = [followable(name, config) for name in arguments.follow]
    begin_log(arguments.debug)
    runtime = partial(
        open_runtime, config, consumers=arguments.consumers, installed=arguments.installed
    )
    asyncio.run(_serve(runtime, listening, made_up, followed, arguments.metrics))
    return 0


async def _serve(
    opening: Callable[[], Awaitable[Runtime]], listening: Listening, made_up: str | None,
    followed: Sequence[Path], metrics: Path | None,
) -> None:  # fmt: skip
    from arena_tui.services.http.server import HttpServer
    from arena_tui.services.metrics.textfile import MetricsFile

    stopped = ending_event()
    with Console() as console:
        runtime = await opening()
        server = HttpServer(runtime, listening)
        file: MetricsFile | None = None
        try:
            runtime.following.add(followed)
            await server.start()
            if metrics is not None:
                file = MetricsFile(server.metrics, runtime.broker.warnings, metrics)
                await file.start()
            stored = f"{runtime.config.db} and " if runtime.config.db else ""
            console.say(f"{stored}{place_of(runtime)} at {server.address.url}")
            if made_up is not None:
                where = server.address._replace(host=socket.gethostname())
                console.say(f"open {where.url}/?token={made_up} (ARENA_TOKEN sets another token)")
            await stopped.wait()
        finally:
            await server.aclose()
            unsaved = await runtime.aclose()
            if file is not None:
                await file.aclose()
    if unsaved:
        raise StoreError(unsaved)
