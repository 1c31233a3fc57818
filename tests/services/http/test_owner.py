"""What the owner of a store answers on the socket beside it."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from arena_tui.broker.attached.broker import AttachedBroker
from arena_tui.broker.protocol import RunMeta
from arena_tui.config import Config
from arena_tui.errors import StoreError, StoreLockedError, UsageError
from arena_tui.events import LogEvent, RunEnd
from arena_tui.services.runtime import Runtime
from arena_tui.services.sharing import make_runtime
from arena_tui.store import remote as store_remote
from arena_tui.store.database import Database
from arena_tui.store.history import History
from arena_tui.store.reading import Reader
from arena_tui.store.remote import QUERIES, RemoteDatabase
from arena_tui.store.verify import verify_store
from arena_tui.unix_socket import socket_path
from tests.programs import holding
from tests.services.http.served import NO_TLS
from tests.waiting import pause, until

AT = datetime(2026, 11, 28, 12, 3, 14, tzinfo=UTC)
ENDLESS = "SELECT count(*) FROM range(10000000000000)"


@pytest.fixture
async def owner(path: str) -> AsyncIterator[Runtime]:
    runtime = make_runtime(Config(db=path), attached=False)
    await runtime.open()
    yield runtime
    await runtime.aclose()


@pytest.fixture
async def remote(owner: Runtime, path: str) -> AsyncIterator[RemoteDatabase]:
    database = RemoteDatabase(path, patience_s=5)
    yield database
    database.close()


async def play(owner: Runtime, run_id: str, ends: bool = True) -> None:
    await owner.broker.open_run(RunMeta(run_id=run_id, game="chess"))
    for number in range(3):
        await owner.broker.publish(run_id, LogEvent(text=str(number), ts=AT))
    if ends:
        await owner.broker.publish(run_id, RunEnd(ts=AT))
    await owner.broker.settled([run_id])


def asking(path: str) -> httpx.AsyncClient:
    transport = httpx.AsyncHTTPTransport(uds=socket_path(path), verify=NO_TLS)
    return httpx.AsyncClient(transport=transport, base_url="http://arena")


async def test_history_is_read_as_in_the_owner(owner: Runtime, remote: RemoteDatabase) -> None:
    await play(owner, "a")
    assert owner.history is not None
    history = History(remote)

    assert await history.runs() == await owner.history.runs()
    epoch = (await history.run("a")).epoch
    assert await history.window("a", 1, 9, epoch) == await owner.history.window("a", 1, 9, epoch)
    assert await history.read(verify_store) == await owner.history.read(verify_store)


async def test_the_http_api_is_there(owner: Runtime, path: str) -> None:
    await play(owner, "a")
    async with asking(path) as http:
        (run,) = (await http.get("/runs")).json()["runs"]
        assert run["run_id"] == "a"
        assert (await http.get("/owner")).json()["pid"] == os.getpid()


async def test_runs_that_have_a_producer_are_live(owner: Runtime, remote: RemoteDatabase) -> None:
    await play(owner, "over")
    await play(owner, "going", ends=False)

    assert await asyncio.to_thread(remote.live_runs) == {"going"}


async def test_a_run_is_deleted_and_marked_by_the_owner(
    owner: Runtime, remote: RemoteDatabase
) -> None:
    await play(owner, "a")
    await play(owner, "live", ends=False)
    history = History(remote)
    epoch = (await history.run("a")).epoch

    assert await history.bookmark("a", epoch, 2, "here", AT) is True
    assert await history.bookmark("a", epoch, 2, "", AT) is False
    await history.delete("a")
    with pytest.raises(UsageError, match="run live is not over"):
        await history.delete("live")

    assert [each.run_id for each in await history.runs()] == ["live"]


async def test_cancelling_ends_the_query_in_the_owner(
    owner: Runtime, remote: RemoteDatabase
) -> None:
    """There are three readers: a fourth query would wait for ever if one of them went on."""
    for _ in range(4):
        reading = asyncio.create_task(remote.read(lambda each: each.execute(ENDLESS).fetchall()))
        await until(lambda: _is_reading(owner))
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
    assert await remote.read(lambda each: each.execute("SELECT 1").fetchall()) == [(1,)]


async def test_a_query_may_take_longer_than_connecting(
    owner: Runtime, remote: RemoteDatabase, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The owner puts two at once to its store: a third one waits for them."""
    connecting_s = 2.0
    monkeypatch.setattr(store_remote, "CONNECT_S", connecting_s)
    slow = [
        asyncio.create_task(remote.read(lambda each: each.execute(ENDLESS).fetchall()))
        for _ in range(2)
    ]
    await until(lambda: owner.database is not None and owner.database.reads == 2)
    impatient = RemoteDatabase(path, patience_s=0)
    third = asyncio.create_task(impatient.read(lambda each: each.execute("SELECT 1").fetchall()))
    await pause(connecting_s + 0.5)
    assert not third.done()

    for each in slow:
        each.cancel()

    assert await third == [(1,)]
    impatient.close()


