"""The text of a value out of the store, for a table. Cleans nothing."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any, Final

NULL: Final = "null"


def cell_text(value: Any) -> str:
    """The value in one text: times without `T`, texts as they are, lists and objects likewise."""
    match value:
        case None:
            return NULL
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case datetime():
            return value.isoformat(" ")
        case Decimal():
            return f"{value:f}"
        case list():
            return f"[{', '.join(map(cell_text, value))}]"
        case dict():
            return f"{{{', '.join(f'{name}: {cell_text(each)}' for name, each in value.items())}}}"
    return str(value)
