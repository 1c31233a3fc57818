"""`arena-tui publish`: publishes lines as they arrive, reports bad ones and shuts down cleanly."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from io import FileIO
from pathlib import Path
from typing import Any, TypeAlias

import pytest
import redis

from arena_tui.cli.publish import publish_from
from arena_tui.config import Config
from arena_tui.events import Envelope
from arena_tui.services.runtime import Runtime
from arena_tui.store.database import Database
from arena_tui.store.history import read_runs
from arena_tui.store.verify import verify_store
from tests.cli.test_commands import arena, lines, surroundings
from tests.ready import ARENA
from tests.redis_fixture import MakeRedis
from tests.waiting import until, until_blocking

Child: TypeAlias = "subprocess.Popen[str]"


def line(run_id: str, turn: int, kind: str = "log") -> bytes:
    return json.dumps({"run_id": run_id, "kind": kind, "turn": turn}).encode() + b"\n"


@pytest.fixture
def pipe() -> Iterator[tuple[FileIO, FileIO]]:
    """The read and the write end."""
    ends = os.pipe()
    with FileIO(ends[0]) as source, FileIO(ends[1], "w") as target:
        yield source, target


class Publishing:
    """`publish_from` in this process, into a store."""

    def __init__(self, source: FileIO, db: Path, **options: Any) -> None:
        self._db = db
        self.runtime = Runtime(Config(db=str(db)), producer=True)
        self._everything = self.runtime.broker.subscribe("test")
        self._got: list[Envelope] = []
        self.ended = asyncio.create_task(publish_from(source, self.runtime, **options))

    @property
    def turns(self) -> list[int | None]:
        """The turns of all events so far."""
        while batch := self._everything.read_nowait():
            self._got += [each for each in batch if isinstance(each, Envelope)]
        return [each.event.turn for each in self._got]

    def stored(self) -> dict[str, tuple[int, str]]:
        """Events and status of each run of a clean store."""
        database = Database(str(self._db))
        assert [verdict for verdict in database.read_now(verify_store) if verdict.problems] == []
        runs: dict[str, tuple[int, str]] = {
            each.run_id: (each.events, each.status) for each in database.read_now(read_runs)
        }
        database.close()
        return runs


async def test_lines_go_out_as_they_come(pipe: tuple[FileIO, FileIO], tmp_path: Path) -> None:
    source, target = pipe
    publishing = Publishing(source, tmp_path / "a.duckdb")
    rest = b""

    for turn in range(4):
        begun = line("a", turn + 1)
        target.write(rest + (b"" if turn else line("a", 0, "run_start")) + begun[:9])
        rest = begun[9:]
        await until(lambda: publishing.turns == list(range(turn + 1)))  # noqa: B023
    target.close()

    assert await publishing.ended == 1  # the last line was cut off
    assert publishing.stored() == {"a": (5, "stopped")}


async def test_runs_left_open_may_stay_open(pipe: tuple[FileIO, FileIO], tmp_path: Path) -> None:
    source, target = pipe
    target.write(line("a", 0, "run_start") + line("b", 0) + line("b", 1, "run_end"))
    target.close()

    publishing = Publishing(source, tmp_path / "a.duckdb", keep_open=True)

    assert await publishing.ended == 0
    assert publishing.stored() == {"a": (1, "running"), "b": (2, "finished")}


async def test_the_last_line_needs_no_newline(pipe: tuple[FileIO, FileIO], tmp_path: Path) -> None:
    source, target = pipe
    target.write(line("a", 0) + line("a", 1, "run_end")[:-1])
    target.close()

    publishing = Publishing(source, tmp_path / "a.duckdb")

    assert await publishing.ended == 0
    assert publishing.stored() == {"a": (2, "finished")}


async def test_bad_lines_are_told_and_the_rest_is_published(
    pipe: tuple[FileIO, FileIO], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, target = pipe
    target.write(line("a", 0) + b"\nbad \x1b[2J\n" + line("a", 1, "run_end") + line("a", 2))
    target.write(line("b", 0, "run_start"))
    target.close()

    publishing = Publishing(source, tmp_path / "a.duckdb")

    assert await publishing.ended == 1
    assert publishing.stored() == {"a": (2, "finished"), "b": (2, "stopped")}
    out, said = capsys.readouterr()
    first, second, summary = said.splitlines()
    assert first.startswith("arena-tui: standard input line 3: not a JSON object")
    assert second == "arena-tui: standard input line 5: run a has ended: open a new run"
    assert summary == "published 3 events of 2 runs, refused 2 lines"
    assert out == ""


async def test_json_sums_up_in_one_object(
    pipe: tuple[FileIO, FileIO], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    source, target = pipe
    target.write(line("a", 0) + b"bad\n")
    target.close()

    publishing = Publishing(source, tmp_path / "a.duckdb", as_json=True)

    assert await publishing.ended == 1
    sys.stdout.flush()
    out, said = capfd.readouterr()
    assert lines(out) == [{"published": 1, "runs": 1, "coerced": 0, "refused": 1}]
    assert len(said.splitlines()) == 1


async def test_a_source_that_cannot_be_read_is_told_and_its_runs_are_ended(
    pipe: tuple[FileIO, FileIO], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = pipe

    class Failing(FileIO):
        def read(self, size: int | None = -1, /) -> bytes:
            if publishing.turns:
                raise OSError(5, "Input/output error")
            return super().read(size)

    target.write(line("a", 0, "run_start"))
    publishing = Publishing(Failing(source.fileno(), closefd=False), tmp_path / "a.duckdb")
    await until(lambda: publishing.turns)
    target.write(line("a", 1))

    with pytest.raises(Exception, match="Input/output error"):
        await publishing.ended

    assert publishing.stored() == {"a": (2, "stopped")}


@pytest.fixture
def publish(redis_url: str, tmp_path: Path) -> Iterator[Any]:
    """Starts the command with a pipe as standard input; kills it after the test."""
    children: list[Child] = []

    def start(*words: str, url: str = redis_url, stdin: Any = subprocess.PIPE) -> Child:
        child = subprocess.Popen(
            [*ARENA, "publish", "--broker", url, *words], stdin=stdin,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=surroundings(tmp_path),
        )  # fmt: skip
        children.append(child)
        return child

    yield start
    for child in children:
        child.kill()
        child.communicate(timeout=60)


def wait_for_events(url: str, run_id: str, count: int) -> None:
    """Return once the server has `count` events of the run."""
    with redis.Redis.from_url(url) as client:
        until_blocking(lambda: client.xlen(f"arena:{run_id}:events") >= count)


def feed(child: Child, data: bytes) -> None:
    assert child.stdin is not None
    child.stdin.write(data.decode())
    child.stdin.flush()


def events(url: str, run_id: str) -> list[dict[str, Any]]:
    """The run's events on the server, decoded from JSON."""
    with redis.Redis.from_url(url) as client:
        entries = client.xrange(f"arena:{run_id}:events")
    return [json.loads(next(iter(fields.values()))) for _, fields in entries]


