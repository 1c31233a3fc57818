"""What to play, as a value and as text, and how a game went. Loads no game."""

from __future__ import annotations

import hashlib
import importlib.util
import math
import re
from typing import Final, Literal

import msgspec

from arena_tui.errors import UsageError
from arena_tui.games.agents import parse_agent

__all__ = [
    "DEFAULT_MAX_TURNS",
    "DEMO_SPECS",
    "SYNTH",
    "SYNTH_AGENTS",
    "GameSpec",
    "Played",
    "demo_specs",
    "derive_seed",
]

DEFAULT_MAX_TURNS: Final = 1000
"""Turns after which a game is stopped; some never end with random players."""

SYNTH: Final = "synth"
"""The game that needs nothing installed: made-up models on a treasure island."""

SYNTH_AGENTS: Final = ("marlow-2", "thistle-mini", "sable-xl", "juniper-1", "orla-9", "quill-pro")
"""Names of models that do not exist."""

_SYNTH_TURNS = 120
_SYNTH_RATE_PER_S = 4.0
_COUNT_MAX = 1_000_000
_WORD = re.compile(r"(?:[^\s(]|\([^)]*\))+")
_OPTION = re.compile(r"([a-z_-]+)=(.*)")
_OPTIONS = "games, parallel, seed, max_turns, delay, label; for synth also agents, rate"


class GameSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A game, who plays it, and how often.

    Attributes:
        game: `synth`, or a game of open_spiel, with parameters in brackets.
        agents: Agent specs in the order of moving; for synth names of models.
        games: How many to play.
        parallel: How many at a time.
        seed: All games follow from it; None means a new one each time.
        max_turns: Turns after which a game is stopped; synth ends there as finished.
        delay_s: Seconds between turns.
        label: Shown with the runs.
        rate_per_s: Only synth: events per second; 0 means as fast as possible.

    Raises:
        UsageError: A value that cannot be; says what to write.
    """

    game: str
    agents: tuple[str, ...] = ()
    games: int = 1
    parallel: int = 1
    seed: int | None = None
    max_turns: int = DEFAULT_MAX_TURNS
    delay_s: float = 0.0
    label: str | None = None
    rate_per_s: float = _SYNTH_RATE_PER_S

    def __post_init__(self) -> None:
        for name in ("games", "parallel", "max_turns"):
            if not 1 <= getattr(self, name) <= _COUNT_MAX:
                raise UsageError(f"{name} must be 1 to {_COUNT_MAX:,}, not {getattr(self, name)}")
        for name in ("delay_s", "rate_per_s"):
            value = getattr(self, name)
            if not (math.isfinite(value) and 0 <= value <= _COUNT_MAX):
                raise UsageError(f"{name} must be a number from 0, not {value}")
        if self.game == SYNTH and len(set(self.agents)) != len(self.agents):
            raise UsageError("two models of synth have the same name: give each its own")
        if self.game != SYNTH:
            for agent in self.agents:
                parse_agent(agent)

    @property
    def is_synth(self) -> bool:
        """Whether it plays without open_spiel."""
        return self.game == SYNTH

    @classmethod
    def parse(cls, text: str) -> GameSpec:
        """The spec in a text such as `connect_four mcts:200 random games=4 delay=0.5`.

        Raises:
            UsageError: It is none; says what to write.
        """
        words = _WORD.findall(text)
        options = dict(match.groups() for word in words if (match := _OPTION.fullmatch(word)))
        plain = [word for word in words if not _OPTION.fullmatch(word)]
        if not plain:
            raise UsageError("no game given: write for example connect_four mcts:200 random")
        game, agents = plain[0], tuple(plain[1:])
        if game == SYNTH and not agents:
            count = _whole("agents", options.pop("agents", "2"), len(SYNTH_AGENTS))
            agents = SYNTH_AGENTS[:count]
        known = {
            "games": ("games", int), "parallel": ("parallel", int), "seed": ("seed", int),
            "max_turns": ("max_turns", int), "turns": ("max_turns", int),
            "delay": ("delay_s", float), "label": ("label", str),
        }  # fmt: skip
        values: dict[str, int | float | str] = {"max_turns": _SYNTH_TURNS} if game == SYNTH else {}
        for name, value in options.items():
            if name == "rate" and game == SYNTH:
                values["rate_per_s"] = _number(name, value)
            elif name in known:
                field, kind = known[name]
                values[field] = _value(name, value, kind)
            else:
                raise UsageError(f"{text[:60]!r} has an unknown option {name}: use {_OPTIONS}")
        return msgspec.convert({"game": game, "agents": agents, **values}, cls)
