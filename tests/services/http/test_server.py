"""The protocol: what is not asked as it should be is answered in one way, or cut off."""

from __future__ import annotations

import asyncio
import logging
import os
import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.services.http.served import Served, serving
from tests.services.http.test_guard import ask, status
from tests.services.http.test_streams import play, until_no_client
from tests.waiting import until

HEAD = b"Host: localhost\r\nConnection: close\r\n"


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    async with serving(tmp_path / "a.duckdb") as made:
        yield made


@pytest.mark.parametrize(
    "path", ["/events", "/events?runs=r", "/runs/r/events", "/runs/r/events.jsonl"]
)
async def test_the_head_of_a_stream_is_no_stream(served: Served, path: str) -> None:
    await play(served, "r")

    answer = await ask(served, b"HEAD %s HTTP/1.1\r\n%s\r\n" % (path.encode(), HEAD))

    assert status(answer) == 200
    assert answer.endswith(b"\r\n\r\n")
    assert answer.count(b"\r\n\r\n") == 1
    assert len(served.server.clients) == 0


@pytest.mark.parametrize(
    "body",
    [
        b"Content-Length: 4\r\n\r\nbody",
        b"Content-Length: 100000000000\r\n\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nabcde",
    ],
)
async def test_a_request_with_a_body_is_refused_and_none_behind_it_answered(
    served: Served, body: bytes
) -> None:
    for path in (b"/runs", b"/events"):
        request = b"GET %s HTTP/1.1\r\nHost: localhost\r\n%s" % (path, body)
        behind = b"GET /health HTTP/1.1\r\n%s\r\n" % HEAD
        answer = await ask(served, request + behind)
        assert status(answer) == 400
        assert answer.count(b"HTTP/1.1 ") == 1

    assert served.server.refusals.counts == {"malformed": 2}


@pytest.mark.parametrize(
    "request_", [b"\0", b"GET / HTTP/1.1\r\n\r\n", b"GET /\xff HTTP/1.1\r\n\r\n"]
)
async def test_what_is_not_http_is_answered_as_safely_as_the_rest(
    served: Served, request_: bytes
) -> None:
    head, _, body = (await ask(served, request_)).partition(b"\r\n\r\n")

    assert head.startswith(b"HTTP/1.1 400 ")
    assert {b"x-content-type-options: nosniff", b"connection: close"} <= {*head.split(b"\r\n")}
    assert body == b"Invalid HTTP request received."


async def test_nonsense_behind_a_request_being_answered_cuts_it_off_without_a_traceback(
    served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    await play(served, "r")
    for path in (b"/events", b"/runs/r/events", b"/runs", b"/metrics"):
        request = b"GET %s HTTP/1.1\r\nHost: localhost\r\n" % path
        await ask(served, request + b"Transfer-Encoding: chunked\r\n\r\nno chunk\r\n")

    await until_no_client(served)
    assert served.server.refusals.counts["malformed"] >= 4
    assert [each for each in caplog.records if each.levelno >= logging.ERROR] == []


async def test_a_thousand_requests_at_once_are_answered_in_order(served: Served) -> None:
    asked = b"GET /runs/%d HTTP/1.1\r\nHost: localhost\r\n"
    requests = [asked % number + b"\r\n" for number in range(999)]

    answer = await ask(served, b"".join(requests) + asked % 999 + b"Connection: close\r\n\r\n")

    numbers = [int(part.partition(b"'")[0]) for part in answer.split(b"no run '")[1:]]
    assert numbers == list(range(1_000))


async def test_clients_that_leave_at_any_moment_leave_nothing_behind(served: Served) -> None:
    await play(served, "r")
    chance = random.Random(5)
    before = len(asyncio.all_tasks()), len(os.listdir("/dev/fd"))

    async def visit(path: str) -> None:
        reader, writer = await asyncio.open_connection(*served.server.address)
        request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
        writer.write(request[: chance.choice((10, 1_000, 1_000))])
        if chance.random() < 0.5:
            await asyncio.wait([asyncio.ensure_future(reader.read(1))], timeout=0.02)
        if chance.random() < 0.3:
            writer.write_eof()
        (writer.close if chance.random() < 0.5 else writer.transport.abort)()

    for _ in range(10):
        paths = ("/events", "/events?runs=r", "/runs/r/events", "/runs/r/events.jsonl", "/runs")
        await asyncio.gather(*(visit(path) for path in paths * 4))

    await until_no_client(served)
    await until(lambda: (len(asyncio.all_tasks()), len(os.listdir("/dev/fd"))) <= before)


async def test_a_bug_is_answered_without_what_it_was(
    served: Served, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken() -> None:
        raise ValueError("a secret")

    monkeypatch.setattr(served.runtime.broker, "runs", broken)
    answer = await ask(served, b"GET /runs?token=no HTTP/1.1\r\n%s\r\n" % HEAD)

    assert status(answer) == 500
    assert b"x-content-type-options: nosniff" in answer
    assert answer.endswith(b"\r\n\r\nInternal Server Error")
    assert "a secret" in caplog.text
    assert "token=no" not in caplog.text
