from __future__ import annotations

import pytest

from arena_tui.bench.measure import Figure, Plan
from arena_tui.bench.socket import measure_socket
from arena_tui.services.servers import RedisServer
from tests.bench.test_command import TINY

FLOW = "500 events of 50 runs, thread → another process's store: "
DELAY = "1,000 ev/s over 50 runs, to a third process: "


@pytest.fixture(scope="module")
def figures(redis_server: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> list[Figure]:
    """One round of everything; skipped where there is no server to start."""
    return list(measure_socket(Plan(folder=tmp_path_factory.mktemp("bench"), rounds=1, sizes=TINY)))


def test_every_figure_stands_beside_redis(figures: list[Figure]) -> None:
    for each in figures:
        assert each.value > 0
        assert each.peer_value > 0
        assert each.peer == "Redis on loopback"


def test_goals_are_ratios_of_throughput_and_cpu_and_bounds_of_lateness(
    figures: list[Figure],
) -> None:
    assert [(each.figure, each.goal) for each in figures] == [
        (FLOW + "stored", "≥ 0.5 ×"),
        (FLOW + "CPU of the producer", "≤ 2 ×"),
        (FLOW + "CPU of the process that stores", "≤ 2 ×"),
        (DELAY + "late by, p50", "≤ 20 ms"),
        (DELAY + "late by, p99", "≤ 100 ms"),
    ]
