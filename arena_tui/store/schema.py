"""The tables, and the migrations of older files. Runs no other query."""

from __future__ import annotations

from typing import Final

import duckdb

from arena_tui.errors import StoreUnreadableError

CURSORS_VIEW: Final = "CREATE OR REPLACE VIEW cursors AS SELECT run_id, epoch, seq FROM runs"
"""Idempotent: also used as a write that changes nothing."""

_V1 = f"""
CREATE TABLE meta (schema_version INTEGER NOT NULL);
INSERT INTO meta VALUES (0);

-- One row per run: its players, the folded totals, and the stored cursor (epoch, seq).
CREATE TABLE runs (
    run_id VARCHAR PRIMARY KEY,
    epoch BIGINT NOT NULL,
    seq BIGINT NOT NULL,
    game VARCHAR, label VARCHAR, agents VARCHAR, tags VARCHAR, seed BIGINT, config VARCHAR,
    status VARCHAR, outcome VARCHAR, reason VARCHAR,
    turns BIGINT, events BIGINT, errors BIGINT, lost BIGINT,
    input_tokens BIGINT, output_tokens BIGINT, cost_usd DOUBLE,
    started_at TIMESTAMP, ended_at TIMESTAMP, last_at TIMESTAMP,
    parent_run_id VARCHAR
);
{CURSORS_VIEW};

-- No key and no index: they halve ingest throughput and serve no range read. The cursor prevents
-- duplicates. Times are UTC; payload is the whole event as JSON.
CREATE TABLE events (
    run_id VARCHAR NOT NULL, epoch BIGINT NOT NULL, seq BIGINT NOT NULL,
    turn BIGINT, kind VARCHAR NOT NULL, agent_id VARCHAR, ts TIMESTAMP NOT NULL,
    payload VARCHAR NOT NULL
);
-- to_seq < from_seq: no events, or with the reason 'unknown' an unknown number of them.
CREATE TABLE gaps (
    run_id VARCHAR NOT NULL, epoch BIGINT NOT NULL, from_seq BIGINT NOT NULL,
    to_seq BIGINT NOT NULL, reason VARCHAR NOT NULL, noted_at TIMESTAMP NOT NULL
);
CREATE TABLE quarantine (
    run_id VARCHAR, epoch BIGINT, seq BIGINT, error VARCHAR NOT NULL, raw BLOB NOT NULL,
    noted_at TIMESTAMP NOT NULL
);
CREATE TABLE bookmarks (
    run_id VARCHAR NOT NULL, epoch BIGINT NOT NULL, seq BIGINT NOT NULL,
    note VARCHAR, created_at TIMESTAMP NOT NULL
);
"""

_V2 = """
-- Number of gaps of unknown length; `lost` counts the events in all others.
ALTER TABLE runs ADD COLUMN lost_unknown BIGINT DEFAULT 0;
-- Name of the broker that delivered its newest events; NULL in older runs.
ALTER TABLE runs ADD COLUMN broker VARCHAR;
UPDATE runs SET lost_unknown = found.count FROM (
    SELECT run_id, count(*) AS count FROM gaps WHERE reason = 'unknown' GROUP BY run_id
) AS found WHERE runs.run_id = found.run_id;
"""

_V3 = """
-- How much is stored of each chain of a followed file's lines; see producers/origin.py. `epoch` is
-- the run's when the chain began.
CREATE TABLE chains (
    run_id VARCHAR NOT NULL, chain VARCHAR NOT NULL, epoch BIGINT NOT NULL, lines BIGINT NOT NULL,
    first BLOB NOT NULL, digest BLOB NOT NULL, PRIMARY KEY (run_id, chain)
);
"""

_V4 = """
-- How far each producer in another process has come with a run: its own number of its newest stored
-- event, and the epoch of that.
CREATE TABLE producers (
    run_id VARCHAR NOT NULL, producer VARCHAR NOT NULL, epoch BIGINT NOT NULL,
    number BIGINT NOT NULL, PRIMARY KEY (run_id, producer)
);
"""

_RUNS_OF_V1: Final = """
CREATE VIEW runs AS
SELECT runs.*, coalesce(unknown, 0) AS lost_unknown, NULL::VARCHAR AS broker
FROM older.runs LEFT JOIN (
    SELECT run_id, count(*) AS unknown FROM older.gaps WHERE reason = 'unknown' GROUP BY run_id
) USING (run_id)
"""
_READ_AS_IT_IS: Final = 2
"""The oldest format in which all is that a command reads."""

_MIGRATIONS: Final = (_V1, _V2, _V3, _V4)
SCHEMA_VERSION: Final = len(_MIGRATIONS)


def migrate(connection: duckdb.DuckDBPyConnection) -> None:
    """Migrate the file, one transaction a step; raises StoreUnreadableError if it is no store."""
    version = _version(connection)
    for number, script in enumerate(_MIGRATIONS[version:], start=version + 1):
        connection.begin()
        connection.execute(script)
        connection.execute("UPDATE meta SET schema_version = ?", [number])
        connection.commit()


def must_be_viewed(connection: duckdb.DuckDBPyConnection) -> bool:
    """Whether the file is so old that it is read by `view`, or not at all; raises
    StoreUnreadableError if it is no store."""
    return _version(connection) < _READ_AS_IT_IS


def view(connection: duckdb.DuckDBPyConnection, path: str) -> None:
    """Show an old file in an empty database in memory, as if it had been migrated; the file is
    only read."""
    quoted = path.replace("'", "''")
    connection.execute(f"ATTACH '{quoted}' AS older (READ_ONLY)")
    for table in ("meta", "events", "gaps", "quarantine", "bookmarks"):
        connection.execute(f"CREATE VIEW {table} AS FROM older.{table}")
    connection.execute(_RUNS_OF_V1)


def _version(connection: duckdb.DuckDBPyConnection) -> int:
    found = dict(connection.execute(
        "SELECT table_name, list(column_name) FROM duckdb_columns() WHERE NOT internal GROUP BY 1"
    ).fetchall())  # fmt: skip
    if not found:
        return 0
    if "schema_version" not in found.get("meta", ()) or "runs" not in found:
        raise StoreUnreadableError(
            "the file is a DuckDB database of something else:", elsewhere=True
        )
    rows = connection.execute("SELECT schema_version FROM meta").fetchall()
    version = int(rows[0][0]) if rows else 0
    if version > SCHEMA_VERSION:
        raise StoreUnreadableError(
            f"the store has format {version}, this version reads up to {SCHEMA_VERSION}: "
            "upgrade arena-tui, or",
            elsewhere=True,
        )
    return version
