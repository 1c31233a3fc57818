"""What many runs of one game come to, as `compare --filter` prints it."""

from __future__ import annotations

from typing import Final

from arena_tui.cli.output import counted, say, say_table
from arena_tui.folds.openings import Group, Node
from arena_tui.store.openings import MOVES_MAX, RUNS_MAX

_DEPTH_MAX: Final = 6
"""Moves of the tree that people are shown, and"""
_BREADTH_MAX: Final = 5
"""how many after each; JSON has all of them, and the screen, too."""
_MOVE_MAX: Final = 40


def group_fields(group: Group) -> dict[str, object]:
    """The whole summary."""
    return {
        "game": group.game, "players": group.players,
        "parent_run_id": None if group.origin is None else group.origin.run_id,
        "parent_seq": None if group.origin is None else group.origin.seq, "runs": group.runs,
        "decided": group.decided, "draws": group.draws, "turns": group.turns,
        "cost_usd": group.cost_usd, "tokens": group.tokens, "errors": group.errors,
        "agents": [
            {"player": player, "games": tally.games, "wins": tally.wins, "draws": tally.draws,
             "win_rate": tally.rate.share, "low": tally.rate.low, "high": tally.rate.high}
            for player, tally in group.tallies.items()
        ],
        "moves_max": MOVES_MAX, "runs_max": RUNS_MAX, "openings": _node_fields(group.tree),
    }  # fmt: skip


def say_group(group: Group) -> None:
    """Print it for people."""
    players = " vs ".join(group.players) or "nobody"
    forks = "" if group.origin is None else f", forks of {group.origin.short}"
    say(f"{group.game or 'run'}, {players}{forks}: {counted(group.runs, 'run')}, "
        f"{group.decided:,} decided, {group.draws:,} of them drawn")  # fmt: skip
    say_table(
        ("player", "won", "95 % interval", "wins", "draws", "games"),
        (
            [player, f"{tally.rate.share:.0%}", f"{tally.rate.low:.0%} to {tally.rate.high:.0%}",
             str(tally.wins), str(tally.draws), str(tally.games)]
            for player, tally in group.tallies.items()
        ),
    )  # fmt: skip
    cost = "–" if group.cost_usd is None else f"${group.cost_usd:.4f}"
    tokens = "–" if group.tokens is None else f"{group.tokens:,.0f}"
    say(f"a run: {group.turns:,.1f} turns, cost {cost}, tokens {tokens}; "
        f"{counted(group.errors, 'error')} in all")  # fmt: skip
    say_table(("opening", "runs", "won"), _lines(group.tree, 0))


def _lines(node: Node, depth: int) -> list[list[str]]:
    """The tree below a node, as deep and as broad as people are shown it."""
    if depth >= _DEPTH_MAX:
        return []
    indent, rows = "  " * depth, list[list[str]]()
    for child in node.children[:_BREADTH_MAX]:
        won = ", ".join(f"{player} {count:,}" for player, count in sorted(child.won.items()))
        drawn = f"{', ' if won else ''}drawn {child.draws:,}" if child.draws else ""
        rows.append([f"{indent}{child.move[:_MOVE_MAX]}", f"{child.runs:,}", won + drawn])
        rows += _lines(child, depth + 1)
    left_out = len(node.children) - _BREADTH_MAX
    if left_out > 0:
        rows.append([f"{indent}… {counted(left_out, 'more move')}", "", ""])
    return rows


def _node_fields(node: Node) -> dict[str, object]:
    return {
        "move": node.move, "runs": node.runs, "won": node.won, "draws": node.draws,
        "ended": node.ended, "run_id": node.run_ids[0] if node.run_ids else None,
        "children": [_node_fields(child) for child in node.children],
    }  # fmt: skip
