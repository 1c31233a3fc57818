from __future__ import annotations

from argparse import Namespace
from pathlib import Path

import pytest

from arena_tui.bench import redis
from arena_tui.bench.measure import BenchError, Figure, Plan, Sizes
from arena_tui.bench.redis import measure_redis
from arena_tui.bench.redis_latency import measure_latency
from arena_tui.cli import benching
from arena_tui.services.servers import RedisServer

TINY = Sizes(redis_events=300, redis_stored=500, redis_watch_s=1.0)


@pytest.fixture(scope="module")
def figures(redis_server: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> list[Figure]:
    """One round of everything; skipped where there is no server to start."""
    return list(measure_redis(Plan(folder=tmp_path_factory.mktemp("bench"), rounds=1, sizes=TINY)))


def test_every_figure_stands_beside_redis_py_and_a_floor(figures: list[Figure]) -> None:
    peers: dict[str, list[str]] = {}
    for each in figures:
        assert each.value > 0
        assert each.peer_value > 0
        peers.setdefault(each.figure, []).append(each.peer)

    assert all(any("floor" in peer for peer in each) for each in peers.values())
    for name, each in peers.items():
        assert any("redis-py" in peer for peer in each), name


def test_goals_are_those_of_the_design(figures: list[Figure]) -> None:
    assert {(each.figure, each.goal) for each in figures if each.goal} == {
        ("publish in batches of 100, 50 runs", "≥ 2 ×"),
        ("publish in batches of 100, 50 runs", "≥ 20 ×"),
        ("500 events of 50 runs → ledger, decoded", "≥ 250000 ev/s"),
        ("500 events of 50 runs → ledger, decoded", "≥ 0.6 ×"),
        ("10,000 ev/s over 500 runs: late by, p50", "≤ 3 ms"),
        ("10,000 ev/s over 500 runs: late by, p99", "≤ 15 ms"),
        ("10,000 ev/s over 500 runs: kept open", "≤ 4 connections"),
    }


def test_without_a_server_it_is_left_out_and_the_way_to_one_is_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis, "find_server", lambda: None)

    arguments = Namespace(what=["redis"], rounds=1, json=True, debug=True, db=None)

    assert benching.bench(arguments) == 0

    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == (
        'arena-tui: redis is left out: no server here: pip install "arena-tui[server]"\n'
    )


def test_a_producer_that_fails_is_an_error_that_says_why(
    redis_server: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho no such luck >&2\n")
    python.chmod(0o755)
    monkeypatch.setattr("sys.executable", str(python))

    with pytest.raises(BenchError, match="the producer ended: no such luck"):
        list(measure_latency(Plan(folder=tmp_path, rounds=1, sizes=TINY), redis_server))
