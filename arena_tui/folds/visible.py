"""What a person can see of an event, out of its JSON: the one rule of all searches."""

from __future__ import annotations

import json
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

_EXCERPT: Final = 160
_BEFORE: Final = 40
"""Characters of an excerpt, and of those how many before the text."""

_head: Final = re.compile(_HEAD)
_string: Final = re.compile(_STRING)


def visible(payload: str) -> str:
    """The event's texts, actions and names in lower case, as they stand in its JSON; without keys,
    numbers, its kind and its time."""
    strings = _string.findall(_head.sub("", payload, count=1))
    return " ".join(each for each in strings if each[-1] != ":").lower()


def line_with(payload: str, wanted: str) -> str:
    """The line of an event's visible texts that has this text, cut to some words around it; of a
    text that goes over several lines or values, the first of them."""
    texts = [
        json.loads(each, strict=False)
        for each in _string.findall(_head.sub("", payload, count=1)) if each[-1] != ":"
    ]  # fmt: skip
    low = wanted.lower()
    lines = [line for text in texts for line in text.splitlines()]
    line = next((each for each in lines if low in each.lower()), None)
    if line is None:
        head = low.split("\n")[0][:_EXCERPT]
        line = next((each for each in texts if head in each.lower()), " ".join(texts))
    begin = max(0, line.lower().find(low) - _BEFORE)
    begin = 0 if len(line) <= _EXCERPT else begin
    end = begin + _EXCERPT
    return f"{'…' * (begin > 0)}{line[begin:end]}{'…' * (end < len(line))}"
