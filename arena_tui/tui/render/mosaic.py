"""Layout, filtering and order of the panes in the mosaic."""

from __future__ import annotations

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
    """Panes in rows of `columns`, each `pane_width` × `pane_height` cells; `rows` are visible.

    The last column and row take the remainder.
    """

    columns: int
    rows: int
    pane_width: int
    pane_height: int

    @property
    def capacity(self) -> int:
        return self.columns * self.rows


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
    return Grid(columns=columns, rows=rows, pane_width=width // columns, pane_height=height // rows)


def _rows(columns: int, count: int, tallest: int) -> int:
    return max(1, min(tallest, -(-count // columns)))


def _badness(columns: int, count: int, width: int, height: int, tallest: int) -> tuple[int, float]:
    rows = _rows(columns, count, tallest)
    hidden = max(0, count - rows * columns)
    pane_width, pane_height = width / columns, height / rows
    off = 1.5 * abs(pane_width / PANE_BEST[0] - 1) + abs(pane_height / PANE_BEST[1] - 1)
    return hidden, off + 0.15 * (rows * columns - count)


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
