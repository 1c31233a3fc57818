"""Serves the HTTP API on the runtime's own loop, with uvicorn's HTTP/1.1 protocol."""

from __future__ import annotations

import asyncio
import socket
from functools import partial
from typing import Any, Final

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from arena_tui.services.http.address import Address
from arena_tui.services.http.app import make_app
from arena_tui.services.http.streams import EventStreams
from arena_tui.services.metrics.exporter import Exporter
from arena_tui.services.runtime import Runtime

_CLOSE_S: Final = 1.0
"""How long requests being answered have when the server is closed."""


class HttpServer:
    """One listening server; `start` it once the runtime is open, `aclose` it before that is.

    Attributes:
        address: Where it listens, with the actual port.
        streams: Its open event streams.
        metrics: What `/metrics` answers with.
    """

    def __init__(self, runtime: Runtime, address: Address) -> None:
        self.address = address
        self.streams = EventStreams(runtime)
        self.metrics = Exporter(runtime, self.streams)
        self._app = make_app(runtime, self.streams, self.metrics)
        self._state = ServerState()
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen and answer.

        Raises:
            ListenError: The address is taken, or none of this machine.
        """
        bound = self.address.listen()
        await self.metrics.start()
        self.address = self.address._replace(port=bound.getsockname()[1])
        config = uvicorn.Config(
            self._app, log_config=None, access_log=False, server_header=False, ws="none",
            lifespan="off", proxy_headers=False,
        )  # fmt: skip
        config.load()
        make = partial(_Connection, config, self._state, {})
        self._server = await asyncio.get_running_loop().create_server(make, sock=bound)

    async def aclose(self) -> None:
        """Listen no more, end all streams and connections. Idempotent."""
        if self._server is None:
            return
        self._server.close()
        self._server = None
        self.streams.close()
        if tasks := list(self._state.tasks):
            await asyncio.wait(tasks, timeout=_CLOSE_S)
        for task in list(self._state.tasks):
            task.cancel()
        for connection in list(self._state.connections):
            connection.transport.abort()
        if tasks := list(self._state.tasks):
            await asyncio.wait(tasks)


class _Connection(H11Protocol):
    """One connection, which a response can abort: closing would wait for what is never read."""

    def __init__(self, config: uvicorn.Config, server_state: ServerState, app_state: Any) -> None:
        super().__init__(config, server_state, {"abort": self._abort})
        self._answer, self.app = self.app, self._answered

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        connected: socket.socket = transport.get_extra_info("socket")
        if connected.family != socket.AF_UNIX:
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        super().connection_made(transport)

    async def _answered(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer a request; one that is cancelled, since the server closes, aborts quietly."""
        try:
            await self._answer(scope, receive, send)
        except asyncio.CancelledError:
            self._abort()
            await asyncio.sleep(0)  # until the protocol knows

    def _abort(self) -> None:
        self.transport.abort()
