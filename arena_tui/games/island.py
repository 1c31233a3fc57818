"""The world of `synth`: models hunt for treasure on an island.

Knows nothing of runs; all randomness comes from the generator passed in.
"""

from __future__ import annotations

import math
import random
from collections import deque
from collections.abc import Mapping, Sequence

import msgspec

from arena_tui.errors import UsageError
from arena_tui.games.position import Position, refuse

_MAP = """\
~ ~ · · · · · # · · · ~
~ · · · # · · # · · · ·
· · · # # · · · · · · ·
· · · · · · · · · # · ·
· # # · · · # · · # · ·
· · · · · · # · · · · ~
~ ~ · · · · · · · · ~ ~
"""
_DIRECTIONS = {"north": (0, -1), "south": (0, 1), "west": (-1, 0), "east": (1, 0)}
_CHESTS = 5
_INITIAL_COINS = 10
_WANDER_PROBABILITY = 0.15

Cell = tuple[int, int]


class Move(msgspec.Struct, frozen=True, kw_only=True):
    """A decision and its result; `kind` selects the phrases that describe it."""

    kind: str
    action: str
    ok: bool = True
    reward: float = 0.0
    detail: str = ""
    target: str = ""


class _State(msgspec.Struct, frozen=True):
    """What `Island.state` writes."""

    at: dict[str, str]
    chests: dict[str, int]
    purses: dict[str, float]


