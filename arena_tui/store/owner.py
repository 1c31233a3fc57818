"""What the process that has a store open tells of itself to those that share it."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from msgspec import Struct

OWNER: Final = "/owner"
"""Where it is asked."""

PROTOCOL: Final = 1
"""Counts up whenever owner and client of different versions would misunderstand each other."""

KIND_HEADER: Final = "arena-kind"
"""Names what a client is; one that names nothing speaks plain HTTP."""

READER: Final = "reader"


class Attached(Struct, frozen=True, order=True):
    """A process that is connected to the owner, and as what.

    Attributes:
        pid: 0 where the system does not tell.
    """

    pid: int
    kind: str


class Owner(Struct, frozen=True, kw_only=True):
    """The process that has a store open, and who shares it.

    Attributes:
        command: What it was started as: `arena-tui watch`, `python agent.py`.
        since: When it opened the store.
        clients: The other processes, each once for each kind.
    """

    version: str
    protocol: int
    pid: int
    command: str = ""
    since: datetime | None = None
    clients: tuple[Attached, ...] = ()
