"""What `doctor` finds out about this machine and the store; the runbook's tests have the faults."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

import arena_tui
from tests.cli.test_commands import arena, lines
from tests.packages_fixture import WITNESS, put_package

PLAY = ("play", "synth", "--max-turns", "1")


def doctor(folder: Path, **environment: str) -> tuple[int, dict[str, dict[str, Any]]]:
    done = arena(folder, "doctor", "--json", **environment)
    return done.returncode, {finding["check"]: finding for finding in lines(done.stdout)}


def test_a_finding_that_the_runbook_tells_more_of_names_the_section(tmp_path: Path) -> None:
    (tmp_path / "arena.duckdb").write_bytes(b"no store")

    told = arena(tmp_path, "doctor", "--broker", "redis://127.0.0.1:1").stdout
    _, findings = doctor(tmp_path, ARENA_BROKER="redis://127.0.0.1:1")

    assert "\n    → docs/RUNBOOK.md: Redis is down\n" in told
    assert findings["broker"]["runbook"] == "Redis is down"
    assert findings["store"]["runbook"] is None
    assert findings["store"]["advice"] == "give another --db"


def test_a_store_in_which_all_is_well_is_one_finding(tmp_path: Path) -> None:
    assert arena(tmp_path, *PLAY).returncode == 0

    code, findings = doctor(tmp_path)

    assert code == 0
    assert "1 run," in findings["store"]["detail"]
    assert findings.keys().isdisjoint({"lost", "unfinished", "consumers"})


@pytest.mark.parametrize(
    ("source", "ok", "said"),
    [
        (WITNESS, True, "witness"),
        ("import no_such_module", False, "No module named 'no_such_module'"),
    ],
)
def test_installed_consumers_that_cannot_run_are_named(
    tmp_path: Path, source: str, ok: bool, said: str
) -> None:
    put_package(tmp_path / "site", "witness", f"print('loud')\n{source}")
    package = Path(arena_tui.__file__).parents[1]

    code, findings = doctor(
        tmp_path, PYTHONPATH=os.pathsep.join([str(tmp_path / "site"), str(package)])
    )

    assert findings["consumers"]["ok"] is ok
    assert said in findings["consumers"]["detail"]
    assert findings["consumers"]["runbook"] == (None if ok else "A consumer lags")
    assert code == (0 if ok else 1)


@pytest.mark.parametrize(("token", "ok"), [("x" * 16, True), ("k3y", False)])
def test_a_token_that_can_be_guessed_is_found(tmp_path: Path, token: str, ok: bool) -> None:
    code, findings = doctor(tmp_path, ARENA_TOKEN=token)

    assert findings["http"]["ok"] is ok
    assert ("ARENA_TOKEN is too short" in findings["http"]["advice"]) is not ok
    assert "k3y" not in str(findings)
    assert code == (0 if ok else 1)
