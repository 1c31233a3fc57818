"""The examples of docs/CONSUMERS.md, as a user would run them beside the installed package."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import pytest

import arena_tui
from arena_tui.errors import UsageError
from tests.packages_fixture import put_package
from tests.waiting import until_blocking

EXAMPLES = re.findall(
    r"```python\n(.*?)```",
    (Path(__file__).parents[2] / "docs" / "CONSUMERS.md").read_text(encoding="utf-8"),
    re.DOTALL,
)
SIMPLE, EXACT, PLAYED = EXAMPLES
EVENTS = 3_000
KILLS = 4

GAME = f"""
import sys
import arena_tui
from arena_tui.errors import UsageError
from tally import Tally

with arena_tui.connect(consumers=[Tally]) as arena, arena.run("my-game", run_id=sys.argv[1]) as run:
    for number in range({EVENTS}):
        run.log(str(number))
    if sys.argv[2:]:
        sys.stdin.read()
"""

SIMPLE_PLAYED = """
import arena_tui

with arena_tui.connect(consumers=[Errors]) as arena, arena.run("game", run_id="run1") as run:
    run.log("all is well")
    run.error("429")
"""

Start: TypeAlias = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts a program in a folder that has the example beside it, and kills it after the test."""
    (tmp_path / "tally.py").write_text(EXACT)
    (tmp_path / "game.py").write_text(GAME)
    (tmp_path / "last.py").write_text(PLAYED)
    processes: list[subprocess.Popen[bytes]] = []

    def begin(program: str, *arguments: str, **environment: str) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [sys.executable, program, *arguments],
            cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env={**os.environ, "XDG_DATA_HOME": str(tmp_path / "data"), **environment},
        )  # fmt: skip
        processes.append(process)
        return process

    yield begin
    for process in processes:
        process.kill()
        process.communicate()


def kept(tmp_path: Path) -> tuple[dict[str, int], dict[str, Any]]:
    """Count and cursor of each run."""
    path = tmp_path / "data" / "arena-tui" / "consumers" / "tally" / "tally.json"
    found = json.loads(path.read_text()) if path.exists() else {}
    counts = {run_id: count for run_id, (_, count) in found.items()}
    return counts, {run_id: at for run_id, (at, _) in found.items()}


def test_the_example_is_short() -> None:
    assert len(list(filter(str.strip, EXACT.splitlines()))) <= 30


def test_the_simple_example_prints_what_went_wrong(start: Start, tmp_path: Path) -> None:
    (tmp_path / "errors.py").write_text(SIMPLE + SIMPLE_PLAYED)

    said, told = start("errors.py").communicate(timeout=60)

    assert told == b""
    assert said == b"run1 429\n"


def test_killed_in_mid_run_it_has_each_event_of_a_server_once(
    start: Start, each_redis_url: str, tmp_path: Path
) -> None:
    with arena_tui.connect(each_redis_url, store=False) as arena:
        runs = [arena.run("game", run_id=f"run{number}") for number in range(3)]
        for run in runs:
            run.__enter__()
        for kill in range(1, KILLS + 1):
            process = start("tally.py", ARENA_BROKER=each_redis_url)
            for number in range(EVENTS):
                runs[number % 3].log(str(number))
            until_blocking(lambda least=kill: sum(kept(tmp_path)[0].values()) > least * 500)
            process.kill()
            process.wait()
        for run in runs:
            run.end()
        process = start("tally.py", ARENA_BROKER=each_redis_url)
        total = KILLS * EVENTS + 6
        until_blocking(lambda: sum(kept(tmp_path)[0].values()) >= total)
    process.terminate()

    assert process.wait() == 0
    counts, cursors = kept(tmp_path)
    assert sum(counts.values()) == total
    assert counts == {run_id: seq for run_id, (_, seq) in cursors.items()}


def test_installed_and_killed_with_the_store_it_has_each_event_once(
    start: Start, redis_url: str, tmp_path: Path
) -> None:
    exact = EXACT.replace("class Tally", "class Factory").partition("\n\nif __name__")[0]
    put_package(tmp_path / "site", "tally", exact)
    (tmp_path / "persist.py").write_text(
        "import sys; from arena_tui.cli import main; sys.exit(main())"
    )
    source = Path(arena_tui.__file__).parents[1]
    installed = {
        "PYTHONPATH": os.pathsep.join([str(tmp_path / "site"), str(source)]),
        "ARENA_BROKER": redis_url, "ARENA_DB": str(tmp_path / "arena.duckdb"),
        "ARENA_LOG": str(tmp_path / "log"),
    }  # fmt: skip

    def found() -> tuple[int, int]:
        """How many events it has counted, and how many its cursors cover."""
        folder = tmp_path / "data" / "arena-tui" / "consumers" / "tally"
        (path,) = list(folder.glob("redis-*/tally.json")) or [tmp_path / "missing"]
        runs = json.loads(path.read_text()).values() if path.exists() else []
        return sum(count for _, count in runs), sum(seq for (_, seq), _ in runs)

    with arena_tui.connect(redis_url, store=False) as arena, arena.run("game") as run:
        for kill in range(1, KILLS + 1):
            process = start("persist.py", "persist", **installed)
            for number in range(EVENTS):
                run.log(str(number))
            until_blocking(lambda least=kill: found()[0] > least * 500)
            process.kill()
            process.wait()
    process = start("persist.py", "persist", **installed)
    until_blocking(lambda: found()[0] >= KILLS * EVENTS + 2)
    process.terminate()

    assert process.wait() == 0
    assert found() == (KILLS * EVENTS + 2, KILLS * EVENTS + 2)


def test_killed_in_process_it_has_each_event_once(start: Start, tmp_path: Path) -> None:
    for number in range(KILLS):
        process = start("game.py", f"killed{number}", "wait")
        until_blocking(lambda run=f"killed{number}": kept(tmp_path)[0].get(run, 0) > 100)
        process.kill()
        process.wait()
    assert start("game.py", "whole").wait() == 0
    assert start("last.py").wait() == 0

    counts, cursors = kept(tmp_path)
    assert counts["whole"] == EVENTS + 2
    assert counts == {run_id: seq for run_id, (_, seq) in cursors.items()}
    assert len(counts) == KILLS + 2


def test_without_a_server_it_says_in_one_line_what_to_do(start: Start) -> None:
    process = start("tally.py", ARENA_BROKER="memory:")

    _, told = process.communicate()

    assert (process.returncode, told.count(b"\n")) == (2, 1)
    assert b"set ARENA_BROKER to redis://" in told


def test_a_connection_to_a_server_takes_no_consumers(redis_url: str) -> None:
    with pytest.raises(UsageError, match=r"use arena_tui\.consumer\.run"):
        arena_tui.connect(redis_url, consumers=[lambda context: None])  # type: ignore[arg-type]
