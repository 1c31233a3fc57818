"""Who may ask: names, pages of other sites, tokens; and what a client may cost."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from arena_tui.errors import ArenaError, UsageError
from arena_tui.services.http import listener
from arena_tui.services.http.address import Address, Listening
from arena_tui.services.http.guard import Access
from tests.services.http.served import Served, serving
from tests.waiting import pause, until

TOKEN = "correct-horse-battery"
ROUTES = ["/", "/health", "/runs", "/runs/r", "/events", "/stats", "/openapi.json", "/nothing"]


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    async with serving(tmp_path / "a.duckdb", head_s=0.3) as made:
        yield made


@pytest.fixture
async def private(tmp_path: Path) -> AsyncIterator[Served]:
    async with serving(tmp_path / "a.duckdb", token=TOKEN) as made:
        yield made


async def ask(served: Served, request: bytes) -> bytes:
    """The whole answer to these bytes, until the server closes the connection."""
    reader, writer = await asyncio.open_connection(*served.server.address)
    writer.write(request)
    async with asyncio.timeout(120):
        try:
            return await reader.read()
        except ConnectionResetError:
            return b""
        finally:
            writer.close()


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]", "LOCALHOST"])
async def test_it_answers_to_the_names_of_this_machine(served: Served, host: str) -> None:
    response = await served.http.get("/runs", headers={"Host": f"{host}:80"})

    assert response.status_code == 200


@pytest.mark.parametrize(
    "host",
    ["evil.example", "127.0.0.1.evil.example", "a@b", "", "[", "[::2]", "a@localhost",
     "localhost/a", "localhost?a", "localhost#a", "localhost:a", "localhost.", "[localhost]"],
)  # fmt: skip
async def test_another_name_is_refused(served: Served, host: str) -> None:
    for path in ROUTES:
        answer = await ask(served, f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        assert status(answer) in (421, 400)
        assert b"run" not in answer.partition(b"\r\n\r\n")[2]


async def test_two_names_are_refused(served: Served) -> None:
    request = b"GET /runs HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n"

    assert status(await ask(served, request)) in (400, 421)


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "http://localhost:1", "[", "http://[", ""]
)
async def test_a_page_of_another_site_is_refused(served: Served, origin: str) -> None:
    for path in ROUTES:
        response = await served.http.get(path, headers={"Origin": origin})
        assert response.status_code == 403


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
async def test_another_site_may_lead_here_but_not_embed_anything(served: Served, site: str) -> None:
    embedded = {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}
    followed = {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": "navigate"}

    assert (await served.http.get("/runs?filter=a", headers=embedded)).status_code == 403
    assert (await served.http.get("/", headers=followed)).status_code == 200


async def test_a_page_of_this_server_may_ask(served: Served) -> None:
    ours = {"Origin": served.server.address.url, "Sec-Fetch-Site": "same-origin",
            "Sec-Fetch-Mode": "cors"}  # fmt: skip
    response = await served.http.get("/runs", headers=ours)

    assert response.status_code == 200


def test_it_answers_to_the_ipv4_address_that_was_connected_to_beside_ipv6() -> None:
    access = Access(Listening(Address("::"), TOKEN))

    assert access.knows_host("192.0.2.1:80", "::ffff:192.0.2.1")
    assert not access.knows_host("192.0.2.2:80", "::ffff:192.0.2.1")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer wrong-horse-battery"},
        {"Authorization": f"Basic {TOKEN}"},
        {"Cookie": f"arena_tui={TOKEN}"},
        {"Cookie": "arena_tui=; ;=;"},
    ],
)
async def test_without_its_token_nothing_is_answered(
    private: Served, headers: dict[str, str]
) -> None:
    for path in ROUTES:
        response = await private.http.get(path, headers=headers)
        assert response.status_code == 401
        assert response.json() == {"error": "refused: no valid token"}


async def test_a_program_gives_the_token_as_bearer(private: Served) -> None:
    response = await private.http.get("/runs", headers={"Authorization": f"bearer {TOKEN}"})

    assert response.status_code == 200


async def test_a_browser_gives_it_once_in_the_url_and_then_as_a_cookie(private: Served) -> None:
    first = await private.http.get(f"/runs?limit=1&token={TOKEN}&offset=0")
    then = await private.http.get(first.headers["location"])

    assert first.status_code == 303
    assert first.headers["location"] == "/runs?limit=1&offset=0"
    assert TOKEN not in first.headers["set-cookie"]
    assert {"HttpOnly", "SameSite=Lax", "Path=/"} <= {
        each.strip() for each in first.headers["set-cookie"].split(";")
    }
    assert then.status_code == 200


async def test_the_way_on_never_leads_to_another_site(private: Served) -> None:
    request = f"GET //evil.example/?token={TOKEN} HTTP/1.1\r\nHost: localhost\r\n"

    answer = await ask(private, f"{request}Connection: close\r\n\r\n".encode())

    assert b"location: /evil.example/\r\n" in answer


async def test_the_token_is_in_no_log(private: Served, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    for url in (f"/runs?token={TOKEN}", "/runs?token=wrong-horse", f"/nothing?token={TOKEN}"):
        await private.http.get(url, headers={"Authorization": f"Bearer {TOKEN}"})
    await ask(private, f"GET /?token={TOKEN} HTTP/1.1\r\nbroken\r\n\r\n".encode())

    ours = [each.getMessage() for each in caplog.records if not each.name.startswith("http")]
    assert not [line for line in ours if TOKEN in line or "wrong-horse" in line]


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "arena.example"])
def test_beyond_loopback_a_token_is_needed(host: str) -> None:
    with pytest.raises(UsageError, match="ARENA_TOKEN"):
        Listening(Address(host)).check()


@pytest.mark.parametrize("token", ["", "short", "schlüssel-schlüssel"])
def test_a_token_that_can_be_guessed_is_refused(token: str) -> None:
    with pytest.raises(UsageError, match="ARENA_TOKEN"):
        Listening(token=token).check()


async def test_a_header_of_ten_megabytes_is_refused(served: Served) -> None:
    answer = await ask(served, b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 10_000_000)

    assert answer == b"" or status(answer) == 400
    assert served.server.refusals.counts["malformed"] == 1


@pytest.mark.parametrize("request_", [b"\0\1\2", b"GET\r\n\r\n", b"GET / HTTP/9\r\n\r\n"])
async def test_what_is_not_http_is_refused(served: Served, request_: bytes) -> None:
    assert status(await ask(served, request_)) == 400


async def test_whoever_asks_too_slowly_is_cut_off(served: Served) -> None:
    reader, writer = await asyncio.open_connection(*served.server.address)
    reading = asyncio.create_task(reader.read())
    for byte in b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 10_000:
        if reading.done():
            break
        writer.write(bytes([byte]))
        await asyncio.wait([reading], timeout=0.02)

    assert reading.done()
    assert reading.exception() or reading.result() == b""
    assert served.server.refusals.counts == {"slow": 1}
    writer.close()


async def test_a_stream_may_last_longer_than_a_request_may_take(served: Served) -> None:
    """So may the second answer on one connection."""
    await served.http.get("/health")
    async with served.stream("/events") as stream:
        await pause(0.7)  # more than twice as long
        with served.runtime.sink.run("game") as run:
            run.log("late")
        frames = [await asyncio.wait_for(anext(stream), 20) for _ in range(2)]

    assert [each.event for each in frames] == ["run_start", "log"]


async def test_too_many_connections_are_refused(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener, "CONNECTIONS_MAX", 2)
    async with served.stream("/events"), served.stream("/events"):
        assert await ask(served, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n") == b""
        assert served.server.refusals.counts["connections"] == 1
    await until(lambda: len(served.server.clients) == 0)
    response = await served.http.get("/health")
    assert response.status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "/../../etc/passwd", "/runs/../../../etc/passwd", "/runs/%2e%2e/%2e%2e/etc/passwd",
        "/runs/..%2f..%2fetc%2fpasswd/events", "//etc/passwd", "/runs/%00", "/runs/" + "a" * 5_000,
        "/runs/%ff%fe", "/runs?limit=-1", "/runs?limit=1e9", "/runs?filter=bogus>1",
        "/runs/'; DROP TABLE runs; --", "/runs?offset=99999999999999999999",
    ],
)  # fmt: skip
async def test_paths_and_queries_lead_nowhere_else(served: Served, path: str) -> None:
    raw = path.replace(" ", "%20").encode()
    answer = await ask(
        served, b"GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n" % raw
    )

    assert status(answer) in (400, 404)
    (line,) = answer.partition(b"\r\n\r\n")[2].splitlines()
    assert line.startswith(b'{"error":"')
    assert b"root:" not in answer


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE"])
async def test_it_only_reads(served: Served, method: str) -> None:
    for path in ("/runs", "/runs/r", "/events", "/health"):
        response = await served.http.request(method, path)
        assert response.status_code == 405


async def test_a_browser_may_neither_guess_a_type_nor_embed_nor_keep_an_answer(
    served: Served,
) -> None:
    for path in ("/runs", "/nothing"):
        headers = (await served.http.get(path)).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cross-origin-resource-policy"] == "same-origin"
        assert headers["x-frame-options"] == "DENY"
        assert headers["cache-control"] == "no-store"
        assert "default-src 'none'" in headers["content-security-policy"]


async def test_refusals_are_all_counted_and_told_once(served: Served) -> None:
    for _ in range(5):
        await served.http.get("/runs", headers={"Host": "evil.example"})
        await ask(served, b"\0")

    assert served.server.refusals.counts == {"host": 5, "malformed": 5}
    assert [str(each) for each in served.runtime.broker.warnings.newest()] == [
        "refused an HTTP request from 127.0.0.1: not a name of this server",
        "refused an HTTP request from 127.0.0.1: not a valid HTTP request, or too large",
    ]


async def test_a_client_that_takes_nothing_is_dropped_and_counted(tmp_path: Path) -> None:
    async with serving(tmp_path / "a.duckdb", stalled_s=0.3) as served:
        _, writer = await asyncio.open_connection(*served.server.address, limit=1)
        writer.write(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await until(lambda: len(served.server.clients) == 1)
        with served.runtime.sink.run("game") as run:
            while served.server.clients.dropped == 0:
                await asyncio.to_thread(run.log, "x" * 100_000)
                await asyncio.sleep(0)

        await until(lambda: len(served.server.clients) == 0)
        assert served.runtime.broker.warnings.counts() == {"client_dropped": 1}
        writer.close()


@pytest.mark.parametrize("host", ["a" * 64, "..", "none.invalid"])
def test_a_host_that_is_none_is_said(host: str) -> None:
    with pytest.raises(ArenaError, match=r"cannot listen on .*: give another address"):
        Address(host).listen()


async def test_an_address_that_is_taken_is_said(served: Served) -> None:
    with pytest.raises(ArenaError, match=r"cannot listen on 127.0.0.1:\d+: Address already in use"):
        served.server.address.listen()


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("", ("127.0.0.1", 8737)),
        ("0.0.0.0", ("0.0.0.0", 8737)),
        (":9000", ("127.0.0.1", 9000)),
        ("localhost:9000", ("localhost", 9000)),
        ("[::1]:9000", ("::1", 9000)),
        ("::1", ("::1", 8737)),
    ],
)
def test_an_address_is_read(text: str, address: tuple[str, int]) -> None:
    assert Address.parse(text) == address


@pytest.mark.parametrize("text", ["a:b", "h:65536", "h:-1", ":²"])
def test_what_is_no_address_is_said(text: str) -> None:
    with pytest.raises(UsageError, match="no address"):
        Address.parse(text)
