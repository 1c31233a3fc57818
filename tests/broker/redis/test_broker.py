"""The broker on servers with a password, ACLs, TLS, a Unix socket; on replicas and old versions.

All servers are real, except for two that a current one cannot be configured as: one older than 7.0,
and one of a cluster.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import subprocess
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import redis

from arena_tui.broker.protocol import Cursor, Limits, RunMeta
from arena_tui.broker.redis.advice import ACL_RULES
from arena_tui.broker.redis.broker import RedisBroker
from arena_tui.broker.redis.examine import examine
from arena_tui.broker.redis.scripts import meta_key
from arena_tui.broker_url import BrokerUrl
from arena_tui.codec import sealed
from arena_tui.errors import BrokerError
from arena_tui.events import Delivery, Envelope, LogEvent, RunEnd, RunStart
from arena_tui.services.servers import RedisServer
from tests.faults.accounts import link_of
from tests.redis_fixture import BINARIES, MakeRedis
from tests.waiting import until

PASSWORD = "a:b@c/d?e f%20ü"
ENCODED = "a%3Ab%40c%2Fd%3Fe%20f%2520%C3%BC"
EVENTS = (RunStart(game="g"), LogEvent(text="ü"), RunEnd())


@contextlib.asynccontextmanager
async def broker_at(url: str, limits: Limits | None = None) -> AsyncIterator[RedisBroker]:
    broker = RedisBroker(BrokerUrl(url), limits)
    try:
        await broker.start()
        yield broker
    finally:
        await broker.aclose()


async def carries(url: str) -> bool:
    """Whether another process receives the events one process publishes, in order."""
    async with broker_at(url) as publisher, broker_at(url) as watcher:
        subscription = watcher.subscribe("test")
        await publisher.publish_all([("run", *sealed(each)) for each in EVENTS])
        read: list[Delivery] = []
        async with asyncio.timeout(20):
            while len(read) < len(EVENTS):
                read += await anext(subscription)
    return [each.event for each in read if isinstance(each, Envelope)] == [
        *map(sealed_event, EVENTS)
    ]


def sealed_event(event: Any) -> Any:
    return sealed(event)[0]


async def test_once_caught_up_all_that_the_server_had_has_been_read(redis_url: str) -> None:
    run_ids = [f"run{number}" for number in range(200)]
    async with broker_at(redis_url) as publisher:
        await publisher.publish_all([(run, *sealed(each)) for run in run_ids for each in EVENTS])
        await publisher.flush()

        for number in range(5):
            late = RedisBroker(BrokerUrl(redis_url))
            late.subscribe("late", durable=True, identity=f"late {number}")  # nothing is reaped
            await late.start()
            infos = await late.runs(caught_up=True)
            await late.aclose()

            assert [info.state for info in infos] == ["closed"] * len(run_ids)


async def refusal(url: str) -> str:
    """The message for a server that cannot be used."""
    with pytest.raises(BrokerError) as caught:
        async with broker_at(url):
            pass
    said = str(caught.value)
    assert "\n" not in said
    return said


def cursor_after(delivery: Delivery) -> Cursor:
    seq = delivery.seq if isinstance(delivery, Envelope) else delivery.to_seq
    return Cursor(delivery.epoch, seq)


async def everything(url: str, admin: redis.Redis) -> None:
    """Use every command that brokers, a store and the doctor send."""
    runs = ["one", "two", "three"]
    async with broker_at(url, Limits(capacity=8, retain=1, closed_run_s=0)) as broker:
        subscription = broker.subscribe("store", durable=True)

        async def store() -> None:
            async for batch in subscription:
                subscription.ack({each.run_id: cursor_after(each) for each in batch})

        storing = asyncio.create_task(store())
        for run_id in runs:
            await broker.open_run(RunMeta(run_id=run_id))
            await broker.publish_all([(run_id, *sealed(LogEvent())) for _ in range(12)])
            await broker.heartbeat([run_id])
            admin.delete(meta_key(run_id))  # the stream is recreated after its old entries
            await broker.publish_all([(run_id, *sealed(LogEvent()))])
            await broker.close_run(run_id)
        await broker.settled(runs)
        await until(lambda: not admin.exists(*map(meta_key, runs)))  # they have expired
        await examine(BrokerUrl(url))
        await broker.reap("three")
        await broker.open_run(RunMeta(run_id="odd"))
        admin.set("arena:odd:events", "no stream")
        await until(lambda: warns(broker, "is gone"))
        storing.cancel()
        await broker.forget("store")


async def warns(broker: RedisBroker, text: str) -> bool:
    return any(text in str(warning) for warning in (await broker.stats()).warnings)


def as_user(server: RedisServer, rules: str) -> str:
    """The server's URL for a new user with a password and these rules."""
    with redis.Redis.from_url(server.url) as admin:
        admin.execute_command(
            "ACL", "SETUSER", "agent", "reset", "on", f">{PASSWORD}", *rules.split()
        )
    return server.url.replace("//", f"//agent:{ENCODED}@")


