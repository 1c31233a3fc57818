"""The tables of the settings file, each with its defaults and bounds. Reads no files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final, TypeAlias

import msgspec
from msgspec import Meta, Struct

from arena_tui.errors import UsageError


class Gauges(Struct, frozen=True, forbid_unknown_fields=True):
    """`[gauges]`: when a gauge is marked.

    Attributes:
        marks: Percent of capacity from which on it is raised, high and full; rising, above 0.
    """

    marks: tuple[float, float, float] = (50, 80, 100)

    def __post_init__(self) -> None:
        if not 0 < self.marks[0] < self.marks[1] < self.marks[2]:
            raise ValueError("marks must be three rising numbers above 0, in percent of capacity")


Dollars: TypeAlias = Annotated[float, Meta(ge=0, le=1e6)]


class Price(Struct, frozen=True, forbid_unknown_fields=True):
    """What a model costs, in US dollars per million tokens.

    Attributes:
        cached: Of input that was read from a cache; None: as other input.
    """

    input: Dollars
    output: Dollars
    cached: Dollars | None = None


Prices: TypeAlias = tuple[tuple[str, Price], ...]
"""`[prices]`: models, as events name them. They are preferred to those of `genai-prices`."""


TABLES: Final[Mapping[str, object]] = {"gauges": Gauges, "prices": dict[str, Price]}
"""Their types, by their names in the file, which are those of `Config`, too."""


def read_table(name: str, given: object) -> object:
    """The table of this name; raises UsageError, which says what is wrong in it."""
    try:
        table: object = msgspec.convert(given, TABLES[name])
    except msgspec.ValidationError as error:
        raise UsageError(f"[{name}]: {error}") from None
    return tuple(table.items()) if isinstance(table, dict) else table  # settings are hashable
