"""Events that the server takes late or never: large, not permitted, or of an ended run."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import redis

import arena_tui
from arena_tui.broker.redis.advice import ACL_RULES
from arena_tui.broker.redis.broker import RedisBroker
from arena_tui.broker_url import BrokerUrl
from arena_tui.errors import BrokerError
from arena_tui.events import new_run_id
from arena_tui.services.servers import RedisServer
from tests.faults.accounts import FULL, entries
from tests.faults.proxy import Proxy
from tests.redis_fixture import MakeRedis
from tests.waiting import until, until_blocking

RUNS, SIZES = ((1, 40, 400), (1, 1_000, 20_000, 100_000, 256_000)) if FULL else ((40,), (200_000,))
ATTEMPTS = 8 if FULL else 6
"""Failed ones, after which the writer sends its smallest portions, or smaller than one event; they
take less time than leaving has patience."""

WHOLE = ["run_start", "observation", "run_end"]
AGENT = "on", ">secret", *ACL_RULES.split()


async def play(url: str, runs: int, size: int, connected: Callable[[], Any] = bool) -> None:
    """Play runs of three events, the last two of this size, all at once; in another thread.

    A large event that is the last of its run waiting is one that cannot be split off.
    """

    def one(arena: arena_tui.Arena, number: int) -> None:
        with arena.run("synth", run_id=f"r{number}") as run:
            run.observation("x" * size)
            run.end(reason="x" * size)

    def all_of_them() -> None:
        with arena_tui.connect(url, store=False) as arena:
            connected()
            threads = [threading.Thread(target=one, args=(arena, each)) for each in range(runs)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()

    await asyncio.to_thread(all_of_them)


def kept(server: RedisServer, runs: int) -> list[list[str]]:
    """What the server has of each run."""
    return [
        ["observation" if each.text[0] == "x" else each.text for each in entries(server.url, run)]
        for run in (f"r{number}" for number in range(runs))
    ]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("runs", RUNS)
async def test_large_events_of_many_runs_arrive(
    make_redis: MakeRedis, runs: int, size: int
) -> None:
    server = make_redis()

    await play(server.url, runs, size)

    assert kept(server, runs) == [WHOLE] * runs


@pytest.mark.parametrize("killed", [False, True])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("runs", RUNS)
async def test_large_events_arrive_once_the_server_is_back(
    make_redis: MakeRedis, runs: int, size: int, killed: bool
) -> None:
    server = make_redis(aof=True)
    async with Proxy(server.port) as proxy:
        loop, away = asyncio.get_running_loop(), asyncio.Event()

        def leave() -> None:
            proxy.refuse()
            proxy.reset()
            away.set()

        connected = partial(loop.call_soon_threadsafe, leave)
        playing = asyncio.create_task(play(proxy.url, runs, size, connected))
        await away.wait()
        if killed:
            server.kill()
            server.start()
        before = proxy.connections_ever
        await until(lambda: proxy.connections_ever >= before + ATTEMPTS)
        proxy.pass_through()
        await playing

    assert kept(server, runs) == [WHOLE] * runs


def test_leaving_says_how_many_events_were_refused(make_redis: MakeRedis) -> None:
    server = make_redis()
    run_id = new_run_id()

    arena = arena_tui.connect(server.url, store=False)
    with arena.run("synth", run_id=run_id) as run:
        until_blocking(lambda: len(list(entries(server.url, run_id))) == 1)
        asyncio.run(end_elsewhere(server.url, run_id))
        for number in range(50):
            run.log(str(number))
    with pytest.raises(BrokerError) as raised:
        arena.close()

    assert str(raised.value) == f"51 events were refused: run {run_id} has ended: open a new run"
    assert [each.text for each in entries(server.url, run_id)] == ["run_start", "run_end"]


async def end_elsewhere(url: str, run_id: str) -> None:
    """End the run as another process does."""
    broker = RedisBroker(BrokerUrl(url), reading=False)
    await broker.start()
    await broker.close_run(run_id)
    await broker.aclose()


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ("REPLICAOF 127.0.0.1 1", "is a read-only replica"),
        ("CONFIG SET maxmemory 1", "is full (maxmemory)"),
    ],
    ids=["replica", "full"],
)
def test_leaving_says_how_many_events_a_server_did_not_take(
    make_redis: MakeRedis, fault: str, told: str
) -> None:
    server = make_redis()
    arena = arena_tui.connect(server.url, store=False)
    with redis.Redis.from_url(server.url) as admin, arena.run("synth", run_id="r0") as run:
        until_blocking(lambda: kept(server, 1) == [["run_start"]])
        admin.execute_command(*fault.split())
        for number in range(50):
            run.log(str(number))

    with pytest.raises(BrokerError) as raised:
        arena.close()

    assert str(raised.value).startswith("51 events could not be published: ")
    assert told in str(raised.value)


def test_what_is_not_permitted_is_tried_again_until_it_is(make_redis: MakeRedis) -> None:
    server = make_redis()
    with redis.Redis.from_url(server.url) as admin:
        admin.execute_command("ACL", "SETUSER", "agent", *AGENT)
        arena = arena_tui.connect(f"redis://agent:secret@127.0.0.1:{server.port}", store=False)
        run = arena.run("synth", run_id="r0")
        admin.execute_command("ACL", "SETUSER", "agent", "-xadd")
        with run:
            run.observation("x")
        until_blocking(lambda: sum(int(each["count"]) for each in admin.acl_log()) >= 3)
        refused_so_far = kept(server, 1)

        admin.execute_command("ACL", "SETUSER", "agent", "+xadd")
        arena.close()

    assert refused_so_far == [[]]
    assert kept(server, 1) == [WHOLE]
