"""Serves the HTTP API on the runtime's own loop, with uvicorn's HTTP/1.1 protocol.

Bounds what a client may cost: connections, the size of a request's head, and the time it takes.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from functools import partial
from typing import Any, Final

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from arena_tui.services.http.address import Listening
from arena_tui.services.http.app import make_app
from arena_tui.services.http.clients import STALLED_S, Clients
from arena_tui.services.http.guard import SAFE_HEADERS, Access, Guard, Refusals
from arena_tui.services.http.streams import EventStreams
from arena_tui.services.metrics.exporter import Exporter
from arena_tui.services.runtime import Runtime

_CLOSE_S: Final = 1.0
"""How long requests being answered have when the server is closed."""

CONNECTIONS_MAX: Final = 1_000
HEAD_MAX_BYTES: Final = 64 * 1024
"""Of a request's line and headers; an event id of many runs takes half of it."""

HEAD_S: Final = 10.0
"""How long a connection may be without a request being answered, whatever it sends."""

_UNACKNOWLEDGED_MS: Final = 30_000
"""After so long the kernel gives up a peer that acknowledges nothing."""


class HttpServer:
    """One listening server; `start` it once the runtime is open, `aclose` it before that is.

    Args:
        stalled_s: A client that takes nothing for so long is dropped.
        head_s: See `HEAD_S`.

    Attributes:
        address: Where it listens, with the actual port.
        clients, streams: Who is answered for as long as they listen, and with what.
        metrics: What `/metrics` answers with.
        refusals: How many requests were refused, by reason.

    Raises:
        UsageError: A token is needed and there is none, or it can be guessed.
    """

    def __init__(
        self, runtime: Runtime, listening: Listening, *, stalled_s: float = STALLED_S,
        head_s: float = HEAD_S,
    ) -> None:  # fmt: skip
        listening.check()
        self.address = listening.address
        self.refusals = Refusals(runtime.broker.warnings)
        self.clients = Clients(runtime.broker.warnings, stalled_s)
        self.streams = EventStreams(runtime, self.clients)
        self.metrics = Exporter(runtime, self.streams, self.refusals.by_reason)
        app = make_app(runtime, self.streams, self.metrics)
        self._app = Guard(app, Access(listening), self.refusals)
        self._head_s = head_s
        self._state = ServerState()
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen and answer.

        Raises:
            ListenError: The address is taken, or none of this machine.
        """
        await self.metrics.start()
        bound = self.address.listen()
        self.address = self.address._replace(port=bound.getsockname()[1])
        logging.getLogger("uvicorn.error").setLevel(logging.ERROR)  # what is invalid we count
        config = uvicorn.Config(
            self._app, log_config=None, access_log=False, server_header=False, ws="none",
            lifespan="off", proxy_headers=False, h11_max_incomplete_event_size=HEAD_MAX_BYTES,
        )  # fmt: skip
        config.load()
        make = partial(_Connection, config, self._state, self.refusals, self._head_s)
        self._server = await asyncio.get_running_loop().create_server(make, sock=bound)

    async def aclose(self) -> None:
        """Listen no more, end all streams and connections. Idempotent."""
        if self._server is None:
            return
        self._server.close()
        self._server = None
        self.clients.close()
        if tasks := list(self._state.tasks):
            await asyncio.wait(tasks, timeout=_CLOSE_S)
        for task in list(self._state.tasks):
            task.cancel()
        for connection in list(self._state.connections):
            connection.transport.abort()
        if tasks := list(self._state.tasks):
            await asyncio.wait(tasks)


class _Connection(H11Protocol):
    """One connection. A response can abort it, as closing would wait for what is never read; and
    it is aborted when it has no response to wait for and takes too long to ask for one."""

    def __init__(
        self, config: uvicorn.Config, state: ServerState, refusals: Refusals, head_s: float
    ) -> None:
        super().__init__(config, state, {"abort": self._abort})
        self._answer, self.app = self.app, self._answered
        self._refusals = refusals
        self._head_s = head_s
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        connected: socket.socket = transport.get_extra_info("socket")
        if connected.family != socket.AF_UNIX:
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if hasattr(socket, "TCP_USER_TIMEOUT"):
                connected.setsockopt(
                    socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _UNACKNOWLEDGED_MS
                )
        if len(self.connections) > CONNECTIONS_MAX:
            self._refuse("connections")
        else:
            self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._unwatch()

    def handle_events(self) -> None:
        super().handle_events()
        if self.cycle is not None and not self.cycle.response_complete:
            self._unwatch()

    def on_response_complete(self) -> None:
        self._watch()
        super().on_response_complete()  # which may begin to answer the next request

    def send_400_response(self, msg: str) -> None:
        """Refuse what is not HTTP; where an answer has begun, it can only be cut off."""
        if self.cycle is not None and not self.cycle.response_complete:
            self._refuse("malformed")
            return
        self._refusals.add("malformed", self._peer)
        head = [*SAFE_HEADERS.items(), ("content-type", "text/plain"), ("connection", "close"),
                ("content-length", str(len(msg)))]  # fmt: skip
        response = h11.Response(status_code=400, headers=head, reason=b"Bad Request")
        for event in (response, h11.Data(data=msg.encode()), h11.EndOfMessage()):
            self.transport.write(self.conn.send(event))
        self.transport.close()

    @property
    def _peer(self) -> str:
        return self.client[0] if self.client else "unix"

    def _watch(self) -> None:
        self._unwatch()
        self._deadline = self.loop.call_later(self._head_s, self._on_deadline)

    def _unwatch(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _on_deadline(self) -> None:
        if self.conn.trailing_data[0]:  # it has begun to ask
            self._refuse("slow")
        else:
            self._abort()

    def _refuse(self, reason: Any) -> None:
        self._refusals.add(reason, self._peer)
        self._abort()

    async def _answered(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer a request; one that is cancelled, since the server closes, aborts quietly."""
        try:
            await self._answer(scope, receive, send)
        except asyncio.CancelledError:
            self._abort()
            await asyncio.sleep(0)  # until the protocol knows

    def _abort(self) -> None:
        self.transport.abort()