@pytest.fixture(params=BINARIES or ["redis"])
def make_server(
    request: pytest.FixtureRequest, make_redis: MakeRedis
) -> Callable[..., RedisServer]:
    """`make_redis` for each kind of server."""
    return lambda *extra: make_redis(binary=BINARIES.get(request.param), extra=extra)


MakeServer = Callable[..., RedisServer]


async def test_a_password_opens_the_server_and_a_wrong_one_is_one_line(
    make_server: MakeServer,
) -> None:
    server = make_server("--requirepass", PASSWORD)
    place = f"127.0.0.1:{server.port}"

    assert await carries(f"redis://:{ENCODED}@{place}")
    assert await carries(f"redis://:{PASSWORD.replace('%', '%25')}@{place}")
    for wrong, advice in (
        (f"redis://:{ENCODED}x@{place}", "check both in the URL, or REDIS_PASSWORD"),
        (f"redis://{place}", "give both in the URL, or set REDIS_PASSWORD"),
    ):
        assert await refusal(wrong) == f"redis {place} refuses the user or the password: {advice}"


async def test_a_password_that_the_server_does_not_have_is_to_be_left_out(
    make_server: MakeServer,
) -> None:
    server = make_server()

    said = await refusal(f"redis://:{ENCODED}@127.0.0.1:{server.port}")

    assert said.endswith("has no password: leave it out of the URL and of REDIS_PASSWORD")


async def test_a_user_with_the_least_rights_can_do_everything(make_server: MakeServer) -> None:
    server = make_server()
    url = as_user(server, ACL_RULES)

    with redis.Redis.from_url(f"{server.url}/1", protocol=2) as admin:
        admin.config_resetstat()
        await everything(f"{url}/1", admin)
        refused = [entry["object"] for entry in admin.acl_log()]
        asked = {name.removeprefix("cmdstat_") for name in admin.info("commandstats")}

    assert set(refused) <= {"client|setinfo"}  # which is optional for the client library
    permitted = {rule.removeprefix("+") for rule in ACL_RULES.split()[1:]}
    assert permitted - asked == set()


@pytest.mark.parametrize("lacking", ["+ping", "+script|load", "+evalsha"])
async def test_a_user_who_can_do_nothing_is_told_all_that_is_needed(
    make_server: MakeServer, lacking: str
) -> None:
    server = make_server()

    said = await refusal(as_user(server, ACL_RULES.replace(lacking, "", 1)))

    assert "does not permit it" in said
    assert said.endswith(f"permit this user {ACL_RULES}")
    assert PASSWORD not in said


@pytest.mark.parametrize(
    ("rules", "needs"),
    [
        (ACL_RULES.replace("+xread ", "").replace("+type ", ""), "~arena:* +type +xread"),
        (ACL_RULES.replace("~arena:*", "~arena:runs %R~arena:*"), "~arena:* +del +expire +hdel"),
    ],
    ids=["commands", "keys"],
)
async def test_a_user_who_lacks_some_rights_is_told_which(
    make_server: MakeServer, rules: str, needs: str
) -> None:
    url = as_user(make_server(), rules)

    async with broker_at(url) as broker:
        warnings = [str(each) for each in (await broker.stats()).warnings]
    risks = {each.what: each.remedy for each in (await examine(BrokerUrl(url))).risks}

    [said] = [text for text in warnings if "does not permit" in text]
    assert f"does not permit this user all that is needed: ACL SETUSER … {needs}" in said
    assert any(advice.startswith(f"ACL SETUSER … {needs}") for advice in risks.values())


async def test_without_info_it_works_all_the_same(make_server: MakeServer) -> None:
    server = make_server()

    assert await carries(as_user(server, ACL_RULES.replace("+info", "")))


async def test_a_socket_and_a_number_of_a_database(make_server: MakeServer, tmp_path: Path) -> None:
    path = tmp_path / "a socket"
    server = make_server("--unixsocket", str(path))
    where = str(path).replace(" ", "%20")

    assert await carries(f"unix://{where}")
    assert await carries(f"unix://{where}?db=3")
    assert await carries(f"redis://127.0.0.1:{server.port}/4")
    with redis.Redis.from_url(server.url) as client:
        assert sorted(client.info("keyspace")) == ["db0", "db3", "db4"]
    assert "has no database of that number" in await refusal(f"{server.url}/99")
    assert await refusal(f"unix://{where}x") == (
        f"cannot reach redis {path}x (No such file or directory): is it running?"
    )


