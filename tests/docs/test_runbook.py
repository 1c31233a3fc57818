"""Each section of the runbook, tried: the fault is made, what the section promises is seen, what it
says is typed, and the fault is gone."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from pathlib import Path
from typing import get_args

import pytest
import redis

from arena_tui.broker.redis.scripts import acks_key, events_key, meta_key
from arena_tui.cli.findings import Section
from arena_tui.unix_socket import socket_path
from tests.cli.test_close import agent, kill
from tests.docs.desk import RUNBOOK, Desk, commands, has_tools, promised, sections
from tests.redis_fixture import MakeRedis
from tests.services.metrics.test_rules import rules
from tests.waiting import until_blocking

pytestmark = pytest.mark.skipif(not has_tools(), reason="needs redis-cli, ps, df and sh")


def stored_events(desk: Desk) -> str:
    """What `verify` says in the end."""
    return desk.type("arena-tui verify").stdout.splitlines()[-1]


def test_it_has_the_sections_that_doctor_names() -> None:
    assert tuple(sections()) == get_args(Section)


@pytest.mark.parametrize("section", get_args(Section))
def test_every_section_says_what_to_type(section: str) -> None:
    assert commands(section, "Look")
    assert "\nDo" in sections()[section]
    assert "\nOver when" in sections()[section]


def test_alerts_are_named_where_they_point_to() -> None:
    pointers = {(each["alert"], each["runbook"].partition("#")[2]) for each in rules()}

    named = {
        (alert, name.lower().replace(" ", "-"))
        for name, text in sections().items()
        for alert in re.findall(r"`(Arena\w+)`", text)
    }
    assert pointers <= named
    assert {alert for alert, _ in named} == {alert for alert, _ in pointers}


def test_references_from_section_to_section_resolve() -> None:
    anchors = {name.lower().replace(" ", "-") for name in sections()}

    assert set(re.findall(r"\]\(#(.+?)\)", RUNBOOK.read_text())) <= anchors


def test_redis_is_down(tmp_path: Path, make_redis: MakeRedis) -> None:
    name = "Redis is down"
    free = make_redis()
    free.kill()
    desk = Desk(tmp_path, free.url)
    [start] = commands(name, "Do")
    with desk.running(start, PORT=free.port) as server:
        server.says("listens at")
        with desk.persisting() as persist:
            desk.publish("a", 10)
            with redis.Redis.from_url(free.url) as client:
                os.kill(client.info("server")["process_id"], signal.SIGKILL)
            persist.says(promised(name, "no connection to redis"))
            ping, doctor = map(desk.type, commands(name, "Look"))
            with desk.running(start, PORT=free.port) as again:
                again.says("listens at")
                persist.says(promised(name, "works again"))
                desk.publish("a", 10)
                desk.over(name, "broker")
                assert persist.end() == 0

    assert ping.returncode != 0
    assert "cannot reach redis" in doctor.stdout
    assert f"docs/RUNBOOK.md: {name}" in doctor.stdout
    assert "stored 20 + in flight 0 + lost 0" in persist.told
    assert stored_events(desk) == "1 run, 20 events, 0 lost in gaps: all whole"


def test_redis_is_full(tmp_path: Path, make_redis: MakeRedis) -> None:
    name = "Redis is full"
    desk = Desk(tmp_path, make_redis(extra=("--maxmemory", "2mb")).url)
    with desk.running(f"arena-tui publish {desk.lines('a', 9_000, 400)}") as publish:
        publish.says(promised(name, "is full (maxmemory)"))
        with redis.Redis.from_url(desk.broker) as server:  # a small event fits neither
            server.config_set("maxmemory", "1kb")
        looked = desk.follow(name, "Look")
        desk.follow(name, "Do")
        publish.says("published 9,000 events")

    assert "maxmemory_policy:noeviction" in looked
    assert "✗ memory" in looked
    assert "✗ delivery" in looked
    assert looked.count(f"docs/RUNBOOK.md: {name}") == 2
    desk.over(name, promised(name, "memory"))
    desk.over(name, promised(name, "delivery"))


def test_a_producer_that_ends_while_redis_is_full_says_what_it_lost(
    tmp_path: Path, make_redis: MakeRedis
) -> None:
    desk = Desk(tmp_path, make_redis(extra=("--maxmemory", "1kb")).url)

    with desk.running(f"arena-tui publish {desk.lines('a', 10)}") as publish:
        publish.says("is full (maxmemory)")
        assert publish.end() != 0

    promised("Redis is full", "says how many events it could not publish")
    assert "events could not be published: redis" in publish.told


def test_redis_evicts(tmp_path: Path, make_redis: MakeRedis) -> None:
    name = "Redis evicts"
    policy = ("--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru")
    desk = Desk(tmp_path, make_redis(aof=True, extra=policy).url)
    with desk.persisting() as persist:
        persist.says(promised(name, "may evict whole runs"))
    doctor = desk.type("arena-tui doctor").stdout

    looked = desk.follow(name, "Look")
    desk.follow(name, "Do")

    assert "✗ risk" in doctor
    assert f"docs/RUNBOOK.md: {name}" in doctor
    assert "allkeys-lru" in looked
    assert promised(name, "evicted_keys") in looked
    assert "✗ risk" not in desk.type("arena-tui doctor").stdout
    desk.over(name, "memory")


def test_redis_is_slow(tmp_path: Path, make_redis: MakeRedis) -> None:
    name = "Redis is slow"
    server = make_redis(aof=True)
    desk = Desk(tmp_path, server.url)
    looked = desk.follow(name, "Look")
    with desk.persisting() as persist:
        server.pause()
        persist.says(promised(name, "does not answer"))
        doctor = desk.type("arena-tui doctor").stdout
        desk.follow(name, "Do", PID=server.pid)
        persist.says("works again")
        desk.publish("a", 5)
        desk.over(name, promised(name, "delivery"))

    assert "from publishing to reading" in looked
    assert "cmd=client" in looked
    assert "does not answer: is it stopped" in doctor


def test_redis_has_no_aof(tmp_path: Path, make_redis: MakeRedis) -> None:
    name = "Redis has no AOF"
    desk = Desk(tmp_path, make_redis().url)
    with desk.persisting() as persist:
        persist.says(promised(name, "forgets everything when it ends"))

    looked = desk.follow(name, "Look")
    desk.follow(name, "Do")
    after = desk.follow(name, "Over")

    assert "appendonly\nno" in looked
    assert f"docs/RUNBOOK.md: {name}" in looked
    assert promised(name, "outlives the server's end") in after
    desk.over(name, "kept")


def test_redis_was_restored(tmp_path: Path, make_redis: MakeRedis) -> None:
    name = "Redis was restored"
    server = make_redis(aof=True)
    desk, late = Desk(tmp_path, server.url), Desk(tmp_path, server.url, tmp_path / "late.duckdb")
    producer = agent(server.url, "a")
    with late.persisting():
        until_stored(late, "a")
    shutil.copytree(server.folder, tmp_path / "copy")
    with desk.persisting() as persist:
        say(producer, server.url, "a", 3)
        until_stored(desk, "a")
        server.kill()
        shutil.rmtree(server.folder)
        shutil.copytree(tmp_path / "copy", server.folder)
        server.start()
        persist.says(promised(name, "stream was made anew in Redis"))
    with late.persisting():
        kill(producer)
        desk.type("arena-tui close a")
        until_stored(late, "a")

    assert desk.follow(name, "Look").endswith("0 lost in gaps: all whole\n")
    told = late.follow(name, "Look")
    assert "a " in told
    assert "3 lost in gaps: whole but for 1 known gap" in told
    desk.over(name, "runs")


def until_stored(desk: Desk, run_id: str) -> None:
    """Wait until this store has acked what the server has of the run."""
    url = desk.broker
    with redis.Redis.from_url(url, decode_responses=True) as client:

        def has_acked() -> bool:
            at = "-".join(client.hmget(meta_key(run_id), "epoch", "seq"))
            return bool(client.hget(acks_key(desk.consumer), run_id) == at)

        until_blocking(has_acked)


def say(producer: subprocess.Popen[str], url: str, run_id: str, count: int) -> None:
    """Have the producer publish more of its run."""
    assert producer.stdin is not None
    with redis.Redis.from_url(url) as client:
        before = client.xlen(events_key(run_id))
        producer.stdin.write("more\n" * count)
        producer.stdin.flush()
        until_blocking(lambda: client.xlen(events_key(run_id)) == before + count)


def test_the_store_is_locked(tmp_path: Path) -> None:
    name = "The store is locked"
    desk = Desk(tmp_path, "memory:")
    Path(socket_path(str(desk.db))).write_text("in the way of its socket")
    with desk.running("arena-tui play synth --delay 0.05 --max-turns 100000") as owner:
        until_blocking(lambda: desk.db.exists() and desk.type("arena-tui runs").returncode == 3)
        refused = desk.type("arena-tui runs")
        looked = desk.follow(name, "Look", PID=owner.pid)
        doctor = desk.type("arena-tui doctor").stdout
        desk.follow(name, "Do", PID=owner.pid)
        assert owner.wait() != 0

    promised(name, "is open in process PID")
    promised(name, "one that could make no socket beside the store")
    assert f"is open in process {owner.pid}" in refused.stderr
    assert "play synth" in looked
    assert f"docs/RUNBOOK.md: {name}" in doctor
    assert "stopped" in desk.follow(name, "Over")


def test_the_store_is_damaged(tmp_path: Path, make_redis: MakeRedis) -> None:
    name = "The store is damaged"
    desk = Desk(tmp_path, make_redis(aof=True).url)
    desk.publish("a", 50)
    with desk.persisting():
        until_stored(desk, "a")
    with desk.db.open("r+b") as file:
        file.seek(4_096)
        file.write(b"\xa5" * 100_000)
    refused = desk.type("arena-tui runs")
    looked = desk.follow(name, "Look")
    copy, start = commands(name, "Do")
    desk.type(copy)
    with desk.running(start) as persist:
        persist.says("was moved to")
        persist.says("storing what comes")
        desk.publish("b", 1)  # is read after all that the server held; of that it has the acks
        until_stored(desk, "b")

    assert refused.returncode == 3
    assert promised(name, "is damaged") in refused.stderr
    assert f"docs/RUNBOOK.md: {name}" in looked
    assert len([*tmp_path.glob("arena.duckdb.damaged-*")]) == 1
    assert (tmp_path / "arena.duckdb.copy").exists()
    assert "2 runs, 51 events, 0 lost in gaps: all whole" in desk.follow(name, "Over")


def test_the_disk_is_full(tmp_path: Path, small_disk: Path, make_redis: MakeRedis) -> None:
    name = "The disk is full"
    desk = Desk(tmp_path, make_redis(aof=True).url, small_disk / "a.duckdb")
    ballast = small_disk / "ballast"
    with desk.persisting() as persist:
        ballast.write_bytes(b"\x00" * 6_500_000)
        desk.publish("a", 60, 50_000)
        persist.says(promised(name, "No space left"))
        looked = desk.follow(name, "Look")
        ballast.unlink()
        made_room = desk.follow(name, "Do")
        persist.says(promised(name, "works again"))
        until_stored(desk, "a")
        assert persist.end() == 0

    assert str(small_disk) in looked
    assert str(small_disk) in made_room
    assert "✗ disk" in looked
    assert f"docs/RUNBOOK.md: {name}" in looked
    assert "60 events, 0 lost in gaps: all whole" in desk.follow(name, "Over")


def test_a_consumer_lags(tmp_path: Path, make_redis: MakeRedis) -> None:
    name = "A consumer lags"
    desk = Desk(tmp_path, make_redis(aof=True).url)
    with desk.persisting() as persist:
        desk.publish("a", 10)
        until_stored(desk, "a")
        persist.pause()
        desk.publish("a", 6_000)
        looked = desk.follow(name, "Look")
        desk.follow(name, "Do", PID=persist.pid)
        until_stored(desk, "a")
        desk.over(name, "stores")

    assert promised(name, "it cannot keep up") in looked
    assert f"docs/RUNBOOK.md: {name}" in looked
    assert desk.consumer in looked
    assert "6,010 events, 0 lost in gaps: all whole" in stored_events(desk)


def test_a_run_is_silent(tmp_path: Path, make_redis: MakeRedis) -> None:
    name = "A run is silent"
    server = make_redis(aof=True)
    desk = Desk(tmp_path, server.url)
    producer = agent(server.url, "mine")
    with desk.persisting():
        until_stored(desk, "mine")
        alive = desk.type(commands(name, "Do")[0].replace("RUN", "mine"))
        kill(producer)
        with redis.Redis.from_url(server.url) as client:
            now_s, _ = client.time()
            client.hset(meta_key("mine"), "alive", (now_s - 20) * 1_000)
        looked = desk.follow(name, "Look")
        desk.follow(name, "Do", RUN="mine")
        desk.over(name, "runs")
        until_stored(desk, "mine")

    promised(name, "refused while its producer is alive")
    assert alive.returncode == 2
    assert promised(name, "no sign of life") in looked
    assert "arena-tui close mine --broker redis://" in looked
    assert f"docs/RUNBOOK.md: {name}" in looked
    runs = desk.type("arena-tui runs --json").stdout
    assert '"status":"stopped"' in runs
    assert '"reason":"its machine was switched off"' in runs


def test_a_run_is_silent_in_a_store_alone(tmp_path: Path) -> None:
    name = "A run is silent"
    desk = Desk(tmp_path, "memory:")
    with desk.running("arena-tui play synth --delay 0.05") as play:
        wal = Path(f"{desk.db}.wal")
        until_blocking(lambda: wal.exists() and b'"turn_start"' in wal.read_bytes())
        play.kill()
    looked = desk.follow(name, "Look")
    run = looked.partition("arena-tui close ")[2].split()[0]

    promised(name, "`ARENA_BROKER=memory:`")
    desk.follow(name, "Do", RUN=run)

    assert promised(name, "without an end") in looked
    assert "without an end" not in desk.follow(name, "Over")
    assert stored_events(desk).endswith("all whole")


def test_events_were_lost(tmp_path: Path, make_redis: MakeRedis) -> None:
    name = "Events were lost"
    desk = Desk(tmp_path, make_redis(aof=True).url)
    with desk.persisting() as persist:
        desk.publish("a", 10)
        until_stored(desk, "a")
        persist.pause()
        desk.publish("a", 14_000)
        os.kill(persist.pid, signal.SIGCONT)
        until_stored(desk, "a")
    looked = desk.follow(name, "Look", RUN="a")
    doctor = desk.type("arena-tui doctor").stdout

    # What was on its way already when the process was stopped is stored, too.
    account = r"published 14,010 = stored \S+ \+ in flight 0 \+ lost (\S+);"
    found = re.search(account, persist.told)
    assert found is not None, persist.told
    gaps = re.findall(rf"gap: (\S+) events, {promised(name, 'trimmed')}", looked)
    assert sum(int(each.replace(",", "")) for each in gaps) == int(found[1].replace(",", "")) > 0
    assert f"{found[1]} lost in gaps: whole but for {len(gaps)} known gap" in looked
    assert f"{found[1]} events of 1 run" in doctor
    assert f"docs/RUNBOOK.md: {name}" in doctor
    promised(name, "exits with 0 where it knows their length")
    assert desk.type("arena-tui verify").returncode == 0


def test_the_process_is_gone(tmp_path: Path, make_redis: MakeRedis) -> None:
    name = "The process is gone"
    server = make_redis(aof=True)
    desk = Desk(tmp_path, server.url)
    with desk.persisting() as persist:
        desk.publish("a", 10)
        until_stored(desk, "a")
        persist.kill()
    desk.publish("a", 10)
    with redis.Redis.from_url(server.url) as client:
        client.hset(acks_key(desk.consumer), "", "1")  # last heard of long ago
    looked = desk.follow(name, "Look")
    with desk.running(*commands(name, "Do")):
        until_stored(desk, "a")
        desk.over(name, "stores")

    assert promised(name, "its process has ended") in looked
    assert f"docs/RUNBOOK.md: {name}" in looked
    assert str(tmp_path / "state") in looked
    assert stored_events(desk) == "1 run, 20 events, 0 lost in gaps: all whole"
