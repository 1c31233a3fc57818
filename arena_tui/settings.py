"""The tables of the settings file, each with its defaults and bounds. Reads no files."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Annotated, Final, Literal, TypeAlias, get_args

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


TroubleKind: TypeAlias = Literal[
    "stuck", "silent", "crashed", "retrying", "illegal", "looping", "slow", "budget", "waiting",
    "unpriced",
]  # fmt: skip
TROUBLE_KINDS: Final[tuple[TroubleKind, ...]] = get_args(TroubleKind)
"""What can be wrong with a run, the worst first."""

_Seconds: TypeAlias = Annotated[float, Meta(gt=0, le=7 * 86_400)]
_Factor: TypeAlias = Annotated[float, Meta(ge=1, le=1_000)]
_Times: TypeAlias = Annotated[int, Meta(ge=2, le=32)]
_Usd: TypeAlias = Annotated[float, Meta(gt=0)]
_Tokens: TypeAlias = Annotated[int, Meta(gt=0)]


class TroubleLimits(Struct, frozen=True, forbid_unknown_fields=True):
    """`[trouble]`: when a run is in trouble; in seconds, US dollars and tokens.

    Attributes:
        off: Rules that are not applied.
        stuck_factor, stuck_floor_s: A run is stuck when no event has come for longer than so many
            times its own long pauses, and at least that long.
        stuck_unknown_s: The least instead, while little is known of a run's rhythm.
        waiting_factor, waiting_floor_s, waiting_unknown_s: The same of answers of models.
        retries: Errors in a row, with no action between them.
        illegal_moves: Refused actions among the last 20.
        loop_repeats: How often the same moves are made on the same boards.
        slow_factor, slow_floor_s: A run is slow when its turns take so many times what they did
            before, and that much longer.
        run_usd, run_tokens, agent_usd, agent_tokens, session_usd, session_tokens: Budgets of one
            run, of one agent in it, and of all runs that a dashboard has seen; None: no limit.
    """

    off: tuple[TroubleKind, ...] = ()
    stuck_factor: _Factor = 3
    stuck_floor_s: _Seconds = 20
    stuck_unknown_s: _Seconds = 60
    waiting_factor: _Factor = 1.5
    waiting_floor_s: _Seconds = 10
    waiting_unknown_s: _Seconds = 30
    retries: _Times = 3
    illegal_moves: Annotated[int, Meta(ge=1, le=20)] = 4
    loop_repeats: _Times = 5
    slow_factor: _Factor = 3
    slow_floor_s: _Seconds = 5
    run_usd: _Usd | None = None
    run_tokens: _Tokens | None = None
    agent_usd: _Usd | None = None
    agent_tokens: _Tokens | None = None
    session_usd: _Usd | None = None
    session_tokens: _Tokens | None = None


class Notify(Struct, frozen=True, forbid_unknown_fields=True):
    """`[notify]`: what happens when a run gets into trouble.

    Attributes:
        toast: Whether a notice is shown on the screen.
        bell: Whether the terminal's bell rings.
        desktop: The sequence by which the terminal is asked for a desktop notification.
        on_trouble: A command to run, without a shell; empty: none.
        at_most: So many of them at a time.
        within_s: After so long it is killed.
        again_after_s: The same trouble of a run is told again only after it was gone that long.
    """

    toast: bool = True
    bell: bool = False
    desktop: Literal["off", "osc9", "osc777"] = "off"
    on_trouble: str = ""
    at_most: Annotated[int, Meta(ge=1, le=32)] = 4
    within_s: Annotated[float, Meta(gt=0, le=600)] = 10
    again_after_s: _Seconds = 60

    def __post_init__(self) -> None:
        try:
            words = shlex.split(self.on_trouble)
        except ValueError as error:
            raise ValueError(f"on_trouble is not a command: {error}") from None
        if "\0" in self.on_trouble or (self.on_trouble and not (words and words[0])):
            raise ValueError("on_trouble names no program: write one, or leave it out")


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


Keys: TypeAlias = tuple[tuple[str, str], ...]
"""`[keys]`: other keys for actions of the dashboard, by the ids of docs/KEYS.md."""


TABLES: Final[Mapping[str, object]] = {
    "gauges": Gauges, "trouble": TroubleLimits, "notify": Notify, "prices": dict[str, Price],
    "keys": dict[str, str],
}  # fmt: skip
"""Their types, by their names in the file, which are those of `Config`, too."""


def read_table(name: str, given: object) -> object:
    """The table of this name; raises UsageError, which says what is wrong in it."""
    try:
        table: object = msgspec.convert(given, TABLES[name])
    except msgspec.ValidationError as error:
        raise UsageError(f"[{name}]: {error}") from None
    return tuple(table.items()) if isinstance(table, dict) else table  # settings are hashable
