from __future__ import annotations

import pytest

from arena_tui.bench.flood import measure_flood
from arena_tui.bench.measure import Figure, Plan
from tests.bench.test_command import TINY

TITLE = "48 panes, 500 ev/s, 0.4 s: "


@pytest.fixture(scope="module")
def told() -> list[str]:
    return []


@pytest.fixture(scope="module")
def figures(told: list[str], tmp_path_factory: pytest.TempPathFactory) -> list[Figure]:
    """One round of a small flood."""
    plan = Plan(folder=tmp_path_factory.mktemp("bench"), rounds=1, sizes=TINY, tell=told.append)
    return list(measure_flood(plan))


def of(figures: list[Figure], name: str) -> Figure:
    return next(each for each in figures if each.figure == TITLE + name)


def test_ledger_adds_up_with_what_the_threads_emitted_and_what_is_in_the_file(
    figures: list[Figure], told: list[str]
) -> None:
    published, stored = of(figures, "published"), of(figures, "stored in the file")

    assert published.value == published.peer_value > 200
    assert stored.value == stored.peer_value == published.value
    assert of(figures, "in flight").value == of(figures, "lost").value == 0
    count = f"{published.value:,.0f}"
    assert told == [
        f"flood, round 1 of 1: published {count} = stored {count} + in flight 0 + lost 0"
    ]


def test_goals_are_that_nothing_is_missing_and_that_the_screen_stays_usable(
    figures: list[Figure],
) -> None:
    assert [(each.figure.removeprefix(TITLE), each.goal, each.timed)
            for each in figures if each.goal] == [
        ("frames", "≥ 4 /s", True),
        ("key → paint p99", "≤ 250 ms", True),
        ("published", "≥ 1 ×", False),
        ("stored in the file", "≥ 1 ×", False),
    ]  # fmt: skip


def test_every_figure_stands_beside_a_floor_or_a_peer(figures: list[Figure]) -> None:
    beside: dict[str, list[str]] = {}
    for each in figures:
        beside.setdefault(each.figure.removeprefix(TITLE), []).append(each.peer)

    assert any("Appender" in peer for peer in beside["stored"])
    assert any("without a screen" in peer for peer in beside["CPU"])
    assert beside["key → paint p99"] == ["48 ScrollViews, nothing stored"]
