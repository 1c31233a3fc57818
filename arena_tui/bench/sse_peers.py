"""What event streams are usually made of: starlette, and a queue for each client."""

from __future__ import annotations

import asyncio
import socket
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Route

from arena_tui.codec import sealed
from arena_tui.events import Event

_EVERY_RUN: Final = ""


class QueuePerClient:
    """Puts every event into the queue of each client that wants its run."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._queues: defaultdict[str, set[asyncio.Queue[bytes]]] = defaultdict(set)
        self._seqs: defaultdict[str, int] = defaultdict(int)

    def emit(self, run_id: str, event: Event) -> None:
        """Publish from any thread."""
        self._loop.call_soon_threadsafe(self._publish, run_id, sealed(event)[1])

    def _publish(self, run_id: str, raw: bytes) -> None:
        self._seqs[run_id] += 1
        frame = b"id: 1-%d\ndata: %s\n\n" % (self._seqs[run_id], raw)
        for queue in (*self._queues[run_id], *self._queues[_EVERY_RUN]):
            queue.put_nowait(frame)

    async def stream(self, run_id: str) -> AsyncIterator[bytes]:
        """What is published to a run from now on; to all, where it has no name."""
        queue: asyncio.Queue[bytes] = asyncio.Queue()
        self._queues[run_id].add(queue)
        try:
            yield b"retry: 1000\n\n"
            while True:
                yield await queue.get()
        finally:
            self._queues[run_id].discard(queue)


@asynccontextmanager
async def serving(source: QueuePerClient) -> AsyncIterator[int]:
    """Serve it as uvicorn does by default; gives the port."""

    async def events(request: Request) -> StreamingResponse:
        run_id = request.path_params.get("run_id", _EVERY_RUN)
        return StreamingResponse(source.stream(run_id), media_type="text/event-stream")

    routes: Sequence[Route] = (
        Route("/events", events),
        Route("/runs/{run_id}/events", events),
    )
    config = uvicorn.Config(
        Starlette(routes=list(routes)), log_level="error", access_log=False, lifespan="off"
    )
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        task = asyncio.create_task(server.serve([listening]))
        yield listening.getsockname()[1]
        server.should_exit = server.force_exit = True
        await task
