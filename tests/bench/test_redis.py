from __future__ import annotations

import pytest

from arena_tui.bench.measure import Figure, Plan
from arena_tui.bench.redis import measure_redis
from arena_tui.services.servers import RedisServer
from tests.bench.test_command import TINY


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
