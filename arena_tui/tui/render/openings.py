"""Many runs of one game as text: who wins how often, and the tree of their openings. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from textual.content import Content

from arena_tui.folds.openings import Group, Interval, Node
from arena_tui.tui.render.clean import clean, fit
from arena_tui.tui.render.table import Cell, Column
from arena_tui.tui.render.text import cost, short_count

COLUMNS: Final = (
    Column(name="opening", key="opening", width=0),
    Column(name="runs", key="runs", width=6, right=True),
    Column(name="won", key="won", width=0),
    Column(name="drawn", key="drawn", width=6, right=True),
)
BREADTH_MAX: Final = 30
"""Moves shown after one; of more, those with the most runs."""

_PLAYERS_MAX: Final = 4
_NAME_CELLS: Final = 24


class Line(NamedTuple):
    """One line of the tree.

    Attributes:
        path: Which group it is of, and which child at each step below.
        group: What it is of; node: the runs it stands for; None: how many moves are left out.
    """

    path: tuple[int, ...]
    group: Group
    node: Node | None
    left_out: int = 0

    @property
    def is_leaf(self) -> bool:
        """Whether nothing can be unfolded: one run goes on alone, or none goes on."""
        return self.node is None or not self.node.children

    @property
    def moves(self) -> int:
        """How many moves lead here."""
        return len(self.path) - 1


def lines_of(groups: Sequence[Group], unfolded: frozenset[tuple[int, ...]]) -> list[Line]:
    """The tree as it is unfolded, from above."""
    found: list[Line] = []
    waiting = [Line((index,), group, group.tree) for index, group in enumerate(groups)][::-1]
    while waiting:
        each = waiting.pop()
        found.append(each)
        if each.node is None or each.path not in unfolded:
            continue
        children = each.node.children
        below = [
            Line((*each.path, index), each.group, child)
            for index, child in enumerate(children[:BREADTH_MAX])
        ]
        if len(children) > BREADTH_MAX:
            left_out = len(children) - BREADTH_MAX
            below.append(Line((*each.path, BREADTH_MAX), each.group, None, left_out))
        waiting += below[::-1]
    return found


def line_cells(row: Line, is_unfolded: bool) -> list[Cell]:
    """One line: `  ▾ column 3`, its runs, and who won them."""
    indent, node = "  " * row.moves, row.node
    if node is None:
        return [(f"{indent}… {row.left_out:,} more moves", "dim"), ("", "dim"), ("", "dim"),
                ("", "dim")]  # fmt: skip
    sign = "·" if row.is_leaf else "▾" if is_unfolded else "▸"
    name = clean(node.move, 60) if row.moves else group_name(row.group)
    if row.moves and not name:
        name = "(empty)"
    won = "  ".join(
        f"{clean(player, _NAME_CELLS)} {count:,}"
        for player, count in sorted(node.won.items(), key=lambda each: (-each[1], each[0]))
    )
    return [
        (f"{indent}{sign} {name}", "strong" if not row.moves else "text"),
        (f"{node.runs:,}", "text"),
        (won, "text"),
        (f"{node.draws:,}" if node.draws else "", "dim"),
    ]


def group_name(group: Group) -> str:
    """`connect_four  mcts:400 vs random  forks of 7f3a:120`."""
    players = " vs ".join(clean(each, _NAME_CELLS) for each in group.players) or "nobody"
    forks = "" if group.origin is None else f"  forks of {clean(group.origin.short, 40)}"
    return f"{clean(group.game, 40) or 'run'}  {players}{forks}"


def summary(group: Group) -> Content:
    """What the runs come to, and how often each player won, with what is likely of that."""
    means = [f"{group.turns:,.1f} turns a run"]
    if group.cost_usd is not None:
        means.append(f"{cost(group.cost_usd)} a run")
    if group.tokens is not None:
        means.append(f"{short_count(group.tokens)} tokens a run")
    if group.errors:
        means.append(f"{group.errors:,} error{'' if group.errors == 1 else 's'}")
    drawn = f"{group.decided:,} decided, {group.draws:,} of them drawn"
    head = Content.assemble(
        (f"{group.runs:,} run{'' if group.runs == 1 else 's'}", "bold"),
        f"   {drawn}   {'   '.join(means)}",
    )
    told = [head]
    for player, tally in [*group.tallies.items()][:_PLAYERS_MAX]:
        name = fit(clean(player, _NAME_CELLS), _NAME_CELLS)
        won = f"won {rate_text(tally.rate)}   {tally.wins:,} of {tally.games:,}"
        told.append(Content(f"{name}  {won if tally.games else '–'}"))
    return Content("\n").join(told)


def rate_text(rate: Interval) -> str:
    """`62 % (47 to 75 %)`: the share, and its 95 % interval."""
    share, low, high = (round(100 * each) for each in (rate.share, rate.low, rate.high))
    return f"{share} % (95 %: {low} to {high} %)"
