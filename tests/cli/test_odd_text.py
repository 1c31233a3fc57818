"""Event text that would command a terminal: what commands print says the same and does nothing."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from arena_tui.events import ErrorEvent, LogEvent, RunEnd, RunStart
from tests.cli.test_archive import AT, made
from tests.cli.test_commands import arena
from tests.envelopes import envelope

HOSTILE = "red\x1b[31m \x9b31m \x7f\x00\x07 end"
OBEYED = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A store with one run, whose game, agent and texts are hostile."""
    made(
        tmp_path,
        [
            envelope("a", 7, 1, RunStart(ts=AT, game=HOSTILE, label=HOSTILE)),
            envelope("a", 7, 2, LogEvent(ts=AT, agent_id=HOSTILE, text=HOSTILE)),
            envelope("a", 7, 3, ErrorEvent(ts=AT, message=HOSTILE)),
            envelope("a", 7, 4, RunEnd(ts=AT, reason=HOSTILE)),
        ],
    )
    return tmp_path


@pytest.mark.parametrize("command", ["runs", "events a", "search red", "sql 'FROM events'"])
@pytest.mark.parametrize("form", ["", "--json"])
def test_no_control_character_reaches_the_terminal(folder: Path, command: str, form: str) -> None:
    words = command.replace("'", "").split(" ", 1)

    done = arena(folder, *words, *form.split())

    assert (done.returncode, "red" in done.stdout) == (0, True)
    assert OBEYED.findall(done.stdout + done.stderr) == []


def test_what_json_says_is_unchanged(folder: Path) -> None:
    done = arena(folder, "events", "a", "--json")

    said = [json.loads(line) for line in done.stdout.splitlines()]
    assert [said[0]["game"], said[1]["text"], said[1]["agent_id"]] == [HOSTILE] * 3


def test_a_table_for_spreadsheets_has_no_control_characters_in_its_names(folder: Path) -> None:
    done = arena(folder, "export", "--format", "csv")

    names = [row.split(",")[5] for row in done.stdout.splitlines()]
    assert names[2] == "red�[31m �31m ��� end"
