"""Who meets whom, in which seats and from which seed: a balanced schedule. Loads no game."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from math import comb

from msgspec import Struct

from arena_tui.games.specs import derive_seed


class Meeting(Struct, frozen=True, kw_only=True):
    """One game of the schedule.

    Attributes:
        index: Its number, from 0; the same whatever the number of rounds.
        round: From 1.
        agents: One a seat, in turn order.
        seed: Shared by the games in which the same agents have each other's seats.
    """

    index: int
    round: int
    game: str
    agents: tuple[str, ...]
    seed: int


class Table(Struct, frozen=True, kw_only=True):
    """A game that is played, and how many seats it has."""

    game: str
    seats: int


def meetings_a_round(tables: Sequence[Table], agents: int) -> int:
    """How many games one round has with so many agents."""
    return sum(comb(agents, table.seats) * table.seats for table in tables)


def schedule(
    tables: Sequence[Table], agents: Sequence[str], rounds: int, seed: int
) -> Iterator[Meeting]:
    """All games, round after round.

    In each round every choice of as many agents as a game has seats plays it once in each rotation
    of the seats: every pair meets equally often in every game, and every agent has every seat
    equally often.
    """
    index = 0
    for number in range(1, rounds + 1):
        for table in tables:
            for group, chosen in enumerate(combinations(agents, table.seats)):
                shared = derive_seed(seed, "round", number, table.game, group)
                for first in range(table.seats):
                    yield Meeting(index=index, round=number, game=table.game, seed=shared,
                                  agents=chosen[first:] + chosen[:first])  # fmt: skip
                    index += 1
