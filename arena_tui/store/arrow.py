"""Event rows as Arrow columns, which DuckDB ingests with half the CPU of its row appender.

Does not decide when to write. Only what writes imports it: what only reads starts without Arrow.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Final

import duckdb
import nanoarrow as na

from arena_tui.events import Envelope
from arena_tui.store.columns import (
    INTEGER,
    LONG_TEXT,
    TEXT,
    TIME,
    integers,
    long_texts,
    table,
    texts,
    times,
)
from arena_tui.store.database import Connection

_EVENTS: Final = na.c_schema(
    na.struct(
        {
            "run_id": TEXT, "epoch": INTEGER, "seq": INTEGER, "turn": INTEGER,
            "kind": TEXT, "agent_id": TEXT, "ts": TIME, "payload": LONG_TEXT,
        }
    )
)  # fmt: skip
_NEW: Final = "new_events"


def append_events(connection: Connection, envelopes: Sequence[Envelope], name: str) -> None:
    """Append the envelopes to the table of this name, which has the columns of `events`."""
    connection.register(_NEW, event_columns(envelopes))  # a locked store looks up no variables
    try:
        connection.execute(f"INSERT INTO {name} FROM {_NEW}")
    finally:
        with contextlib.suppress(duckdb.Error):  # rolled back: then it is gone already
            connection.unregister(_NEW)


def event_columns(envelopes: Sequence[Envelope]) -> na.Array:
    """The envelopes as the columns of `events`.

    Raises:
        UnicodeEncodeError: A text holds a lone surrogate.
        struct.error: An integer exceeds 64 bits.
    """
    events = [each.event for each in envelopes]
    columns = (
        texts([each.run_id for each in envelopes]),
        integers([each.epoch for each in envelopes]),
        integers([each.seq for each in envelopes]),
        integers([each.turn for each in events]),
        texts([each.kind for each in events]),
        texts([each.agent_id for each in events]),
        times([each.ts for each in events]),
        long_texts([each.raw for each in envelopes]),
    )
    return na.Array(table(_EVENTS, len(envelopes), columns))
