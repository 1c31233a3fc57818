"""`arena-tui persist`: stores what others publish, reports progress and shuts down cleanly."""

from __future__ import annotations

import os
import re
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import pytest
import redis

import arena_tui
from tests.cli.test_commands import arena, lines, surroundings
from tests.ready import ARENA
from tests.redis_fixture import MakeRedis
from tests.tui.terminal import OpenTerminal
from tests.waiting import until_blocking

Child: TypeAlias = "subprocess.Popen[str]"
Persist: TypeAlias = Callable[..., Child]


@pytest.fixture
def persist(tmp_path: Path) -> Iterator[Persist]:
    """Starts the command and waits until it is storing; kills it after the test."""
    children: list[Child] = []

    def start(url: str, *words: str, file_bytes: int | None = None) -> Child:
        limit = f"import resource; resource.setrlimit(1, ({file_bytes}, {resource.RLIM_INFINITY}));"
        main = "import sys; from arena_tui.cli import main; sys.exit(main())"
        command = [sys.executable, "-c", (limit if file_bytes else "") + main]
        child = subprocess.Popen(
            [*command, "persist", "--broker", url, *words], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=surroundings(tmp_path),
        )  # fmt: skip
        children.append(child)
        line_with(child, "storing what comes")
        return child

    yield start
    for child in children:
        child.kill()
        child.communicate(timeout=60)


def line_with(child: Child, text: str) -> str:
    """The next line on its stderr that contains the text."""
    assert child.stderr is not None
    for line in child.stderr:
        if text in line:
            return line
    raise AssertionError(f"{text!r} never came: exit code {child.wait(60)}")


def publish(url: str, run_id: str, turns: int, said: str = "") -> None:
    """Publish a run of `turns` + 2 events, as another process would."""
    with (
        arena_tui.connect(url, store=False) as arena,
        arena.run(game="test", run_id=run_id) as run,
    ):
        for turn in range(1, turns + 1):
            run.turn(turn, state=said)


def wait_until_stored(url: str, run_id: str, seq: int) -> None:
    """Return once a store has acked the run up to `seq`."""
    with redis.Redis.from_url(url, decode_responses=True) as client:

        def is_acked() -> bool:
            stores = client.smembers("arena:consumers")
            acks = [client.hget(f"arena:acks:{store}", run_id) for store in stores]
            return any(ack and ack.endswith(f"-{seq}") for ack in acks)

        until_blocking(is_acked)


def stored(folder: Path) -> dict[str, tuple[int, str]]:
    """Events and status of each run of a store that passes `verify`."""
    assert arena(folder, "verify").returncode == 0
    runs = lines(arena(folder, "runs", "--json").stdout)
    return {run["run_id"]: (run["events"], run["status"]) for run in runs}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it_well_with_all_that_came_stored(
    redis_url: str, persist: Persist, tmp_path: Path, number: int
) -> None:
    child = persist(redis_url, "--json")
    publish(redis_url, "one", 500)
    wait_until_stored(redis_url, "one", 502)

    child.send_signal(number)
    out, said = child.communicate(timeout=60)

    assert child.returncode == 0
    [account] = lines(out)
    assert (account["published"], account["stored"]) == (502, 502)
    assert (account["in_flight"], account["lost"], account["link"]) == (0, 0, None)
    assert "stored 502" in said
    assert stored(tmp_path) == {"one": (502, "finished")}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_it_goes_on_where_it_was(
    redis_url: str, persist: Persist, tmp_path: Path, number: int
) -> None:
    first = persist(redis_url)
    with (
        arena_tui.connect(redis_url, store=False) as agent,
        agent.run(game="test", run_id="long") as run,
    ):
        for turn in range(1_500):
            run.turn(turn)
        wait_until_stored(redis_url, "long", 1_501)
        first.send_signal(number)
        first.wait(60)
        for turn in range(1_500):
            run.turn(turn)
    publish(redis_url, "unseen", 3)
    second = persist(redis_url)
    wait_until_stored(redis_url, "long", 3_002)
    wait_until_stored(redis_url, "unseen", 5)
    second.terminate()
    second.communicate(timeout=60)

    assert stored(tmp_path) == {"long": (3_002, "finished"), "unseen": (5, "finished")}


def test_a_link_that_breaks_and_mends_is_said_when_it_happens(
    make_redis: MakeRedis, persist: Persist, tmp_path: Path
) -> None:
    server = make_redis(aof=True)
    child = persist(server.url)

    server.kill()
    gone = line_with(child, "trying again")
    server.start()
    back = line_with(child, "works again")
    publish(server.url, "after", 3)
    wait_until_stored(server.url, "after", 5)
    child.terminate()
    child.communicate(timeout=60)

    assert gone == f"arena-tui: no connection to redis 127.0.0.1:{server.port}: trying again\n"
    assert back.startswith(f"arena-tui: redis 127.0.0.1:{server.port} works again, after ")
    assert stored(tmp_path) == {"after": (5, "finished")}


def test_events_that_are_gone_are_said_and_counted(
    make_redis: MakeRedis, persist: Persist, tmp_path: Path
) -> None:
    server = make_redis()
    publish(server.url, "cut", 11_998)  # the server holds the newest 10,000 of 12,000
    child = persist(server.url, "--json")

    wait_until_stored(server.url, "cut", 12_000)
    said = line_with(child, "could not be had any more")
    child.terminate()
    out, _ = child.communicate(timeout=60)

    assert said == "arena-tui: 2,000 events could not be had any more: noted as gaps\n"
    late = persist(server.url, "--db", str(tmp_path / "late.duckdb"))
    assert line_with(late, "could not be had any more").endswith(
        " events could not be had any more, which another store may have: noted as gaps\n"
    )
    [account] = lines(out)
    assert (account["published"], account["stored"], account["lost"]) == (12_000, 10_000, 2_000)
    assert stored(tmp_path) == {"cut": (10_000, "finished")}


