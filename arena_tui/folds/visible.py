"""What a person can see of an event, out of its JSON: the one rule of all searches."""

from __future__ import annotations

import re
from typing import Final

_HEAD: Final = r'^\{"kind":"[^"]*"(,"ts":"[^"]*")?'
_STRING: Final = r'"(?:[^"\\]|\\.)*":?'
"""With the colon after it, if it is a key."""

VISIBLE_SQL: Final = (
    f"lower(array_to_string(list_filter(regexp_extract_all(regexp_replace(payload, '{_HEAD}', ''), "
    f"'{_STRING}', 0), lambda each: NOT ends_with(each, ':')), ' '))"
)
"""`visible` as SQL, of the column `payload`; DuckDB has the same regular expressions."""

_head: Final = re.compile(_HEAD)
_string: Final = re.compile(_STRING)


def visible(payload: str) -> str:
    """The event's texts, actions and names in lower case, as they stand in its JSON; without keys,
    numbers, its kind and its time."""
    strings = _string.findall(_head.sub("", payload, count=1))
    return " ".join(each for each in strings if each[-1] != ":").lower()
