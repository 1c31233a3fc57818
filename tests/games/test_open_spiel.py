from __future__ import annotations

import threading
from itertools import pairwise

import pyspiel
import pytest

from arena_tui.errors import UsageError
from arena_tui.events import Event
from arena_tui.games import open_spiel
from arena_tui.games.open_spiel import Match
from arena_tui.games.specs import Played
from arena_tui.producers.run import Run


def play(recorder, game: str, *agents: str, seed: int = 1, **options) -> tuple[Played, list[Event]]:
    match = Match(game, agents, seed)
    with Run(recorder.emit, match.game.facts.name, match.agents, run_id="run") as run:
        played = match.play(run, **options)
    return played, recorder.events


def test_a_turn_is_position_board_action_and_result(recorder):
    _, events = play(recorder, "tic_tac_toe", "random", "mcts:20")

    assert [event.kind for event in events[:6]] == [
        "run_start", "turn_start", "observation", "action", "action_result", "turn_start",
    ]  # fmt: skip
    turn, board, action, result = events[1:5]
    assert (turn.turn, turn.player) == (1, "random")
    assert board.text == "· · ·\n· · ·\n· · ·"
    assert board.legal_actions[0] == "x(0,0)"
    assert action.action in board.legal_actions
    assert (result.ok, result.changed, result.reward) == (True, True, 0.0)
    assert {event.agent_id for event in events[1:5]} == {"random"}
    assert events[5].player == "mcts:20"


def test_the_last_board_comes_before_the_end(recorder):
    played, events = play(recorder, "tic_tac_toe", "mcts:200", "random", seed=3)

    assert [event.kind for event in events[-2:]] == ["observation", "run_end"]
    assert events[-2].text.count("x") >= 3
    assert events[-1].status == "finished"
    assert events[-1].outcome == played.outcome == {"mcts:200": 1.0, "random": -1.0}


def test_every_position_can_be_rebuilt(recorder):
    _, events = play(recorder, "connect_four", "random", "random")
    turns = [event for event in events if event.kind == "turn_start"]
    actions = [event.action for event in events if event.kind == "action"]

    for (before, after), action in zip(pairwise(turns), actions, strict=False):
        _, state = pyspiel.deserialize_game_and_state(before.state)
        player = state.current_player()
        names = {state.action_to_string(player, choice): choice for choice in state.legal_actions()}
        state.apply_action(names[action])
        assert str(state) == str(pyspiel.deserialize_game_and_state(after.state)[1])


@pytest.mark.parametrize(
    ("game", "agents"),
    [
        ("connect_four", ("mcts:20", "random")),
        ("backgammon", ("random", "random")),
        ("2048", ("random",)),
        ("goofspiel", ("random", "random")),
        ("hearts", ("mcts:5", "random", "random", "random")),
        ("stones_and_gems", ("random",)),
    ],
)
def test_same_seed_same_events(record, without_times, game: str, agents: tuple[str, ...]):
    def events(seed: int):
        recorder = record()
        play(recorder, game, *agents, seed=seed, max_turns=60)
        return without_times(recorder.events)

    assert events(5) == events(5)
    assert events(5) != events(6)


def test_simultaneous_moves_are_one_turn_with_an_action_a_player(recorder):
    played, events = play(recorder, "matrix_rps", "random", "random")

    assert [event.kind for event in events] == [
        "run_start", "turn_start", "observation", "action", "action_result", "action",
        "action_result", "observation", "run_end",
    ]  # fmt: skip
    actions = [event for event in events if event.kind == "action"]
    results = [event for event in events if event.kind == "action_result"]
    assert events[1].player is None
    assert [event.agent_id for event in actions] == ["random#1", "random#2"]
    assert [event.index_in_turn for event in actions] == [1, 2]
    assert [event.index_in_turn for event in results] == [1, 2]
    assert [event.reward for event in results] == list(played.outcome.values())


def test_a_stretch_of_chance_is_one_event(recorder):
    _, events = play(recorder, "leduc_poker", "random", "random")

    assert [event.kind for event in events[:3]] == ["run_start", "world_mutation", "turn_start"]
    assert events[1].reason.startswith("chance: dealt ")
    assert events[1].reason.count("dealt") == 2


def test_a_whole_deal_is_summed_up(recorder):
    _, events = play(recorder, "hearts", "random", max_turns=1)

    assert events[1].reason.endswith("(53 in all)")
    assert len(events[1].reason) < 120


def test_dice_are_told_between_turns(recorder):
    _, events = play(recorder, "backgammon", "random", max_turns=4)
    rolls = [event.reason for event in events if event.kind == "world_mutation"]

    assert rolls[0].startswith("chance: ")
    assert all("rolled" in roll for roll in rolls)
    assert len(rolls) >= 4


def test_four_players_each_have_their_own_id_and_seat(recorder):
    played, events = play(recorder, "hearts", "random")

    start = events[0]
    assert [agent.id for agent in start.agents] == [f"random#{seat}" for seat in range(1, 5)]
    assert [agent.name for agent in start.agents] == [f"random {seat}" for seat in "NESW"]
    assert list(played.outcome) == [agent.id for agent in start.agents]
    assert {event.player for event in events if event.kind == "turn_start"} == set(played.outcome)


