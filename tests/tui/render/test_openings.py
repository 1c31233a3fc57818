"""Many runs of one game as literal text."""

from __future__ import annotations

from msgspec.structs import replace

from arena_tui.folds.openings import Group, Node, Origin, Tally
from arena_tui.tui.render.openings import BREADTH_MAX, group_name, line_cells, lines_of, summary

TREE = Node(run_ids=["1", "2", "3"], won={"ann": 2}, draws=1, children=[
    Node(move="e4", run_ids=["1", "2"], won={"ann": 2}, children=[
        Node(move="e5\x1b", run_ids=["1"], won={"ann": 1}), Node(move="c5", run_ids=["2"]),
    ]),
    Node(move="", run_ids=["3"], draws=1),
])  # fmt: skip
GROUP = Group(
    game="chess", players=("ann", "bob"), runs=3, decided=3, draws=1, turns=12.5, cost_usd=0.021,
    tokens=18_200.0, errors=1, tree=TREE,
    tallies={"ann": Tally(games=3, wins=2, draws=1), "bob": Tally(games=3, draws=1)},
)  # fmt: skip


def shown(*unfolded: tuple[int, ...]) -> list[list[str]]:
    paths = frozenset(unfolded)
    return [
        [text for text, _ in line_cells(row, row.path in paths)]
        for row in lines_of([GROUP], paths)
    ]  # fmt: skip


def test_forks_say_what_they_are_forks_of() -> None:
    forks = replace(GROUP, origin=Origin("01kabc7F3A", 120))

    assert group_name(forks) == "chess  ann vs bob  forks of 7f3a:120"


def test_the_summary_says_how_sure_a_win_rate_is() -> None:
    assert summary(GROUP).plain.splitlines() == [
        "3 runs   3 decided, 1 of them drawn   12.5 turns a run   $0.021 a run   "
        "18.2k tokens a run   1 error",
        "ann                       won 67 % (95 %: 21 to 94 %)   2 of 3",
        "bob                       won 0 % (95 %: 0 to 56 %)   0 of 3",
    ]


def test_what_is_unfolded_stands_below_its_move() -> None:
    assert shown() == [["▸ chess  ann vs bob", "3", "ann 2", "1"]]
    assert shown((0,), (0, 0)) == [
        ["▾ chess  ann vs bob", "3", "ann 2", "1"],
        ["  ▾ e4", "2", "ann 2", ""],
        ["    · e5␛", "1", "ann 1", ""],
        ["    · c5", "1", "", ""],
        ["  · (empty)", "1", "", "1"],
    ]


def test_of_many_moves_the_rest_is_counted() -> None:
    many = Node(run_ids=["1"], children=[Node(move=str(each)) for each in range(BREADTH_MAX + 12)])
    rows = lines_of([Group(
        game="", players=(), tallies={}, runs=1, decided=0, draws=0, turns=0.0, cost_usd=None,
        tokens=None, errors=0, tree=many,
    )], frozenset({(0,)}))  # fmt: skip

    assert len(rows) == BREADTH_MAX + 2
    assert line_cells(rows[-1], False)[0] == ("  … 12 more moves", "dim")
    assert rows[-1].is_leaf
