"""Clients of the same user that are broken or mean no good: they are refused, and all else goes on.

What is sent here no process of ours sends.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta, timezone
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from arena_tui.broker.attached.reader import FEED
from arena_tui.broker.attached.wire import PREFIX
from arena_tui.broker.protocol import RunMeta
from arena_tui.config import Config
from arena_tui.events import LogEvent
from arena_tui.services.http import bodies, owner
from arena_tui.services.runtime import Runtime
from arena_tui.services.sharing import make_runtime
from arena_tui.store import wire
from arena_tui.store.remote import CHANGES, QUERIES
from arena_tui.store.wire import encode_queries
from arena_tui.unix_socket import socket_path
from tests.other_user import as_other_user
from tests.services.http.served import NO_TLS
from tests.waiting import until

EVENT = b'{"kind":"log","text":"a"}'
ENDLESS = encode_queries(
    [("SELECT count(*) FROM range(10000000000) AS a, range(10000000000) AS b", ())]
)
AT = "2026-11-28T12:03:14Z"
TO_CONNECT = """
import os, socket, sys
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
link = socket.socket(socket.AF_UNIX)
try:
    link.connect(sys.argv[1])
    link.sendall(b"GET /owner HTTP/1.1\\r\\nhost: a\\r\\n\\r\\n")
    print(link.recv(100))
except OSError as error:
    print(type(error).__name__)
