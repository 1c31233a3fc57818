"""The answer to a query as columns and cells of a table. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from rich.cells import cell_len

from arena_tui.folds.cells import cell_text
from arena_tui.store.console import Result, SqlError
from arena_tui.tui.render.clean import clean
from arena_tui.tui.render.table import Cell, Column

_LOOKED_AT: Final = 200
"""Rows whose cells decide how wide a column is."""
_WIDEST: Final = 48
_LEAST: Final = 4
_SHOWN: Final = 400

EXAMPLES: Final = (
    "SELECT game, count(*) AS runs, sum(cost_usd) FROM runs GROUP BY 1 ORDER BY 2",
    "SELECT run_id, seq, payload->>'message' FROM events WHERE kind = 'error'",
    "SELECT agent_id, avg((payload->>'latency_s')::DOUBLE) FROM events GROUP BY 1",
    "SELECT date_trunc('hour', ts), count(*) FROM events GROUP BY 1 ORDER BY 1",
)
"""Each fits into 80 columns."""
EMPTY: Final = "\n".join((
    "One SELECT over the tables of the store: runs, events, gaps, bookmarks.",
    "enter runs it, up brings earlier ones, tab completes names. For example:",
    "", *EXAMPLES,
))  # fmt: skip


def columns_of(found: Result) -> list[Column]:
    """A column each, as wide as its first rows need; a single one takes all there is."""
    looked_at = found.rows[:_LOOKED_AT]
    shown: list[Column] = []
    for index, (name, _) in enumerate(found.columns):
        label = clean(name, _WIDEST)
        cells = (cell_len(clean(_text(row[index]), _WIDEST)) for row in looked_at)
        width = min(_WIDEST, max(_LEAST, cell_len(label), *cells, 0))
        right = found.is_number(index)
        is_only = len(found.columns) == 1 and not right
        shown.append(Column(name=label, key=str(index), width=0 if is_only else width, right=right))
    return shown


def row_cells(row: Sequence[Any]) -> list[Cell]:
    """A cell for each value; NULL is dim, so that it is not taken for a text."""
    return [(clean(_text(value), _SHOWN), "dim" if value is None else "text") for value in row]


def said_of(found: Result, took_s: float) -> str:
    """How many rows, and how long they took."""
    count = found.cut or ("1 row" if len(found.rows) == 1 else f"{len(found.rows):,} rows")
    took = f"{took_s * 1000:.0f} ms" if took_s < 1 else f"{took_s:.1f} s"
    return f"{count} · {took}"


def place_in(query: str, error: Exception) -> int | None:
    """The character of the query, from 0, that an error is about; None: it is not known."""
    if not isinstance(error, SqlError) or not error.line:
        return None
    before = query.split("\n")[: error.line - 1]
    return min(len(query), sum(len(line) + 1 for line in before) + error.column - 1)


def _text(value: Any) -> str:
    """Enough of a value to be shown."""
    return value[: _SHOWN + 1] if isinstance(value, str) else cell_text(value)
