"""Which line of a file an event is, on its way to the store. Reads no file.

A chain is the lines of one run in one file, up to the next `run_start`. Each line's digest covers
those before it, so that a chain is found again wherever it stands: in a file that was renamed,
copied, or written anew with other runs in between.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TypeAlias
from uuid import uuid4

from msgspec import Struct

from arena_tui.broker.protocol import Cursor


class Chain(Struct, frozen=True):
    """How far a chain has come.

    Attributes:
        id: Random; the same however long the chain grows.
        epoch: Of the run, when the chain began.
        lines: Events of it so far.
        first, digest: Of its first line, and of all of them.
    """

    id: str
    epoch: int
    lines: int
    first: bytes
    digest: bytes


def new_chain() -> Chain:
    """A chain that is about to begin."""
    return Chain(uuid4().hex, 0, 0, b"", b"")


class KnownRun(Struct, frozen=True):
    """A run as a store has it: up to `(epoch, seq)`, whether it has ended, and its chains."""

    epoch: int
    seq: int
    over: bool
    chains: tuple[Chain, ...] = ()


Known: TypeAlias = Callable[[], Awaitable[Mapping[str, KnownRun]]]
"""All stored runs, by run id; awaited on the loop."""


class Traced(bytes):
    """An event's JSON that carries more about itself.

    Attributes:
        chain: The chain that it ends, all the way to the store's transaction; None for a repeat.
        opens_at: Where its run's stream begins in the broker, with this event, unless it is there
            already: so that whoever forwards many runs waits for none of them.
    """

    def __new__(cls, raw: bytes, chain: Chain | None, opens_at: Cursor | None) -> Traced:
        return super().__new__(cls, raw)

    def __init__(self, raw: bytes, chain: Chain | None, opens_at: Cursor | None) -> None:
        self.chain = chain
        self.opens_at = opens_at
