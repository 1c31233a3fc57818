"""Redis Streams by plain redis-py, and by hiredis over a plain socket. Does no timing."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from typing import Any, Final

import hiredis
from redis.asyncio import Redis

from arena_tui.broker.protocol import Outgoing
from arena_tui.broker.redis.scripts import events_key
from arena_tui.codec import encode_event

_READ_EVENTS: Final = 1_000
_CHUNK_BYTES: Final = 65_536


async def add_piped(client: Redis, batch: Sequence[Outgoing]) -> None:
    """One plain XADD per event, in one pipeline."""
    pipe = client.pipeline(transaction=False)
    for run_id, event, _ in batch:
        pipe.xadd(events_key(run_id), {"e": encode_event(event)})
    await pipe.execute()


async def add_each(client: Redis, batch: Sequence[Outgoing]) -> None:
    """One plain XADD per event, each awaited."""
    for run_id, event, _ in batch:
        await client.xadd(events_key(run_id), {"e": encode_event(event)})


async def read_all(client: Redis, run_ids: Sequence[str]) -> int:
    """XREAD all streams to their end, without decoding; returns the number of events."""
    after: dict[Any, Any] = {events_key(run_id).encode(): "0" for run_id in run_ids}
    count = 0
    while reply := await client.xread(after, count=_READ_EVENTS):
        streams: Any = reply
        for key, entries in streams:
            after[key] = entries[-1][0]
            count += len(entries)
    return count


class RawClient:
    """A client on a plain socket: the least a Python client can do."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._reader = hiredis.Reader()

    async def add(self, batch: Sequence[Outgoing]) -> None:
        """One plain XADD per event, in a single write; blocks until all are answered."""
        commands = [
            _packed("XADD", events_key(run_id), "*", "e", encode_event(event))
            for run_id, event, _ in batch
        ]
        self._socket.sendall(b"".join(commands))
        for _ in batch:
            self._reply()

    def _reply(self) -> Any:
        while (reply := self._reader.gets()) is False:
            self._reader.feed(self._socket.recv(_CHUNK_BYTES))
        return reply

    def read(self, run_ids: Sequence[str]) -> int:
        """See `read_all`."""
        after = {events_key(run_id).encode(): b"0" for run_id in run_ids}
        count = 0
        while True:
            arguments = *after, *after.values()
            self._socket.sendall(_packed("XREAD", "COUNT", _READ_EVENTS, "STREAMS", *arguments))
            reply = self._reply()
            if not reply:
                return count
            for key, entries in reply:
                after[key] = entries[-1][0]
                count += len(entries)

    def close(self) -> None:
        self._socket.close()


def _packed(*words: str | bytes | int) -> bytes:
    packed: bytes = hiredis.pack_command(words)  # type: ignore[arg-type] # typed as a tuple of one
    return packed
