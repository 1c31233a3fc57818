"""A query as it is typed: what a begun word may become, and several lines as one. Runs nothing."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

from arena_tui.folds.completing import common_start

KEYWORDS: Final = (
    "SELECT", "FROM", "WHERE", "GROUP BY", "ORDER BY", "HAVING", "LIMIT", "OFFSET", "DISTINCT",
    "JOIN", "LEFT JOIN", "USING", "AND", "OR", "NOT", "IN", "IS NULL", "LIKE", "BETWEEN", "CASE",
    "WHEN", "THEN", "ELSE", "END", "WITH", "UNION ALL", "DESC", "ASC", "FILTER", "DESCRIBE",
    "SUMMARIZE", "SHOW TABLES", "INTERVAL", "count(", "sum(", "avg(", "min(", "max(", "median(",
    "quantile_cont(", "date_trunc(", "epoch(", "contains(", "lower(", "json_extract_string(",
)  # fmt: skip

_BEGUN: Final = re.compile(r"\w+$")
_PIECE: Final = re.compile(
    r"""'(?:[^']|'')*'?|"(?:[^"]|"")*"?|(\$\w*\$).*?(?:\1|\Z)|/\*.*?(?:\*/|\Z)|--[^\n]*|\s*\n\s*""",
    re.DOTALL,
)
"""What a line break, or what looks like a comment or a quote, may be in."""


def begun(text: str) -> str:
    """The word that the text ends with; "" if it ends with none."""
    found = _BEGUN.search(text)
    return found[0] if found else ""


def completions(text: str, names: Iterable[str]) -> list[str]:
    """What the last word of the text may become: names, then keywords in the case it is in."""
    word = begun(text)
    if not word:
        return []
    keywords = [each.lower() for each in KEYWORDS] if word.islower() else KEYWORDS
    found = dict.fromkeys([*names, *keywords])
    return [
        each for each in found
        if each.lower().startswith(word.lower()) and each.lower() != word.lower()
    ]  # fmt: skip


def completed(text: str, found: Sequence[str]) -> str:
    """The text with its last word as far as all completions agree, else as the first of them."""
    if not found:
        return text
    word = begun(text)
    common = len(common_start([each.lower() for each in found]))
    wanted = found[0][:common] if common > len(word) else found[0]
    return text[: len(text) - len(word)] + wanted


def one_line(text: str) -> str:
    """A query of several lines in one, of the same meaning: comments are kept as such. A line break
    within quotes stays."""
    return _PIECE.sub(_in_line, text).strip()


def _in_line(piece: re.Match[str]) -> str:
    text = piece[0]
    if text.startswith("--"):
        inner = text[2:].replace("*/", "* /").replace("/*", "/ *")  # comments may be nested
        return f"/*{inner.rstrip()} */"
    if text.startswith("/*"):
        return " ".join(text.splitlines())
    return " " if text.isspace() else text
