"""A game goes on from any of its turns: from the state there, or from the moves before it."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest
from msgspec.structs import replace

from arena_tui.errors import UsageError
from arena_tui.events import Action, Event, Observation, TurnStart, WorldMutation
from arena_tui.games import open_spiel
from arena_tui.games.agents import RandomAgent
from arena_tui.games.boards import board_text
from arena_tui.games.open_spiel import Match
from arena_tui.games.position import Position
from arena_tui.games.restore import restore
from arena_tui.games.specs import derive_seed
from arena_tui.games.spiel import GameState, action_name, sample_chance
from arena_tui.producers.run import Run
from tests.faults.accounts import FULL

SEED = 5
GAMES = {
    "connect_four": 2, "tic_tac_toe": 2, "chess": 2, "hex(board_size=5)": 2,
    "backgammon": 2,  # chance
    "2048": 1,  # chance, and one player
    "goofspiel": 2,  # simultaneous
    "oshi_zumo": 2,  # simultaneous
    "hearts": 4,  # imperfect information
    "leduc_poker(players=3)": 3,
    "chinese_checkers": 3,
    "kuhn_poker": 2,
}  # fmt: skip
TURNS = 24
STEP = 1 if FULL else 3
"""Turns from one that is restored to the next: each restores in a process of its own."""


def play(recorder, game: str, seats: int) -> list[Event]:
    agents = ["random"] * seats
    match = Match(game, agents, SEED)
    with Run(recorder.emit, match.game.facts.name, match.agents, seed=SEED) as run:
        match.play(run, max_turns=TURNS)
    return recorder.events


def turns_of(events: Sequence[Event]) -> dict[int, list[Event]]:
    turns: dict[int, list[Event]] = {}
    for event in events:
        if event.turn is not None and event.kind != "run_end":
            turns.setdefault(event.turn, []).append(event)
    return turns


def moves_of(turn: Sequence[Event], seats: dict[str, int]) -> tuple[tuple[int, str], ...]:
    return tuple(
        (seats[event.agent_id or ""], event.action) for event in turn if isinstance(event, Action)
    )


def board_of(turn: Sequence[Event]) -> str:
    return next(event.text for event in turn if isinstance(event, Observation))


def choose(state: GameState, player: int, name: str) -> int:
    (action,) = [
        each for each in state.legal_actions(player) if action_name(state, player, each) == name
    ]
    return action


def play_on(
    state: GameState, moves: Sequence[Sequence[tuple[int, str]]], order: Sequence[int]
) -> None:
    """Make the moves; where chance decides the first time, stop."""
    for turn in moves:
        if state.is_chance_node():
            return
        by_player = {order[seat]: choose(state, order[seat], name) for seat, name in turn}
        if state.is_simultaneous_node():
            state.apply_actions_with_legality_checks(
                [by_player.get(player, 0) for player in sorted(order)]
            )
        else:
            state.apply_action_with_legality_check(by_player[state.current_player()])


@pytest.mark.parametrize(("game", "seats"), GAMES.items())
def test_every_turn_s_state_shows_the_board_of_that_turn(recorder, game: str, seats: int):
    turns = turns_of(play(recorder, game, seats))

    for number in sorted(turns)[::STEP]:
        events = turns[number]
        begun = events[0]
        assert isinstance(begun, TurnStart)
        _, state = restore(Position(game=game, turn=number, state=begun.state))

        assert board_text(state) == board_of(events)
        if not state.is_simultaneous_node():
            agents = [agent.id for agent in recorder.events[0].agents]
            order = [1, 0] if game == "chess" else list(range(seats))
            assert order[agents.index(begun.player)] == state.current_player()


@pytest.mark.parametrize(("game", "seats"), GAMES.items())
def test_the_parent_s_moves_lead_to_the_parent_s_positions(recorder, game: str, seats: int):
    """From each turn up to the next chance node, or to the end."""
    events = play(recorder, game, seats)
    turns = turns_of(events)
    ids = {agent.id: seat for seat, agent in enumerate(events[0].agents)}
    order = [1, 0] if game == "chess" else list(range(seats))
    chance = {event.turn for event in events if isinstance(event, WorldMutation)}
    last_board = [event.text for event in events if isinstance(event, Observation)][-1]
    numbers = sorted(turns)

    for number in numbers[::STEP]:
        until = next((each for each in numbers if each >= number and each in chance), None)
        moves = [
            moves_of(turns[each], ids)
            for each in numbers
            if each >= number and (until is None or each <= until)
        ]
        _, state = restore(Position(game=game, turn=number, state=turns[number][0].state))
        play_on(state, moves, order)

        if until is None:
            assert board_text(state) == last_board
        else:
            assert state.is_chance_node()


@pytest.mark.parametrize(("game", "seats"), GAMES.items())
def test_without_a_state_the_moves_are_made_again(recorder, game: str, seats: int):
    events = play(recorder, game, seats)
    turns = turns_of(events)
    ids = {agent.id: seat for seat, agent in enumerate(events[0].agents)}
    for number in (1, max(turns) // 2 or 1, max(turns)):
        told = Position(
            game=game, turn=number, seats=seats, seed=SEED, board=board_of(turns[number]),
            moves=tuple(moves_of(turns[each], ids) for each in range(1, number)),
        )  # fmt: skip

        _, state = restore(told)
        _, stored = restore(Position(game=game, turn=number, state=turns[number][0].state))

        assert str(state) == str(stored)
        assert state.current_player() == stored.current_player()


class Repeats(RandomAgent):
    """Plays what it is told, one after the other."""

    def __init__(self, moves: list[str]) -> None:
        super().__init__(0)
        self._moves = moves

    def choose(self, state: GameState, player: int) -> int:
        return choose(state, player, self._moves.pop(0))


def test_a_fork_of_connect_four_that_repeats_the_moves_ends_alike_from_every_turn(
    record, monkeypatch: pytest.MonkeyPatch
):
    parent = record()
    turns = turns_of(play(parent, "connect_four", 2))
    board, end = parent.of("observation")[-1].text, parent.of("run_end")[0]
    assert len(turns) > 10

    for number in sorted(turns)[::STEP]:
        begun = turns[number]
        moves = [event.action for event in parent.of("action") if event.turn >= number]
        monkeypatch.setattr(open_spiel, "make_agent", lambda *_, told=moves: Repeats(told))
        start = Position(game="connect_four", turn=number, state=begun[0].state)
        match, fork = Match("connect_four", ["random"] * 2, seed=9, start=start), record()
        with Run(fork.emit, "connect_four", match.agents) as run:
            played = match.play(run, max_turns=TURNS)

        assert fork.of("observation")[-1].text == board
        assert (played.turns, played.status, played.outcome) == (
            max(turns),
            end.status,
            end.outcome,
        )
        assert not moves


@pytest.mark.parametrize("game", ["backgammon", "goofspiel", "leduc_poker(players=3)", "hearts"])
def test_a_game_goes_on_with_the_turn_it_was_restored_before(record, game: str):
    seats = GAMES[game]
    parent = record()
    turns = turns_of(play(parent, game, seats))
    number = max(turns) // 2 + 1
    start = Position(game=game, turn=number, state=turns[number][0].state)

    forks = []
    for _ in range(2):
        fork = record()
        match = Match(game, ["random"] * seats, seed=8, start=start)
        with Run(fork.emit, match.game.facts.name, match.agents) as run:
            played = match.play(run, max_turns=number + 10)
        forks.append([event.text for event in fork.of("observation")])
        numbers = [event.turn for event in fork.of("turn_start")]

        assert numbers == list(range(number, number + len(numbers)))
        assert played.turns == numbers[-1]
        assert fork.of("observation")[0].text == board_of(turns[number])
        assert fork.of("turn_start")[0].state == turns[number][0].state
    assert forks[0] == forks[1]


MOVES = (((0, "x(0,0)"),), ((1, "o(1,1)"),))
TOLD = Position(game="tic_tac_toe", turn=3, seats=2, seed=1, moves=MOVES)


def test_moves_that_are_whole_restore_the_game():
    _, state = restore(TOLD)

    assert board_text(state) == "x · ·\n· o ·\n· · ·"


@pytest.mark.parametrize(
    ("position", "why"),
    [
        (replace(TOLD, seed=None), "its moves or its seed are not known"),
        (replace(TOLD, moves=None), "its moves or its seed are not known"),
        (replace(TOLD, game="my-game"), "open_spiel has no game 'my-game'"),
        (replace(TOLD, seats=3), "does not have 3 players"),
        (replace(TOLD, seats=1), "has 2 players, not 1"),
        (replace(TOLD, moves=(((0, "x(0,0)"),), ((1, "o(0,0)"),))), "in turn 2 cannot be played"),
        (replace(TOLD, moves=(((1, "x(0,0)"),),)), "in turn 1 cannot be played"),
        (replace(TOLD, moves=((),)), "in turn 1 cannot be played"),
        (replace(TOLD, board="x x x"), "its moves lead to another position"),
        (replace(TOLD, state="{}"), "open_spiel has not written its state"),
        (replace(TOLD, state="# Automatically generated by OpenSpiel\n[Game]\nnone\n[State]\n"),
         "open_spiel cannot read its state"),
    ],
)  # fmt: skip
def test_a_game_that_cannot_be_restored_says_so_in_one_line(position: Position, why: str):
    with pytest.raises(UsageError) as refused:
        restore(position)

    assert str(refused.value).startswith("this game cannot be restored: ")
    assert why in str(refused.value)
    assert "\n" not in str(refused.value)


def test_moves_no_rules_allow_in_a_state_crash_nothing(recorder):
    """Some games read out of bounds there: they are tried out in a process of its own."""
    turns = turns_of(play(recorder, "connect_four", 2))
    state = turns[4][0].state
    assert state is not None
    assert state.endswith("\n\n")

    with pytest.raises(UsageError, match="this game cannot be restored"):
        restore(Position(game="connect_four", turn=4, state=f"{state.rstrip()}\n987654321\n\n\n"))


def test_a_game_that_is_over_does_not_go_on():
    moves = [(0, "x(0,0)"), (1, "o(1,1)"), (0, "x(0,1)"), (1, "o(2,2)"), (0, "x(0,2)")]

    with pytest.raises(UsageError, match="the game is over before turn 6"):
        restore(replace(TOLD, turn=6, moves=tuple((each,) for each in moves)))


def test_another_number_of_agents_is_refused(recorder):
    begun = turns_of(play(recorder, "tic_tac_toe", 2))[2][0]
    assert isinstance(begun, TurnStart)
    start = Position(game="tic_tac_toe", turn=2, state=begun.state)

    with pytest.raises(UsageError, match="has 2 players, not 3: give it 2"):
        Match("tic_tac_toe", ["random"] * 3, start=start)


def test_chance_is_drawn_as_it_was_when_the_game_was_played(recorder):
    """What the restored position of a game without states rests on."""
    turns = turns_of(play(recorder, "backgammon", 2))
    game, state = restore(Position(game="backgammon", turn=1, state=turns[1][0].state))
    fresh, chance = game.rules.new_initial_state(), random.Random(derive_seed(SEED, "chance"))

    while fresh.is_chance_node():
        fresh.apply_action(sample_chance(fresh, chance))

    assert str(fresh) == str(state)