def test_a_store_that_refuses_is_said_and_ends_it_with_an_error(
    redis_url: str, persist: Persist, tmp_path: Path
) -> None:
    child = persist(redis_url, "--json", file_bytes=1_000_000)
    publish(redis_url, "large", 300, os.urandom(20_000).hex())

    line_with(child, "events are held and tried again")
    child.terminate()
    out, said = child.communicate(timeout=60)
    assert (child.returncode, out) == (3, "")
    assert "not everything could be stored" in said.splitlines()[-1]

    again = persist(redis_url)
    wait_until_stored(redis_url, "large", 302)
    again.terminate()
    again.communicate(timeout=60)
    assert stored(tmp_path) == {"large": (302, "finished")}


@pytest.mark.parametrize("again", ["more comes", "nothing more comes"])
def test_a_folder_that_is_deleted_is_there_again_with_all_that_was_stored(
    redis_url: str, persist: Persist, tmp_path: Path, again: str
) -> None:
    db = tmp_path / "sub" / "arena.duckdb"
    child = persist(redis_url, "--db", str(db))
    publish(redis_url, "before", 50)
    wait_until_stored(redis_url, "before", 52)

    shutil.rmtree(db.parent)
    if again == "more comes":
        publish(redis_url, "after", 3)
        wait_until_stored(redis_url, "after", 5)
    child.terminate()
    _, said = child.communicate(timeout=60)

    assert child.returncode == 0
    assert "was written anew" in said
    assert arena(tmp_path, "verify", "--db", str(db)).returncode == 0
    runs = lines(arena(tmp_path, "runs", "--json", "--db", str(db)).stdout)
    expected = {"before": 52} | ({"after": 5} if again == "more comes" else {})
    assert {run["run_id"]: run["events"] for run in runs} == expected


@pytest.mark.parametrize("again", ["more comes", "nothing more comes"])
def test_another_file_in_the_store_s_place_ends_it_with_an_error_and_nothing_is_lost(
    redis_url: str, persist: Persist, tmp_path: Path, again: str
) -> None:
    db = tmp_path / "arena.duckdb"
    child = persist(redis_url)
    publish(redis_url, "before", 50)
    wait_until_stored(redis_url, "before", 52)

    (tmp_path / "other").write_bytes(b"another file")
    os.replace(tmp_path / "other", db)
    if again == "more comes":
        publish(redis_url, "after", 3)
        line_with(child, "replaced by another file")
    child.terminate()
    _, said = child.communicate(timeout=60)

    (kept,) = tmp_path.glob("arena.duckdb.kept-*")
    assert child.returncode == 3
    assert str(kept) in said.splitlines()[-1]
    assert db.read_bytes() == b"another file"
    kept.rename(db)
    goes_on = persist(redis_url)
    publish(redis_url, "then", 3)
    wait_until_stored(redis_url, "then", 5)
    goes_on.terminate()
    goes_on.communicate(timeout=60)
    expected = {"before": (52, "finished"), "then": (5, "finished")}
    assert stored(tmp_path) == expected | (
        {"after": (5, "finished")} if again == "more comes" else {}
    )


def test_a_second_one_on_the_same_store_names_the_first_and_goes(
    redis_url: str, persist: Persist, tmp_path: Path
) -> None:
    first = persist(redis_url)

    second = arena(tmp_path, "persist", "--broker", redis_url)

    assert (second.returncode, second.stdout) == (3, "")
    assert f"is open in process {first.pid}," in second.stderr.splitlines()[-1]
    assert first.poll() is None


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--broker", "memory:"], 2, "give --broker redis://"),
        (["--broker", "redis://127.0.0.1:1", "--db", ":memory:"], 2, "give a file with --db"),
        (["--broker", "redis://127.0.0.1:1"], 3, "cannot reach redis 127.0.0.1:1"),
    ],
    ids=["memory broker", "memory store", "no server"],
)
def test_what_it_cannot_do_is_one_line(
    tmp_path: Path, words: list[str], code: int, said: str
) -> None:
    done = arena(tmp_path, "persist", *words)

    assert (done.returncode, done.stdout) == (code, "")
    assert len(done.stderr.splitlines()) == 1
    assert said in done.stderr


def test_on_a_terminal_the_last_line_tells_where_every_event_is(
    redis_url: str, tmp_path: Path, open_terminal: OpenTerminal
) -> None:
    db = str(tmp_path / "arena.duckdb")
    terminal = open_terminal([*ARENA, "persist", "--broker", redis_url, "--db", db])
    terminal.wait_for("storing what comes through redis")
    publish(redis_url, "seen", 10)
    terminal.wait_for("published 12 = stored 12 + in flight 0 + lost 0 · ")
    os.kill(terminal.pid, signal.SIGINT)

    assert terminal.wait() == 0
    last = [line.rstrip() for line in terminal.screen.display if line.strip()][-1]
    assert re.fullmatch(
        r"arena-tui: since \d{4}-\d\d-\d\d \d\d:\d\d: "
        r"published 12 = stored 12 \+ in flight 0 \+ lost 0; what comes now is stored next time",
        last,
    )
