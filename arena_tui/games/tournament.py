"""A tournament as it is asked for, and the games that makes. Plays and stores nothing."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from arena_tui.errors import UsageError
from arena_tui.games.agents import parse_agent
from arena_tui.games.play import check_spec
from arena_tui.games.schedule import Table, meetings_a_round
from arena_tui.games.specs import SYNTH, Fixture, GameSpec, refuse_dashes
from arena_tui.games.spiel import load_game

WORD: Final = "tournament"
"""What its text begins with."""

_GAMES_MAX: Final = 1_000_000
_SEED_MAX: Final = 10**18
"""It is kept in JSON, whose numbers are read as 64 bits."""

_COMMA: Final = re.compile(r",(?![^(]*\))")
_PIECE: Final = re.compile(r"(?:[^\s(]|\([^)]*\))+")
_OPTION: Final = re.compile(r"([a-z_-]+)=(.*)")
_OPTIONS: Final = {
    name: name for name in ("rounds", "parallel", "seed", "max_turns", "delay_s", "label")
} | {"delay": "delay_s"}
_SWITCHES: Final = {"settled": "until_settled", "new": "new"}
_EXAMPLE: Final = "tournament connect_four,othello mcts:200 mcts:50 random rounds=4"


class TournamentSpec(msgspec.Struct, frozen=True, kw_only=True):
    """Every agent against every other in every game, for some rounds.

    Attributes:
        games: As in a GameSpec, each once.
        agents: Agent specs, each once; for synth, names of models.
        rounds: In a round every group of agents plays each game once in each rotation of its seats.
        parallel: How many games at a time.
        seed: Determines all games' seeds; None means one that is chosen when it begins.
        max_turns, delay_s, label: As in a GameSpec.
        until_settled: Whether it ends with the round after which the order of all is settled.
        new: Whether it begins afresh although the store has one like it.

    Raises:
        UsageError: A value is invalid; the message says what to write.
    """

    games: tuple[str, ...]
    agents: tuple[str, ...]
    rounds: int = 1
    parallel: int = 1
    seed: int | None = None
    max_turns: int | None = None
    delay_s: float = 0.0
    label: str | None = None
    until_settled: bool = False
    new: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.rounds <= _GAMES_MAX:
            raise UsageError(f"rounds must be 1 to {_GAMES_MAX:,}, not {self.rounds}")
        if self.seed is not None and abs(self.seed) > _SEED_MAX:
            raise UsageError(f"seed must have 18 digits at most, not {self.seed}"[:120])
        if len(self.agents) < 2:
            raise UsageError("a tournament needs two agents or more: write for example "
                             "connect_four mcts:200 random")  # fmt: skip
        if twice := _twice(self.games):
            raise UsageError(f"{twice} is listed twice: give each game once, and more --rounds")
        kinds = [each if SYNTH in self.games else str(parse_agent(each)) for each in self.agents]
        if twice := _twice(kinds):
            name = self.agents[kinds.index(twice)]
            raise UsageError(f"{name} is listed twice: give each agent once")
        for game in self.games:
            self.game_spec(game, self.agents)

    @property
    def entry(self) -> str:
        """Names what is played by whom: the same for the same games, agents, seed, turn cap and
        label. More rounds of it go on with it."""
        text = repr((self.games, self.agents, self.seed, self.max_turns, self.label))
        return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()

    def game_spec(self, game: str, agents: Sequence[str]) -> GameSpec:
        """One game of it."""
        return GameSpec(game=game, agents=tuple(agents), parallel=self.parallel,
                        max_turns=self.max_turns, delay_s=self.delay_s, label=self.label,
                        rate_per_s=0.0)  # fmt: skip

    @classmethod
    def parse(cls, text: str) -> TournamentSpec:
        """Parse a text such as `tournament chess,othello mcts:50 random rounds=4 settled`.

        Raises:
            UsageError: The text is none; the message says what to write.
        """
        words = _PIECE.findall(text)[1:]
        refuse_dashes("tournament", words, _OPTIONS)
        pairs = [found for word in words if (found := _OPTION.fullmatch(word))]
        switches = [word for word in words if word in _SWITCHES]
        plain = [word for word in words if not _OPTION.fullmatch(word) and word not in _SWITCHES]
        if not plain:
            raise UsageError(f"no game given: write for example {_EXAMPLE}")
        for found in pairs:
            if found[1] not in _OPTIONS:
                known = ", ".join(name for name in _OPTIONS if name != "delay_s")
                raise UsageError(f"a tournament has no option {found[1]}: use one of {known}")
        values = {_OPTIONS[found[1]]: found[2] for found in pairs}
        chosen = {"games": games_in(plain[0]), "agents": plain[1:], **values}
        chosen |= {_SWITCHES[word]: True for word in switches}
        try:
            return msgspec.convert(chosen, cls, strict=False)
        except msgspec.ValidationError as error:
            raise UsageError(f"{text[:80]!r} does not fit: {error}: give a number") from None


class Remaining(msgspec.Struct, frozen=True, kw_only=True):
    """Some games of a tournament, for a player."""

    fixtures: tuple[Fixture, ...]
    parallel: int
    seed: int

    @property
    def games(self) -> int:
        return len(self.fixtures)

    def unchecked(self) -> Sequence[GameSpec]:
        return ()

    def fixture(self, number: int, seed: int) -> Fixture:
        return self.fixtures[number]


def games_in(text: str) -> tuple[str, ...]:
    """`go(board_size=9,komi=6),hex` -> the two; commas in brackets belong to a game."""
    return tuple(game.strip() for game in _COMMA.split(text))


def check_tournament(spec: TournamentSpec) -> tuple[Table, ...]:
    """Load every game with every agent in it, and return the games with their seats; plays nothing.

    Raises:
        UsageError: It cannot be played; the message says why.
        MissingExtraError: It needs open_spiel, which is not installed.
    """
    agents = spec.agents
    tables = tuple(Table(game=game, seats=_seats(game)) for game in spec.games)
    for game, seats in ((table.game, table.seats) for table in tables):
        if seats < 2:
            raise UsageError(f"{game} has one player: a tournament needs games of two or more")
        if seats > len(agents):
            raise UsageError(
                f"{game} has {seats} players: give it {seats} agents or more, not {len(agents)}"
            )
    if meetings_a_round(tables, len(agents)) * spec.rounds > _GAMES_MAX:
        raise UsageError(f"that is more than {_GAMES_MAX:,} games: give fewer rounds or agents")
    for table in tables:
        for first in range(0, len(agents), table.seats):
            last = min(first + table.seats, len(agents))
            check_spec(spec.game_spec(table.game, agents[last - table.seats : last]))
    return tables


def _seats(game: str) -> int:
    return 2 if game == SYNTH else load_game(game).facts.players


def _twice(words: Iterable[str]) -> str | None:
    """One that comes twice."""
    return next((word for word, count in Counter(words).items() if count > 1), None)
