"""`sql`: what it prints, what it refuses, and how it ends."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from arena_tui.cli import main
from arena_tui.events import LogEvent, RunStart
from tests.cli.test_commands import arena, lines, surroundings
from tests.cli.test_shared_store import OWNER, stored
from tests.cli.test_stored import made
from tests.envelopes import envelope
from tests.programs import started
from tests.ready import ARENA
from tests.waiting import pause_blocking, until_blocking

AT = datetime(2026, 3, 14, 12, tzinfo=UTC)
ENDLESS = "WITH RECURSIVE a(n) AS (SELECT 1 UNION ALL SELECT 1 FROM a) SELECT count(*) FROM a"
Output = pytest.CaptureFixture[str]


@pytest.fixture
def filled(path: str) -> str:
    texts = ["plain", "\x1b[31mred\x1b]52;c;aGk=\a", "x" * 300]
    events = [envelope("run", 1, 1, RunStart(ts=AT, game="chess"))]
    events += [
        envelope("run", 1, seq, LogEvent(ts=AT, text=text)) for seq, text in enumerate(texts, 2)
    ]
    made(path, events)
    return path


def test_a_table_names_its_columns_and_aligns_numbers_right(filled: str, capfd: Output) -> None:
    sql = "SELECT kind, count(*) * 500 AS n, NULL AS nothing FROM events GROUP BY kind ORDER BY n"

    assert main(["sql", sql, "--db", filled]) == 0

    said = capfd.readouterr()
    assert said.out.splitlines() == [
        "kind          n  nothing",
        "run_start   500  null",
        "log        1500  null",
    ]
    assert said.err == "2 rows\n"


def test_json_keeps_types_and_prints_nothing_else(filled: str, capfd: Output) -> None:
    sql = (
        "SELECT ts, seq, 0.10 AS exact, 2.5::DOUBLE AS d, true AS yes, NULL AS no, [seq] AS list, "
        "99999999999999999999::HUGEINT AS long FROM events LIMIT 1"
    )

    assert main(["sql", sql, "--json", "--db", filled]) == 0

    said = capfd.readouterr()
    assert said.out == (
        '{"ts":"2026-03-14T12:00:00Z","seq":1,"exact":0.10,"d":2.5,"yes":true,"no":null,'
        '"list":[1],"long":99999999999999999999}\n'
    )
    assert said.err == ""


def test_hostile_text_reaches_no_terminal_and_json_has_all_of_it(
    filled: str, capfd: Output
) -> None:
    sql = "SELECT payload->>'text' AS text FROM events ORDER BY seq"

    assert main(["sql", sql, "--db", filled]) == 0
    table = capfd.readouterr().out
    assert main(["sql", sql, "--json", "--db", filled]) == 0
    objects = [json.loads(line)["text"] for line in capfd.readouterr().out.splitlines()]

    assert "\x1b" not in table
    assert "\a" not in table
    assert "red" in table
    assert max(map(len, table.splitlines())) == 100
    assert objects == [None, "plain", "\x1b[31mred\x1b]52;c;aGk=\a", "x" * 300]


def test_rows_beyond_the_limit_are_left_out_and_it_is_said(filled: str, capfd: Output) -> None:
    assert main(["sql", "FROM range(10)", "--limit", "2", "--json", "--db", filled]) == 0

    said = capfd.readouterr()
    assert lines(said.out) == [{"range": 0}, {"range": 1}]
    assert said.err == "arena-tui: first 2 rows of more\n"


def test_a_query_comes_from_standard_input(filled: str, tmp_path: Path) -> None:
    for words in (["sql"], ["sql", "-"]):
        done = arena(
            tmp_path, *words, "--json", "--db", filled, given="SELECT 1 AS a\n-- that is all"
        )

        assert (done.returncode, done.stderr) == (0, "")
        assert lines(done.stdout) == [{"a": 1}]


@pytest.mark.parametrize(("words", "code", "said"), [
    (["SELECT nosuch FROM runs"], 2, "line 1, column 8"),
    (["DROP TABLE runs"], 2, "only one SELECT"),
    (["FROM read_text('/etc/passwd')"], 2, "a query cannot read from read_text()"),
    (["FROM '/etc/passwd.csv'"], 2, "a query cannot read files"),
    (["   "], 2, "no query"),
    (["SELECT 1", "--limit", "20000"], 2, "--limit is at most 10,000"),
    (["SELECT 1", "--db", "/nowhere/arena.duckdb"], 3, "no store at /nowhere"),
])  # fmt: skip
def test_a_mistake_is_told_in_one_line(
    filled: str, capfd: Output, words: list[str], code: int, said: str
) -> None:
    assert main(["sql", "--db", filled, *words]) == code

    told = capfd.readouterr()
    assert told.out == ""
    assert said in told.err
    assert told.err.count("\n") == 1


def test_interrupting_it_ends_an_endless_query(filled: str, tmp_path: Path) -> None:
    process = subprocess.Popen(
        [*ARENA, "sql", ENDLESS, "--db", filled], env=surroundings(tmp_path),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    with process:
        until_blocking(lambda: _cpu_ticks(process.pid) > 100)

        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)

    assert (process.returncode, out, err) == (130, "", "")


@pytest.fixture
def owner(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    with started(OWNER, says="ready", env=surroundings(tmp_path)) as process:
        until_blocking(lambda: stored(tmp_path))
        yield process
        process.kill()


def test_beside_the_owner_it_prints_and_refuses_the_same(
    owner: subprocess.Popen[str], tmp_path: Path
) -> None:
    queries = [
        "SELECT run_id, kind, count(*) FROM events GROUP BY ALL ORDER BY ALL",
        "SELECT max(ts) FROM events WHERE run_id = 'one'", "FROM read_csv('/etc/passwd')",
        "SELECT nosuch FROM runs", "DELETE FROM runs", "FROM 'a.csv'",
        "WITH a AS (DELETE FROM events RETURNING seq) FROM a",
    ]  # fmt: skip

    beside = [arena(tmp_path, "sql", each, "--json") for each in queries]
    owner.communicate()
    alone = [arena(tmp_path, "sql", each, "--json") for each in queries]

    assert [each.returncode for each in beside] == [0, 0, 2, 2, 2, 2, 2]
    for one, other in zip(beside, alone, strict=True):
        assert (one.returncode, one.stderr) == (other.returncode, other.stderr)
    assert beside[1].stdout == alone[1].stdout != ""


def test_interrupting_it_ends_the_query_in_the_owner(
    owner: subprocess.Popen[str], tmp_path: Path
) -> None:
    process = subprocess.Popen([*ARENA, "sql", ENDLESS], env=surroundings(tmp_path))
    until_blocking(lambda: _cpu_ticks(owner.pid) > 300)

    process.send_signal(signal.SIGINT)

    assert process.wait(timeout=30) == 130
    until_blocking(lambda: _is_idle(owner.pid))


def _cpu_ticks(pid: int) -> int:
    """Processor time of a process, in hundredths of a second."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def _is_idle(pid: int) -> bool:
    """Whether it uses less than a fifth of a core for a while."""
    before = _cpu_ticks(pid)
    pause_blocking(0.5)
    return _cpu_ticks(pid) - before < 10
