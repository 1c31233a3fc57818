"""Answers on one socket with uvicorn's HTTP/1.1 protocol, on the running loop. Knows no routes.

Bounds what a client may cost: connections, the size of a request's head, and the time it takes.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
import socket
from functools import partial
from typing import Any, Final

import h11
import uvicorn
from starlette.datastructures import Headers
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from arena_tui.broker.forked import keep_for_ever
from arena_tui.services.http.clients import Clients
from arena_tui.services.http.guard import SAFE_HEADERS, Refusals
from arena_tui.store.owner import KIND_HEADER, Attached
from arena_tui.unix_socket import peer_of

_CLOSE_S: Final = 1.0
"""How long requests being answered have when the server is closed."""

CONNECTIONS_MAX: Final = 1_000
HEAD_MAX_BYTES: Final = 64 * 1024
"""Of a request's line and headers; an event id of many runs takes half of it."""

HEAD_S: Final = 10.0
"""How long a connection may be without a request being answered, whatever it sends."""

_KIND_MAX: Final = 40
_UNACKNOWLEDGED_MS: Final = 30_000
"""After so long the kernel gives up a peer that acknowledges nothing."""

_numbers: Final = itertools.count(1)


class Listener:
    """Answers on a listening socket from `start` to `aclose`.

    Args:
        clients: Those that are answered for as long as they listen; closed with it.
        head_s: See `HEAD_S`.
    """

    def __init__(self, app: ASGIApp, clients: Clients, refusals: Refusals, head_s: float) -> None:
        self._app = app
        self._clients = clients
        self._refusals = refusals
        self._head_s = head_s
        self._state = ServerState()
        self._server: asyncio.Server | None = None

    async def start(self, bound: socket.socket) -> None:
        """Listen at this socket, and no longer at one before; its connections stay."""
        if self._server is not None:
            self._server.close()
        logging.getLogger("uvicorn.error").setLevel(logging.ERROR)  # what is invalid we count
        config = uvicorn.Config(
            self._app, log_config=None, access_log=False, server_header=False, ws="none",
            lifespan="off", proxy_headers=False, h11_max_incomplete_event_size=HEAD_MAX_BYTES,
        )  # fmt: skip
        config.load()
        make = partial(_Connection, config, self._state, self._refusals, self._head_s)
        self._server = await asyncio.get_running_loop().create_server(make, sock=bound)

    def forsake(self) -> None:
        """In a forked child: close its copies of all sockets, lest they seem open when the parent
        has ended; nothing else is touched, since both share what watches the sockets."""
        if self._server is None:
            return
        keep_for_ever(self._server, *self._state.connections)
        copies = [*self._server.sockets]
        copies += [each.transport.get_extra_info("socket") for each in self._state.connections]
        for each in copies:
            if each is not None and each.fileno() >= 0:
                os.close(each.fileno())

    def attached(self) -> tuple[Attached, ...]:
        """The processes that are connected and have asked something, by what they said to be."""
        connected: set[_Connection] = self._state.connections  # type: ignore[assignment]
        found = {Attached(each.pid, each.kind) for each in connected if each.kind}
        return tuple(sorted(found))

    async def aclose(self) -> None:
        """Listen no more, end all streams and connections. Idempotent."""
        if self._server is None:
            return
        self._server.close()
        self._server = None
        self._clients.close()
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
    it is aborted when it has no response to wait for and takes too long to ask for one.

    Attributes:
        pid: Who connected to a unix socket; 0 if unknown.
        kind: What it said to be when it last asked something; empty before.
    """

    pid = 0
    kind = ""

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
        if connected.family == socket.AF_UNIX:
            self.pid, user = peer_of(connected) or (0, os.geteuid())
            self.client = (
                f"pid {self.pid}",
                next(_numbers),
            )  # unlike an address, the same for several
            if user not in (os.geteuid(), 0):
                self._refuse("user")
                return
        else:
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
        self.kind = Headers(scope=scope).get(KIND_HEADER, "http")[:_KIND_MAX]
        try:
            await self._answer(scope, receive, send)
        except asyncio.CancelledError:
            self._abort()
            await asyncio.sleep(0)  # until the protocol knows

    def _abort(self) -> None:
        self.transport.abort()
