"""Lets through one query that reads, and nothing else. Knows nothing of what is asked.

`locking` keeps a query from files and settings, and a transaction that only reads from tables; this
refuses the rest, and says why in one line.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import duckdb
import msgspec

from arena_tui.errors import UsageError

_SOURCES: Final = frozenset({
    "unnest", "range", "generate_series", "repeat", "repeat_row", "json_each", "json_tree",
    "duckdb_columns", "duckdb_tables", "duckdb_views", "duckdb_schemas", "duckdb_constraints",
    "duckdb_functions", "duckdb_types", "duckdb_keywords", "duckdb_databases", "duckdb_settings",
    "duckdb_memory", "duckdb_indexes", "pragma_table_info", "pragma_database_size",
    "pragma_storage_info", "pragma_version", "pg_timezone_names", "histogram", "histogram_values",
})  # fmt: skip
"""Functions that may stand for a table: those that read nothing but the store. Others read files,
run SQL they are given as text, or change settings and logs (`enable_logging`, which ends the
process where files are denied: DuckDB 2.0.1)."""

_REFUSED: Final = frozenset({"write_log", "nextval", "setval", "sleep_ms", "getenv"})
"""Functions of values that do more than reckon."""

_ONE: Final = "only one SELECT a query is answered"
_CHANGES: Final = (
    "INSERT_QUERY_NODE", "UPDATE_QUERY_NODE", "DELETE_QUERY_NODE", "MERGE_QUERY_NODE",
    "COPY_QUERY_NODE",
)  # fmt: skip
"""Nodes of a WITH that changes a table, which DuckDB 2.0 takes for part of a SELECT."""


def only_select(connection: duckdb.DuckDBPyConnection, sql: str) -> duckdb.Statement:
    """The one SELECT in `sql`, which nothing but reads.

    Raises:
        UsageError: It is something else, or several statements.
        duckdb.Error: It is no SQL.
    """
    statements = connection.extract_statements(sql)
    if [each.type for each in statements] != [duckdb.StatementType.SELECT]:
        raise UsageError(f"{_ONE}: the store is only read here")
    row = connection.execute("SELECT json_serialize_sql(?)", [statements[0].query]).fetchone()
    tree = msgspec.json.decode(row[0] if row else b"{}")
    if tree.get("error", True):
        raise UsageError(f"{_ONE}: {tree.get('error_message')}")
    _check(tree["statements"])
    return statements[0]


@contextmanager
def reading_only(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """A transaction in which nothing can be changed, and all queries see one moment."""
    connection.execute("BEGIN TRANSACTION READ ONLY")
    try:
        yield
    finally:
        connection.rollback()


def _check(tree: Any) -> None:
    """Raise UsageError for anything in a parsed query that does more than read the store."""
    waiting = [tree]
    while waiting:  # no recursion: a query may be nested as deeply as its length allows
        node = waiting.pop()
        if isinstance(node, list):
            waiting += node
        elif isinstance(node, dict):
            kind = node.get("type")
            if isinstance(kind, str) and kind.endswith(_CHANGES):
                raise UsageError(
                    f"{_ONE}, without {kind.split('_')[0]}: the store is only read here"
                )
            if kind == "TABLE_FUNCTION":
                name = node["function"]["function_name"]
                if name.lower() not in _SOURCES:
                    raise UsageError(
                        f"a query cannot read from {name}(): only from the tables of the store"
                    )
            elif kind == "FUNCTION" and node["function_name"].lower() in _REFUSED:
                name = node["function_name"]
                raise UsageError(
                    f"a query cannot call {name}(): leave it out, only the store is read here"
                )
            waiting += node.values()
