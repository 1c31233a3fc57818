"""How turns of two runs differ, and where the runs part."""

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
from arena_tui.folds.aligning import Alignment, Row
from arena_tui.folds.comparing import (
    Beside,
    Measured,
    Parting,
    Step,
    StepFold,
    beside,
    figures,
    is_worth_a_stop,
)
from arena_tui.folds.totals import RunTotals
from arena_tui.folds.turns import Turn
from tests.envelopes import envelope
from tests.folds.test_aligning import numbered
from tests.tui.scenario import NOW


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
