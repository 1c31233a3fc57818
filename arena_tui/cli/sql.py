"""`sql`: one query over the store, as a table or as JSON lines."""

from __future__ import annotations

import argparse
import asyncio
import sys
from functools import partial
from typing import Any, Final

from arena_tui.cli.arguments import Parser, as_text, whole_number
from arena_tui.cli.output import counted, harmless, say_json, say_table, tell
from arena_tui.cli.stored import open_store
from arena_tui.errors import UsageError
from arena_tui.folds.cells import cell_text
from arena_tui.services.answers import objects
from arena_tui.store.console import ROWS_MAX, SQL_MAX, Result, run_sql
from arena_tui.store.history import History

_CELL_MAX: Final = 100
"""Characters of a value in the table; --json has all of it."""

_EXAMPLE: Final = '"SELECT game, count(*) FROM runs GROUP BY game"'


def add_arguments(parser: Parser) -> None:
    parser.set_defaults(function=sql)
    parser.add_argument(
        "query", nargs="?", type=as_text, default="-",
        help=f"one SELECT, say {_EXAMPLE}; - or nothing: it is read from standard input",
    )  # fmt: skip
    parser.add_argument(
        "--limit", type=whole_number, metavar="N", default=ROWS_MAX,
        help=f"the first N rows only, at most {ROWS_MAX:,}",
    )  # fmt: skip


def sql(arguments: argparse.Namespace) -> int:
    """Print what the query gives; ctrl+c ends it."""
    if arguments.limit > ROWS_MAX:
        raise UsageError(f"--limit is at most {ROWS_MAX:,}: let the query take some rows of more")
    query = _from_stdin() if arguments.query == "-" else arguments.query
    if not query.strip():
        raise UsageError(f"no query: give one, say {_EXAMPLE}")
    with open_store(arguments) as database:
        asked = History(database).read(partial(run_sql, sql=query, limit=arguments.limit))
        found = asyncio.run(asked)
    if arguments.json:
        for each in objects(found):
            say_json(each)
    else:
        _say_rows(found)
        if not found.cut:
            tell(counted(len(found.rows), "row"))
    if found.cut:
        tell(f"arena-tui: {found.cut}")
    return 0


def _from_stdin() -> str:
    """At most as much as a query may have, and one character more, which is then refused."""
    return sys.stdin.buffer.read(4 * (SQL_MAX + 1)).decode("utf-8", "replace")


def _say_rows(found: Result) -> None:
    rows = [[_cell(value) for value in row] for row in found.rows]
    header = [harmless(name)[:_CELL_MAX] for name, _ in found.columns]
    for column in range(len(header)):
        if found.is_number(column):
            width = max(map(len, (header[column], *(row[column] for row in rows))))
            header[column] = header[column].rjust(width)
            for row in rows:
                row[column] = row[column].rjust(width)
    say_table(header, rows)


def _cell(value: Any) -> str:
    text = cell_text(value)
    return text if len(text) <= _CELL_MAX else f"{text[: _CELL_MAX - 1]}…"
