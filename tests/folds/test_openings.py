"""What many runs come to, and the tree of how they begin."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from arena_tui.events import AgentInfo
from arena_tui.folds.openings import Node, Opening, Origin, group_runs, tree_of, wilson
from arena_tui.folds.totals import RunTotals


def run(
    run_id: str, moves: str, winner: str | None = None, agents: str = "ab", **fields: object
) -> Opening:
    """A finished run; without a winner a draw."""
    totals = RunTotals(
        run_id=run_id, game="line", agents=[AgentInfo(id=each) for each in agents],
        status="finished", outcome={each: float(each == winner) for each in agents},
    )  # fmt: skip
    for name, value in fields.items():
        setattr(totals, name, value)
    return Opening(totals=totals, moves=tuple(moves))


def shape(node: Node) -> object:
    return node.move, node.runs, [shape(each) for each in node.children]


def test_the_interval_is_the_published_one() -> None:
    # Brown, Cai, DasGupta, "Interval estimation for a binomial proportion" (2001), section 3.1.1.
    found = wilson(8, 10)

    assert (round(found.low, 4), round(found.high, 4)) == (0.4902, 0.9433)


@given(st.integers(0, 200), st.integers(0, 200))
def test_the_interval_holds_the_share_and_stays_a_share(one: int, other: int) -> None:
    wins, games = sorted((one, other))
    found = wilson(wins, games)

    assert 0.0 <= found.low <= found.share + 1e-12
    assert found.share - 1e-12 <= found.high <= 1.0


def test_runs_of_the_same_players_are_one_group_whatever_their_seats() -> None:
    (group, other) = group_runs([
        run("1", "x", "a", turns=10, cost_usd=0.5, errors=1),
        run("2", "x", "b", agents="ba", turns=20),
        run("3", "y", None, turns=30),
        run("4", "y", "c", agents="ac"),
    ])  # fmt: skip

    assert (group.players, group.runs, group.decided, group.draws) == (("a", "b"), 3, 3, 1)
    assert (group.turns, group.cost_usd, group.errors) == (20.0, 0.5, 1)
    a, b = group.tallies["a"], group.tallies["b"]
    assert ((a.games, a.wins, a.draws), (b.games, b.wins, b.draws)) == ((3, 1, 1), (3, 1, 1))
    assert other.players == ("a", "c")


def test_a_run_that_did_not_finish_decides_nothing() -> None:
    (group,) = group_runs([run("1", "x", "a"), run("2", "x", "a", status="crashed")])

    assert (group.runs, group.decided, group.tallies["a"].games) == (2, 1, 1)


def test_the_tree_has_the_most_frequent_first_and_is_folded_where_one_goes_on_alone() -> None:
    tree = tree_of([run("1", "xyz", "a"), run("2", "xyy", "b"), run("3", "xz", "a"),
                    run("4", "yyy"), run("5", "", "b")])  # fmt: skip

    assert shape(tree) == ("", 5, [
        ("x", 3, [("y", 2, [("y", 1, []), ("z", 1, [])]), ("z", 1, [])]),
        ("y", 1, []),
    ])  # fmt: skip
    assert tree.ended == 1
    assert tree.children[0].won == {"a": 2, "b": 1}
    assert tree.children[1].draws == 1
    assert tree.children[0].run_ids == ["1", "2", "3"]


moves = st.lists(st.text("xyz", max_size=5), min_size=1, max_size=20)


@given(moves)
def test_every_run_is_in_one_branch_of_each_node(openings: list[str]) -> None:
    waiting = [tree_of([run(str(index), each) for index, each in enumerate(openings)])]
    assert waiting[0].runs == len(openings)

    while waiting:
        node = waiting.pop()
        if node.children:
            assert sum(child.runs for child in node.children) + node.ended == node.runs
        waiting += node.children


@pytest.mark.parametrize("path", ["x", "xy", "xyz"])
def test_a_node_has_the_runs_that_begin_like_it(path: str) -> None:
    openings = ["xyz", "xyy", "xyzx", "xz", "y"]
    node = tree_of([run(each, each) for each in openings])
    for move in path:
        node = next(child for child in node.children if child.move == move)

    assert node.run_ids == [each for each in openings if each.startswith(path)]


def test_forks_of_one_event_are_a_group_of_their_own() -> None:
    def fork(run_id: str, seq: int) -> Opening:
        return replace(run(run_id, "x", "a"), origin=Origin("01parent", seq))

    groups = group_runs([run("1", "x"), fork("2", 40), fork("3", 40), fork("4", 41), run("5", "y")])

    assert [(each.origin, each.tree.run_ids) for each in groups] == [
        (None, ["1", "5"]), (Origin("01parent", 40), ["2", "3"]), (Origin("01parent", 41), ["4"]),
    ]  # fmt: skip
