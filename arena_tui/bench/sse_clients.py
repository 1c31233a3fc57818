"""Many clients of event streams, as a process: `python -m arena_tui.bench.sse_clients`.

Reads one line of JSON (`Crowd`) from stdin, says `ready` once every client has its first byte, and
on the next line prints what they have (`Heard`). Whoever never reads keeps its connection.
"""

from __future__ import annotations

import asyncio
import re
import sys
import time
from datetime import datetime
from typing import Final

import msgspec
from msgspec import Struct

_ID: Final = re.compile(rb"^id: (\d+)-(\d+)$", re.MULTILINE)
_TIME: Final = re.compile(rb'"ts":"([^"]+)"')


class Crowd(Struct, frozen=True, kw_only=True):
    """Who listens to what, on a port of this machine.

    Attributes:
        reading: A path for each client that reads.
        silent: A path for each that never reads.
    """

    port: int
    reading: list[str]
    silent: list[str]


class Heard(Struct, frozen=True, kw_only=True):
    """What those who read were sent.

    Attributes:
        events: By client, how many events.
        repeated, missed: Events that came again, and that never came.
        late_ms: Of the events published since the crowd was ready, from the timestamp to the
            arrival.
    """

    events: list[int]
    repeated: int
    missed: int
    late_ms: list[float]


class _Client(asyncio.Protocol):
    """Asks in HTTP/1.0, so that the answer is the stream and nothing else."""

    def __init__(self, path: str, late_ms: list[float]) -> None:
        self._path = path
        self._late_ms = late_ms
        self._text = b""
        self._newest = 0
        self.events = self.repeated = self.missed = 0
        self.begun = asyncio.Event()
        self.timed_since = float("inf")

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.write(f"GET {self._path} HTTP/1.0\r\nHost: localhost\r\n\r\n".encode())

    def data_received(self, data: bytes) -> None:
        self.begun.set()
        *frames, self._text = (self._text + data).split(b"\n\n")
        now = time.time()
        for frame in frames:
            if (found := _ID.search(frame)) is None or (at := _TIME.search(frame)) is None:
                continue
            seq = int(found[2])
            self.events += 1
            self.repeated += seq <= self._newest
            self.missed += max(0, seq - self._newest - 1)
            self._newest = max(seq, self._newest)
            if now > self.timed_since:
                sent = datetime.fromisoformat(at[1].decode()).timestamp()
                if sent > self.timed_since:
                    self._late_ms.append((now - sent) * 1_000)


class _Silent(_Client):
    """Stops reading with its first bytes."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self.begun.set()
        assert isinstance(self._transport, asyncio.Transport)
        self._transport.pause_reading()


async def main() -> None:
    loop = asyncio.get_running_loop()
    crowd = msgspec.json.decode(sys.stdin.readline(), type=Crowd)
    late_ms: list[float] = []
    clients: list[_Client] = []
    for make, paths in ((_Client, crowd.reading), (_Silent, crowd.silent)):
        for path in paths:
            client = make(path, late_ms)
            await loop.create_connection(lambda client=client: client, "127.0.0.1", crowd.port)  # type: ignore[misc]
            clients.append(client)
    await asyncio.gather(*(client.begun.wait() for client in clients))
    for client in clients:
        client.timed_since = time.time()
    print("ready", flush=True)  # noqa: T201
    await loop.run_in_executor(None, sys.stdin.readline)
    reading = clients[: len(crowd.reading)]
    heard = Heard(
        events=[client.events for client in reading],
        repeated=sum(client.repeated for client in reading),
        missed=sum(client.missed for client in reading),
        late_ms=late_ms,
    )
    sys.stdout.buffer.write(msgspec.json.encode(heard) + b"\n")


if __name__ == "__main__":
    asyncio.run(main())