async def test_over_tls_with_a_certificate_of_ones_own(
    make_server: MakeServer, tmp_path: Path
) -> None:
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj",
         "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
         "-keyout", key, "-out", certificate],
        check=True, capture_output=True,
    )  # fmt: skip
    port = free_port()
    words = ("--tls-port", str(port), "--tls-cert-file", str(certificate), "--tls-key-file",
             str(key), "--tls-ca-cert-file", str(certificate),
             "--tls-auth-clients", "no")  # fmt: skip
    try:
        server = make_server(*words)
    except BrokerError as error:
        pytest.skip(f"this server is built without TLS: {error}")

    assert await carries(f"rediss://127.0.0.1:{port}?ssl_ca_certs={certificate}")
    assert await carries(f"rediss://localhost:{port}?ssl_cert_reqs=none&ssl_check_hostname=false")
    assert "give what signed it" in await refusal(f"rediss://127.0.0.1:{port}")
    assert "to be used with TLS (rediss://)?" in await refusal(f"redis://127.0.0.1:{port}")
    assert "is it stopped, or without TLS (redis://)?" in await refusal(
        f"rediss://127.0.0.1:{server.port}"
    )


async def test_a_replica_shows_runs_and_takes_none(make_server: MakeServer) -> None:
    server = make_server()
    replica = make_server("--replicaof", f"127.0.0.1 {server.port}")
    async with broker_at(server.url) as publisher, broker_at(replica.url) as watcher:
        subscription = watcher.subscribe("test")
        await publisher.publish_all([("run", *sealed(each)) for each in EVENTS])
        read: list[Delivery] = []
        async with asyncio.timeout(20):
            while len(read) < len(EVENTS):
                read += await anext(subscription)
        publishing = asyncio.create_task(watcher.publish_all([("other", *sealed(LogEvent()))]))
        link = await until(lambda: link_of(watcher))
        publishing.cancel()

    assert link.startswith(f"redis 127.0.0.1:{replica.port} is a read-only replica for")


async def test_a_server_that_is_loading_is_said_to_be(make_server: MakeServer) -> None:
    server = make_server("--key-load-delay", "0")
    with redis.Redis.from_url(server.url) as admin:
        for number in range(500):
            admin.set(str(number), os.urandom(1_000))
        admin.save()
    command = [*server_words(server), "--key-load-delay", "10000",
               "--loading-process-events-interval-bytes", "1024"]  # fmt: skip
    server.stop()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        async with asyncio.timeout(20):
            while "cannot reach" in (said := await refusal(server.url)):
                pass
    finally:
        process.kill()
        process.wait()

    assert said == f"redis 127.0.0.1:{server.port} is loading its data: try again when it has"


def server_words(server: RedisServer) -> list[str]:
    assert server.process is not None
    return [str(word) for word in server.process.args]  # type: ignore[union-attr]


def free_port() -> int:
    """A free port below the ephemeral range."""
    for port in range(15_000, 30_000):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no free port")


@pytest.mark.parametrize(
    ("info", "said"),
    [
        ("redis_version:6.2.14", "is redis 6.2.14: use Redis 7.0 or newer, or Valkey"),
        ("redis_version:7.2.4\r\ncluster_enabled:1", "is a Redis Cluster: use a single server"),
    ],
)
async def test_a_server_that_will_not_do_is_named(info: str, said: str) -> None:
    """Uses a fake server, which answers only PING and INFO."""
    server = await asyncio.start_server(imitation(f"{info}\r\n".encode()), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        told = await refusal(f"redis://127.0.0.1:{port}")

    assert said in told


def imitation(info: bytes) -> Any:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while asked := await reader.read(4_096):
            for word in asked.upper().split(b"\r\n"):
                if word == b"INFO":
                    writer.write(b"$%d\r\n%b\r\n" % (len(info), info))
                elif word in (b"PING", b"CLIENT"):
                    writer.write(b"+PONG\r\n" if word == b"PING" else b"+OK\r\n")
        writer.close()

    return answer


async def test_another_kind_of_server_is_said_to_be_none(tmp_path: Path) -> None:
    async def web(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(web, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        said = await refusal(f"redis://127.0.0.1:{port}")

    assert said == f"redis 127.0.0.1:{port} is no Redis server: give the host and port of one"
