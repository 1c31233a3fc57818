"""What a person can see of an event, out of its JSON: the one rule of all searches."""

from __future__ import annotations

import re
from typing import Final

_HEAD: Final = r'^\{"kind":"[^"]*"(,"ts":"[^"]*")?'
_KEY: Final = r'"(?:[^"\\]|\\.)*":'
_TEXT: Final = r'"(?:[^"\\]|\\.)*"'

VISIBLE_SQL: Final = (
    f"lower(array_to_string(regexp_extract_all(regexp_replace(regexp_replace("
    f"payload, '{_HEAD}', ''), '{_KEY}', '', 'g'), '{_TEXT}', 0), ' '))"
)
"""`visible` as SQL, of the column `payload`; DuckDB has the same regular expressions."""

_head: Final = re.compile(_HEAD)
_key: Final = re.compile(_KEY)
_text: Final = re.compile(_TEXT)


def visible(payload: str) -> str:
    """The event's texts, actions and names in lower case, as they stand in its JSON; without keys,
    numbers, its kind and its time."""
    return " ".join(_text.findall(_key.sub("", _head.sub("", payload, count=1)))).lower()
