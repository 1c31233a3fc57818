from __future__ import annotations

from argparse import Namespace
from pathlib import Path

import pytest

from arena_tui.bench import socket
from arena_tui.bench.measure import BenchError, Figure, Plan, Sizes
from arena_tui.bench.socket import measure_socket
from arena_tui.cli import benching
from arena_tui.services.servers import RedisServer

TINY = Sizes(socket_events=500, socket_watch_s=0.5)
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


def test_without_a_server_it_is_left_out_and_the_way_to_one_is_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "find_server", lambda: None)

    arguments = Namespace(what=["socket"], rounds=1, json=True, debug=True, db=None)

    assert benching.bench(arguments) == 0

    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == (
        'arena-tui: socket is left out: no server here: pip install "arena-tui[server]"\n'
    )


def test_a_process_that_fails_is_an_error_that_says_why(
    redis_server: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho no such luck >&2\n")
    python.chmod(0o755)
    monkeypatch.setattr("sys.executable", str(python))

    with pytest.raises(BenchError, match="a process ended: no such luck"):
        list(measure_socket(Plan(folder=tmp_path, rounds=1, sizes=TINY)))
