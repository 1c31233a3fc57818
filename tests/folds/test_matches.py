"""What a finished run says about its players."""

from __future__ import annotations

import pytest

from arena_tui.events import (
    Action,
    ActionResult,
    AgentInfo,
    ErrorEvent,
    Event,
    Fork,
    Gap,
    LlmResponse,
    RunEnd,
    RunStart,
)
from arena_tui.folds.matches import Match, MatchFold, Usage, player_ids
from tests.envelopes import envelope


def folded(*events: Event) -> MatchFold:
    fold = MatchFold("a")
    for seq, event in enumerate(events, 1):
        fold.add(envelope("a", 7, seq, event))
    return fold


def ended(ids: list[str], outcome: dict[str, float], **fields: object) -> Match:
    start = RunStart(game="chess", agents=[AgentInfo(id=each) for each in ids], **fields)  # type: ignore[arg-type]
    match = folded(start, RunEnd(outcome=outcome)).match()
    assert match is not None
    return match


@pytest.mark.parametrize(
    ("ids", "players"),
    [
        (["mcts:50", "random"], ["mcts:50", "random"]),
        (["random#1", "random#2"], ["random", "random"]),
        (["mcts:50", "random#1", "random#2"], ["mcts:50", "random", "random"]),
        (["team#1", "other#1"], ["team#1", "other#1"]),
        (["#1", "#2"], ["#1", "#2"]),
        ([], []),
    ],
)
def test_numbers_that_only_tell_seats_apart_are_no_part_of_a_player(
    ids: list[str], players: list[str]
) -> None:
    assert player_ids([AgentInfo(id=each) for each in ids]) == players


def test_agents_with_different_specs_are_different_players() -> None:
    agents = [AgentInfo(id="bot#1", spec="v1"), AgentInfo(id="bot#2", spec="v2")]

    assert player_ids(agents) == ["bot#1", "bot#2"]


@pytest.mark.parametrize(
    ("outcome", "rates"),
    [({"x": 1, "y": 0}, True), ({"x": 0, "y": 0}, True), ({"0": 1, "1": -1}, True),
     ({"x": 1}, True), ({"y": 1}, True), ({"x": 0}, False), ({"x": -1}, False), ({}, False)],
)  # fmt: skip
def test_a_match_rates_if_it_says_who_of_two_is_better(
    outcome: dict[str, float], rates: bool
) -> None:
    assert ended(["x", "y"], outcome).rates is rates


def test_of_three_those_with_a_score_are_rated() -> None:
    assert not ended(["x", "y", "z"], {"x": 1}).rates
    assert len(ended(["x", "y", "z"], {"x": 1, "y": 0}).sides) == 2


@pytest.mark.parametrize("status", ["crashed", "stopped"])
def test_only_a_finished_run_rates(status: str) -> None:
    start = RunStart(agents=[AgentInfo(id="x"), AgentInfo(id="y")])
    match = folded(start, RunEnd(status=status, outcome={"x": 1, "y": 0})).match()  # type: ignore[arg-type]

    assert match is not None
    assert not match.rates


def test_a_run_that_goes_on_is_no_match_yet() -> None:
    assert folded(RunStart(agents=[AgentInfo(id="x")])).match() is None


def test_a_fork_is_no_match_as_it_begins_in_the_middle_of_one() -> None:
    start = RunStart(game="chess", agents=[AgentInfo(id="a"), AgentInfo(id="b")])
    fork = Fork(parent_run_id="parent", parent_seq=9)

    assert folded(start, fork, RunEnd(outcome={"a": 1.0, "b": 0.0})).match() is None


def test_a_team_is_one_side() -> None:
    teams = {"a": "red", "b": "blue", "c": "red"}
    match = ended(["a", "b", "c", "d"], {"a": 3, "b": 2, "c": 1, "d": 0}, config={"teams": teams})

    assert [[player.id for player in side] for side in match.sides] == [["a", "c"], ["b"], ["d"]]


def test_what_an_agent_did_and_used_is_counted() -> None:
    fold = folded(
        RunStart(agents=[AgentInfo(id="x"), AgentInfo(id="y")]),
        Action(agent_id="x"), ActionResult(agent_id="x", ok=False),
        *[ActionResult(agent_id="x")] * 2,
        ErrorEvent(agent_id="x"), ErrorEvent(),
        LlmResponse(agent_id="x", input_tokens=10, cost_usd=0.1, latency_s=1.5),
        LlmResponse(agent_id="x", output_tokens=2, cost_usd=0.2, latency_s=-1.0),
        RunEnd(outcome={"x": 1, "y": 0}),
    )  # fmt: skip

    match = fold.match()

    assert match is not None
    assert match.players[0].usage == Usage(
        actions=1, illegal=1, errors=1, input_tokens=10, output_tokens=2,
        cost_nano=300_000_000, latency_nano=1_500_000_000, timed=1,
    )  # fmt: skip
    assert match.players[1].usage == Usage()


def test_a_fold_with_a_gap_knows_that_it_is_not_whole() -> None:
    fold = folded(RunStart())

    fold.add(Gap("a", 7, 2, 5, "trimmed"))

    assert not fold.whole
