"""What commands that answer over HTTP have in common. Imports no server."""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Final

from arena_tui.cli.arguments import Parser
from arena_tui.errors import MissingExtraError
from arena_tui.services.http.address import Address, Listening

_LIBRARIES: Final = ("starlette", "uvicorn")


def add_names(parser: Parser) -> None:
    """`--allow-host`, which adds to the list `names`."""
    parser.add_argument(
        "--allow-host",
        dest="names",
        action="append",
        default=[],
        metavar="NAME",
        help="a name that the HTTP API may be called by besides this machine's: a proxy's, say",
    )


def listening_at(address: Address, names: Sequence[str]) -> Listening:
    """How to listen there: with `ARENA_TOKEN`, if that is set.

    Raises:
        MissingExtraError: What it needs is not installed.
    """
    for library in _LIBRARIES:
        if find_spec(library) is None:
            raise MissingExtraError(f"HTTP needs {library}: pip install 'arena-tui[serve]'")
    return Listening(address, os.environ.get("ARENA_TOKEN"), frozenset(map(str.lower, names)))
