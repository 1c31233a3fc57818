"""What occurs in the runs of a store, to complete a filter to. Knows no filter."""

from __future__ import annotations

from typing import Final

from arena_tui.store.marks import TAGS
from arena_tui.store.reading import Reader

_EACH_MAX: Final = 300
"""Values of a field; those of the newest runs."""

_VALUES: Final = {
    "game": "game",
    "label": "label",
    "tag": f"unnest({TAGS})",
    "agent": "unnest(list_transform(from_json(agents, "
    "'[{\"id\":\"VARCHAR\",\"name\":\"VARCHAR\"}]'), lambda each: coalesce(each.name, each.id)))",
}  # fmt: skip


def read_filter_words(reader: Reader) -> dict[str, list[str]]:
    """Values by the name of the field, those of the newest runs first."""
    found = {}
    for field, value in _VALUES.items():
        rows = reader.execute(
            f"SELECT value FROM (SELECT {value} AS value, started_at FROM runs) "
            "WHERE value <> '' GROUP BY 1 ORDER BY max(started_at) DESC NULLS LAST, 1 "
            f"LIMIT {_EACH_MAX}"
        ).fetchall()
        found[field] = [text for (text,) in rows]
    return found
