"""The routes of the HTTP API, and what is read from a request. The answers are made elsewhere."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Final

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from arena_tui.broker.protocol import STORE, Cursor
from arena_tui.consumers.sse import Position
from arena_tui.errors import ArenaError, EventError, UnknownRunError, UsageError
from arena_tui.services.http.clients import Client
from arena_tui.services.http.lines import SEQ_MAX, Part, send_lines
from arena_tui.services.http.openapi import describe
from arena_tui.services.http.page import page
from arena_tui.services.http.runs import PAGE_MAX, list_runs, one_run, whole_id
from arena_tui.services.http.streams import EventStreams
from arena_tui.services.runtime import Runtime
from arena_tui.services.stats import stats_of
from arena_tui.services.stats_lines import STATS, encode_round
from arena_tui.store.replay import BEGINNING

RUNS_MAX: Final = 50
"""Most runs of one stream, each of which is in every event id."""

_PAGE: Final = 100
_ANSWER_S: Final = 30.0
"""A question that takes the store longer is given up."""

_QUESTIONS_MAX: Final = 2
"""So many are put to the store at once, which leaves a reader to everybody else."""

_COMMENT: Final = b":\n\n"
_STATUS: Final = ((UnknownRunError, 404), (UsageError, 400), (EventError, 400), (ArenaError, 503))

_Endpoint = Callable[[Request], Awaitable[ASGIApp]]


def make_app(runtime: Runtime, streams: EventStreams, more: Iterable[BaseRoute]) -> Starlette:
    """The application that answers for this runtime, on these routes and the common ones."""
    api = _Api(runtime, streams)
    endpoints: Mapping[str, _Endpoint] = {
        "/": api.page,
        "/health": api.health,
        "/runs": api.runs,
        "/events": api.events,
        STATS: api.stats,
        "/openapi.json": api.openapi,
        "/runs/{run_id:path}/events": api.run_events,
        "/runs/{run_id:path}/events.jsonl": api.run_lines,
        "/runs/{run_id:path}": api.run,
    }
    refusals: Mapping[Any, Callable[[Request, Any], Awaitable[Response]]] = {
        HTTPException: _http_error, ArenaError: _arena_error, TimeoutError: _too_slow,
    }  # fmt: skip
    routes = [Route(path, endpoint) for path, endpoint in endpoints.items()]
    return Starlette(routes=[*more, *routes], exception_handlers=refusals)


class _Api:
    """One method for each path."""

    def __init__(self, runtime: Runtime, streams: EventStreams) -> None:
        self._runtime = runtime
        self._streams = streams
        self._asking = asyncio.Semaphore(_QUESTIONS_MAX)

    async def page(self, _: Request) -> ASGIApp:
        html, policy = page()
        return HTMLResponse(html, headers={"content-security-policy": policy})

    async def health(self, _: Request) -> ASGIApp:
        stats = await self._runtime.broker.stats()
        store = next((each for each in self._runtime.consumers() if each.name == STORE), None)
        problems = [stats.link, None if store is None else store.last_error]
        ready = not any(problems)
        state = {"live": True, "ready": ready, "broker": self._runtime.broker.name,
                 "problems": [each for each in problems if each]}  # fmt: skip
        return _json(state, 200 if ready else 503)

    async def runs(self, request: Request) -> ASGIApp:
        text = request.query_params.get("filter", "")
        limit, offset = _number(request, "limit", _PAGE), _number(request, "offset", 0)
        async with asyncio.timeout(_ANSWER_S), self._asking:
            return _json(await list_runs(self._runtime, text, min(limit, PAGE_MAX), offset))

    async def run(self, request: Request) -> ASGIApp:
        async with asyncio.timeout(_ANSWER_S), self._asking:
            return _json(await one_run(self._runtime, request.path_params["run_id"]))

    async def run_events(self, request: Request) -> ASGIApp:
        run_id = await whole_id(self._runtime, request.path_params["run_id"])
        if last_id := request.headers.get("last-event-id"):
            position = Position.of_run(run_id, last_id)
        else:
            after = max(0, _number(request, "from_seq", 1) - 1)
            position = Position({run_id: Cursor(BEGINNING.epoch, after)})
        return Answer(lambda client: self._streams.of_runs(client, [run_id], position, single=True))

    async def events(self, request: Request) -> ASGIApp:
        last_id = request.headers.get("last-event-id")
        position = Position.of_runs(last_id) if last_id else None
        if (wanted := request.query_params.get("runs")) is None:
            return Answer(lambda client: self._streams.of_all(client, position))
        parts = list(filter(None, wanted.split(",")))
        if not 0 < len(parts) <= RUNS_MAX:
            raise UsageError(f"runs= names {len(parts)} runs: give 1 to {RUNS_MAX}, with commas")
        run_ids = list(dict.fromkeys([await whole_id(self._runtime, each) for each in parts]))
        return Answer(
            lambda client: self._streams.of_runs(client, run_ids, position or Position({}))
        )

    async def run_lines(self, request: Request) -> ASGIApp:
        run_id = await whole_id(self._runtime, request.path_params["run_id"])
        part = Part(_limit(request, "from", 1), _limit(request, "to", SEQ_MAX))
        clients = self._streams.clients
        return Answer(
            lambda client: send_lines(self._runtime, clients, client, run_id, part), "jsonl", b""
        )

    async def stats(self, _: Request) -> ASGIApp:
        async with asyncio.timeout(_ANSWER_S), self._asking:
            lines = encode_round(await stats_of(self._runtime))
        return Response(lines, media_type="application/jsonl")

    async def openapi(self, _: Request) -> ASGIApp:
        return _json(describe())


class Answer:
    """An answer that is written as there is something to write.

    Args:
        answer: Answers the client; returns when that is complete.
        kind: What it is, in the client's name.
        idle: Sent when there was nothing else for a while.
    """

    def __init__(
        self, answer: Callable[[Client], Awaitable[None]], kind: str = "sse", idle: bytes = _COMMENT
    ) -> None:
        self._answer = answer
        self._kind = kind
        self._idle = idle

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        client = Client(
            scope, receive, send, kind=self._kind, idle=self._idle, clock=time.monotonic
        )
        await self._answer(client)


def _limit(request: Request, name: str, default: int) -> Cursor | int:
    """A seq, or an event id."""
    text = request.query_params.get(name, "")
    if "-" not in text:
        return _number(request, name, default)
    (cursor,) = Position.of_run("", text).cursors.values()
    return cursor


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
    why = f"{request.method} {request.url.path[:200]}: {error.detail}"
    return _json({"error": why}, error.status_code)


async def _too_slow(_: Request, __: TimeoutError) -> Response:
    return _json({"error": f"no answer within {_ANSWER_S:.0f} s: narrow the filter"}, 503)


def _json(value: object, status: int = 200) -> Response:
    return Response(msgspec.json.encode(value) + b"\n", status, media_type="application/json")