def kinds(url: str, run_id: str) -> list[str]:
    return [event["kind"] for event in events(url, run_id)]


def test_a_file_is_published_whole(redis_url: str, publish: Any, tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(
        line("a", 0, "run_start")
        + b"".join(line("a", turn) for turn in range(1, 1_203))
        + line("b", 0, "run_end")
    )

    child = publish(str(path))
    out, said = child.communicate(timeout=60)

    assert (child.returncode, out) == (0, "")
    assert said == "published 1,204 events of 2 runs\n"
    assert [event["turn"] for event in events(redis_url, "a")[:-1]] == list(range(1_203))
    assert events(redis_url, "a")[-1]["status"] == "stopped"
    assert kinds(redis_url, "b") == ["run_end"]


def test_a_slow_producer_s_events_go_out_at_once(redis_url: str, publish: Any) -> None:
    child = publish("--json")
    for turn in range(3):
        feed(child, line("a", turn))
        wait_for_events(redis_url, "a", turn + 1)
    out, said = child.communicate(timeout=60)

    assert (child.returncode, said) == (0, "")
    assert lines(out) == [{"published": 3, "runs": 1, "coerced": 0, "refused": 0}]


def test_a_run_kept_open_goes_on_with_the_next_command(redis_url: str, publish: Any) -> None:
    for turn in range(3):
        child = publish("--keep-open")
        child.communicate(line("a", turn).decode(), timeout=60)
        assert child.returncode == 0
    last = publish()
    last.communicate(line("a", 3, "run_end").decode(), timeout=60)

    with redis.Redis.from_url(redis_url) as client:
        ids = [name.decode().split("-") for name, _ in client.xrange("arena:a:events")]
    assert kinds(redis_url, "a") == ["log", "log", "log", "run_end"]
    assert [seq for _, seq in ids] == ["1", "2", "3", "4"]
    assert len({epoch for epoch, _ in ids}) == 1


def test_lines_of_a_run_that_has_ended_are_refused_and_counted(
    redis_url: str, publish: Any
) -> None:
    first = publish()
    first.communicate(line("a", 0, "run_end").decode(), timeout=60)

    late = publish()
    _, said = late.communicate((line("a", 1) + line("b", 0)).decode(), timeout=60)

    assert (first.returncode, late.returncode) == (0, 1)
    assert "run a has ended" in said
    assert said.splitlines()[-1] == "published 1 event of 2 runs, refused 1 line"
    assert kinds(redis_url, "a") == ["run_end"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_after_a_signal_what_was_read_is_published_and_ended(
    redis_url: str, publish: Any, number: int
) -> None:
    child = publish()
    feed(child, line("a", 0, "run_start") + line("a", 1) + b'{"run_id"')
    wait_for_events(redis_url, "a", 2)
    child.send_signal(number)
    code = child.wait(60)  # with its standard input still open
    _, said = child.communicate(timeout=60)

    assert code == 128 + number
    assert said == "published 2 events of 1 run\n"
    assert kinds(redis_url, "a") == ["run_start", "log", "run_end"]


def test_a_server_that_goes_and_comes_back_gets_everything_once(
    make_redis: MakeRedis, publish: Any
) -> None:
    server = make_redis(aof=True)
    child = publish("--keep-open", url=server.url)
    feed(child, line("a", 0))
    wait_for_events(server.url, "a", 1)

    server.kill()
    feed(child, b"".join(line("a", turn) for turn in range(1, 1_000)))
    assert "trying again" in child.stderr.readline()
    server.start()
    _, said = child.communicate(timeout=60)

    assert child.returncode == 0
    assert said.splitlines()[-1] == "published 1,000 events of 1 run"
    assert [event["turn"] for event in events(server.url, "a")] == list(range(1_000))


def test_a_server_that_stays_away_is_given_up_after_a_signal_and_the_loss_is_told(
    make_redis: MakeRedis, publish: Any
) -> None:
    server = make_redis()
    child = publish(url=server.url)
    feed(child, line("a", 0))
    wait_for_events(server.url, "a", 1)
    server.kill()
    feed(child, line("a", 1))
    assert "trying again" in child.stderr.readline()

    child.send_signal(signal.SIGTERM)
    _, said = child.communicate(timeout=60)

    assert child.returncode == 128 + signal.SIGTERM
    assert "could not be published: no connection to redis" in said


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["publish", "no/such.jsonl", "--broker", "redis://127.0.0.1:1"], 2, "No such file"),
        (["publish", ".", "--broker", "redis://127.0.0.1:1"], 2, "Is a directory"),
        (["publish", "--broker", "redis://:secret@127.0.0.1:1"], 3, "cannot reach"),
    ],
    ids=["no file", "folder", "no server"],
)
def test_what_cannot_be_published_is_one_line_that_says_what_to_do(
    tmp_path: Path, words: list[str], code: int, said: str
) -> None:
    done = arena(tmp_path, *words)

    assert done.returncode == code
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert said in done.stderr
    assert "secret" not in done.stderr
