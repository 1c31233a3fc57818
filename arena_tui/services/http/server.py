"""Serves the HTTP API at an address, on the runtime's own loop."""

from __future__ import annotations

from starlette.routing import Route

from arena_tui.services.http.address import Listening
from arena_tui.services.http.app import make_app
from arena_tui.services.http.clients import STALLED_S, Clients
from arena_tui.services.http.guard import Access, Guard, Refusals
from arena_tui.services.http.listener import HEAD_S, Listener
from arena_tui.services.http.metrics import metrics_endpoint
from arena_tui.services.http.streams import EventStreams
from arena_tui.services.metrics.exporter import Exporter
from arena_tui.services.runtime import Runtime


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
        app = make_app(runtime, self.streams, [Route("/metrics", metrics_endpoint(self.metrics))])
        self._listener = Listener(
            Guard(app, Access(listening), self.refusals), self.clients, self.refusals, head_s
        )

    async def start(self) -> None:
        """Listen and answer.

        Raises:
            ListenError: The address is taken, or none of this machine.
        """
        await self.metrics.start()
        bound = self.address.listen()
        self.address = self.address._replace(port=bound.getsockname()[1])
        await self._listener.start(bound)

    async def aclose(self) -> None:
        """Listen no more, end all streams and connections. Idempotent."""
        await self._listener.aclose()
