"""DuckDB inserting from a pyarrow table: the usual way, for a dependency of 170 MB."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa

from arena_tui.bench.store_peers import DuckdbRows


class PyarrowRows(DuckdbRows):
    """Builds both tables column-wise and inserts each with one statement."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._schemas = {
            table: self._connection.table(table).limit(0).to_arrow_table().schema
            for table in ("events", "runs")
        }

    def _insert(self, table: str, rows: Iterable[tuple[object, ...]]) -> None:
        columns = [list(column) for column in zip(*rows, strict=True)]
        self._connection.register("batch_rows", pa.table(columns, schema=self._schemas[table]))
        or_replace = "OR REPLACE" if table == "runs" else ""
        self._connection.execute(f"INSERT {or_replace} INTO {table} FROM batch_rows")
        self._connection.unregister("batch_rows")
