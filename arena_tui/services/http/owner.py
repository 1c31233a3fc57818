"""The HTTP API on the socket beside a store, and what only the user's own processes may ask."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import Callable, Coroutine, Sequence
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from arena_tui.broker.attached.hub import Hub, LeavingError
from arena_tui.broker.attached.link import ANOTHER, LEAVING
from arena_tui.broker.attached.reader import FEED
from arena_tui.broker.attached.wire import (
    PREFIX,
    Feed,
    Follow,
    decode_feed,
    decode_request,
    encode,
)
from arena_tui.broker.memory import InProcessBroker
from arena_tui.broker.numbered import NoPast
from arena_tui.broker.own_log import own_log
from arena_tui.broker.protocol import STORE
from arena_tui.broker.tasks import restart_on_failure
from arena_tui.broker_url import redacted
from arena_tui.consumers.mirror import MirrorFeed, store_of
from arena_tui.errors import ListenError, StoreError, UsageError
from arena_tui.services.appended import append_to
from arena_tui.services.http.app import Answer, make_app
from arena_tui.services.http.bodies import Bodies
from arena_tui.services.http.clients import STALLED_S, Client, Clients
from arena_tui.services.http.guard import Refusals
from arena_tui.services.http.listener import HEAD_S, Listener
from arena_tui.services.http.runs import infos
from arena_tui.services.http.streams import EventStreams
from arena_tui.services.runtime import Runtime
from arena_tui.store.appending import decode_batch
from arena_tui.store.changes import Delete, decode_change
from arena_tui.store.owner import OWNER, PROTOCOL, READER, Attached, Owner
from arena_tui.store.past import StoredPast
from arena_tui.store.reading import Reader, Store
from arena_tui.store.remote import APPENDED, CHANGES, CONSOLE, LIVE, QUERIES
from arena_tui.store.wire import answer_console, answer_queries
from arena_tui.unix_socket import OwnSocket

_LOOK_EVERY_S: Final = 1.0
"""Interval of checking that the socket is where it was made."""

_COMMAND_MAX: Final = 120
_QUERY_MAX_BYTES: Final = 16 * 1024 * 1024
_APPEND_MAX_BYTES: Final = 16 * 1024 * 1024
_QUESTIONS_MAX: Final = 2
"""So many requests are put to the store at once, which leaves a reader to the owner itself."""

_ANSWER_S: Final = 120.0
"""A query that takes longer is given up, as others wait."""

_FEEDS_MAX: Final = 32
_TELL_EVERY_S: Final = 0.5
_FEED_HEADERS: Final = ((b"content-type", b"application/octet-stream"),)
_MSGPACK: Final = "application/vnd.msgpack"

_log = own_log(__name__)

T = TypeVar("T")


class OwnerServer:
    """Shares a runtime and its store with the other processes of its user.

    Args:
        path: The store's file, beside which the socket lies.
    """

    def __init__(self, runtime: Runtime, path: str) -> None:
        self._runtime = runtime
        self._path = path
        self._refusals = Refusals(runtime.broker.warnings)
        self._clients = Clients(runtime.broker.warnings, STALLED_S)
        self._bodies = Bodies()
        self._asking = asyncio.Semaphore(_QUESTIONS_MAX)
        streams = EventStreams(runtime, self._clients)
        self._hub: Hub | None = None
        if isinstance(runtime.broker, InProcessBroker):
            past = NoPast() if runtime.history is None else StoredPast(runtime.history)
            self._hub = Hub(runtime.broker, past)
        app = make_app(runtime, streams, [
            Route(OWNER, self._owner),
            Route(PREFIX, self._log, methods=["POST"]),
            Route(FEED, self._feed, methods=["POST"]),
            Route(LIVE, self._live),
            Route(QUERIES, partial(self._queries, answer_queries), methods=["POST"]),
            Route(CONSOLE, partial(self._queries, answer_console), methods=["POST"]),
            Route(CHANGES, self._changes, methods=["POST"]),
            Route(APPENDED, self._appended, methods=["POST"]),
        ])  # fmt: skip
        self._listener = Listener(app, self._clients, self._refusals, HEAD_S)
        self._since = datetime.now(UTC)
        self._socket: OwnSocket | None = None
        self._looking: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Listen, and again whenever the socket is removed; where that is impossible, warn."""
        try:
            await self._listen()
        except ListenError as error:
            self._runtime.broker.warnings.add("store_not_shared", why=str(error))
            return
        work = restart_on_failure(
            f"sharing {self._path}", self._keep_in_place, self._runtime.broker.warnings
        )
        self._looking = asyncio.create_task(work)

    def attached(self) -> Sequence[Attached]:
        """The processes that publish or read here all the time, and as what."""
        found = () if self._hub is None else self._hub.processes.attached()
        return [Attached(*each) for each in found]

    def _clients_known(self) -> tuple[Attached, ...]:
        """Those, and who is reading the store just now."""
        asking = [each for each in self._listener.attached()
                  if each.kind == READER and each.pid != os.getpid()]  # fmt: skip
        return tuple(sorted({*self.attached(), *asking}))

    def leave(self) -> None:
        """See `Hub.leave`."""
        if self._hub is not None:
            self._hub.leave()

    def _own_hub(self) -> Hub:
        """Raises UsageError if the runs are a server's."""
        if self._hub is None:
            raise UsageError(
                f"the store {self._path} is open in process {os.getpid()}, which stores the runs "
                f"of {self._runtime.broker.name}: give that as the broker, or another store"
            )
        return self._hub

    async def aclose(self) -> None:
        """Share it no longer. Idempotent."""
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.wait([self._looking])
            self._looking = None
        if self._socket is not None:
            self._socket.remove()
            self._socket = None
        await self._listener.aclose()

    def forsake(self) -> None:
        """See `Listener.forsake`."""
        self._listener.forsake()

    async def _listen(self) -> None:
        self._socket = OwnSocket(self._path)
        await self._listener.start(self._socket.listening)

    async def _keep_in_place(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_EVERY_S)
            if self._socket is not None and not self._socket.is_in_place():
                _log.warning("the socket %s is gone: it is made anew", self._socket.path)
                with contextlib.suppress(ListenError):  # the folder is gone, say
                    await self._listen()

    async def _log(self, request: Request) -> Response:
        hub = self._own_hub()
        asked = decode_request(await self._bodies.read(request, _APPEND_MAX_BYTES))
        if asked.owner != hub.id:
            return Response(hub.id, ANOTHER)
        if isinstance(asked, Follow):
            self._runtime.following.add([Path(each) for each in asked.files])
            return Response(encode(None), media_type=_MSGPACK)
        try:
            answer = await _unless_left(request, hub.answer(asked))
        except LeavingError:
            return Response(status_code=LEAVING)
        return Response(encode(answer), media_type=_MSGPACK)

    async def _feed(self, request: Request) -> ASGIApp:
        hub = self._own_hub()
        asked = decode_feed(await self._bodies.read(request, _QUERY_MAX_BYTES))
        if hub.processes.feeds >= _FEEDS_MAX:
            raise StoreError(f"{_FEEDS_MAX} processes read here already: end one of them")
        return Answer(partial(self._follow, asked), "mirror")

    async def _follow(self, asked: Feed, client: Client) -> None:
        feed = MirrorFeed(client.name, self._runtime.broker, asked.cursors, client.send_all)

        async def send() -> None:
            async with self._runtime.consuming(lambda _: feed) as consumption:
                telling = asyncio.create_task(self._tell(feed))
                try:
                    await consumption.ended()
                finally:
                    telling.cancel()

        with self._own_hub().processes.feeding(asked.process):
            await self._clients.serve(client, _FEED_HEADERS, send)

    async def _tell(self, feed: MirrorFeed) -> None:
        while True:
            await asyncio.sleep(_TELL_EVERY_S)
            store = store_of(self._runtime.consumers())
            await feed.tell(store, self._runtime.broker.lags(STORE))

    async def _owner(self, _: Request) -> Response:
        return _json(
            Owner(
                version=version("arena-tui"), protocol=PROTOCOL, pid=os.getpid(),
                command=_command(sys.argv), since=self._since, clients=self._clients_known(),
            )
        )  # fmt: skip

    async def _live(self, _: Request) -> Response:
        """Which runs have a producer."""
        held = await infos(self._runtime)
        gone = () if self._hub is None else self._hub.abandoned()
        live = [run_id for run_id, info in held.items() if info.state == "open"]
        return _json([run_id for run_id in live if run_id not in gone])

    async def _changes(self, request: Request) -> Response:
        history = self._runtime.history
        if history is None:
            raise StoreError("the store is being closed")
        change = decode_change(await self._bodies.read(request, _QUERY_MAX_BYTES))
        if isinstance(change, Delete):
            await self._runtime.delete(change.run_id)
            return _json(False)
        return _json(await history.change(change))

    async def _appended(self, request: Request) -> Response:
        batch = decode_batch(await self._bodies.read(request, _APPEND_MAX_BYTES))
        await append_to(self._runtime, batch)
        return _json(True)

    async def _queries(self, answer: Callable[..., list[bytes]], request: Request) -> ASGIApp:
        database = self._runtime.database
        if database is None:
            raise StoreError("the store is being closed")
        asked = await self._bodies.read(request, _QUERY_MAX_BYTES)

        def work(reader: Reader) -> list[bytes]:
            return answer(reader, asked)

        return Answer(partial(self._answer_queries, request, database, work), "reader", b"")

    async def _answer_queries(
        self, request: Request, database: Store, answer: Callable[[Reader], list[bytes]],
        client: Client,
    ) -> None:  # fmt: skip
        """Answer in pieces, as the client takes them; the next one asks when all are taken."""
        async with self._asking:
            try:
                async with asyncio.timeout(_ANSWER_S):
                    pieces = await _unless_left(request, database.read(answer))
            except TimeoutError:
                raise StoreError(f"no answer within {_ANSWER_S:.0f} s: ask for less") from None
            size = str(sum(map(len, pieces))).encode()
            headers = (b"content-type", _MSGPACK.encode()), (b"content-length", size)
            await self._clients.serve(client, headers, partial(client.send_all, pieces))


def _command(words: Sequence[str]) -> str:
    """What the process was started as; of a program that is not ours, only its name."""
    program = Path(words[0] if words else "")
    if program.name == "__main__.py":
        program = program.parent
    if program.name.replace("_", "-") != "arena-tui":
        return f"python {program.name}".rstrip()
    return redacted(" ".join(["arena-tui", *words[1:]]))[:_COMMAND_MAX]


async def _unless_left(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """The result of the work, which is cancelled when the client leaves."""
    working = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(_left(request))
    try:
        await asyncio.wait([working, leaving], return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise StoreError("the client has left")
        return working.result()
    finally:
        for each in (working, leaving):
            each.cancel()


async def _left(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _json(value: object) -> Response:
    return Response(msgspec.json.encode(value), media_type="application/json")