class Island:
    """Positions, purses and chests; letters on the map are the models' initials."""

    def __init__(self, names: Sequence[str], rng: random.Random) -> None:
        self._rng = rng
        self._rows = [line.split() for line in _MAP.splitlines()]
        self._land = [
            (x, y) for y, row in enumerate(self._rows) for x, cell in enumerate(row) if cell == "·"
        ]
        cells = rng.sample(self._land, len(names) + _CHESTS)
        self.purses = {name: float(_INITIAL_COINS) for name in names}
        self._at = dict(zip(names, cells, strict=False))
        self._chests = {cell: rng.randint(2, 9) for cell in cells[len(names) :]}
        self._letters = dict(zip(names, _letters(names), strict=True))

    @classmethod
    def restored(cls, position: Position, names: Sequence[str], rng: random.Random) -> Island:
        """The island there, these models in the places of those it has, in their order.

        Raises:
            UsageError: It cannot be restored, or has another number of models.
        """
        try:
            state = msgspec.json.decode(position.state or "", type=_State)
        except msgspec.DecodeError:
            refuse("its state is none of synth's: choose another turn")
        if len(names) != len(state.at):
            count = len(state.at)
            raise UsageError(f"synth has {count} models there, not {len(names)}: give {count}")
        island = cls(names, rng)
        if not island.take_over(state.at, state.chests, state.purses):
            refuse("its state is none of this island: choose another turn")
        return island

    def take_over(
        self, at: Mapping[str, str], chests: Mapping[str, int], purses: Mapping[str, float]
    ) -> bool:
        """Be as this state says, the models in its order; returns False, and stays as it is, if
        that cannot be."""
        cells = {_cell(cell): cell for cell in self._land}
        taken = [*at.values(), *chests]
        is_whole = at.keys() == purses.keys() and all(map(math.isfinite, purses.values()))
        fits = len(set(taken)) == len(taken) <= len(cells) // 2 and cells.keys() >= set(taken)
        if not (is_whole and fits and chests):
            return False
        names = list(self.purses)
        self.purses = dict(zip(names, (purses[each] for each in at), strict=True))
        self._at = dict(zip(names, (cells[each] for each in at.values()), strict=True))
        self._chests = {cells[each]: coins for each, coins in chests.items()}
        return True

    def text(self) -> str:
        """The map with its models, chests (`$`) and a line of purses."""
        rows = [list(row) for row in self._rows]
        for x, y in self._chests:
            rows[y][x] = "$"
        for name, (x, y) in self._at.items():
            rows[y][x] = self._letters[name]
        lines = [f"{number} {' '.join(row)}" for number, row in enumerate(rows, start=1)]
        lines.append("  " + " ".join("abcdefghijkl"))
        purses = (f"{self._letters[name]} {coins:.0f}" for name, coins in self.purses.items())
        return "\n".join([*lines, "coins  " + "  ".join(purses)])

    def legal_actions(self, name: str) -> list[str]:
        """The model's legal actions, as it would write them."""
        steps = [f"go {way}" for way in _DIRECTIONS if self._step(name, way) is not None]
        return [*steps, "wait"]

    def state(self) -> str:
        """Positions, chests and purses as JSON."""
        at = {name: _cell(cell) for name, cell in self._at.items()}
        chests = {_cell(cell): coins for cell, coins in self._chests.items()}
        state = {"at": at, "chests": chests, "purses": self.purses}
        return msgspec.json.encode(state).decode()

    def tide(self) -> tuple[str, str]:
        """Replace one chest by another elsewhere; returns a description of each."""
        gone = self._rng.choice(list(self._chests))
        coins = self._chests.pop(gone)
        new = self._bury(coins + 1)
        return f"chest of {coins} at {_cell(gone)}", f"chest of {coins + 1} at {_cell(new)}"

    def take_turn(self, name: str) -> Move:
        """Choose the model's step and take it."""
        direction, goal = self._path_to_chest(name)
        if self._rng.random() < _WANDER_PROBABILITY:
            direction = self._rng.choice(list(_DIRECTIONS))
        cell = self._step(name, direction)
        action = f"go {direction}"
        if cell is None:
            return Move(kind="blocked", action=action, ok=False, target=_cell(goal),
                        detail=f"the way {direction} is blocked")  # fmt: skip
        self._at[name] = cell
        coins = self._chests.pop(cell, 0)
        if not coins:
            return Move(kind="walk", action=action, target=_cell(goal))
        self.purses[name] += coins
        self._bury(self._rng.randint(2, 9))
        return Move(kind="dig", action=action, reward=float(coins), target=_cell(cell),
                    detail=f"found {coins} coins at {_cell(cell)}")  # fmt: skip

    def _path_to_chest(self, name: str) -> tuple[str, Cell]:
        """First step of a shortest path to the nearest chest, and the chest's cell."""
        start = self._at[name]
        queue: deque[tuple[Cell, str]] = deque([(start, "")])
        seen = {start}
        while queue:
            cell, first = queue.popleft()
            if cell in self._chests:
                return first, cell
            for direction, (dx, dy) in _DIRECTIONS.items():
                near = (cell[0] + dx, cell[1] + dy)
                if near not in seen and near in self._land:
                    seen.add(near)
                    queue.append((near, first or direction))
        return "north", start

    def _step(self, name: str, direction: str) -> Cell | None:
        """The cell a step leads to; None if water, rock or another model blocks it."""
        x, y = self._at[name]
        cell = (x + _DIRECTIONS[direction][0], y + _DIRECTIONS[direction][1])
        return cell if cell in self._land and cell not in self._at.values() else None

    def _bury(self, coins: int) -> Cell:
        taken = {*self._chests, *self._at.values()}
        cell = self._rng.choice([cell for cell in self._land if cell not in taken])
        self._chests[cell] = coins
        return cell


def _letters(names: Sequence[str]) -> list[str]:
    """A distinct letter per name: the first of its own that is still free."""
    letters: list[str] = []
    for name in names:
        wanted = filter(str.isalpha, f"{name}ABCDEFGHIJKLMNOPQRSTUVWXYZ".upper())
        letters.append(next((letter for letter in wanted if letter not in letters), "?"))
    return letters


def _cell(cell: Cell) -> str:
    return f"{'abcdefghijkl'[cell[0]]}{cell[1] + 1}"
