"""`arena-tui stats`: the same figures as `verify`, and as the server has, whoever is asked."""

from __future__ import annotations

import asyncio
import hashlib
import signal
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis

from arena_tui.broker.memory import InProcessBroker
from arena_tui.broker.redis.scripts import CONSUMERS, acks_key, events_key
from arena_tui.broker.stats import BrokerStats
from arena_tui.cli import main
from arena_tui.config import Config
from arena_tui.events import Gap, LogEvent
from arena_tui.services.sharing import open_runtime
from arena_tui.store.database import Database
from tests.cli.test_commands import arena, lines, surroundings
from tests.envelopes import envelope
from tests.faults.accounts import runs_in
from tests.programs import started
from tests.ready import ARENA
from tests.store_fixture import store
from tests.waiting import until_blocking

RECORDS = """\
import sys
import arena_tui

with arena_tui.connect() as arena:
    with arena.run(game="chess", label="nightly", run_id="over") as run:
        run.log("one")
    with arena.run(game="chess", run_id="open") as run:
        run.log("one")
        print("ready", flush=True)
        sys.stdin.read()
"""


def of_type(kind: str, found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [each for each in found if each["type"] == kind]


class Command:
    """The command line in this process, with one store."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.db = folder / "arena.duckdb"
        self._capsys = capsys

    def prints(self, *words: str, code: int = 0) -> str:
        """What it prints, and ends with this code."""
        ended = main([*words, "--db", str(self.db)])
        printed = self._capsys.readouterr()
        assert (ended, printed.err) == (code, "")
        return printed.out

    def stats(self, *words: str) -> list[dict[str, Any]]:
        """One round that adds up."""
        return lines(self.prints("stats", "--json", *words))

    def verified(self) -> tuple[dict[str, tuple[int, ...]], tuple[int, ...]]:
        """By run, and in all: events stored, lost, and losses of unknown length."""
        names = "events", "lost", "lost_unknown"
        *runs, whole = lines(self.prints("verify", "--json", code=1))
        by_run = {each["run_id"]: tuple(each[name] for name in names) for each in runs}
        return by_run, (whole["runs"], *(whole[name] for name in names))


@pytest.fixture
def command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Command:
    return Command(tmp_path, capsys)


def as_counted(found: list[dict[str, Any]]) -> tuple[dict[str, tuple[int, ...]], tuple[int, ...]]:
    """What `Command.verified` gives, of `stats`."""
    names = "stored", "lost", "lost_unknown"
    (whole,) = of_type("store", found)
    by_run = {each["run_id"]: tuple(each[name] for name in names) for each in of_type("run", found)}
    return by_run, (whole["runs"], *(whole[name] for name in names))


@pytest.fixture
def lossy(tmp_path: Path) -> Path:
    """A folder with a store that has lost 3 events of a run, and nobody knows how many more."""
    with closing(Database(str(tmp_path / "arena.duckdb"))) as database:
        batch = [
            envelope("lossy", 1, 1, LogEvent(text="first")), Gap("lossy", 1, 2, 4, "evicted"),
            envelope("lossy", 1, 5, LogEvent(text="last")), Gap("lossy", 1, 6, 5, "unknown"),
        ]  # fmt: skip
        asyncio.run(store(database, batch))
    return tmp_path


def test_a_store_is_as_verify_finds_it_through_its_owner_and_from_its_file(
    lossy: Path, command: Command
) -> None:
    with started(RECORDS, says="ready", env=surroundings(lossy)) as owner:
        try:
            until_blocking(lambda: at_rest(command.stats()))
            beside, verified_beside = command.stats(), command.verified()
            plain = command.prints("stats")
        finally:
            owner.communicate()
    file = lossy / "arena.duckdb"
    before = hashlib.sha256(file.read_bytes()).hexdigest()
    alone, verified_alone = command.stats(), command.verified()

    assert as_counted(beside) == verified_beside
    assert as_counted(alone) == verified_alone
    assert verified_alone[1] == (3, 8, 3, 1)
    assert beside[0]["name"] == "in-process"
    assert {each["run_id"]: each["state"] for each in of_type("run", beside)} == {
        "over": "closed", "open": "open", "lossy": None,
    }  # fmt: skip
    assert "published 10 = stored 7 + in flight 0 + lost 3, and an unknown number" in plain
    assert (alone[0]["name"], alone[0].keys()) == (None, beside[0].keys())
    assert [each["type"] for each in alone] == ["broker", "run", "run", "run", "store"]
    assert hashlib.sha256(file.read_bytes()).hexdigest() == before


def at_rest(found: list[dict[str, Any]]) -> bool:
    """Whether a sample was taken after the store had everything."""
    (whole,) = of_type("store", found)
    (persister,) = of_type("consumer", found)
    return whole["in_flight"] == persister["lag"] == 0 and persister["stored"] == 5


@contextmanager
def persisting(folder: Path, url: str) -> Iterator[subprocess.Popen[str]]:
    child = subprocess.Popen(
        [*ARENA, "persist", "--broker", url], stdin=subprocess.DEVNULL, text=True,
        stderr=subprocess.PIPE, env=surroundings(folder),
    )  # fmt: skip
    assert child.stderr is not None
    try:
        assert any("storing what comes" in line for line in child.stderr)
        yield child
    finally:
        child.kill()
        child.communicate(timeout=60)


def on_server(url: str) -> tuple[dict[str, int], dict[str, int]]:
    """The length of each run's stream, and by store the events in them that it has not acked."""
    with redis.Redis.from_url(url, protocol=2) as client:
        lengths = {run_id: client.xlen(events_key(run_id)) for run_id in runs_in(url)}
        lags = {}
        for name in client.smembers(CONSUMERS):
            acks = client.hgetall(acks_key(name.decode()))
            acked = [int(acks.get(each.encode(), b"0-0").split(b"-")[1]) for each in lengths]
            lags[name.decode()] = sum(lengths.values()) - sum(acked)
    return lengths, lags


def ended(first: int, last: int) -> str:
    """Lines of as many runs that are over."""
    return "".join(
        f'{{"run_id": "r{number}", "kind": "{kind}"}}\n'
        for number in range(first, last + 1) for kind in ("run_start", "log", "run_end")
    )  # fmt: skip


def test_a_servers_runs_and_the_lag_of_its_stores_are_as_the_server_has_them(
    redis_url: str, tmp_path: Path, command: Command
) -> None:
    publish = "publish", "--broker", redis_url
    with persisting(tmp_path, redis_url) as persist:
        arena(tmp_path, *publish, given=ended(1, 2))
        until_blocking(lambda: [*on_server(redis_url)[1].values()] == [0])
        persist.send_signal(signal.SIGSTOP)
        arena(tmp_path, *publish, given=ended(3, 70))  # more than a dashboard keeps
        before = on_server(redis_url)

        found = command.stats("--broker", redis_url)

    lengths, lags = before
    runs, consumers = of_type("run", found), of_type("consumer", found)
    assert {each["run_id"]: each["last_seq"] for each in runs} == lengths
    assert {each["run_id"]: each["held"] + each["trimmed"] for each in runs} == lengths
    assert {each["name"]: each["lag"] for each in consumers} == lags
    assert [*lags.values()] == [68 * 3]
    assert on_server(redis_url) == before
    assert of_type("store", found) == []
    assert len(of_type("server", found)) == 1


def test_watching_prints_rounds_until_ctrl_c(lossy: Path) -> None:
    child = subprocess.Popen(
        [*ARENA, "stats", "--watch", "0.5", "--json"], stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, env=surroundings(lossy), text=True,
    )  # fmt: skip
    assert child.stdout is not None
    told = [child.stdout.readline() for _ in range(4)]
    child.send_signal(signal.SIGINT)
    _, stderr = child.communicate(timeout=60)

    first, _, _, second = lines("".join(told))
    assert (first["type"], second["type"]) == ("broker", "broker")
    assert first["at"] < second["at"]
    assert first["at"].endswith("Z")
    assert (child.returncode, stderr) == (130, "")


@pytest.mark.parametrize("given", ["0.1", "-1", "nan", "inf", "often"])
def test_an_interval_that_is_too_short_is_refused_in_one_line(
    given: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["stats", f"--watch={given}"])

    assert capsys.readouterr().err == (
        f"arena-tui: argument --watch: '{given}' is not usable: give seconds from 0.5, 2 say: "
        "see arena-tui stats --help\n"
    )


def test_what_cannot_be_reached_is_said_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = []
    for words in (["--db", str(tmp_path / "none.duckdb")], ["--broker", "redis://127.0.0.1:1"]):
        assert main(["stats", *words]) == 3
        told.append(capsys.readouterr().err)

    assert told[0].startswith(f"arena-tui: no store at {tmp_path / 'none.duckdb'}: ")
    assert told[1].startswith("arena-tui: cannot reach redis 127.0.0.1:1 ")
    assert [each.count("\n") for each in told] == [1, 1]


@pytest.mark.account_off
async def test_an_account_that_does_not_add_up_is_said_and_is_exit_code_1(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted = InProcessBroker.stats

    async def miscounted(broker: InProcessBroker) -> BrokerStats:
        stats = await counted(broker)
        return BrokerStats(
            capacity=stats.capacity, published=stats.published + 3, trimmed=stats.trimmed,
            overflow=stats.overflow, runs=stats.runs, consumers=stats.consumers,
        )  # fmt: skip

    monkeypatch.setattr(InProcessBroker, "stats", miscounted)
    runtime = await open_runtime(Config(db=str(command.db)))
    try:
        for _ in range(2):
            await runtime.instruments.sample()
        plain = await asyncio.to_thread(command.prints, "stats", code=1)
        as_json = lines(await asyncio.to_thread(command.prints, "stats", "--json", code=1))
    finally:
        await runtime.aclose()

    equation = "published = held + trimmed + let go + not held"
    assert f"the account of broker does not add up: {equation}, but 3 are expected" in plain
    assert as_json[0]["discrepancies"] == [
        {"account": "broker", "equation": equation, "expected": 3, "found": 0}
    ]


async def test_of_many_runs_20_are_shown_and_how_many_more_there_are(
    command: Command,
) -> None:
    runtime = await open_runtime(Config(db=str(command.db)))
    try:
        for number in range(25):
            runtime.sink.emit(f"run-{number}", LogEvent(text="x"), owned=False)
        await runtime.sink.flush()
        await runtime.instruments.next()
        told = (await asyncio.to_thread(command.prints, "stats")).splitlines()
    finally:
        await runtime.aclose()

    assert sum("open" in line.split() for line in told) == 20
    assert told[-1] == "… and 5 more"
