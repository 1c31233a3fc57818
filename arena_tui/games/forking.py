"""Games that go on from a turn of another run: as they are asked for. Plays and stores nothing."""

from __future__ import annotations

import random
from collections.abc import Sequence

import msgspec
from msgspec.structs import replace

from arena_tui.errors import UsageError
from arena_tui.games.island import Island
from arena_tui.games.position import Origin
from arena_tui.games.specs import Fixture, GameSpec


class ForkSpec(msgspec.Struct, frozen=True, kw_only=True):
    """Some games from one position, for a player: each a run of its own, of another seed."""

    spec: GameSpec
    origin: Origin

    @property
    def games(self) -> int:
        return self.spec.games

    @property
    def parallel(self) -> int:
        return self.spec.parallel

    @property
    def seed(self) -> int | None:
        return self.spec.seed

    def unchecked(self) -> Sequence[GameSpec]:
        return ()

    def fixture(self, number: int, seed: int) -> Fixture:
        origin = self.origin
        config = {"fork": {"run": origin.run_id, "seq": origin.seq, "turn": origin.position.turn}}
        return replace(self.spec.fixture(number, seed), origin=origin, config=config)


def check_fork(fork: ForkSpec) -> None:
    """Restore the game and make every agent for it; plays nothing.

    Raises:
        UsageError: It cannot be played on; the message says why.
        MissingExtraError: It needs open_spiel, which is not installed.
    """
    spec, position = fork.spec, fork.origin.position
    if spec.turn_limit < position.turn:
        raise UsageError(
            f"max_turns must be {position.turn} at least, as the game goes on with that turn, "
            f"not {spec.turn_limit}"
        )
    if spec.is_synth:
        Island.restored(position, spec.agents, random.Random(0))
    else:
        from arena_tui.games.open_spiel import Match  # noqa: PLC0415  (loads nothing for synth)

        Match(spec.game, spec.agents, start=position).close()


def change_text(turn: int, before: Sequence[str], after: Sequence[str]) -> str:
    """`turn 17: mcts:500 -> mcts:50`, of those seats that another agent has then."""
    changed = [
        f"{old} -> {new}" for old, new in zip(before, after, strict=False) if old != new
    ]  # fmt: skip
    return f"turn {turn}: {', '.join(changed) or 'same agents'}"
