from __future__ import annotations

import os
from pathlib import Path

import pytest

from arena_tui.bench.measure import BenchError, Plan
from arena_tui.bench.memory import Sample, growth_mb_per_h, measure_memory, resident_bytes
from tests.bench.test_command import TINY


def sample(at_s: float, memory_mb: float) -> Sample:
    return Sample(at_s=at_s, memory_mb=memory_mb, store_mb=1.0)


def test_growth_is_that_after_the_first_sixth() -> None:
    samples = [sample(at, 100.0 if at < 10 else 200 + at / 60) for at in range(61)]

    assert growth_mb_per_h(samples) == pytest.approx(60)


def test_memory_that_shrinks_is_said_to_be_flat() -> None:
    assert growth_mb_per_h([sample(at, 200 - at) for at in range(60)]) == 0.1


def test_memory_of_a_process_is_told_from_outside_and_not_once_it_has_ended() -> None:
    assert resident_bytes(os.getpid()) > 1_000_000

    with pytest.raises(BenchError, match="has ended"):
        resident_bytes(2**22 + 1)


def test_memory_is_told_at_each_moment_beside_that_at_rest_and_its_curve_is_drawn(
    tmp_path: Path,
) -> None:
    curve = tmp_path / "curve.svg"
    plan = Plan(folder=tmp_path, sizes=TINY, curve=curve)

    figures = list(measure_memory(plan))

    titles = list(dict.fromkeys(each.figure.rpartition(": ")[2] for each in figures))
    assert titles == ["at the start", "after 0 s", "at the end", "most", "growth thereafter",
                      "the store's files at the end"]  # fmt: skip
    of_memory = [each for each in figures if "files" not in each.figure]
    assert all(each.value > 0 and each.peer_value > 0 for each in of_memory)
    assert {(each.figure.rpartition(": ")[2], each.goal) for each in figures if each.goal} == {
        ("most", "≤ 250 MB")
    }
    assert curve.read_text().count("<polyline") == 3
    assert list(tmp_path.glob("memory.duckdb*")) == []
