"""The command line as scripts use it: what it prints, where, and with which exit code."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from arena_tui import cli
from arena_tui.cli.output import local_time
from arena_tui.store.database import Database
from tests.ready import ARENA, run_arena

PLAY = [
    "play",
    "connect_four",
    "mcts:10",
    "random",
    "--games",
    "4",
    "--parallel",
    "2",
    "--seed",
    "7",
]


def arena(
    folder: Path, *words: str, given: str = "", **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run a command with all its files in `folder`; what is `given` is its input."""
    return run_arena(words, given, surroundings(folder) | environment)


def surroundings(folder: Path) -> dict[str, str]:
    return {
        **os.environ, "HOME": str(folder), "XDG_DATA_HOME": str(folder / "data"),
        "XDG_CONFIG_HOME": str(folder / "config"), "XDG_STATE_HOME": str(folder / "state"),
        "ARENA_DB": str(folder / "arena.duckdb"),
    }  # fmt: skip


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a store of four finished games."""
    folder = tmp_path_factory.mktemp("played")
    assert arena(folder, *PLAY, "--json").returncode == 0
    return folder


def test_playing_prints_one_object_a_game_and_the_account(tmp_path: Path) -> None:
    done = arena(tmp_path, *PLAY, "--json")

    assert done.returncode == 0
    assert done.stderr == ""
    *games, account = lines(done.stdout)
    assert sorted(game["index"] for game in games) == [0, 1, 2, 3]
    assert {game["status"] for game in games} == {"finished"}
    events = lines(arena(tmp_path, "verify", "--json").stdout)[-1]["events"]
    assert account == {
        "type": "account", "published": events, "stored": events, "lost": 0, "in_flight": 0
    }  # fmt: skip


def test_the_same_seed_stores_the_same_games(played: Path, tmp_path: Path) -> None:
    def contents(folder: Path) -> list[list[dict[str, Any]]]:
        runs: dict[str, list[dict[str, Any]]] = {}
        for event in lines(arena(folder, "events", "--json").stdout):
            own = {k: v for k, v in event.items() if k not in ("run_id", "epoch", "ts")}
            runs.setdefault(event["run_id"], []).append(own)
        return sorted(runs.values(), key=str)

    arena(tmp_path, *PLAY)

    assert contents(played) == contents(tmp_path)


def test_runs_lists_what_the_contract_names(played: Path) -> None:
    runs = lines(arena(played, "runs", "--json").stdout)

    assert len(runs) == 4
    promised = {
        "run_id", "game", "label", "agents", "status", "outcome", "turns", "events", "errors",
        "lost", "input_tokens", "output_tokens", "cost_usd", "started_at", "ended_at",
        "duration_s", "parent_run_id",
    }  # fmt: skip
    assert promised <= set(runs[0])
    assert all(run["status"] == "finished" and sum(run["outcome"].values()) == 0 for run in runs)


def test_a_filter_works_as_one_argument_and_as_several(played: Path) -> None:
    one = lines(arena(played, "runs", "--json", "game:connect err=0").stdout)
    several = lines(arena(played, "runs", "--json", "game:connect", "err=0").stdout)

    assert len(one) == len(several) == 4


def test_events_are_flat_lines_with_dense_seqs(played: Path) -> None:
    run = lines(arena(played, "runs", "--json", "--limit", "1").stdout)[0]["run_id"]
    short = run[-6:].lower()

    events = lines(arena(played, "events", short, "--json").stdout)
    some = lines(arena(played, "events", run, "--from", "2", "--to", "9", "--kind", "action",
                       "--json").stdout)  # fmt: skip

    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert (events[0]["kind"], events[-1]["kind"]) == ("run_start", "run_end")
    assert {event["kind"] for event in some} == {"action"}


def test_what_is_recorded_is_what_is_stored(tmp_path: Path) -> None:
    record = ["--record", str(tmp_path / "all.jsonl")]

    arena(tmp_path, *PLAY, *record)
    arena(tmp_path, *PLAY, *record)

    recorded = lines((tmp_path / "all.jsonl").read_text())
    stored = lines(arena(tmp_path, "events", "--json").stdout)
    assert len({event["run_id"] for event in recorded}) == 8
    assert sorted(recorded, key=str) == sorted(stored, key=str)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--record", "notes.txt"], 3, "notes.txt is not a recording"),
        (["--record", "no/folder/x"], 3, "No such file or directory: give another file"),
        (["--record", "x", "--broker", "redis://127.0.0.1:1"], 2, "give --record to arena-tui"),
    ],
    ids=["foreign file", "no folder", "shared broker"],
)
def test_what_cannot_be_recorded_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], code: int, said: str
) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    monkeypatch.chdir(tmp_path)

    done = arena(tmp_path, *PLAY, *words)

    assert (done.returncode, done.stdout) == (code, "")
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_show_tells_one_run(played: Path) -> None:
    run = lines(arena(played, "runs", "--json", "--limit", "1").stdout)[0]

    shown = arena(played, "show", run["run_id"])

    assert shown.returncode == 0
    assert f"game           {run['game']}" in shown.stdout


def test_people_read_local_times_and_programs_utc(played: Path) -> None:
    run = lines(arena(played, "runs", "--json", "--limit", "1").stdout)[0]
    words = {"TZ": "XYZ-05:30"}
    there = datetime.fromisoformat(run["started_at"]) + timedelta(hours=5, minutes=30)

    shown = arena(played, "show", run["run_id"], **words).stdout
    listed = arena(played, "runs", "--limit", "1", **words).stdout
    first = arena(played, "events", run["run_id"], "--to", "1", **words).stdout
    again = lines(arena(played, "runs", "--json", "--limit", "1", **words).stdout)[0]

    assert f"started_at     {there:%Y-%m-%d %H:%M:%S}+05:30\n" in shown
    assert f"{there:%Y-%m-%d %H:%M:%S}+05:30" in listed
    assert f"{there:%H:%M:%S}" in first
    assert again == run
    assert run["started_at"].endswith("Z")


@pytest.mark.parametrize("zone", ["XYZ-05:30", "XYZ+05:30"])
def test_any_time_can_be_shown(zone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        shown = {local_time(at.replace(tzinfo=UTC)) for at in (datetime.min, datetime.max)}
    finally:
        monkeypatch.undo()
        time.tzset()

    assert len(shown) == 2


def test_verify_passes_a_whole_store_and_fails_a_broken_one(played: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.duckdb"
    broken.write_bytes((played / "arena.duckdb").read_bytes())
    database = Database(str(broken))
    database.read_now(lambda connection: connection.execute("DELETE FROM events WHERE seq = 5"))
    database.close()

    good = arena(played, "verify", "--json")
    bad = arena(played, "verify", "--db", str(broken), "--json")

    assert (good.returncode, bad.returncode) == (0, 1)
    assert lines(good.stdout)[-1]["ok"] is True
    assert lines(bad.stdout)[-1]["runs_with_problems"] == 4


def test_doctor_tells_where_everything_is(played: Path) -> None:
    findings = {f["check"]: f for f in lines(arena(played, "doctor", "--json").stdout)}

    assert "4 runs" in findings["store"]["detail"]
    assert findings["log"]["detail"].startswith(str(played / "state"))


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["bogus"], 2, "invalid choice"),
        (["--theme", "arena-dark"], 2, "needs a terminal"),
        (["play", "no_such_game", "--no-store"], 2, "no_such_game"),
        (["play", "chess", "wizard", "--no-store"], 2, "wizard"),
        (["play", "chess", "--games", "0", "--no-store"], 2, "games must be"),
        (["play", "chess", "--rate", "4"], 2, "--rate is for synth only"),
        (["play", "synth", "--no-store", "--slow-store", "9"], 2, "needs a store that this"),
        (["play", "synth", "--slow-store", "9000"], 2, "give 1 to 5,000 ms"),
        (["runs", "--broker", "gopher://u:secret@host"], 2, "unknown broker"),
        (["runs", "--db", "/no/such/folder/x.duckdb"], 3, "no store at"),
        (["runs", "colour>3"], 2, "no field 'colour'"),
        (["bench", "nothing"], 2, "nothing"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else None,
)  # fmt: skip
def test_an_error_is_one_line_that_says_what_to_do(
    tmp_path: Path, words: list[str], code: int, said: str
) -> None:
    done = arena(tmp_path, *words)

    assert done.returncode == code
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert said in done.stderr
    assert "secret" not in done.stderr


def test_a_setting_that_does_not_exist_is_named(tmp_path: Path) -> None:
    settings = tmp_path / "settings.toml"
    settings.write_text('colour = "red"\n')

    done = arena(tmp_path, "runs", ARENA_CONFIG=str(settings))

    assert done.returncode == 2
    assert "colour" in done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_games_and_all_is_stored(tmp_path: Path, number: int) -> None:
    command = [*ARENA, "play", "synth", "--games", "100000", "--json"]
    child = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=surroundings(tmp_path),
    )  # fmt: skip
    assert child.stdout is not None
    child.stdout.readline()
    child.send_signal(number)
    _, said = child.communicate(timeout=60)

    assert child.returncode == 128 + number
    assert said == ""
    assert arena(tmp_path, "verify").returncode == 0


def test_a_reader_that_has_seen_enough_is_no_error(played: Path) -> None:
    child = subprocess.Popen(
        [*ARENA, "events", "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env=surroundings(played),
    )  # fmt: skip
    assert child.stdout is not None
    assert child.stderr is not None
    child.stdout.readline()
    child.stdout.close()
    said = child.stderr.read()
    child.stderr.close()

    assert child.wait(60) == 0
    assert said == b""


COMMANDS = (
    "watch", "demo", "play", "publish", "persist", "runs", "show", "events", "stats", "verify",
    "redis", "close", "fork", "doctor", "bench",
)  # fmt: skip


def test_help_names_every_command(tmp_path: Path) -> None:
    text = arena(tmp_path, "--help").stdout

    for command in COMMANDS:
        assert f"    {command} " in text


def imported_by(*words: str) -> set[str]:
    """The modules loaded after the command line was asked for help."""
    script = "import atexit, sys; atexit.register(lambda: print(*sys.modules, file=sys.stderr));"
    script += f"from arena_tui.cli import main; main({list(words)})"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True
    )
    return set(done.stderr.split())


def test_help_imports_no_command() -> None:
    loaded = imported_by("--help")

    own = {module for module in loaded if module.startswith("arena_tui.")}
    assert own == {
        "arena_tui.cli", "arena_tui.cli.arguments", "arena_tui.cli.streams", "arena_tui.errors",
        "arena_tui.store", "arena_tui.store.place",
    }  # fmt: skip
    assert not loaded & {"msgspec", "duckdb", "textual", "pyspiel", "asyncio"}


def test_a_command_that_only_reads_starts_without_arrow() -> None:
    loaded = imported_by("runs", "--help")

    assert "duckdb" in loaded
    assert "nanoarrow" not in loaded


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_explains_itself_without_the_others_or_a_screen(command: str) -> None:
    name = {"redis": "server", "bench": "benching"}.get(command, command)
    own = {f"arena_tui.cli.{name}"} | ({"arena_tui.cli.watch"} if command == "demo" else set())
    files = {path.stem for path in Path(cli.__file__).parent.glob("*.py")}
    modules = {f"arena_tui.cli.{each}" for each in files}

    loaded = imported_by(command, "--help")

    with_arguments = {each for each in loaded & modules if has_arguments(each)}
    assert with_arguments == own
    assert not loaded & {"textual", "pyspiel", "genai_prices"}


def has_arguments(module: str) -> bool:
    """Whether the module is that of a command."""
    return hasattr(import_module(module), "add_arguments")