def _is_reading(owner: Runtime) -> bool:
    assert owner.database is not None
    return owner.database.reads > 0


async def test_a_removed_socket_is_made_anew(
    owner: Runtime, remote: RemoteDatabase, path: str
) -> None:
    os.unlink(socket_path(path))

    assert await remote.read(lambda each: each.execute("SELECT 1").fetchall()) == [(1,)]


async def test_the_socket_goes_with_its_owner(path: str) -> None:
    runtime = make_runtime(Config(db=path), attached=False)
    await runtime.open()
    assert Path(socket_path(path)).is_socket()

    await runtime.aclose()

    assert not os.path.lexists(socket_path(path))


async def test_where_no_socket_can_be_made_the_store_works_all_the_same(path: str) -> None:
    Path(socket_path(path)).write_text("in the way")
    runtime = make_runtime(Config(db=path), attached=False)
    await runtime.open()

    await play(runtime, "a")
    warned = [each.code for each in runtime.broker.warnings.newest()]

    assert await runtime.aclose() is None
    assert warned == ["store_not_shared"]


async def test_without_an_owner_a_read_fails_in_words(path: str) -> None:
    remote = RemoteDatabase(path, patience_s=0)

    with pytest.raises(StoreError, match=r"does not answer: try again"):
        await remote.read(lambda each: each.execute("SELECT 1").fetchall())
    remote.close()


@pytest.mark.parametrize(
    "sent",
    [b"\0" * 1_000, b"a" * 200_000, b"POST /store/queries HTTP/1.1\r\n"
     b"host: a\r\ncontent-length: 10\r\n\r\n\xc1\xc1\xc1\xc1\xc1\xc1\xc1\xc1\xc1\xc1"],
)  # fmt: skip
async def test_garbage_costs_only_its_connection(
    owner: Runtime, remote: RemoteDatabase, path: str, sent: bytes
) -> None:
    reader, writer = await asyncio.open_unix_connection(socket_path(path))
    writer.write(sent)
    answer = await asyncio.wait_for(reader.read(100), 20)
    writer.close()

    assert answer == b"" or b" 400 " in answer
    assert await remote.read(lambda each: each.execute("SELECT 1").fetchall()) == [(1,)]


async def test_a_body_that_is_too_large_is_refused(owner: Runtime, path: str) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(40):
            yield b"\0" * 1_000_000

    async with asking(path) as http:
        answer: Any = await http.post(QUERIES, content=endless())
    assert answer.status_code == 400
    assert "at once" in answer.json()["error"]


async def test_many_connections_leave_the_owner_answering(owner: Runtime, path: str) -> None:
    links = []
    try:
        for _ in range(1_500):
            link = socket.socket(socket.AF_UNIX)
            link.setblocking(False)
            links.append(link)
            try:
                link.connect(socket_path(path))
            except BlockingIOError:
                await asyncio.sleep(0)
        for link in links:
            link.close()
        async with asking(path) as http:
            await until(lambda: _answers(http))
    finally:
        for link in links:
            link.close()


async def _answers(http: httpx.AsyncClient) -> bool:
    try:
        return (await http.get("/owner")).status_code == 200
    except httpx.TransportError:
        return False


def test_a_store_that_its_owner_cannot_share_is_not_waited_for(path: str) -> None:
    Path(socket_path(path)).write_text("in the way")
    with holding(path) as holder:
        refused = f"is open in process {holder.pid}, which does not share it"
        reading = RemoteDatabase(path, patience_s=3_600, open_here=partial(_read_here, path))
        with pytest.raises(StoreLockedError, match=refused):
            reading.read_now(lambda each: each.execute("SELECT 1").fetchall())
        reading.close()

        with pytest.raises(StoreLockedError, match=refused):
            asyncio.run(_attach(path))


def _read_here(path: str, work: Callable[[Reader], Any]) -> Any:
    with closing(Database(path, only_read=True)) as database:
        return database.read_now(work)


async def _attach(path: str) -> None:
    async def take_over() -> bool:
        Database(path).close()
        return True

    await AttachedBroker(path, take_over=take_over, patience_s=3_600).start()
