"""A log that cannot be written is said once, and is no reason not to run."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from arena_tui.config import Config
from arena_tui.services.session import Session
from tests.cli.test_commands import arena, lines
from tests.conftest import FakeClock


@pytest.fixture(params=["folder", "below a file", "pipe", "no such device"])
def log(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    path = tmp_path / "log"
    if request.param == "folder":
        path.mkdir()
    elif request.param == "below a file":
        path.touch()
        path /= "log"
    elif request.param == "pipe":
        os.mkfifo(path)
    else:
        path = Path("/proc/no/log")
    return str(path)


def test_games_are_played_and_stored_without_a_log(log: str, tmp_path: Path) -> None:
    done = arena(tmp_path, "play", "synth", "--max-turns", "2", "--json", ARENA_LOG=log)

    assert done.returncode == 0
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith(f"arena-tui: cannot write the log {log}: ")
    _, account = lines(done.stdout)
    assert account["stored"] == account["published"]
    assert len(lines(arena(tmp_path, "runs", "--json").stdout)) == 1


def test_a_disk_that_is_full_for_the_log_only_is_no_reason_to_complain_twice(
    tmp_path: Path,
) -> None:
    done = arena(tmp_path, "play", "synth", "--max-turns", "2", "--debug", ARENA_LOG="/dev/full")

    assert (done.returncode, done.stderr) == (0, "")


async def test_the_dashboard_notes_it(clock: FakeClock) -> None:
    why = "cannot write the log /x: no: set ARENA_LOG to another file"
    session = Session(Config(db=None), no_log=why)

    await session.begin(clock)
    await session.open()
    await session.sample()

    assert session.note == why
    await session.aclose(5)
