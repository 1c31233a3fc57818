"""`arena-tui consumers`: what is installed, whether it can run, and how far it is."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest

import arena_tui
from arena_tui.broker.redis.broker import RedisBroker
from arena_tui.broker_url import BrokerUrl
from tests.cli.test_commands import arena, lines
from tests.packages_fixture import WITNESS, put_package
from tests.waiting import until

NOISY = f"print('a module that prints')\n{WITNESS}"


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    source = Path(arena_tui.__file__).parents[1]
    return {"PYTHONPATH": os.pathsep.join([str(tmp_path / "site"), str(source)])}


def found(tmp_path: Path, environment: dict[str, str], *words: str) -> list[dict[str, Any]]:
    return lines(arena(tmp_path, "consumers", "--json", *words, **environment).stdout)


def test_where_none_is_installed_it_says_so(tmp_path: Path, environment: dict[str, str]) -> None:
    told = arena(tmp_path, "consumers", **environment)

    assert (told.returncode, told.stderr) == (0, "")
    assert told.stdout.startswith("no consumers are installed")
    assert found(tmp_path, environment) == []


def test_it_tells_of_each_how_far_it_is(tmp_path: Path, environment: dict[str, str]) -> None:
    module = put_package(tmp_path / "site", "witness", NOISY, "some-package")
    never = found(tmp_path, environment)
    played = arena(tmp_path, "play", "synth", "--max-turns", "2", "--games", "3", **environment)
    (after,) = found(tmp_path, environment)
    table = arena(tmp_path, "consumers", **environment).stdout.splitlines()

    assert played.returncode == 0
    folder = tmp_path / "data" / "arena-tui" / "consumers" / "witness"
    assert never == [
        {
            "consumer": "witness", "package": "some-package", "version": "1.5",
            "target": f"{module}:Factory", "problem": None, "durable": True,
            "folder": str(folder), "places": [],
        }
    ]  # fmt: skip
    (place,) = after["places"]
    assert (place["runs"], place["unfinished"], place["pid"]) == (3, 0, None)
    assert place["place"] == str(tmp_path / "arena.duckdb")
    assert Path(place["folder"]).parent == folder
    assert place["kept_at"]
    assert len(table) == 2
    assert table[1].split()[:3] == ["witness", "some-package", "1.5"]
    assert "stopped" in table[1]


@pytest.mark.parametrize(
    ("name", "source", "why"),
    [
        ("witness", "import no_such_module", "No module named 'no_such_module'"),
        ("persister", WITNESS, "that is the name of a consumer of arena-tui"),
    ],
)
def test_one_that_cannot_run_is_a_failed_check(
    tmp_path: Path, environment: dict[str, str], name: str, source: str, why: str
) -> None:
    put_package(tmp_path / "site", name, source, "bad")

    told = arena(tmp_path, "consumers", **environment)
    (listed,) = found(tmp_path, environment)

    assert told.returncode == 1
    assert told.stderr.count("\n") == 1
    assert why in told.stderr
    assert why in listed["problem"]
    assert "cannot run" in told.stdout


async def test_of_a_server_it_tells_whom_that_knows(
    tmp_path: Path, environment: dict[str, str], redis_url: str
) -> None:
    put_package(tmp_path / "site", "witness", WITNESS)
    broker = RedisBroker(BrokerUrl(redis_url))
    broker.subscribe("tally", durable=True)
    await broker.start()
    await until(broker.known_consumers)

    told = await asyncio.to_thread(found, tmp_path, environment, "--broker", redis_url)

    assert told[0]["consumer"] == "witness"
    assert told[1:] == [{"known_as": "tally", "broker": broker.name, "kept": True}]
    await broker.aclose()


def test_a_server_out_of_reach_is_one_line(tmp_path: Path, environment: dict[str, str]) -> None:
    told = arena(tmp_path, "consumers", "--broker", "redis://127.0.0.1:1", **environment)

    assert (told.returncode, told.stderr.count("\n")) == (3, 1)
