"""How much the runs of a store take of its file. An estimate: they are packed together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from arena_tui.store.reading import Reader, snapshot

_PAYLOADS: Final = "SELECT run_id, sum(strlen(payload))::BIGINT FROM events GROUP BY 1"
_USED: Final = (
    "SELECT sum(block_size * used_blocks)::BIGINT FROM pragma_database_size() "
    "WHERE database_name = current_database()"
)


def read_sizes(reader: Reader) -> Mapping[str, int]:
    """Bytes of each run with events: of what the file uses, as large a part as its events are of
    all events."""
    payloads, ((used,),) = snapshot(reader, [_PAYLOADS, _USED])
    total = sum(size for _, size in payloads) or 1
    return {run_id: (used or 0) * size // total for run_id, size in payloads}
