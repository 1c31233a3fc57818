"""Games that are played as they should be raise no alarm, whatever game it is."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

from arena_tui.errors import UsageError
from arena_tui.events import Event, TurnStart
from arena_tui.folds.view import RunView
from arena_tui.producers.run import Run
from tests.envelopes import envelope
from tests.faults.accounts import FULL

pyspiel = pytest.importorskip("pyspiel")
open_spiel = pytest.importorskip("arena_tui.games.open_spiel")

TURNS = 400 if FULL else 120
START = datetime(2026, 1, 1, tzinfo=UTC)


def games(seed: int) -> Iterator[tuple[str, list[Event]]]:
    """Every game that can be played, by agents that move at random."""
    for game in pyspiel.registered_names():
        try:
            match = open_spiel.Match(game, ["random"], seed)
        except UsageError:
            continue
        events: list[Event] = []
        with Run(lambda _, event, to=events: to.append(event), game, match.agents) as run:
            match.play(run, max_turns=TURNS)
        yield game, events


def alarms(events: Sequence[Event], seed: int) -> set[str]:
    """What the rules say of the run where each turn takes a few seconds, sometimes many: looked at
    right before each event of a turn, where the silence is longest, and after it."""
    think = random.Random(seed)
    now = 0.0
    view = RunView("a")
    found: set[str] = set()
    for seq, event in enumerate(events, 1):
        if isinstance(event, TurnStart):
            now += think.lognormvariate(0.6, 0.6)
            found |= {each.text for each in view.troubles("open", now)}
        view.add(envelope("a", 1, seq, replace(event, ts=START + timedelta(seconds=now))), now)
        if event.kind == "action":
            found |= {each.text for each in view.troubles("open", now)}
    return found


@pytest.mark.parametrize("seed", range(12 if FULL else 1))
def test_no_game_is_called_stuck_looping_or_slow_for_being_played(seed: int) -> None:
    found = {game: alarms(events, seed) for game, events in games(seed)}

    assert len(found) > 100
    assert {game: texts for game, texts in found.items() if texts} == {}
