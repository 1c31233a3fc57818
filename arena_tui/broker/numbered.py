"""Which event of which producer an event is, on its way to the store. Counts nothing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import TypeAlias

from msgspec import Struct


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


Recall: TypeAlias = Callable[[Collection[str]], Awaitable[Mapping[str, Recalled]]]
"""Those of these runs that are stored."""
