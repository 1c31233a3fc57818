"""DuckDB inserting from a pyarrow table: the usual way, for a dependency of 170 MB."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import duckdb
import pyarrow as pa

from arena_tui.bench.store_peers import EVENTS, RUNS, Fold, event_rows, totals_rows
from arena_tui.events import Envelope

_EVENTS = pa.schema(
    [
        ("run_id", pa.string()), ("epoch", pa.int64()), ("seq", pa.int64()), ("turn", pa.int64()),
        ("kind", pa.string()), ("agent_id", pa.string()), ("ts", pa.timestamp("us")),
        ("payload", pa.string()),
    ]
)  # fmt: skip
_TOTALS = pa.schema(
    [
        ("run_id", pa.string()), ("epoch", pa.int64()), ("seq", pa.int64()), ("turns", pa.int64()),
        ("events", pa.int64()), ("errors", pa.int64()), ("lost", pa.int64()),
        ("input_tokens", pa.int64()), ("output_tokens", pa.int64()), ("cost_usd", pa.float64()),
        ("last_at", pa.timestamp("us")),
    ]
)  # fmt: skip


class PyarrowRows:
    """Builds both tables column-wise and inserts each with one statement."""

    def __init__(self, path: Path) -> None:
        self._connection = duckdb.connect(path)
        self._connection.execute(EVENTS)
        self._connection.execute(RUNS)
        self._fold = Fold()

    def store(self, batch: Sequence[Envelope]) -> None:
        """Commit the batch in one transaction."""
        connection = self._connection
        connection.begin()
        for table, rows, schema in (
            ("events", event_rows(batch), _EVENTS),
            ("runs", totals_rows(self._fold.add(batch)), _TOTALS),
        ):
            columns = [list(column) for column in zip(*rows, strict=True)]
            connection.register("batch_rows", pa.table(columns, schema=schema))
            connection.execute(f"INSERT OR REPLACE INTO {table} FROM batch_rows" if table == "runs"
                               else f"INSERT INTO {table} FROM batch_rows")  # fmt: skip
            connection.unregister("batch_rows")
        connection.commit()

    def close(self) -> None:
        """Close the file."""
        self._connection.close()
