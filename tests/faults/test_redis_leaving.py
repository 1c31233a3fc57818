"""Connecting to an absent server and leaving one that has gone: reported, never hanging."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import redis

import arena_tui
from arena_tui.broker.protocol import STORE, Cursor, Limits
from arena_tui.broker.redis.advice import ACL_RULES
from arena_tui.broker_url import BrokerUrl
from arena_tui.config import Config
from arena_tui.consumers.persister import Persister
from arena_tui.errors import BrokerError
from arena_tui.events import Delivery, LogEvent
from arena_tui.services import sharing
from arena_tui.services.runtime import Runtime
from arena_tui.services.servers import HOST, RedisServer
from tests.faults.accounts import entries
from tests.faults.stage import QUICK, Producer
from tests.redis_fixture import MakeRedis
from tests.waiting import pause, until, until_blocking

NO_CONNECTION = "events could not be published: no connection to redis"


class Impatient(Runtime):
    """A runtime that gives up soon.

    Attributes:
        newest: The most recently created instance.
        patience_s: How long it waits while nothing is published.
    """

    newest: Impatient
    patience_s = 0.3

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options, give_up_s=self.patience_s)
        Impatient.newest = self


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sharing, "Runtime", Impatient)


def opened(server: RedisServer) -> tuple[arena_tui.Arena, arena_tui.Run]:
    arena = arena_tui.connect(server.url, store=False, strict=True)
    run = arena.run("synth", run_id="r")
    run.__enter__()
    return arena, run


def test_leaving_without_a_server_says_how_many_events_it_has_not(make_redis: MakeRedis) -> None:
    server = make_redis(aof=True)
    arena, run = opened(server)
    for count in range(299):
        run.log(str(count))
    until_blocking(lambda: len(list(entries(server.url, "r"))) == 300)
    server.kill()
    for count in range(200):
        run.log(str(count))

    with pytest.raises(BrokerError, match=f"^201 {NO_CONNECTION}") as raised:
        arena.close()

    server.start()
    in_server = len(list(entries(server.url, "r")))
    print(f"published 501, in the server {in_server}, said: {raised.value}")
    assert in_server == 300
    assert arena_threads() == []


def test_leaving_does_not_wait_behind_producers_that_wait(make_redis: MakeRedis) -> None:
    server = make_redis()
    arena, run = opened(server)
    until_blocking(lambda: len(list(entries(server.url, "r"))) == 1)
    server.kill()
    accepted = 0
    refused: list[str] = []

    def play() -> None:
        nonlocal accepted
        try:
            while True:
                run.log("x")
                accepted += 1
        except BrokerError as error:
            refused.append(str(error))

    thread = threading.Thread(target=play)
    thread.start()
    until_blocking(lambda: Impatient.newest.sink.stats().blocked_s > 0)
    with pytest.raises(BrokerError) as raised:
        arena.close()
    thread.join(60)

    print(f"accepted {accepted:,}, and the end of the run; said: {raised.value}")
    assert str(raised.value).startswith(f"{accepted + 1:,} {NO_CONNECTION}")
    assert refused == ["the broker is closed: nothing more can be published"]
    assert arena_threads() == []


def test_leaving_a_server_that_does_not_answer_ends_too(
    make_redis: MakeRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Impatient, "patience_s", 4.0)  # that is found out after 2 s
    server = make_redis()
    arena, run = opened(server)
    until_blocking(lambda: len(list(entries(server.url, "r"))) == 1)
    server.pause()
    for count in range(100):
        run.log(str(count))

    with pytest.raises(BrokerError, match=r"^101 events .*: redis \S+ does not answer"):
        arena.close()

    assert arena_threads() == []
    server.resume()
    texts = [each.text for each in entries(server.url, "r")]
    whole = ["run_start", *map(str, range(100)), "run_end"]
    assert texts == whole[: len(texts)]


def test_leaving_where_one_may_not_publish_says_how_many_events_are_not(
    make_redis: MakeRedis,
) -> None:
    server = make_redis()
    with redis.Redis.from_url(server.url) as admin:
        admin.execute_command("ACL", "SETUSER", "agent", "on", ">secret", *ACL_RULES.split())
        arena = arena_tui.connect(f"redis://agent:secret@{HOST}:{server.port}", store=False)
        admin.execute_command("ACL", "SETUSER", "agent", "-xadd")
        with arena.run("synth", run_id="r") as run:
            run.log("x")
        warnings = Impatient.newest.broker.warnings
        until_blocking(lambda: "does not permit" in " ".join(map(str, warnings.newest())))

        with pytest.raises(BrokerError, match=r"^3 events could not be .* does not permit"):
            arena.close()


async def test_leaving_does_not_wait_for_what_others_publish(
    make_redis: MakeRedis, tmp_path: Path
) -> None:
    server = make_redis()
    url = BrokerUrl(f"redis://agent:secret@{HOST}:{server.port}")
    runtime = Runtime(Config(broker=url, db=str(tmp_path / "a.db")), give_up_s=0.5, timing=QUICK)
    with redis.Redis.from_url(server.url) as admin:
        admin.execute_command("ACL", "SETUSER", "agent", "on", ">secret", *ACL_RULES.split())
        await runtime.open()
        admin.execute_command("ACL", "SETUSER", "agent", "-xadd")
    runtime.sink.emit("own", LogEvent())

    async def publish() -> None:
        while True:
            await others.publish("others", 20)
            await pause(0.005)

    async with Producer(server.url) as others:
        publishing = asyncio.create_task(publish())
        storing = runtime.running(STORE)
        await until(lambda: storing.consumer.stats().stored > 100)
        try:
            async with asyncio.timeout(10):
                unsaved = await runtime.aclose()
        finally:
            publishing.cancel()

    assert unsaved is not None
    assert unsaved.startswith("2 events could not be published: ")


async def test_leaving_waits_as_long_as_the_own_runs_are_being_stored(
    make_redis: MakeRedis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    published = asyncio.Event()

    class Slow(Persister):
        async def handle(self, batch: Sequence[Delivery]) -> Mapping[str, Cursor]:
            await published.wait()
            await pause(0.6)
            return await super().handle(batch)

    monkeypatch.setattr("arena_tui.consumers.persister.Persister", Slow)
    config = Config(broker=BrokerUrl(make_redis().url), db=str(tmp_path / "a.db"))
    runtime = Runtime(config, Limits(capacity=100_000), give_up_s=1.5)
    await runtime.open()
    storing = runtime.running(STORE)
    for _ in range(25_000):  # three batches, however far the store is behind
        runtime.sink.emit("own", LogEvent())
    await until(lambda: storing.unacked == 25_000)
    published.set()

    unsaved = await runtime.aclose()

    assert unsaved is None
    assert storing.consumer.stats().stored == 25_001


FORGETS = """
import os, signal, sys
import arena_tui
from arena_tui.services.runtime import Runtime

