"""Game specs, their text form, and the result of a game. Loads no game."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Collection, Mapping, Sequence
from importlib.util import find_spec
from itertools import zip_longest
from typing import Final, Literal

import msgspec

from arena_tui.errors import UsageError
from arena_tui.games.agents import parse_agent
from arena_tui.games.position import Origin

DEFAULT_MAX_TURNS: Final = 1000
"""Turns after which a game is stopped; some never end with random players."""

SYNTH: Final = "synth"
"""The game that needs no extra installed: fictional models on a treasure island."""

SYNTH_AGENTS: Final = ("marlow-2", "thistle-mini", "sable-xl", "juniper-1", "orla-9", "quill-pro")
"""Names of fictional models."""

_SYNTH_TURNS = 120
_SYNTH_RATE_PER_S = 4.0
_COUNT_MAX = 1_000_000
_WORD = re.compile(r"(?:[^\s(]|\([^)]*\))+")
_OPTION = re.compile(r"([a-z_-]+)=(.*)")
_OPTIONS = {
    name: name for name in ("games", "parallel", "seed", "max_turns", "delay_s", "label")
} | {"delay": "delay_s"}
_SYNTH_OPTIONS = {"agents": "agents", "rate": "rate_per_s", "turns": "max_turns"}


def _synth_agents(count: str) -> tuple[str, ...]:
    most = len(SYNTH_AGENTS)
    if not count.isascii() or not count.isdigit() or not 1 <= int(count[:9]) <= most:
        raise UsageError(f"synth has 1 to {most} models, not {count[:20]}: write agents=3")
    return SYNTH_AGENTS[: int(count)]


class GameSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A game, its agents, and how many times to play it.

    Attributes:
        game: `synth`, or a game of open_spiel, with parameters in brackets.
        agents: Agent specs in turn order; for synth, names of models.
        games: How many to play.
        parallel: How many at a time.
        seed: Determines all games' seeds; None means a random one each time.
        max_turns: Turns after which a game is stopped, None for the default; synth then ends as
            finished.
        delay_s: Seconds between turns.
        label: Shown with the runs.
        rate_per_s: Only synth: events per second, shared by the games that are played at a time; 0
            means as fast as possible, and None that each has a pace people can follow.

    Raises:
        UsageError: A value is invalid; the message says what to write.
    """

    game: str
    agents: tuple[str, ...] = ()
    games: int = 1
    parallel: int = 1
    seed: int | None = None
    max_turns: int | None = None
    delay_s: float = 0.0
    label: str | None = None
    rate_per_s: float | None = None

    def __post_init__(self) -> None:
        for name in ("games", "parallel", "max_turns"):
            count = getattr(self, name)
            if count is not None and not 1 <= count <= _COUNT_MAX:
                raise UsageError(f"{name} must be 1 to {_COUNT_MAX:,}, not {count}")
        for name, value in (("delay", self.delay_s), ("rate", self.rate_per_s or 0.0)):
            if not (math.isfinite(value) and 0 <= value <= _COUNT_MAX):
                raise UsageError(f"{name} must be a number from 0, not {value}")
        if self.game == SYNTH and len(set(self.agents)) != len(self.agents):
            raise UsageError("two models of synth have the same name: give each its own")
        if self.game != SYNTH:
            for agent in self.agents:
                parse_agent(agent)

    @property
    def is_synth(self) -> bool:
        return self.game == SYNTH

    @property
    def turn_limit(self) -> int:
        """`max_turns`, or the game's default."""
        return self.max_turns or (_SYNTH_TURNS if self.is_synth else DEFAULT_MAX_TURNS)

    def rate_of_each(self, at_a_time: int) -> float:
        """Events per second of one of so many games; 0 means as fast as possible."""
        return _SYNTH_RATE_PER_S if self.rate_per_s is None else self.rate_per_s / at_a_time

    def unchecked(self) -> tuple[GameSpec, ...]:
        return (self,)

    def fixture(self, number: int, seed: int) -> Fixture:
        return Fixture(index=number, spec=self, seed=derive_seed(seed, "game", number))

    @classmethod
    def parse(cls, text: str) -> GameSpec:
        """Parse a spec such as `connect_four mcts:200 random games=4 delay=0.5`.

        Raises:
            UsageError: The text is not a spec; the message says what to write.
        """
        words = _WORD.findall(text)
        refuse_dashes("play", words, _OPTIONS)
        pairs = [found for word in words if (found := _OPTION.fullmatch(word))]
        options = {str(found[1]): str(found[2]) for found in pairs}
        plain = [word for word in words if not _OPTION.fullmatch(word)]
        if not plain:
            raise UsageError("no game given: write for example connect_four mcts:200 random")
        game, agents = plain[0], tuple(plain[1:])
        if game == SYNTH and "agents" in options:
            agents = _synth_agents(options.pop("agents"))
        known = _OPTIONS | (_SYNTH_OPTIONS if game == SYNTH else {})
        if unknown := [name for name in options if name not in known]:
            raise UsageError(f"{game} has no option {unknown[0]}: use one of {', '.join(known)}")
        values = {known[name]: value for name, value in options.items()}
        try:
            return msgspec.convert({"game": game, "agents": agents, **values}, cls, strict=False)
        except msgspec.ValidationError as error:
            raise UsageError(f"{text[:80]!r} does not fit: {error}: give a number") from None


