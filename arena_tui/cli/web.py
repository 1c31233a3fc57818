"""`web`: the dashboard itself in a browser of this machine, by textual-serve."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from typing import Any, Final
from urllib.parse import urlsplit

from arena_tui.cli.arguments import Parser
from arena_tui.cli.output import tell
from arena_tui.errors import MissingExtraError
from arena_tui.services.http.address import HOST, Address, Listening

PORT: Final = 8738


def add_arguments(parser: Parser) -> None:
    parser.set_defaults(function=web)
    parser.add_argument(
        "--port", default=str(PORT), help=f"port to listen on ({PORT}), of this machine only"
    )
    parser.add_argument(
        "watch",
        nargs="*",
        metavar="-- …",
        help='for each dashboard, as for watch: -- --play "chess random random"',
    )


def web(arguments: argparse.Namespace) -> int:
    """Serve until SIGINT or SIGTERM; each tab of a browser has a dashboard of its own."""
    try:
        from textual_serve.server import Server
    except ModuleNotFoundError:
        raise MissingExtraError("web needs textual-serve: pip install 'arena-tui[web]'") from None
    from aiohttp.web import HTTPForbidden, Request

    from arena_tui.services.http.guard import Access

    address = Address.of(HOST, arguments.port)
    address.listen().close()  # textual-serve would end with a traceback
    access = Access(Listening(address))

    class GuardedServer(Server):
        """Whoever reaches it can press keys: no page of another site may."""

        def initialize_logging(self) -> None:
            """Log nothing of its own."""

        async def on_startup(self, app: Any) -> None:
            tell(f"arena-tui: the dashboard is at {address.url} (Ctrl-C ends it)")

        async def handle_index(self, request: Request) -> Any:
            check(request)
            return await super().handle_index(request)

        async def handle_websocket(self, request: Request) -> Any:
            check(request)
            return await super().handle_websocket(request)

        async def handle_download(self, request: Request) -> Any:
            check(request)
            return await super().handle_download(request)

    def check(request: Request) -> None:
        origin = request.headers.get("Origin")
        if not access.knows_host(request.host, HOST) or (
            origin is not None and urlsplit(origin).netloc != request.host
        ):
            raise HTTPForbidden(text="refused: not a page of this server")

    if arguments.broker is not None:
        os.environ["ARENA_BROKER"] = arguments.broker.reveal()  # not where every user can read it
    if arguments.db is not None:
        os.environ["ARENA_DB"] = arguments.db
    command = shlex.join([sys.executable, "-m", "arena_tui", "watch", *arguments.watch])
    GuardedServer(command, HOST, address.port, title="arena-tui").serve()
    return 0
