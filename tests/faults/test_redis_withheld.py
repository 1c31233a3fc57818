"""Rights and keys that are withheld from one run for a while: it waits, the others go on."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

import arena_tui
from arena_tui.broker.redis.advice import ACL_RULES
from arena_tui.broker.redis.scripts import events_key, meta_key
from arena_tui.errors import BrokerError
from arena_tui.producers.run import Run
from tests.faults.accounts import entries
from tests.faults.stage import Producer, Station
from tests.redis_fixture import MakeRedis
from tests.servers import OwnServer
from tests.waiting import until_blocking

OTHER_KEYS = ("~arena:runs", "~arena:consumers", "~arena:acks:*", "~arena:good:*")


@pytest.fixture
def server(make_redis: MakeRedis, redis_binary: Path) -> OwnServer:
    return make_redis(binary=redis_binary)


@pytest.fixture
def admin(server: OwnServer) -> Iterator[redis.Redis]:
    """The server's administrator, with a user `agent` of the least rights."""
    with redis.Redis.from_url(server.url, protocol=2) as client:
        client.execute_command("ACL", "SETUSER", "agent", "on", ">secret", *ACL_RULES.split())
        yield client


@pytest.fixture
def arena(server: OwnServer, admin: redis.Redis) -> arena_tui.Arena:
    return arena_tui.connect(f"redis://agent:secret@127.0.0.1:{server.port}", store=False)


def texts(server: OwnServer, run_id: str) -> list[str]:
    return [each.text for each in entries(server.url, run_id)]


def play(run: Run, first: int, last: int) -> None:
    for number in range(first, last):
        run.log(str(number))


def whole(count: int) -> list[str]:
    return ["run_start", *map(str, range(count)), "run_end"]


def begun(server: OwnServer, arena: arena_tui.Arena, *names: str) -> list[Run]:
    """Runs of whose events the server has the first 100."""
    runs = [arena.run("synth", run_id=name).__enter__() for name in names]
    for run in runs:
        play(run, 0, 100)
    for run in runs:
        until_blocking(lambda run=run: len(texts(server, run.id)) == 101)
    return runs


def refusals(admin: redis.Redis) -> int:
    return sum(int(each["count"]) for each in admin.acl_log())


def errors(admin: redis.Redis) -> int:
    """How often the server answered that a key is of the wrong type."""
    stats = admin.info("errorstats")
    return sum(each["count"] for name, each in stats.items() if "WRONGTYPE" in name)


def test_keys_of_one_run_withheld_for_a_while_cost_no_event_and_hold_up_no_other(
    server: OwnServer, admin: redis.Redis, arena: arena_tui.Arena
) -> None:
    with arena:
        good, bad = begun(server, arena, "good", "bad")
        admin.execute_command("ACL", "SETUSER", "agent", "resetkeys", *OTHER_KEYS)
        for number in range(100, 300):
            for run in (bad, good):
                run.log(str(number))
        until_blocking(lambda: refusals(admin) >= 3)
        good.end()
        until_blocking(lambda: texts(server, "good") == whole(300))
        bad_meanwhile = len(texts(server, "bad"))
        admin.execute_command("ACL", "SETUSER", "agent", "~arena:*")
        play(bad, 300, 400)
        bad.end()

    assert bad_meanwhile == 101
    assert texts(server, "bad") == whole(400)


@pytest.mark.parametrize("key_of", [events_key, meta_key])
def test_a_key_of_another_type_for_a_while_costs_no_event_and_holds_up_no_other(
    server: OwnServer, admin: redis.Redis, arena: arena_tui.Arena, key_of: type[str]
) -> None:
    with arena:
        good, bad = begun(server, arena, "good", "bad")
        admin.rename(key_of("bad"), "aside")
        admin.set(key_of("bad"), "another program's")
        play(bad, 100, 300)
        play(good, 100, 300)
        bad.end()
        good.end()
        until_blocking(lambda: errors(admin) >= 3)
        until_blocking(lambda: texts(server, "good") == whole(300))
        admin.delete(key_of("bad"))
        admin.rename("aside", key_of("bad"))

    assert texts(server, "bad") == whole(300)


def test_what_stays_withheld_is_counted_and_raised_at_the_end_and_said_once(
    server: OwnServer, admin: redis.Redis, arena: arena_tui.Arena, caplog: pytest.LogCaptureFixture
) -> None:
    good, bad = begun(server, arena, "good", "bad")
    caplog.clear()
    caplog.set_level(logging.INFO)
    admin.rename(events_key("bad"), "aside")
    admin.set(events_key("bad"), "another program's")
    play(bad, 100, 300)
    play(good, 100, 300)

    with pytest.raises(BrokerError) as raised:
        arena.close()

    assert str(raised.value).startswith("201 events could not be published: ")
    assert "run bad" in str(raised.value)
    assert texts(server, "good") == [*whole(300)]
    assert len([text for text in caplog.messages if "bad" in text]) == 1


def test_a_right_withheld_from_the_whole_process_for_a_while_costs_no_event(
    server: OwnServer, admin: redis.Redis, arena: arena_tui.Arena
) -> None:
    with arena:
        runs = begun(server, arena, "good", "bad")
        for rule in ("-hset", "-evalsha", "off"):
            before = refusals(admin)
            admin.execute_command("ACL", "SETUSER", "agent", rule)
            if rule == "off":
                admin.client_kill_filter(_type="normal", skipme=True)
            for run in runs:
                run.log(rule)
            until_blocking(lambda before=before: refusals(admin) > before)
            admin.execute_command("ACL", "SETUSER", "agent", "on", "+hset", "+evalsha")

    for run in runs:
        assert texts(server, run.id)[101:] == ["-hset", "-evalsha", "off", "run_end"]


async def test_what_is_given_up_is_a_gap_in_every_store_once_the_run_can_be_written(
    server: OwnServer, admin: redis.Redis, tmp_path: Path
) -> None:
    async with Producer(server.url) as producer, Station(server.url, tmp_path / "a.db") as station:
        await producer.publish("bad", 20)
        await station.has("bad", 20)
        admin.rename(meta_key("bad"), "aside")
        admin.set(meta_key("bad"), "another program's")
        given_up = await producer.publish("bad", 5)
        admin.delete(meta_key("bad"))
        admin.rename("aside", meta_key("bad"))
        await station.accounts_for("bad", 25)
        first = await station.account("bad")
        await producer.publish("bad", 10)
        await producer.end("bad")
        async with Station(server.url, tmp_path / "late.db") as late:
            for each in (station, late):
                await each.accounts_for("bad", 36)

            accounts = [await each.account("bad") for each in (station, late)]

    assert given_up == 5
    assert (first.stored, first.lost) == (20, 5)
    for account in accounts:
        assert account.gaps == [(21, 25, "trimmed")]
        assert account.numbers == [*range(1, 31)]


async def test_a_run_whose_beginning_is_given_up_begins_with_a_gap(
    server: OwnServer, admin: redis.Redis, tmp_path: Path
) -> None:
    admin.set(events_key("bad"), "another program's")
    async with Producer(server.url) as producer, Station(server.url, tmp_path / "a.db") as station:
        await producer.publish("good", 5)
        await producer.publish("bad", 7)
        admin.delete(events_key("bad"))

        await station.accounts_for("bad", 7)
        assert (await station.account("bad")).gaps == [(1, 7, "trimmed")]
