"""Where something is: a run, and an event of it, in words that stay true."""

from __future__ import annotations

import re
from typing import Final

from arena_tui.broker.protocol import Cursor
from arena_tui.errors import UsageError

_ADDRESS: Final = re.compile(
    r"(?P<run>[^:\s]+|\S+(?=:[0-9]))(?::(?:(?P<epoch>[0-9]{1,15})-)?(?P<seq>[0-9]{1,15}))?"
)


def address_of(run_id: str, at: Cursor | None) -> str:
    """`RUN`, `RUN:SEQ`, or, with an epoch, `RUN:EPOCH-SEQ`."""
    if at is None:
        return run_id
    return f"{run_id}:{at.epoch}-{at.seq}" if at.epoch else f"{run_id}:{at.seq}"


def parse_address(text: str) -> tuple[str, Cursor | None]:
    """The run, or a part of its id, and a position in it; an epoch of 0 is the newest one. An id
    with colons is understood with a position after it.

    Raises:
        UsageError: It is no address.
    """
    found = _ADDRESS.fullmatch(text.strip())
    if found is None or found["seq"] == "0":
        raise UsageError(f"{text!r} is no address: give RUN or RUN:SEQ, as 7f3a:120")
    if found["seq"] is None:
        return found["run"], None
    return found["run"], Cursor(int(found["epoch"] or 0), int(found["seq"]))
