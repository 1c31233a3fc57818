"""Which turns of two runs belong together, and where they part."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from arena_tui.events import (
    Action,
    AgentInfo,
    Event,
    LlmResponse,
    Observation,
    RunEnd,
    RunStart,
    TurnStart,
)
from arena_tui.folds.comparing import (
    Alignment,
    Beside,
    Measured,
    Parting,
    Row,
    Step,
    StepFold,
    beside,
    figures,
    is_worth_a_stop,
)
from arena_tui.folds.totals import RunTotals
from arena_tui.folds.turns import Turn
from tests.envelopes import envelope
from tests.tui.scenario import NOW


class Rows:
    """Rows by number (None: no turn) and seconds since the first."""

    def __init__(self, rows: Sequence[tuple[int | None, int]]) -> None:
        self.rows = list(rows)

    def __len__(self) -> int:
        return len(self.rows)

    def number(self, row: int) -> int | None:
        return self.rows[row][0]

    def at_us(self, row: int) -> int:
        return 7_000_000 + self.rows[row][1] * 1_000_000


def numbered(*numbers: int | None) -> Rows:
    return Rows([(number, second) for second, number in enumerate(numbers)])


def at(*seconds: int) -> Rows:
    return Rows([(turn, second) for turn, second in enumerate(seconds)])


def aligned(first: Rows, second: Rows, by: str = "turn") -> list[tuple[int | None, int | None]]:
    alignment = Alignment("time" if by == "time" else "turn")
    alignment.extend(first, second, whole=True)
    return [tuple(alignment[index]) for index in range(len(alignment))]  # type: ignore[misc]


def step(*events: Event, seats: Sequence[str] = ("a", "b")) -> Step:
    fold = StepFold({agent: seat for seat, agent in enumerate(seats)})
    for seq, event in enumerate(events, 1):
        fold.add(envelope("r", 7, seq, event))
    return fold.step()


def moved(turn: int, board: str, action: object, agent: str = "a", *, took_s: float = 0.0) -> Step:
    return step(
        TurnStart(ts=NOW, turn=turn, player=agent),
        Observation(ts=NOW, turn=turn, agent_id=agent, text=board),
        Action(ts=NOW + timedelta(seconds=took_s), turn=turn, agent_id=agent, action=action),
    )


def test_turns_of_one_number_are_beside_each_other() -> None:
    first, second = numbered(None, 1, 2, 3, None), numbered(None, 1, 2, None)

    assert aligned(first, second) == [(0, 0), (1, 1), (2, 2), (None, 3), (3, None), (4, None)]


def test_a_fork_stands_beside_the_turns_it_has() -> None:
    assert aligned(numbered(None, 1, 2, 3, 4), numbered(None, 3, 4)) == [
        (0, 0), (1, None), (2, None), (3, 1), (4, 2)
    ]  # fmt: skip


def test_players_of_one_round_stand_beside_each_other_in_their_order() -> None:
    assert aligned(numbered(1, 1, 2, 2), numbered(1, 1, 1, 2)) == [
        (0, 0), (1, 1), (None, 2), (2, 3), (3, None)
    ]  # fmt: skip


def test_both_ends_stand_beside_each_other_after_the_same_turn() -> None:
    assert aligned(numbered(None, 1, None), numbered(None, 1, None)) == [(0, 0), (1, 1), (2, 2)]


def test_by_time_a_turn_stands_beside_the_nearest() -> None:
    assert aligned(at(0, 10, 20), at(0, 9, 14, 21), "time") == [
        (0, 0), (1, 1), (None, 2), (2, 3)
    ]  # fmt: skip


numbers = st.lists(st.none() | st.integers(0, 6), max_size=14)
runs = st.lists(st.tuples(st.none() | st.integers(0, 6), st.integers(0, 30)), max_size=14).map(
    lambda rows: Rows([
        (number, second)
        for (number, _), second in zip(rows, sorted(each for _, each in rows), strict=True)
    ])
)  # fmt: skip


@given(runs, runs, st.sampled_from(["turn", "time"]))
def test_every_turn_of_both_stands_somewhere_once_and_in_order(
    first: Rows, second: Rows, by: str
) -> None:
    found = aligned(first, second, by)

    for side, run in enumerate((first, second)):
        rows = [row[side] for row in found if row[side] is not None]
        assert rows == list(range(len(run)))
    assert (None, None) not in found


@given(runs, runs, st.sampled_from(["turn", "time"]), st.data())
def test_what_becomes_known_bit_by_bit_stands_as_if_known_at_once(
    first: Rows, second: Rows, by: str, data: st.DataObject
) -> None:
    alignment = Alignment("time" if by == "time" else "turn")
    known = [0, 0]
    while known != [len(first), len(second)]:
        known = [
            data.draw(st.integers(known[0], len(first))),
            data.draw(st.integers(known[1], len(second))),
        ]
        parts = [Rows(run.rows[:count]) for run, count in zip((first, second), known, strict=True)]
        alignment.extend(*parts, whole=data.draw(st.booleans()))
    alignment.extend(first, second, whole=True)

    assert [tuple(alignment[index]) for index in range(len(alignment))] == aligned(
        first, second, by
    )
    for side, run in enumerate((first, second)):
        for row in range(len(run)):
            index = alignment.index_of(side, row)
            assert index is not None
            assert alignment[index][side] == row


@given(numbers.map(lambda each: numbered(*each)), numbers.map(lambda each: numbered(*each)))
def test_turns_beside_each_other_have_the_same_number(first: Rows, second: Rows) -> None:
    alignment = Alignment()
    alignment.extend(first, second, whole=True)
    rows = [alignment[index] for index in range(len(alignment))]
    pairs = [(each.first, each.second) for each in rows]

    both = [
        (first.number(one), second.number(other))
        for one, other in pairs
        if one is not None and other is not None
    ]
    assert all(one == other for one, other in both)
    assert alignment.shared == sum(one is not None for one, _ in both)


def test_a_row_tells_in_what_it_differs() -> None:
    same, other = moved(1, "board", "e4"), moved(1, "board", "d4")

    assert beside(same, same).differs == ()
    assert beside(same, other).differs == ("action",)
    assert beside(same, moved(1, "other", "e4")).differs == ("board",)
    assert beside(same, moved(1, "board", "e4", took_s=2)).differs == ("timing",)
    assert beside(same, None).differs == ("alone",)
    assert beside(step(LlmResponse(ts=NOW, turn=1, text="Yes.")),
                  step(LlmResponse(ts=NOW, turn=1, text="No."))).differs == ("answer",)  # fmt: skip


def test_names_of_agents_and_the_order_of_those_who_act_at_once_make_no_difference() -> None:
    def both(one: Event, other: Event, seats: Sequence[str]) -> Step:
        return step(one, other, seats=seats)

    first = both(Action(ts=NOW, turn=1, agent_id="a", action={"x": 1, "y": 2}),
                 Action(ts=NOW, turn=1, agent_id="b", action="stay"), ["a", "b"])  # fmt: skip
    turned = {"y": 2, "x": 1}
    second = both(Action(ts=NOW, turn=1, agent_id="d", action="stay"),
                  Action(ts=NOW, turn=1, agent_id="c", action=turned), ["c", "d"])  # fmt: skip

    assert beside(first, second).differs == ()


def test_what_is_observed_after_the_action_is_of_no_account() -> None:
    after = step(
        TurnStart(ts=NOW, turn=1, player="a"),
        Observation(ts=NOW, turn=1, text="board"),
        Action(ts=NOW, turn=1, agent_id="a", action="e4"),
        Observation(ts=NOW, turn=1, text="what came of it"),
    )

    assert beside(moved(1, "board", "e4"), after).differs == ()


def test_a_turn_of_any_length_is_compared_to_its_end() -> None:
    def long(last: str) -> Step:
        acts = [Action(ts=NOW, turn=1, agent_id="a", action=str(each)) for each in range(2_000)]
        return step(*acts, Action(ts=NOW, turn=1, agent_id="a", action=last))

    assert beside(long("x"), long("x")).differs == ()
    assert beside(long("x"), long("y")).differs == ("action",)
    assert long("x").turn.left_out == 1_601


turns = st.lists(st.tuples(st.integers(1, 8), st.sampled_from("xy"), st.sampled_from("ef")),
                 max_size=10).map(lambda each: sorted(each, key=lambda one: one[0]))  # fmt: skip


@given(turns, turns)
def test_runs_part_at_the_first_turn_that_differs(
    first: list[tuple[int, str, str]], second: list[tuple[int, str, str]]
) -> None:
    runs = [numbered(*(number for number, _, _ in each)) for each in (first, second)]
    alignment, parting = Alignment(), Parting()
    alignment.extend(*runs, whole=True)
    rows = [alignment[index] for index in range(len(alignment))]
    for row in rows:
        parting.add(beside(*(
            None if at is None else moved(*run[at])
            for at, run in zip(row, (first, second), strict=True)
        )))  # fmt: skip

    def differ(row: Row) -> bool:
        return row.first is None or row.second is None or first[row.first] != second[row.second]

    both = [index for index, row in enumerate(rows) if None not in row]
    expected = [
        index for index, row in enumerate(rows) if both and index >= both[0] and differ(row)
    ]
    assert parting.row == (expected[0] if expected else None)


def test_start_and_end_are_no_place_to_part() -> None:
    started = step(RunStart(ts=NOW, game="chess", agents=[AgentInfo(id="a")]))
    ended = step(RunEnd(ts=NOW, status="finished", outcome={"a": 1.0}))
    parting = Parting()

    for row in (beside(started, started), beside(moved(1, "b", "e4"), moved(1, "b", "e4")),
                beside(None, ended), beside(moved(2, "b", "e4"), None)):  # fmt: skip
        parting.add(row)

    assert parting.row == 3
    assert parting.reach == 4


def test_boards_that_go_on_differing_are_one_difference() -> None:
    parted = beside(moved(1, "b", "e4"), moved(1, "b", "d4"))
    board = beside(moved(2, "b", "e4"), moved(2, "c", "e4"))

    assert is_worth_a_stop(None, parted)
    assert is_worth_a_stop(parted, board)
    assert not is_worth_a_stop(board, board)
    assert is_worth_a_stop(board, beside(moved(3, "b", "e4"), moved(3, "c", "d4")))
    assert not is_worth_a_stop(None, Beside(first=Step(turn=Turn()), second=None))


def test_the_table_tells_what_the_second_has_more() -> None:
    first = Measured(totals=RunTotals(run_id="a", turns=9, cost_usd=0.5, errors=2), latency_s=1.0)
    second = Measured(totals=RunTotals(run_id="b", turns=7, cost_usd=None, errors=2))

    found = {each.name: (each.first, each.second, each.change) for each in figures(first, second)}

    assert found["turns"] == (9, 7, -2)
    assert found["cost"] == (0.5, None, None)
    assert found["latency"] == (1.0, None, None)
    assert found["errors"] == (2, 2, 0)
    assert [*found] == ["turns", "events", "tokens in", "tokens out", "cost", "latency", "errors",
                        "lost", "duration"]  # fmt: skip
