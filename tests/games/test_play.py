from __future__ import annotations

import importlib
import threading

import pytest

from arena_tui.errors import MissingExtraError, UsageError
from arena_tui.games import open_spiel
from arena_tui.games.agents import RandomAgent
from arena_tui.games.play import GameResult, Player
from arena_tui.games.specs import GameSpec

PATIENCE_S = 30


def play(recorder, text: str, **options) -> list[GameResult]:
    player = Player(GameSpec.parse(text), recorder.open_run, **options)
    player.start()
    assert player.join(PATIENCE_S)
    return player.results


def test_every_game_is_a_run_of_its_own(recorder):
    results = play(recorder, "tic_tac_toe random random games=5 parallel=2 seed=3 label=cup")

    assert [result.index for result in results] == [0, 1, 2, 3, 4]
    assert {result.run_id for result in results} == set(recorder.runs)
    for result in results:
        start, *_, end = recorder.runs[result.run_id]
        assert (start.game, start.label, start.seed) == ("tic_tac_toe", "cup", result.seed)
        assert start.config["index"] == result.index
        assert (end.status, end.outcome) == (result.status, result.outcome)


def test_games_do_not_depend_on_the_threads_that_play_them(record, without_times):
    def games(parallel: int):
        recorder = record()
        results = play(recorder, f"connect_four mcts:10 random games=6 seed=9 parallel={parallel}")
        return [without_times(recorder.runs[result.run_id]) for result in results]

    one_by_one = games(1)

    assert games(3) == one_by_one
    assert len({str(events) for events in one_by_one}) == 6


def test_without_a_seed_every_player_has_its_own(recorder):
    spec = GameSpec.parse("tic_tac_toe random")

    assert Player(spec, recorder.open_run).seed != Player(spec, recorder.open_run).seed


def test_parameters_stay_out_of_the_name_of_the_game(recorder):
    (result,) = play(recorder, "hex(board_size=3) random")

    start = recorder.runs[result.run_id][0]
    assert start.game == "hex"
    assert start.config["game"] == "hex(board_size=3)"


class Flaky(RandomAgent):
    """Fails at its second move in every other match."""

    matches = 0

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        Flaky.matches += 1
        self._fails = Flaky.matches % 2 == 0
        self._moves = 0

    def choose(self, state, player: int) -> int:
        self._moves += 1
        if self._fails and self._moves == 2:
            raise RuntimeError("the model is on strike")
        return super().choose(state, player)


def test_a_crash_is_one_game_s_own(recorder, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Flaky, "matches", 0)
    monkeypatch.setattr(open_spiel, "make_agent", lambda spec, game, seed: Flaky(seed))

    results = play(recorder, "2048 random games=4 max_turns=5 seed=1")

    assert [result.status for result in results] == ["crashed", "stopped", "crashed", "stopped"]
    crashed = recorder.runs[results[0].run_id]
    assert [event.kind for event in crashed[-2:]] == ["error", "run_end"]
    assert crashed[-2].message == "the model is on strike"
    assert "RuntimeError" in crashed[-2].traceback
    assert results[0].reason == "RuntimeError: the model is on strike"


def test_a_run_that_cannot_be_opened_is_a_crash_without_a_run():
    def refuse(*args, **options):
        raise OSError("no broker")

    player = Player(GameSpec.parse("tic_tac_toe random games=2"), refuse)
    player.start()
    player.join(PATIENCE_S)

    assert [(result.status, result.run_id) for result in player.results] == [("crashed", None)] * 2


def test_finished_games_are_reported_as_they_end(recorder):
    seen: list[int] = []

    play(
        recorder, "tic_tac_toe random games=3", on_finished=lambda result: seen.append(result.index)
    )

    assert seen == [0, 1, 2]


@pytest.mark.parametrize(
    "text",
    [
        "chess mcts:1000000 random",
        "othello minimax:60 random",
        "hearts mcts:1000000",
        "chess random random delay=3600",
        "synth rate=0.001",
    ],
)
def test_stop_ends_games_wherever_they_are(recorder, text: str):
    begun = threading.Event()

    def open_run(*args, **options):
        begun.set()
        return recorder.open_run(*args, **options)

    player = Player(GameSpec.parse(text + " games=100"), open_run)
    player.start()
    begun.wait(PATIENCE_S)
    player.stop()

    assert player.join(PATIENCE_S)
    (result,) = player.results
    assert (result.status, result.reason) == ("stopped", "stopped")
    assert recorder.runs[result.run_id][-1].status == "stopped"


def test_stopped_before_it_started_it_plays_nothing(recorder):
    player = Player(GameSpec.parse("tic_tac_toe random games=3"), recorder.open_run)
    player.stop()
    player.start()
    player.join(PATIENCE_S)

    assert player.results == []
    assert recorder.runs == {}


def test_continuous_play_goes_on_until_stopped(recorder):
    enough = threading.Event()
    player = Player(
        GameSpec.parse("tic_tac_toe random games=1 seed=4"),
        recorder.open_run,
        continuous=True,
        on_finished=lambda result: enough.set() if result.index >= 5 else None,
    )
    player.start()
    enough.wait(PATIENCE_S)
    running = player.running
    player.stop()

    assert running
    assert player.join(PATIENCE_S)
    assert len(player.results) >= 6


def test_synth_is_played_like_any_other_game(recorder):
    results = play(recorder, "synth rate=0 turns=12 games=3 parallel=3 seed=2")

    assert [result.status for result in results] == ["finished"] * 3
    assert len({result.seed for result in results}) == 3
    assert all(recorder.runs[result.run_id][0].game == "synth" for result in results)


@pytest.mark.parametrize("text", ["nope random", "kuhn_poker minimax random", "crossword"])
def test_what_cannot_be_played_is_refused_before_it_starts(recorder, text: str):
    with pytest.raises(UsageError):
        Player(GameSpec.parse(text), recorder.open_run)


def test_without_open_spiel_only_synth_plays(recorder, monkeypatch: pytest.MonkeyPatch):
    real = importlib.import_module

    def missing(name: str, package: str | None = None):
        if name == "pyspiel":
            raise ImportError(name)
        return real(name, package)

    monkeypatch.setattr(importlib, "import_module", missing)

    with pytest.raises(MissingExtraError, match="pip install"):
        Player(GameSpec.parse("chess random"), recorder.open_run)
    (result,) = play(recorder, "synth rate=0 turns=3")
    assert result.status == "finished"


def test_redrawn_cards_with_which_nobody_can_move_end_no_game(recorder):
    """In hearts, open_spiel redraws hidden cards that may contradict each other."""
    results = play(recorder, "hearts mcts:5 random random mcts:1 games=2 seed=1")

    assert [result.status for result in results] == ["finished", "finished"]
