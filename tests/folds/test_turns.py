"""One turn as one record, and where turns begin."""

from __future__ import annotations

from datetime import timedelta

from arena_tui.events import (
    Action,
    ActionResult,
    Delivery,
    ErrorEvent,
    Event,
    Gap,
    LlmPrompt,
    LlmResponse,
    LogEvent,
    Observation,
    RunEnd,
    RunStart,
    TurnStart,
)
from arena_tui.folds.turns import Turn, TurnStarts, fold_turn, fresh_messages
from tests.envelopes import envelope
from tests.tui.scenario import NOW


def told(*events: Event) -> list[Delivery]:
    """The events in order, as a run has them."""
    return [envelope("r", 7, seq, event) for seq, event in enumerate(events, 1)]


def starts(*seen: tuple[str, int | None]) -> list[int]:
    """The places at which rows begin."""
    turns = TurnStarts()
    return [at for at, (kind, turn) in enumerate(seen, 1) if turns.begins(kind, turn)]


def test_a_turn_is_one_record_of_who_did_what_and_what_it_took() -> None:
    turn = fold_turn(told(
        TurnStart(ts=NOW, turn=4, player="o"),
        Observation(ts=NOW, turn=4, agent_id="o", text="board"),
        LlmPrompt(ts=NOW, turn=4, agent_id="o", text="?"),
        ErrorEvent(ts=NOW, turn=4, agent_id="o", message="429"),
        LlmPrompt(ts=NOW, turn=4, agent_id="o", text="?"),
        LlmResponse(ts=NOW, turn=4, agent_id="o", text="Three.", input_tokens=5,
                    output_tokens=2, cost_usd=0.5),
        LlmResponse(ts=NOW, turn=4, agent_id="o", input_tokens=5, cost_usd=0.25),
        Action(ts=NOW, turn=4, agent_id="o", action="column 3"),
        ActionResult(ts=NOW + timedelta(seconds=2), turn=4, agent_id="o", ok=False, reward=-1.0),
    ))  # fmt: skip

    assert turn == Turn(
        number=4, agent="o", actions=("column 3",), actions_count=1, refused=1, reward=-1.0,
        answer="Three.", input_tokens=10, output_tokens=2, cost_usd=0.75, duration_s=2.0, errors=1,
        last_error="429", retries=1, events=9,
    )  # fmt: skip


def test_without_turn_start_a_turn_is_of_whoever_acts_first() -> None:
    turn = fold_turn(told(
        Action(ts=NOW, turn=2, agent_id="x", action="a"),
        Action(ts=NOW, turn=2, agent_id="o", action="b"),
    ))  # fmt: skip

    assert (turn.number, turn.agent, turn.actions) == (2, "x", ("a", "b"))


def test_a_gap_in_a_turn_is_counted_also_when_nobody_knows_its_length() -> None:
    turn = fold_turn([Gap("r", 7, 2, 9, "trimmed"), Gap("r", 7, 10, 9, "unknown")])

    assert (turn.lost, turn.gaps, turn.duration_s) == (8, 2, None)


def test_of_a_turn_with_very_many_actions_the_first_are_kept_and_all_are_counted() -> None:
    turn = fold_turn(told(*[Action(ts=NOW, action=str(each)) for each in range(100)]))

    assert (turn.actions[:2], len(turn.actions), turn.actions_count) == (("0", "1"), 8, 100)


def test_a_clock_that_was_set_back_makes_no_turn_shorter_than_nothing() -> None:
    back = NOW - timedelta(seconds=9)
    turn = fold_turn(told(LogEvent(ts=NOW, turn=1), LogEvent(ts=back, turn=1)))

    assert turn.duration_s == 0.0


def test_start_and_end_of_the_run_are_told() -> None:
    start, end = RunStart(ts=NOW, game="go"), RunEnd(ts=NOW)

    assert fold_turn(told(start)) == Turn(start=start, duration_s=0.0, events=1)
    assert fold_turn(told(end)) == Turn(end=end, duration_s=0.0, events=1)


def test_a_row_begins_where_the_turn_number_changes_and_at_start_and_end() -> None:
    assert starts(
        ("run_start", None), ("turn_start", 1), ("action", 1), ("log", None), ("action", 2),
        ("action", 2), ("turn_start", 3), ("action", 3), ("run_end", 3),
    ) == [1, 2, 5, 7, 9]  # fmt: skip


def test_two_players_of_one_round_have_a_row_each() -> None:
    assert starts(
        ("turn_start", 1), ("action", 1), ("turn_start", 1), ("action", 1), ("log", 2),
        ("turn_start", 2), ("turn_start", 2),
    ) == [1, 3, 5, 7]  # fmt: skip


def test_only_messages_that_the_previous_prompt_did_not_have_are_new() -> None:
    before = [{"role": "system", "content": "s"}, {"role": "user", "content": "1"}]

    assert fresh_messages([*before, {"role": "user", "content": "2"}], before) == 2
    assert fresh_messages([before[0], {"role": "user", "content": "2"}], before) == 1
    assert fresh_messages(before, None) == 0