Runtime.__init__.__kwdefaults__["give_up_s"] = 0.3
url, pid = sys.argv[1:]
arena = arena_tui.connect(url, store=False)
run = arena.run("synth", run_id="r")
os.kill(int(pid), signal.SIGKILL)
for count in range(100):
    run.log("x")
"""


def test_a_program_that_does_not_close_ends_and_says_what_is_missing(
    make_redis: MakeRedis,
) -> None:
    server = make_redis()

    done = subprocess.run(
        [sys.executable, "-c", FORGETS, server.url, str(server.pid)],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip

    assert done.returncode == 0
    assert f"102 {NO_CONNECTION}" in done.stderr  # with its start and its end
    assert "Traceback" not in done.stderr


def test_connecting_to_nobody_is_said_in_one_line(make_redis: MakeRedis) -> None:
    server = make_redis()
    server.kill()

    with pytest.raises(BrokerError) as raised:
        arena_tui.connect(server.url, store=False)

    said = str(raised.value)
    assert said.startswith(f"cannot reach redis {HOST}:{server.port} (")
    assert said.endswith(f"): is it running? `arena-tui redis --port {server.port}` starts one")
    assert "\n" not in said
    assert arena_threads() == []


def test_connecting_to_a_server_that_does_not_answer_is_said_in_one_line(
    make_redis: MakeRedis,
) -> None:
    server = make_redis()
    server.pause()

    with pytest.raises(BrokerError) as raised:
        arena_tui.connect(server.url, store=False)

    assert str(raised.value) == (
        f"redis {HOST}:{server.port} does not answer: is it stopped, or another kind of server?"
    )
    assert arena_threads() == []


def arena_threads() -> list[str]:
    return [each.name for each in threading.enumerate() if each.name == "arena"]
