"""The answer to a query as JSON objects, CSV and TSV, and written to a file. Cleans nothing."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import msgspec

from arena_tui.errors import UsageError
from arena_tui.folds.cells import cell_text
from arena_tui.store.console import Result
from arena_tui.store.place import put, unused

FORMATS: Final = ".csv .tsv .jsonl"
"""Suffixes of the files that can be written."""

_INT64: Final = 2**63


def objects(found: Result) -> Iterator[dict[str, Any]]:
    """Each row by its columns' names, to be encoded by msgspec: times say that they are UTC, and
    numbers of any length stay numbers."""
    names = [name for name, _ in found.columns]
    for row in found.rows:
        yield dict(zip(names, map(_as_json, row), strict=True))


def delimited(found: Result, delimiter: str) -> str:
    """A line of names, and one for each row; NULL is an empty cell."""
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter, lineterminator="\n")
    writer.writerow([name for name, _ in found.columns])
    for row in found.rows:
        writer.writerow(["" if value is None else cell_text(value) for value in row])
    return text.getvalue()


def write_answer(found: Result, name: str) -> Path:
    """Write a new file, of the kind that its suffix says, for the user alone; returns its path.

    It is there as a whole or not at all. Blocks.

    Raises:
        UsageError: There is a file already, it cannot be written, or the suffix says nothing.
    """
    path = Path(os.path.expanduser(name))  # no error for ~nobody
    match path.suffix.lower():
        case ".csv":
            data = delimited(found, ",").encode(errors="replace")
        case ".tsv":
            data = delimited(found, "\t").encode(errors="replace")
        case ".jsonl" | ".json" | ".ndjson":
            data = b"".join(msgspec.json.encode(each) + b"\n" for each in objects(found))
        case _:
            raise UsageError(
                f"{name} is of no kind that can be written: end it in one of {FORMATS}"
            )
    try:
        _write_beside(path, data)
    except FileExistsError:
        raise UsageError(f"{path} is there already: give another name") from None
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise UsageError(f"cannot write {path}: {why}") from None
    return path


def _write_beside(path: Path, data: bytes) -> None:
    if os.path.lexists(path):
        raise FileExistsError
    fresh = unused(path, "new")
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        with os.fdopen(os.open(fresh, flags, 0o600), "wb") as file:
            file.write(data)
        put(fresh, str(path))
    except OSError:
        with suppress(OSError):
            os.unlink(fresh)
        raise


def _as_json(value: Any) -> Any:
    match value:
        case datetime():
            return value.replace(tzinfo=UTC)
        case Decimal():
            return msgspec.Raw(str(value).encode())
        case bool():
            return value
        case int() if not -_INT64 <= value < _INT64:
            return msgspec.Raw(str(value).encode())
        case list():
            return [_as_json(each) for each in value]
        case dict():
            return {name: _as_json(each) for name, each in value.items()}
    return value
