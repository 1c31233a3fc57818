"""Games that go on from a turn of another run, and agents that are asked there."""

from __future__ import annotations

import random
import threading

import pytest
from msgspec.structs import replace

from arena_tui.errors import UsageError
from arena_tui.games.asking import Asking
from arena_tui.games.forking import ForkSpec, change_text, check_fork
from arena_tui.games.island import Island
from arena_tui.games.play import Player
from arena_tui.games.position import Origin, Position
from arena_tui.games.protocol import AgentClosedError
from arena_tui.games.specs import GameSpec
from tests.waiting import until_blocking

PATIENCE_S = 30
EMPTY = Position(game="tic_tac_toe", turn=1, seats=2, seed=1, moves=())


def parent(recorder, text: str) -> tuple[str, list]:
    player = Player(GameSpec.parse(text), recorder.open_run)
    player.start()
    assert player.join(PATIENCE_S)
    (result,) = player.results
    assert result.run_id is not None
    return result.run_id, recorder.runs[result.run_id]


def fork_of(run_id: str, events: list, turn: int, text: str) -> ForkSpec:
    begun = next(each for each in events if each.kind == "turn_start" and each.turn == turn)
    spec = GameSpec.parse(text)
    position = Position(game=spec.game, turn=turn, state=begun.state)
    origin = Origin(run_id=run_id, seq=events.index(begun) + 1, position=position,
                    change="turn 4: random -> mcts:5", tags=("fork",))  # fmt: skip
    return ForkSpec(spec=spec, origin=origin)


@pytest.mark.parametrize(
    "text", ["connect_four random random seed=2", "synth agents=2 seed=2 turns=12 rate=0"]
)
def test_each_fork_is_a_run_that_names_its_parent(record, text: str):
    recorder = record()
    run_id, events = parent(recorder, text)
    forks = record()
    fork = fork_of(run_id, events, 4, f"{text.replace('seed=2', 'seed=3')} games=3 parallel=2")
    check_fork(fork)
    player = Player(fork, forks.open_run)
    player.start()
    assert player.join(PATIENCE_S)

    seeds = set()
    assert [result.status for result in player.results] == ["finished"] * 3
    for result in player.results:
        start, forked, begun, board, *_ = forks.runs[result.run_id]
        seeds.add(start.seed)
        seq = fork.origin.seq
        assert start.config["fork"] == {"run": run_id, "seq": seq, "turn": 4}
        assert (start.game, start.tags) == (events[0].game, ["fork"])
        assert (forked.parent_run_id, forked.parent_seq) == (run_id, seq)
        assert forked.mutation_summary == "turn 4: random -> mcts:5"
        assert (begun.kind, begun.turn) == ("turn_start", 4)
        assert (begun.state, begun.player) == (events[seq - 1].state, events[seq - 1].player)
        assert board.text == events[seq].text
    assert len(seeds) == 3


def test_models_of_synth_take_the_places_of_others():
    island = Island(["one", "two"], random.Random(3))
    position = Position(game="synth", turn=5, state=island.state())

    other = Island.restored(position, ["three", "four"], random.Random(4))

    assert other.state() == island.state().replace("one", "three").replace("two", "four")


STATE = '{"at":{"a":"a3","b":"b3"},"chests":{"c3":4},"purses":{"a":1.0,"b":2.0}}'


@pytest.mark.parametrize(
    ("state", "why"),
    [
        (None, "its state is none of synth's"),
        ("[]", "its state is none of synth's"),
        (STATE.replace('"b3"', '"a3"'), "none of this island"),
        (STATE.replace('"b3"', '"h1"'), "none of this island"),
        (STATE.replace('"c3":4', ""), "none of this island"),
        (STATE.replace('"b":2.0', '"c":2.0'), "none of this island"),
        (STATE.replace('"b":"b3"', '"b":"b3","c":"d3"'), "synth has 3 models there, not 2"),
    ],
)
def test_a_state_that_is_none_of_synth_is_refused(state: str | None, why: str):
    Island.restored(Position(game="synth", turn=2, state=STATE), ["x", "y"], random.Random(0))

    with pytest.raises(UsageError, match=why):
        Island.restored(Position(game="synth", turn=2, state=state), ["x", "y"], random.Random(0))


def test_a_fork_past_its_turn_cap_is_refused(recorder):
    run_id, events = parent(recorder, "connect_four random random seed=2")
    fork = fork_of(run_id, events, 4, "connect_four random random max_turns=3")

    with pytest.raises(UsageError, match="max_turns must be 4 at least"):
        check_fork(fork)


def test_what_is_different_is_told_by_seat():
    assert change_text(3, ["a", "b"], ["a", "c"]) == "turn 3: b -> c"
    assert change_text(3, ["a", "a"], ["b", "c"]) == "turn 3: a -> b, a -> c"
    assert change_text(3, ["a", "b"], ["a", "b"]) == "turn 3: same agents"


def test_an_agent_says_what_it_would_play_in_the_game_s_words():
    moves = ((0, "x(0,0)"), (1, "o(1,1)"), (0, "x(0,1)"), (1, "o(2,2)"))
    position = replace(EMPTY, turn=5, moves=tuple((each,) for each in moves))

    answer = Asking(position, "minimax:3").answer()

    assert answer.actions == ((0, "x(0,2)"),)
    assert answer.agent == "minimax:3"
    assert answer.took_s > 0


def test_where_players_move_together_it_is_asked_for_each():
    position = Position(game="goofspiel", turn=1, seats=2, seed=1, moves=())

    answer = Asking(position, "random").answer()

    assert [seat for seat, _ in answer.actions] == [0, 1]


@pytest.mark.parametrize(
    ("position", "agent", "why"),
    [
        (EMPTY, "wizard", "no agent 'wizard'"),
        (replace(EMPTY, game="synth"), "random", "the models of synth are made up"),
        (replace(EMPTY, seed=None), "random", "this game cannot be restored"),
        (replace(EMPTY, game="backgammon"), "minimax:2", "minimax does not apply to backgammon"),
    ],
)
def test_who_cannot_be_asked_says_why(position: Position, agent: str, why: str):
    with pytest.raises(UsageError, match=why):
        Asking(position, agent).answer()


def test_closing_ends_a_long_answer():
    asking = Asking(replace(EMPTY, game="chess"), "mcts:1000000")
    ended: list[BaseException] = []

    def ask() -> None:
        try:
            asking.answer()
        except AgentClosedError as error:
            ended.append(error)

    before = threading.active_count()
    thread = threading.Thread(target=ask)
    thread.start()
    until_blocking(lambda: threading.active_count() > before + 1)  # it searches
    asking.close()
    thread.join(PATIENCE_S)

    assert len(ended) == 1


def test_closed_before_it_began_it_answers_nothing():
    asking = Asking(EMPTY, "random")
    asking.close()

    with pytest.raises(AgentClosedError):
        asking.answer()
