"""`connect()` to a server that takes no events: refused at once, in one line, with a remedy."""

from __future__ import annotations

from pathlib import Path

import pytest
import redis

import arena_tui
from arena_tui.broker.redis.advice import ACL_RULES, PUBLISHING
from arena_tui.errors import BrokerError
from tests.redis_fixture import MakeRedis
from tests.servers import OwnServer
from tests.waiting import until_blocking


@pytest.fixture
def server(make_redis: MakeRedis, redis_binary: Path) -> OwnServer:
    return make_redis(binary=redis_binary)


def refusal(url: str) -> str:
    with pytest.raises(BrokerError) as raised:
        arena_tui.connect(url, store=False)
    assert "\n" not in str(raised.value)
    return str(raised.value)


def as_user(server: OwnServer, rules: str) -> str:
    with redis.Redis.from_url(server.url) as admin:
        admin.execute_command("ACL", "SETUSER", "agent", "reset", "on", ">secret", *rules.split())
    return f"redis://agent:secret@127.0.0.1:{server.port}"


def test_a_wrong_password_is_refused_at_once(server: OwnServer) -> None:
    said = refusal(as_user(server, ACL_RULES).replace("secret", "other"))

    assert said.endswith("check both in the URL, or REDIS_PASSWORD")


@pytest.mark.parametrize("lacking", PUBLISHING)
def test_a_user_who_may_not_publish_is_refused_at_once(server: OwnServer, lacking: str) -> None:
    rules = " ".join(each for each in ACL_RULES.split() if each != f"+{lacking}")

    said = refusal(as_user(server, rules))

    assert said.endswith(f"does not permit this user all that is needed: "
                         f"ACL SETUSER … ~arena:* +{lacking}")  # fmt: skip


def test_a_user_of_other_keys_is_refused_at_once(server: OwnServer) -> None:
    said = refusal(as_user(server, ACL_RULES.replace("~arena:*", "~other:*")))

    assert "does not permit this user all that is needed: ACL SETUSER … ~arena:* +" in said


def test_a_user_who_may_only_publish_is_not_refused(server: OwnServer) -> None:
    always = "client|setname", "ping", "script|load", "select", "evalsha"
    rules = " ".join(["~arena:*", *(f"+{command}" for command in (*always, *PUBLISHING))])
    url = as_user(server, rules)

    with arena_tui.connect(url, store=False) as arena, arena.run("synth", run_id="r") as run:
        run.action("e4")

    with redis.Redis.from_url(server.url) as client:
        assert client.xlen("arena:r:events") == 3


def test_a_cluster_is_refused_at_once(make_redis: MakeRedis, redis_binary: Path) -> None:
    server = make_redis(binary=redis_binary, extra=("--cluster-enabled", "yes"))

    said = refusal(server.url)

    assert said.endswith("is a Redis Cluster: use a single server (with replicas)")


def test_a_replica_is_refused_at_once(
    server: OwnServer, make_redis: MakeRedis, redis_binary: Path
) -> None:
    replica = make_redis(binary=redis_binary, extra=("--replicaof", "127.0.0.1", str(server.port)))
    with redis.Redis.from_url(replica.url) as client:
        until_blocking(lambda: client.info("replication")["master_link_status"] == "up")

    said = refusal(replica.url)

    assert said.endswith("is a read-only replica: give the URL of its primary")
