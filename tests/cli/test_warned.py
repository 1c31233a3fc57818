"""A warning reads the same on stderr, in the log and on the screen, and stands there once."""

from __future__ import annotations

from io import FileIO
from pathlib import Path
from typing import Any

import pytest

from arena_tui.broker.memory import InProcessBroker
from arena_tui.cli.publish import publish_from
from arena_tui.config import Config
from arena_tui.services.runtime import Runtime
from arena_tui.services.session import Session
from arena_tui.store.database import Database
from tests.cli.test_commands import arena
from tests.conftest import FakeClock

MOVED = "the store could not be read and was moved to "


@pytest.fixture
def damaged(tmp_path: Path) -> Path:
    """A store that was cut short."""
    path = tmp_path / "arena.duckdb"
    Database(str(path)).close()
    path.write_bytes(path.read_bytes()[:9_000])
    return path


def test_what_play_says_of_a_damaged_store_is_what_it_logs(damaged: Path, tmp_path: Path) -> None:
    log = tmp_path / "arena.log"

    done = arena(tmp_path, "play", "synth", "--max-turns", "2", ARENA_LOG=str(log))

    said = done.stderr.splitlines()
    logged = [line for line in log.read_text().splitlines() if MOVED in line]
    assert [line.startswith(f"arena-tui: {MOVED}") for line in said] == [True]
    assert [line.partition(": ")[2] for line in logged] == [said[0].removeprefix("arena-tui: ")]
    assert " ERROR " in logged[0]


@pytest.mark.parametrize("command", ["runs", "doctor"])
def test_a_command_that_reads_says_it_once_and_mends_nothing(
    damaged: Path, tmp_path: Path, command: str
) -> None:
    before = damaged.read_bytes()

    done = arena(tmp_path, command)

    assert (done.stdout + done.stderr).count("is damaged (") == 1
    assert done.returncode == (1 if command == "doctor" else 3)
    assert damaged.read_bytes() == before


async def test_what_publish_says_is_what_it_logs(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    async def fail(*_: Any) -> None:
        raise ZeroDivisionError("no")

    monkeypatch.setattr(InProcessBroker, "publish_all", fail)
    source = tmp_path / "x.jsonl"
    source.write_bytes(b'{"run_id": "a", "kind": "log", "text": "x"}\n')

    with FileIO(source) as file:
        await publish_from(file, Runtime(Config(db=None), producer=True), keep_open=True)

    said = capsys.readouterr().err.splitlines()
    assert caplog.messages == ["1 events could not be published: no: see the log"]
    assert said.count(f"arena-tui: {caplog.messages[0]}") == 1


async def test_what_the_screen_notes_is_what_is_logged(
    damaged: Path, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    session = Session(Config(db=str(damaged)))
    await session.begin(clock)

    await session.open()

    assert caplog.messages == [session.note]
    assert caplog.messages[0].startswith(MOVED)
    assert await session.aclose(10) is None