def refuse_dashes(command: str, words: Sequence[str], options: Collection[str]) -> None:
    """Raise UsageError if one of the words is an option of that command of ours, or looks so."""
    for word, after in zip_longest(words, words[1:], fillvalue="N"):
        if not word.startswith("-"):
            continue
        flag, _, value = word.partition("=")
        name = flag.strip("-").replace("-", "_")
        if name in options:
            raise UsageError(
                f"{flag} is an option of arena-tui {command}: write {name}={value or after} "
                "instead; parallel=2 plays two games at a time, else it is one"
            )
        raise UsageError(
            f"{flag[:40]} is no player: options are written name=value, with one of "
            f"{', '.join(options)}"
        )


class Fixture(msgspec.Struct, frozen=True, kw_only=True):
    """One game of a series: who plays what, and what else its run says.

    Attributes:
        index: The game's number, from 0.
        spec: The game and its agents in turn order; how many games it asks for says nothing here.
        seed: With the spec it reproduces the game.
        config: Added to the `config` of its run.
        origin: What it goes on from; None: it is played from its beginning.
    """

    index: int
    spec: GameSpec
    seed: int
    config: Mapping[str, object] = {}
    origin: Origin | None = None


class Played(msgspec.Struct, frozen=True, kw_only=True):
    """The result of a game: `outcome` maps agent ids to their final scores."""

    status: Literal["finished", "stopped"]
    turns: int
    outcome: dict[str, float]
    reason: str | None = None


def turn_cap(max_turns: int) -> str:
    """The reason of a game that was stopped at its last turn."""
    return f"turn cap {max_turns}"


def derive_seed(seed: int, *parts: str | int) -> int:
    """Derive a seed below 2³¹ for the given parts; the same in every process and thread."""
    text = repr((seed, *parts)).encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=4).digest(), "big") >> 1


_DEMO: Final = """\
connect_four mcts:400 mcts:100 delay=0.8
chess minimax:2 mcts:30 delay=1.0 max_turns=300
2048 mcts:60 delay=0.4
othello mcts:60 minimax:1 delay=0.7
go(board_size=9) mcts:60 mcts:30 delay=0.6 max_turns=160
hex(board_size=7) mcts:300 mcts:100 delay=0.7
backgammon mcts:20 random delay=0.9
leduc_poker mcts:200 random delay=1.1
synth agents=3 rate=3
"""
DEMO_SPECS: Final = tuple(map(GameSpec.parse, _DEMO.splitlines()))
"""Games at a pace people can follow, light enough to run side by side."""

_DEMO_WITHOUT_GAMES: Final = tuple(
    GameSpec.parse(f"synth agents={agents} rate={rate}")
    for agents, rate in ((2, 4), (3, 3), (4, 6), (2, 2), (5, 8), (3, 5))
)


def demo_specs() -> tuple[GameSpec, ...]:
    """The demo's games: real ones, or synthetic ones if open_spiel is not installed."""
    return DEMO_SPECS if find_spec("pyspiel") else _DEMO_WITHOUT_GAMES
