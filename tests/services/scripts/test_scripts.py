"""The scripts of a dashboard: where they publish, how they start again and end."""

from __future__ import annotations

import json
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from arena_tui.broker.warnings import Warnings
from arena_tui.broker_url import BrokerUrl
from arena_tui.config import Config, load_config
from arena_tui.errors import UsageError
from arena_tui.services.scripts.scripts import Scripts, environment_of
from arena_tui.services.scripts.spec import ScriptSpec
from arena_tui.services.session import Session
from tests.faults.accounts import entries
from tests.waiting import until

WITHIN_S = 20.0


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The script."""
    return tmp_path / "agent.py"


@pytest.fixture
async def scripts(tmp_path: Path) -> AsyncIterator[Scripts]:
    made = Scripts(Config(db=str(tmp_path / "arena.duckdb")), Warnings())
    yield made
    await made.aclose(WITHIN_S)


async def start(scripts: Scripts, file: Path, text: str) -> None:
    """Start a script of its own: Python reads a file some time after it has been started."""
    own = file.parent / str(len(scripts.panes())) / file.name
    own.parent.mkdir()
    own.write_text(text)
    await scripts.start(ScriptSpec(file=str(own)))


async def test_one_that_has_ended_runs_again_under_its_number(scripts: Scripts, file: Path) -> None:
    await start(scripts, file, "print('one')")
    await until(lambda: scripts.panes()[0].ending)
    first = scripts.panes()
    (file.parent / "0" / file.name).write_text("import sys; sys.exit('two')")
    await scripts.start_again(1)
    await until(lambda: scripts.panes()[0].ending)

    told = [(pane.number, pane.ending, pane.lines) for pane in (*first, *scripts.panes())]
    assert told == [(1, "exited 0", ("one",)), (1, "exited 1", ("two",))]


async def test_one_that_runs_is_not_started_again(scripts: Scripts, file: Path) -> None:
    await start(scripts, file, "import signal; signal.pause()")

    with pytest.raises(UsageError, match=r"agent.py is still running"):
        await scripts.start_again(1)
    with pytest.raises(UsageError, match="gone"):
        await scripts.start_again(2)
    assert scripts.running == 1


async def test_one_that_fails_is_warned_of(tmp_path: Path, file: Path) -> None:
    warnings = Warnings()
    scripts = Scripts(Config(db=str(tmp_path / "a.duckdb")), warnings)
    for text in ("raise KeyError('x')", "import os; os.abort()", "raise SystemExit(0)"):
        await start(scripts, file, text)
    await until(lambda: all(pane.ending for pane in scripts.panes()))
    await until(lambda: len(warnings.newest()) == 2)

    assert sorted(map(str, warnings.newest())) == [
        "agent.py failed: KeyError: 'x': see the log",
        "agent.py failed: killed by SIGABRT: see the log",
    ]


async def test_what_does_not_change_is_the_same_object(scripts: Scripts, file: Path) -> None:
    await start(scripts, file, "print('one')")
    await until(lambda: scripts.panes()[0].ending)

    assert scripts.panes()[0] is scripts.panes()[0]


async def test_a_run_that_others_began_since_is_taken_for_its_own(
    scripts: Scripts, file: Path
) -> None:
    await start(scripts, file, "")

    told = [scripts.panes(runs)[0].has_run for runs in ({"a"}, {"a"}, {"a", "b"}, set())]

    assert told == [False, False, True, True]


async def test_those_that_have_ended_are_cleared(scripts: Scripts, file: Path) -> None:
    await start(scripts, file, "import signal; signal.pause()")
    await start(scripts, file, "")
    await until(lambda: scripts.panes()[1].ending)

    scripts.clear()

    assert [pane.number for pane in scripts.panes()] == [1]
    assert scripts.output(2) is None


async def test_all_are_asked_at_once_and_none_is_waited_for_longer(
    scripts: Scripts, file: Path
) -> None:
    for _ in range(3):
        await start(
            scripts, file,
            "import signal; signal.signal(signal.SIGTERM, lambda *_: None); print('ready')\n"
            "while True: signal.pause()",
        )  # fmt: skip
    await until(lambda: all(pane.count for pane in scripts.panes()))
    began = time.monotonic()
    await scripts.aclose(0.5)

    assert time.monotonic() - began >= 0.5
    await until(lambda: scripts.running == 0)
    assert {pane.ending for pane in scripts.panes()} == {"killed by SIGKILL"}


@pytest.mark.parametrize(
    "broker", ["memory:", "redis://u:p%40x@h:6380/2?prefix=team1:", "rediss://:p@h"]
)
def test_a_child_finds_broker_and_store_in_its_environment(broker: str, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    config = Config(broker=BrokerUrl(broker), db=str(tmp_path / "link" / "a.duckdb"))

    found = load_config(environment=environment_of(config))

    assert found.broker == config.broker
    assert found.db == str(tmp_path / "a.duckdb")
    assert "ARENA_BROKER" not in os.environ or os.environ["ARENA_BROKER"] != broker


@pytest.mark.parametrize("db", [None, ":memory:"])
def test_a_script_needs_a_store_or_a_server(db: str | None) -> None:
    with pytest.raises(UsageError, match="give a file with --db, or a server with --broker"):
        environment_of(Config(db=db))

    environment_of(Config(broker=BrokerUrl("redis://h"), db=db))


RECORDING = """
import json, os, signal, sys
import arena_tui
arena = arena_tui.connect()
run = arena.run("by-script", run_id=sys.argv[1]).__enter__()
run.action("e4")
json.dump(dict(os.environ), open(sys.argv[2], "w"))
signal.pause()
"""


async def test_leaving_has_it_end_its_runs(redis_url: str, tmp_path: Path, file: Path) -> None:
    told = tmp_path / "told"
    file.write_text(RECORDING)
    session = Session(
        Config(broker=BrokerUrl(redis_url), db=str(tmp_path / "a.duckdb")),
        [ScriptSpec(file=str(file), arguments=("r1", str(told)))],
    )
    await session.begin(time.monotonic)
    await session.open()
    first = session.script_panes()

    async def is_shown() -> bool:
        return [pane.run_id for pane in (await session.sample()).panes] == ["r1"]

    await until(is_shown)
    await until(lambda: session.script_panes()[0].has_run)
    await until(told.exists)
    unsaved = await session.aclose(7.0)

    events = [entry.text for entry in entries(redis_url, "r1")]
    assert unsaved is None
    assert [pane.has_run for pane in first] == [False]
    assert events == ["run_start", "action", "run_end"]
    assert session.scripts.panes()[0].ending == "killed by SIGTERM"
    assert "PYTHONUNBUFFERED" in json.loads(told.read_text())
    assert session.runtime.broker.warnings.counts().get("script_failed") is None