"""


@pytest.fixture
async def owning(path: str) -> AsyncIterator[Callable[[], Any]]:
    """Opens the store in this process."""
    opened: list[Runtime] = []

    async def own() -> Runtime:
        opened.append(make_runtime(Config(db=path), attached=False))
        await opened[0].open()
        return opened[0]

    yield own
    for each in opened:
        await each.aclose()


@pytest.fixture
async def http(path: str) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.AsyncHTTPTransport(uds=socket_path(path), verify=NO_TLS)
    async with httpx.AsyncClient(transport=transport, base_url="http://a", timeout=60) as client:
        yield client


async def owner_id(http: httpx.AsyncClient) -> str:
    """The name that requests to `PREFIX` must give."""
    asked = msgspec.msgpack.encode({"type": "Newest", "owner": ""})
    return (await http.post(PREFIX, content=asked)).text


def meta(run_id: str) -> Any:
    return msgspec.to_builtins(RunMeta(run_id=run_id))


def appending(**changed: Any) -> dict[str, Any]:
    """An append of one event, with something else in place of some of it."""
    call = {"producer": "p", "first": 1, "lost": 0, "ends": False, "may_open": True,
            "meta": meta("hostile"), "events": [EVENT]} | changed  # fmt: skip
    return {"type": "Append", "process": "1-1", "calls": [list(call.values())]}


def is_refused(answer: httpx.Response) -> bool:
    """Whether it says in one line what is wrong with the request."""
    return answer.status_code == 400 and "\n" not in answer.json()["error"]


BAD_REQUESTS = {
    "no map": [],
    "unknown type": {"type": "Nothing"},
    "wrong owner type": {"type": "Newest", "owner": 1},
    "producer a number": appending(producer=1),
    "producer too long": appending(producer="p" * 201),
    "first a text": appending(first="1"),
    "first zero": appending(first=0),
    "first below zero": appending(first=-(2**63)),
    "first beyond the store's numbers": appending(first=2**64 - 1),
    "lost below zero": appending(first=9, lost=-5),
    "lost beyond reason": appending(first=2**53, lost=2**53 - 1),
    "ends a number": appending(ends=2),
    "may_open a text": appending(may_open="yes"),
    "meta a list": appending(meta=[]),
    "events a text": appending(events="a"),
    "an event a number": appending(events=[1]),
    "too many events": appending(events=[EVENT] * 4_001),
    "process too long": appending() | {"process": "1" * 201},
    "epoch below zero": {"type": "Open", "process": "1-1", "meta": meta("a"), "epoch": -1},
    "epoch beyond the store's": {
        "type": "Open", "process": "1-1", "meta": meta("a"), "epoch": 2**63,
    },
    "run id that is none": {"type": "Open", "process": "1-1", "meta": meta("\0"), "epoch": None},
    "too many runs alive": {"type": "Beat", "process": "1-1", "run_ids": ["a"] * 50_001},
    "too many runs to look up": {"type": "Kept", "run_ids": ["a"] * 50_001},
    "claim too long": {"type": "Claim", "process": "1-1", "run_id": "a" * 201},
    "status that is none": {"type": "End", "run_id": "hostile", "status": "won", "reason": None},
    "gap below zero": {"type": "Fetch", "run_id": "a", "epoch": 1, "from_seq": -1, "to_seq": 1},
    "gap beyond the store's": {
        "type": "Fetch", "run_id": "a", "epoch": 2**63, "from_seq": 2**63, "to_seq": 2**64 - 1,
    },
    "file that is none": {"type": "Follow", "files": ["a\0b"]},
}  # fmt: skip


@pytest.mark.parametrize("bad", BAD_REQUESTS.values(), ids=BAD_REQUESTS)
async def test_a_bad_request_is_refused_in_one_line(
    owning: Any, http: httpx.AsyncClient, bad: Any, caplog: pytest.LogCaptureFixture
) -> None:
    runtime = await owning()
    if isinstance(bad, dict):
        bad = {"owner": await owner_id(http)} | bad

    answer = await http.post(PREFIX, content=msgspec.msgpack.encode(bad))

    assert is_refused(answer)
    assert await is_well(runtime)
    assert errors_in(caplog) == []


BAD_EVENTS = {
    "no JSON": b"\xff",
    "no object": b"1",
    "no kind": b"{}",
    "nothing": b"",
    "no UTF-8": b'{"kind":"log","text":"\xff"}',
    "deep": b'{"kind":"log","x":' + b"[" * 2_000_000 + b"]" * 2_000_000 + b"}",
    "large": b'{"kind":"log","text":"' + b"x" * 15_000_000 + b'"}',
}


@pytest.mark.parametrize("event", BAD_EVENTS.values(), ids=BAD_EVENTS)
async def test_a_bad_event_is_refused_and_opens_no_run(
    owning: Any, http: httpx.AsyncClient, event: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    runtime = await owning()
    asked = appending(events=[EVENT, event]) | {"owner": await owner_id(http)}

    answer = await http.post(PREFIX, content=msgspec.msgpack.encode(asked))

    (row,) = msgspec.msgpack.decode(answer.content)
    assert isinstance(row, str)
    assert await runtime.broker.runs() == []
    assert await is_well(runtime)
    assert errors_in(caplog) == []


async def test_numbers_that_go_backwards_add_nothing(owning: Any, http: httpx.AsyncClient) -> None:
    runtime = await owning()
    name = {"owner": await owner_id(http)}

    for first in (10**9, 5, 1):
        asked = appending(first=first) | name
        await http.post(PREFIX, content=msgspec.msgpack.encode(asked))

    (info,) = await runtime.broker.runs()
    assert info.last_seq == 1


BAD_CHANGES = {
    "no JSON": b'{"',
    "no change": b"[]",
    "epoch beyond the store's": b'{"type":"Bookmark","run_id":"a","epoch":99999999999999999999,'
    b'"seq":1,"note":"","at":"%s"}' % AT.encode(),
    "note too long": msgspec.json.encode({
        "type": "Bookmark", "run_id": "a", "epoch": 1, "seq": 1, "note": "x" * 10_001, "at": AT,
    }),
    "before all time": msgspec.json.encode({
        "type": "Bookmark", "run_id": "a", "epoch": 1, "seq": 1, "note": "",
        "at": datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14))),
    }),
}  # fmt: skip


@pytest.mark.parametrize("change", BAD_CHANGES.values(), ids=BAD_CHANGES)
async def test_a_bad_change_is_refused_in_one_line(
    owning: Any, http: httpx.AsyncClient, change: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    runtime = await owning()

    answer = await http.post(CHANGES, content=change)

    assert is_refused(answer)
    assert await is_well(runtime)
    assert errors_in(caplog) == []


BAD_QUERIES = {
    "no list": b"\xc1",
    "too many": encode_queries([("SELECT 1", ())] * 101),
    "too long": encode_queries([("SELECT " + "1," * 40_000 + "1", ())]),
    "too many parameters": encode_queries([("SELECT 1", [1] * 1_001)]),
    "no time": msgspec.msgpack.encode([("SELECT ?", [msgspec.msgpack.Ext(1, b"")])]),
    "no decimal": msgspec.msgpack.encode([("SELECT ?", [msgspec.msgpack.Ext(3, b"x")])]),
    "no integer": msgspec.msgpack.encode([("SELECT ?", [msgspec.msgpack.Ext(2, b"9" * 9_999)])]),
}


@pytest.mark.parametrize("asked", BAD_QUERIES.values(), ids=BAD_QUERIES)
async def test_bad_queries_are_refused_in_one_line(
    owning: Any, http: httpx.AsyncClient, asked: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    await owning()

    answer = await http.post(QUERIES, content=asked)

    assert is_refused(answer)
    assert answer.json()["error"].startswith("not a list of queries: ")
    assert errors_in(caplog) == []


async def test_an_answer_that_is_too_large_is_refused(
    owning: Any, http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wire, "ANSWER_MAX_BYTES", 100_000)
    await owning()

    large = await http.post(QUERIES, content=encode_queries([("FROM range(40000)", ())]))
    small = await http.post(QUERIES, content=encode_queries([("FROM range(20000)", ())]))

    assert large.json()["error"] == "more than 100,000 bytes at once: ask for fewer rows"
    assert len(wire.decode_rows(small.content)[0]) == 20_000


async def test_endless_queries_leave_a_reader_to_the_owner(
    owning: Any, http: httpx.AsyncClient
) -> None:
    runtime = await owning()
    asking = [asyncio.ensure_future(http.post(QUERIES, content=ENDLESS)) for _ in range(8)]
    await until(lambda: runtime.database.reads > 1)
    for _ in range(20):  # by then a third would have begun
        await http.get("/owner")

    async with asyncio.timeout(20):
        assert await runtime.history.runs() == []

    for each in asking:
        each.cancel()
    await asyncio.wait(asking)
    assert (await http.post(QUERIES, content=encode_queries([("SELECT 1", ())]))).is_success


async def test_too_many_readers_and_consumers_are_refused(
    owning: Any, http: httpx.AsyncClient, path: str
) -> None:
    await owning()
    name = await owner_id(http)
    asked = msgspec.msgpack.encode({"process": "1-1", "cursors": {}})

    async with httpx.AsyncClient(
        transport=httpx.AsyncHTTPTransport(uds=socket_path(path), verify=NO_TLS),
        base_url="http://a",
    ) as other:
        feeds = [await other.send(other.build_request("POST", FEED, content=asked), stream=True)
                 for _ in range(33)]  # fmt: skip
        acks = []
        for number in range(65):
            ack = {"type": "Ack", "owner": name, "identity": str(number), "cursors": {}}
            acks.append(await http.post(PREFIX, content=msgspec.msgpack.encode(ack)))
        for each in feeds:
            await each.aclose()

    assert [each.status_code for each in feeds] == [200] * 32 + [503]
    assert [each.status_code for each in acks] == [200] * 64 + [400]


async def test_half_a_request_is_cut_off(
    owning: Any, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(owner, "Bodies", partial(bodies.Bodies, 0.05))
    runtime = await owning()
    reader, writer = await asyncio.open_unix_connection(socket_path(path))
    writer.write(b"POST /log/1 HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nhalf")

    assert await asyncio.wait_for(cut_off(reader), 20)
    writer.close()
    assert await is_well(runtime)


async def test_bodies_that_arrive_hold_only_so_much_together(
    owning: Any, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bodies, "ALL_MAX_BYTES", 1_000)
    runtime = await owning()
    half = b"POST /log/1 HTTP/1.1\r\nhost: a\r\ncontent-length: 1001\r\n\r\n" + b"x" * 600
    reader, writer = await asyncio.open_unix_connection(socket_path(path))
    other_reader, other_writer = await asyncio.open_unix_connection(socket_path(path))

    writer.write(half)
    other_writer.write(half)
    done, waiting = await asyncio.wait(
        [asyncio.create_task(cut_off(each)) for each in (reader, other_reader)],
        timeout=20, return_when=asyncio.FIRST_COMPLETED,
    )  # fmt: skip

    assert len(done) == len(waiting) == 1
    for each in (writer, other_writer):
        each.close()
    await asyncio.wait(waiting)
    assert await is_well(runtime)


async def test_another_user_cannot_connect_and_is_refused_where_the_user_lets_him(
    by_another_user: Path, owning: Any, path: str
) -> None:
    runtime = await owning()
    socket = socket_path(path)

    before = await asyncio.to_thread(as_other_user, socket, script=TO_CONNECT)
    os.chmod(socket, 0o777)
    after = await asyncio.to_thread(as_other_user, socket, script=TO_CONNECT)

    assert before.stdout == "PermissionError\n", before.stderr
    assert after.stdout in ("b''\n", "ConnectionResetError\n", "BrokenPipeError\n"), after.stderr
    assert [each.code for each in runtime.broker.warnings.newest()] == ["request_refused"]


async def cut_off(reader: asyncio.StreamReader) -> bool:
    """Wait for the end of the connection; whether nothing was answered."""
    try:
        return await reader.read() == b""
    except ConnectionResetError:
        return True


async def is_well(runtime: Runtime) -> bool:
    """Whether an event of somebody else is stored."""
    await runtime.broker.open_run(RunMeta(run_id="well"))
    await runtime.broker.publish("well", LogEvent(text="a", ts=datetime.now(UTC)))
    async with asyncio.timeout(20):
        await runtime.broker.settled(["well"])
    assert runtime.history is not None
    return (await runtime.history.run("well")).events == 1


def errors_in(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What was logged as a fault of ours."""
    return [each.getMessage() for each in caplog.records if each.levelno >= logging.ERROR]