def test_the_first_agent_has_the_white_pieces_in_chess(recorder):
    _, events = play(recorder, "chess", "minimax:1", "random", max_turns=2)

    assert [agent.name for agent in events[0].agents] == ["minimax:1 white", "random black"]
    assert events[1].player == "minimax:1"


def test_the_turn_cap_stops_the_game(recorder):
    played, events = play(recorder, "chess", "random", "random", max_turns=5)

    assert (played.status, played.turns, played.reason) == ("stopped", 5, "turn cap 5")
    assert (events[-1].status, events[-1].reason) == ("stopped", "turn cap 5")
    assert events[-1].outcome == {"random#1": 0.0, "random#2": 0.0}
    assert len([event for event in events if event.kind == "action"]) == 5


def test_a_game_that_ends_at_the_cap_is_finished(recorder):
    played, _ = play(recorder, "matrix_pd", "random", max_turns=1)

    assert (played.status, played.turns) == ("finished", 1)


def test_the_stop_event_ends_the_game(recorder):
    stop = threading.Event()
    stop.set()

    played, events = play(recorder, "backgammon", "random", "random", stop=stop)

    assert (played.status, played.turns, played.reason) == ("stopped", 0, "stopped")
    assert [event.kind for event in events] == ["run_start", "observation", "run_end"]


def test_a_delay_ends_when_the_game_is_stopped(recorder):
    match = Match("chess", ["random"], 1)
    stop = threading.Event()
    waiting = threading.Event()

    class Waiter(threading.Event):
        def wait(self, timeout=None):
            waiting.set()
            return stop.wait(timeout)

        def is_set(self):
            return stop.is_set()

    def run_match() -> None:
        with Run(recorder.emit, "chess", match.agents) as run:
            match.play(run, delay_s=3600, stop=Waiter())

    thread = threading.Thread(target=run_match)
    thread.start()
    waiting.wait(30)
    stop.set()
    thread.join(timeout=30)

    assert recorder.events[-1].reason == "stopped"


def test_closing_ends_a_game_out_of_a_search(recorder):
    match = Match("chess", ["mcts:1000000"], 1)

    def run_match() -> None:
        with Run(recorder.emit, "chess", match.agents) as run:
            match.play(run)

    thread = threading.Thread(target=run_match)
    thread.start()
    match.close()
    thread.join(timeout=30)

    assert recorder.events[-1].status == "stopped"
    assert recorder.of("action") == []


class Cheat:
    spec = name = "cheat"

    def choose(self, state, player: int) -> int:
        return 9999

    def close(self) -> None: ...


@pytest.mark.parametrize("game", ["connect_four", "matrix_rps"])
def test_an_illegal_action_crashes_the_run_and_nothing_else(
    recorder, monkeypatch: pytest.MonkeyPatch, game: str
):
    monkeypatch.setattr(open_spiel, "make_agent", lambda spec, loaded, seed: Cheat())

    with pytest.raises(ValueError, match="chose action 9999"):
        play(recorder, game, "random")

    assert recorder.events[-1].status == "crashed"
    assert recorder.events[-2].fatal
    assert "9999" in recorder.events[-2].message


def test_many_legal_actions_are_cut_and_counted(recorder):
    _, events = play(recorder, "gomoku(size=19)", "random", max_turns=1)

    assert len(events[2].legal_actions) == 256
    assert events[2].data == {"legal_actions": 361}


def test_an_action_whose_name_is_not_text_goes_by_its_number(recorder):
    """On large boards open_spiel counts columns past the letters, into bytes that are no text."""
    _, events = play(recorder, "hex(board_size=40)", "random", max_turns=1)

    assert events[2].legal_actions[0] == "a1"
    assert events[2].legal_actions[39] == "39"


@pytest.mark.parametrize(
    ("game", "agents", "complaint"),
    [
        ("hearts", ("random", "random"), "give it 4 agents"),
        ("2048", ("random", "random"), "give it 1 agent"),
        ("chess", ("random", "gpt"), "no agent 'gpt'"),
        ("kuhn_poker", ("minimax", "random"), "hides information"),
    ],
)
def test_a_match_that_cannot_be_is_refused(game: str, agents: tuple[str, ...], complaint: str):
    with pytest.raises(UsageError, match=complaint):
        Match(game, agents)


GAMES = [
    "amazons", "backgammon", "bargaining", "battleship", "blackjack", "breakthrough", "bridge",
    "checkers", "clobber", "coop_box_pushing", "cribbage", "dark_chess", "dou_dizhu", "euchre",
    "gin_rummy", "go_fish", "hanabi", "hive", "liars_dice", "matching_pennies_3p", "nim",
    "oh_hell", "oware", "pathfinding", "pig", "skat", "snake", "solitaire", "tarok",
    "tiny_hanabi", "universal_poker", "xiangqi",
    "turn_based_simultaneous_game(game=goofspiel(num_cards=4))",
]  # fmt: skip


@pytest.mark.parametrize("game", GAMES)
def test_games_of_all_kinds_are_played_to_the_end_or_the_cap(recorder, game: str):
    played, events = play(recorder, game, "random", max_turns=80)

    assert events[-1].kind == "run_end"
    assert played.status == "finished" or played.turns == 80
    assert set(played.outcome) == {agent.id for agent in events[0].agents}
    assert all(event.text for event in events if event.kind == "observation")
