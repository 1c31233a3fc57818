"""Which event of which producer an event is, on its way to the store. Counts nothing."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from msgspec import Struct

from arena_tui.events import Delivery


class Numbered(bytes):
    """An event's JSON that carries its producer's number of it, to the store's transaction."""

    def __new__(cls, raw: bytes, producer: str, number: int) -> Numbered:
        return super().__new__(cls, raw)

    def __init__(self, raw: bytes, producer: str, number: int) -> None:
        self.producer = producer
        self.number = number


class Recalled(Struct, frozen=True):
    """A run as a store has it.

    Attributes:
        over: Whether it has ended.
        numbers: How far each producer of it has come.
        alone: The producer of all of its newest stream; None if there are several.
    """

    epoch: int
    seq: int
    over: bool
    numbers: Mapping[str, int]
    alone: str | None


class Past(Protocol):
    """What is stored of runs.

    Attributes:
        is_kept: Whether anything is stored at all.
    """

    is_kept: bool

    async def recall(self, run_ids: Collection[str]) -> Mapping[str, Recalled]:
        """Those of these runs that are stored."""

    async def window(
        self, run_id: str, from_seq: int, to_seq: int, epoch: int
    ) -> Sequence[Delivery]:
        """Events and gaps of one epoch, in order, of the first thousand of these seqs."""


class NoPast:
    """Nothing is stored."""

    is_kept = False

    async def recall(self, run_ids: Collection[str]) -> Mapping[str, Recalled]:
        return {}

    async def window(
        self, run_id: str, from_seq: int, to_seq: int, epoch: int
    ) -> Sequence[Delivery]:
        return ()
