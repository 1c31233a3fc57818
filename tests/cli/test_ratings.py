"""`arena-tui ratings`: the same store, the same bytes."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import pytest

from arena_tui.cli import main
from arena_tui.store.database import Database
from tests.envelopes import envelope
from tests.rated_runs import some_runs
from tests.store_fixture import store


@pytest.fixture
def filled(path: str) -> str:
    database = Database(path)
    for run_id, events in some_runs(0, 24):
        batch = [envelope(run_id, 7, seq, event) for seq, event in enumerate(events, 1)]
        asyncio.run(store(database, batch))
    database.close()
    return path


def printed(*words: str) -> bytes:
    command = [sys.executable, "-m", "arena_tui", "ratings", *words]
    done = subprocess.run(command, capture_output=True, check=True, timeout=60)
    assert done.stderr == b""
    return done.stdout


@pytest.mark.parametrize("words", [[], ["--json"], ["--json", "--game", "chess", "agent:ada"]])
def test_the_same_store_gives_the_same_bytes(filled: str, words: list[str]) -> None:
    first = printed("--db", filled, *words)

    assert first
    assert printed("--db", filled, *words) == first


def test_json_has_a_table_a_line_and_the_one_of_all_games_last(
    filled: str, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    assert main(["ratings", "--json", "--db", filled]) == 0

    tables = [json.loads(line) for line in capfdbinary.readouterr().out.splitlines()]
    assert [table["game"] for table in tables] == ["chess", "hearts", None]
    row = tables[0]["rows"][0]
    assert row["low"] < row["rating"] < row["high"]
    assert set(row["against"]) == {"bob"} if row["player"] == "ada" else {"ada"}
    assert set(tables[0]["pairs"][0]) == {
        "better", "worse", "difference", "low", "high", "linked", "played", "more_games", "real",
    }  # fmt: skip
    assert tables[0]["advantages"][0]["game"] == "chess"
    assert tables[0]["crashed"] > 0


def test_people_read_intervals_results_and_what_is_not_real_yet(filled: str) -> None:
    text = printed("--db", filled, "--game", "chess").decode()

    lines = text.splitlines()
    assert lines[0].startswith("chess: ")
    assert lines[0].split(",")[0].endswith(" rated games")
    assert "95 % interval" in lines[1]
    assert lines[2].startswith("1  ")
    assert "moving first is worth" in text
    assert "is not yet real: about" in text or "in sight would tell" in text


@pytest.mark.parametrize("since", ["1d", "2026-03-02", "2026-03-02T10:00:00+01:00"])
def test_since_leaves_out_what_began_before(filled: str, since: str) -> None:
    assert printed("--db", filled, "--since", since) == b"no runs to rate\n"


def test_since_takes_a_date(filled: str) -> None:
    assert printed("--db", filled, "--since", "2026-02-28") == printed("--db", filled)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--since", "soon"], 2, "'soon' is no time: write 30m, 12h, 1d, 2w or 2026-11-01"),
        (["--since", "999999w"], 2, "is no time"),
        (["--since", "0001-01-01"], 2, "is no time"),
        (["err>x"], 2, "err: 'x' is no number"),
        (["nonsense>3"], 2, "no field 'nonsense'"),
        (["--db", "/nonexistent/arena.duckdb"], 3, ""),
    ],
)
def test_bad_input_is_one_line(
    filled: str, words: list[str], code: int, said: str, capfd: pytest.CaptureFixture[str]
) -> None:
    words = words if "--db" in words else ["--db", filled, *words]
    try:
        found = main(["ratings", *words])
    except SystemExit as error:
        found = int(error.code or 0)

    told = capfd.readouterr().err
    assert found == code
    assert said in told
    assert len(told.splitlines()) == (1 if code else 0)


def test_an_empty_store_has_nothing_to_rate(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = str(tmp_path / "new.duckdb")
    Database(path).close()

    assert main(["ratings", "--db", path]) == 0
    assert capfd.readouterr().out == "no runs to rate\n"
    assert main(["ratings", "--json", "--db", path]) == 0
    assert capfd.readouterr().out == ""
