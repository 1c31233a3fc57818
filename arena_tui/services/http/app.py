"""The routes of the HTTP API. What they answer with is made elsewhere."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Any, Final

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from arena_tui.broker.protocol import STORE, Cursor
from arena_tui.errors import ArenaError, EventError, UnknownRunError, UsageError
from arena_tui.services.http.metrics import metrics_endpoint
from arena_tui.services.http.runs import PAGE_MAX, list_runs, one_run, whole_id
from arena_tui.services.http.streams import Client, EventStreams, Position
from arena_tui.services.metrics.exporter import Exporter
from arena_tui.services.runtime import Runtime
from arena_tui.store.replay import BEGINNING

_PAGE: Final = 100
_STATUS: Final = ((UnknownRunError, 404), (UsageError, 400), (EventError, 400), (ArenaError, 503))


def make_app(runtime: Runtime, streams: EventStreams, exporter: Exporter) -> Starlette:
    """The application that answers for this runtime."""

    async def health(_: Request) -> Response:
        stats = await runtime.broker.stats()
        store = next((each for each in runtime.consumers() if each.name == STORE), None)
        problems = [stats.link, None if store is None else store.last_error]
        ready = not any(problems)
        state = {"live": True, "ready": ready, "broker": runtime.broker.name,
                 "problems": [each for each in problems if each]}  # fmt: skip
        return _json(state, 200 if ready else 503)

    async def runs(request: Request) -> Response:
        limit, offset = _number(request, "limit", _PAGE), _number(request, "offset", 0)
        text = request.query_params.get("filter", "")
        return _json(await list_runs(runtime, text, min(limit, PAGE_MAX), offset))

    async def run(request: Request) -> Response:
        return _json(await one_run(runtime, request.path_params["run_id"]))

    routes = [
        Route("/health", health),
        Route("/metrics", metrics_endpoint(exporter)),
        Route("/runs", runs),
        Route("/runs/{run_id:path}/events", _RunEvents(runtime, streams)),
        Route("/runs/{run_id:path}", run),
    ]
    refusals: dict[Any, Callable[[Request, Any], Awaitable[Response]]] = {
        HTTPException: _http_error, ArenaError: _arena_error,
    }  # fmt: skip
    return Starlette(routes=routes, exception_handlers=refusals)


class _RunEvents:
    """`/runs/{id}/events`: the events of one run, as they come."""

    def __init__(self, runtime: Runtime, streams: EventStreams) -> None:
        self._runtime = runtime
        self._streams = streams

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope)
        run_id = await whole_id(self._runtime, request.path_params["run_id"])
        client = Client(scope, receive, send, time.monotonic)
        await self._streams.respond(client, run_id, _position(request))


def _position(request: Request) -> Position:
    """Where the client wants to go on: `Last-Event-ID`, else `from_seq`, else the beginning."""
    if text := request.headers.get("last-event-id"):
        return Position.parse(text)
    epoch, seq = BEGINNING.epoch, max(0, _number(request, "from_seq", 1) - 1)
    return Position(Cursor(epoch, seq))


def _number(request: Request, name: str, default: int) -> int:
    text = request.query_params.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 16):
        raise UsageError(f"{name}={text[:40]} is not a number from 0")
    return int(text)


async def _arena_error(_: Request, error: ArenaError) -> Response:
    status = next(status for kind, status in _STATUS if isinstance(error, kind))
    return _json({"error": str(error)}, status)


async def _http_error(request: Request, error: HTTPException) -> Response:
    return _json({"error": f"{request.method} {request.url.path}: {error.detail}"},
                 error.status_code)  # fmt: skip


def _json(value: object, status: int = 200) -> Response:
    return Response(msgspec.json.encode(value) + b"\n", status, media_type="application/json")
