"""A real server on a runtime of its own, and a client that reads event streams as browsers do."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx

from arena_tui.broker.protocol import Limits
from arena_tui.broker_url import BrokerUrl
from arena_tui.config import Config
from arena_tui.services.http.address import Address, Listening
from arena_tui.services.http.server import HttpServer
from arena_tui.services.runtime import Runtime

LIMITS = Limits(capacity=1_000, retain=10)
NO_TLS = False
"""Else each client reads all certificates of the machine, for the plain HTTP of these tests."""
_LETS_GO_FIRST = httpx.Limits(keepalive_expiry=1.0)
"""The server closes what is idle for 5 s; a request that meets that is lost."""


class Frame(NamedTuple):
    """One server-sent event, as a client has it."""

    event: str
    id: str
    data: str

    @property
    def json(self) -> Any:
        return json.loads(self.data)

    @property
    def place(self) -> tuple[int, int]:
        """Epoch and seq of its event."""
        return self.json["epoch"], self.json["seq"]


class Served(NamedTuple):
    """A runtime and the server on it."""

    runtime: Runtime
    server: HttpServer
    http: httpx.AsyncClient

    @asynccontextmanager
    async def stream(self, path: str, last_id: str = "") -> AsyncIterator[AsyncIterator[Frame]]:
        """The frames of an event stream, from `Last-Event-ID` on."""
        headers = {"Last-Event-ID": last_id} if last_id else {}
        async with self.http.stream("GET", path, headers=headers, timeout=60) as response:
            assert response.status_code == 200, await response.aread()
            yield frames_in(response)

    async def frames(self, path: str, last_id: str = "") -> list[Frame]:
        """All frames of an event stream that ends."""
        async with asyncio.timeout(60), self.stream(path, last_id) as stream:
            return [each async for each in stream]


async def frames_in(response: httpx.Response) -> AsyncIterator[Frame]:
    """Parse a stream as the HTML standard has it; a block without data is none."""
    fields: dict[str, str] = {}
    last_id = ""
    async for line in response.aiter_lines():
        name, _, value = line.partition(":")
        if line:
            fields[name] = value.removeprefix(" ")
            last_id = fields.get("id", last_id)
        elif "data" in fields:
            yield Frame(fields.get("event", "message"), last_id, fields["data"])
            fields = {}
        else:
            fields = {}


@asynccontextmanager
async def serving(
    db: Path | str | None,
    broker: str = "memory:",
    limits: Limits = LIMITS,
    token: str | None = None,
    **options: Any,
) -> AsyncIterator[Served]:
    """A server on loopback, at any port; the options are those of `HttpServer`."""
    config = Config(broker=BrokerUrl(broker), db=None if db is None else str(db))
    runtime = Runtime(config, limits)
    server = HttpServer(runtime, Listening(Address(port=0), token), **options)
    await runtime.open()
    try:
        await server.start()
        async with httpx.AsyncClient(
            base_url=server.address.url, trust_env=False, limits=_LETS_GO_FIRST, verify=NO_TLS
        ) as http:
            yield Served(runtime, server, http)
    finally:
        await server.aclose()
        await runtime.aclose()
