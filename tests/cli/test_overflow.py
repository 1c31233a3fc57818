"""What becomes of events when the store is too slow for them, as a script sees it."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.cli.test_commands import arena, lines, surroundings
from tests.ready import ARENA
from tests.waiting import until_blocking


def test_what_a_slow_store_loses_is_in_the_account_and_in_the_store(tmp_path: Path) -> None:
    fast = ["--rate", "20000", "--max-turns", "4000"]

    done = arena(tmp_path, "play", "synth", *fast, "--slow-store", "2300", "--json")
    checked = arena(tmp_path, "verify", "--json")

    assert (done.returncode, done.stderr) == (0, "")
    account = lines(done.stdout)[-1]
    stored = lines(checked.stdout)[-1]
    assert account["type"] == "account"
    assert account["lost"] > 0
    assert account["published"] == account["stored"] + account["lost"]
    assert account["in_flight"] == 0
    assert checked.returncode == 0
    assert (account["stored"], account["lost"]) == (stored["events"], stored["lost"])
    log = (tmp_path / "state" / "arena-tui" / "arena-tui.log").read_text()
    announced = log.count("overflow, persister is losing events")
    assert 0 < announced <= stored["gaps"]  # what one overflow loses may be read in two parts


def test_who_stores_elsewhere_says_only_what_was_published(tmp_path: Path) -> None:
    store = tmp_path / "arena.duckdb"
    owner = subprocess.Popen(
        [*ARENA, "play", "synth", "--delay", "60"], env=surroundings(tmp_path),
        stdout=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        until_blocking(store.exists)
        until_blocking(store.with_name("arena.duckdb.sock").exists)
        slow = arena(tmp_path, "play", "synth", "--slow-store", "9")
        done = arena(tmp_path, "play", "synth", "--max-turns", "2", "--json")
    finally:
        owner.terminate()
        owner.wait(60)

    assert slow.returncode == 2
    assert "open in another process: give another --db" in slow.stderr
    account = lines(done.stdout)[-1]
    events = lines(arena(tmp_path, "verify", "--json").stdout)
    assert account["published"] in [run["events"] for run in events if "run_id" in run]
    assert account["stored"] is account["lost"] is account["in_flight"] is None
