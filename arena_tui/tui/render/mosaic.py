"""Layout, filtering and order of the panes in the mosaic."""

from __future__ import annotations

from bisect import bisect
from collections.abc import Callable, Sequence
from typing import Any, Final, Literal, TypeAlias

from msgspec import Struct

from arena_tui.folds.conditions import Anywhere, Condition
from arena_tui.folds.facts import facts_of
from arena_tui.folds.view import Pane
from arena_tui.services.scripts.scripts import ScriptPane
from arena_tui.settings import TROUBLE_KINDS

Tile: TypeAlias = Pane | ScriptPane
"""What the mosaic shows: runs, and scripts."""
Sort: TypeAlias = Literal["attention", "newest", "game", "rate"]
PANE_MIN: Final = (26, 8)
PANE_BEST: Final = (42, 15)

_RANK: Final = {kind: rank for rank, kind in enumerate(TROUBLE_KINDS)}
_KEYS: Final[dict[Sort, Callable[[Pane], tuple[Any, ...]]]] = {
    "attention": lambda pane: (_rank(pane), pane.number),
    "newest": lambda pane: (-pane.number,),
    "game": lambda pane: (pane.game, pane.number),
    "rate": lambda pane: (not pane.is_live, -round(pane.rate), pane.number),
}
SORTS: Final = tuple(_KEYS)


class Grid(Struct, frozen=True, kw_only=True):
    """`count` panes in rows of `columns` on `width` × `height` cells; `rows` of them are visible.

    A last row that is not full has its panes stretched over the width.
    """

    count: int
    columns: int
    rows: int
    width: int
    height: int

    @property
    def capacity(self) -> int:
        return self.columns * self.rows

    @property
    def all_rows(self) -> int:
        return -(-self.count // self.columns)

    def row_edges(self) -> list[int]:
        """Where each visible row begins, and where the last ends."""
        return [self.height * row // self.rows for row in range(self.rows + 1)]

    def column_edges(self, row: int) -> list[int]:
        """Where each pane of that row, of all rows, begins, and where the last ends."""
        panes = max(1, min(self.columns, self.count - row * self.columns))
        return [self.width * column // panes for column in range(panes + 1)]

    def at(self, x: int, row: int) -> int | None:
        """The pane at that cell of that row, of all rows."""
        if not 0 <= row < self.all_rows:
            return None
        edges = self.column_edges(row)
        return row * self.columns + max(0, min(bisect(edges, x) - 1, len(edges) - 2))

    def moved(self, index: int, right: int, down: int) -> int:
        """Where one is after so many steps: the next pane, or the one above or below its middle."""
        row, column = divmod(index, self.columns)
        if not down:
            return max(0, min(self.count - 1, index + right))
        edges = self.column_edges(row)
        middle = (edges[column] + edges[column + 1] - 1) // 2
        there = self.at(middle, max(0, min(self.all_rows - 1, row + down)))
        return index if there is None else there


def lay_out(count: int, width: int, height: int, zoom: int = 0) -> Grid | None:
    """The grid whose panes come closest to the ideal size; None if not even one fits.

    `zoom` steps to fewer (+) or more (-) columns than that.
    """
    count = max(1, count)
    widest = max(1, min(count, width // PANE_MIN[0]))
    tallest = max(1, height // PANE_MIN[1])
    if width < PANE_MIN[0] or height < PANE_MIN[1]:
        return None
    best = min(
        range(1, widest + 1), key=lambda columns: _badness(columns, count, width, height, tallest)
    )
    columns = max(1, min(widest, best - zoom))
    rows = _rows(columns, count, tallest)
    if zoom > 0:
        rows = max(1, min(rows, tallest, -(-height // PANE_BEST[1])))
    return Grid(count=count, columns=columns, rows=rows, width=width, height=height)


def _rows(columns: int, count: int, tallest: int) -> int:
    return max(1, min(tallest, -(-count // columns)))


def _badness(columns: int, count: int, width: int, height: int, tallest: int) -> tuple[int, float]:
    rows = _rows(columns, count, tallest)
    hidden = max(0, count - rows * columns)
    pane_width, pane_height = width / columns, height / rows
    off = 1.5 * abs(pane_width / PANE_BEST[0] - 1) + abs(pane_height / PANE_BEST[1] - 1)
    return hidden, off + 0.3 * (rows * columns - count)


def order(panes: Sequence[Pane], sort: Sort) -> list[Pane]:
    """Sort the panes. By attention: those in trouble, or that lose events, first."""
    return sorted(panes, key=_KEYS[sort])


def _rank(pane: Pane) -> int:
    """The worst first; a run that has lost events comes where one does that has crashed."""
    rank = _RANK[pane.troubles[0].kind] if pane.troubles else len(_RANK)
    return min(rank, _RANK["crashed"]) if pane.losing else rank


def key_of(tile: Tile) -> str:
    """Names it among all others."""
    return tile.key if isinstance(tile, ScriptPane) else tile.run_id


def with_scripts(panes: Sequence[Pane], scripts: Sequence[ScriptPane]) -> list[Tile]:
    """The runs, and the scripts that have something to say beside them: those that have failed come
    first, the others last. What one has printed, it has to say, and that no run of it is there."""
    failed = [script for script in scripts if script.state == "failed"]
    others = [
        script for script in scripts
        if script not in failed and (script.count or script.lines or not script.has_run)
    ]  # fmt: skip
    return [*failed, *panes, *others]


def script_matches(script: ScriptPane, conditions: Sequence[Condition]) -> bool:
    """Whether all conditions are words that its name or its last lines have."""
    text = "\n".join([script.name, script.ending or "running", *script.lines]).lower()
    return all(isinstance(each, Anywhere) and each.text.lower() in text for each in conditions)


def matches(pane: Pane, conditions: Sequence[Condition]) -> bool:
    """Whether all conditions hold; words without a field match any of the pane's texts."""
    if not conditions:
        return True
    facts = facts_of(pane)
    return all(facts.hold(condition) for condition in conditions)
