from __future__ import annotations

import pytest

from arena_tui.games.specs import GameSpec, Played
from arena_tui.games.synth import play_synth, synth_agents
from arena_tui.producers.run import Run


class Clock:
    """Time that passes only by waiting."""

    def __init__(self) -> None:
        self.now = 100.0
        self.waits: list[float] = []

    def __call__(self) -> float:
        return self.now

    def wait(self, seconds: float) -> bool:
        self.waits.append(seconds)
        self.now += seconds
        return False


def play(
    recorder, *, seed: int = 1, turns: int = 60, rate: float = 0.0, delay_s: float = 0.0,
    wait=None, agents=(), at_a_time: int = 1,
):  # fmt: skip
    clock = Clock()
    spec = GameSpec(game="synth", agents=agents, max_turns=turns, rate_per_s=rate, delay_s=delay_s)
    with Run(recorder.emit, "synth", synth_agents(agents), run_id="run") as run:
        played = play_synth(run, spec, seed, wait or clock.wait, clock, at_a_time)
    return played, clock


def test_same_seed_same_events_at_any_rate(record, without_times):
    recorders = [record() for _ in range(3)]

    play(recorders[0], seed=4)
    play(recorders[1], seed=4, rate=2.0)
    play(recorders[2], seed=5)

    first, paced, other = (without_times(recorder.events) for recorder in recorders)
    assert paced == first
    assert other != first


def test_a_rate_is_shared_by_the_games_that_are_played_at_a_time(recorder):
    _, alone = play(recorder, turns=20, rate=50.0)
    _, one_of_four = play(recorder, turns=20, rate=200.0, at_a_time=4)

    assert one_of_four.waits == alone.waits


def test_turns_are_as_far_apart_as_asked_for(recorder):
    _, unpaced = play(recorder, turns=20, delay_s=0.5)

    assert [wait for wait in unpaced.waits if wait] == [0.5] * 19


def test_an_episode_has_everything_a_model_run_has(recorder):
    played, _ = play(recorder, turns=300, agents=("marlow-2", "sable-xl", "juniper-1"))

    kinds = {event.kind for event in recorder.events}
    assert kinds == {
        "run_start", "turn_start", "observation", "llm_prompt", "llm_response", "action",
        "action_result", "metric", "log", "error", "world_mutation", "run_end",
    }  # fmt: skip
    assert played.turns == 300
    assert recorder.events[-1].status == "finished"
    assert recorder.events[-1].outcome == played.outcome
    assert {event.player for event in recorder.of("turn_start")} == set(played.outcome)


def test_answers_have_tokens_latency_and_a_cost_where_it_is_known(recorder):
    play(recorder, turns=100, agents=("marlow-2", "thistle-mini", "sable-xl", "juniper-1"))
    answers = recorder.of("llm_response")

    assert all(answer.text and answer.input_tokens > 100 for answer in answers)
    assert all(answer.output_tokens > 0 and answer.latency_s > 0 for answer in answers)
    unpriced = {answer.model for answer in answers if answer.cost_usd is None}
    assert unpriced == {"juniper-1"}


def test_the_board_moves_and_chests_are_found(recorder):
    play(recorder, turns=100)
    boards = [event.text for event in recorder.of("observation")]
    rewards = [event.reward for event in recorder.of("action_result")]

    assert len(set(boards)) > 50
    assert sum(rewards) > 20
    assert {len(board.splitlines()) for board in boards} == {9}
    assert max(len(line) for board in boards for line in board.splitlines()) <= 32


def test_some_moves_fail_and_say_why(recorder):
    play(recorder, turns=300)
    failed = [event for event in recorder.of("action_result") if not event.ok]

    assert failed
    assert all("blocked" in event.detail and event.changed is False for event in failed)


def test_refusals_are_retried(recorder):
    play(recorder, turns=200)
    events = recorder.events
    refused = [
        index
        for index, event in enumerate(events)
        if event.kind == "error" and event.where == "llm"
    ]

    assert refused
    assert all("429" in events[index].message for index in refused)
    assert all(events[index + 1].kind == "llm_prompt" for index in refused)


def test_the_rate_is_kept_on_the_mean(recorder):
    _, clock = play(recorder, turns=100, rate=1000.0)

    seconds = clock.now - 100.0
    assert len(recorder.events) / seconds == pytest.approx(1000.0, rel=0.05)


def test_a_slow_episode_stalls_now_and_then(recorder):
    _, clock = play(recorder, turns=200, rate=4.0)

    assert max(clock.waits) > 20


def test_a_fast_episode_never_stalls(recorder):
    _, clock = play(recorder, turns=200, rate=100.0)

    assert max(clock.waits) < 0.1


def test_as_fast_as_possible_never_waits_but_looks_for_a_stop(recorder):
    _, clock = play(recorder, turns=20)

    assert set(clock.waits) == {0.0}
    assert len(clock.waits) >= len(recorder.events) - 3


def test_a_stop_ends_it_at_once(recorder):
    calls = iter(range(1000))

    played, _ = play(recorder, wait=lambda seconds: next(calls) == 10)

    assert played == Played(status="stopped", turns=2, outcome=played.outcome, reason="stopped")
    assert recorder.events[-1].reason == "stopped"
    assert len(recorder.events) == 1 + 10 + 2


def test_every_model_has_its_own_letter(recorder):
    play(recorder, turns=1, agents=("sable-xl", "sage", "s", "7"))

    purses = recorder.of("observation")[0].text.splitlines()[-1]
    assert purses == "coins  S 10  A 10  B 10  C 10"
