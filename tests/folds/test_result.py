"""Who won, by one rule."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from arena_tui.cli import main
from arena_tui.events import AgentInfo, RunEnd, RunStart
from arena_tui.folds.result import result_text, scores_of, winners_of
from arena_tui.store.database import Database
from tests.envelopes import envelope
from tests.store_fixture import store

CASES = [
    (["x", "y"], {"x": 1, "y": -1}, ["x"], "x won"),
    (["x", "y"], {"x": -2, "y": -1}, ["y"], "y won"),
    (["x", "y"], {"x": 0, "y": 0}, [], "draw"),
    (["x", "y", "z"], {"x": 1, "y": 1, "z": 0}, ["x", "y"], "x, y won"),
    (["x", "y"], {}, [], "finished"),
    (["random"], {"random": -1}, [], "random -1"),
    (["random"], {"random": 0.5}, [], "random 0.5"),
    (["random"], {"0": 3}, [], "random 3"),
    ([], {"who": 1}, [], "who 1"),
    (["me", "you"], {"me": 1}, ["me"], "me won"),
    (["me", "you"], {"me": -1}, [], "me -1"),
    (["x", "y"], {"0": 0, "1": 1}, ["y"], "y won"),
    (["x", "y"], {"white": 1, "black": 0}, ["white"], "white won"),
    (["x", "y"], {"2": 1, "01": 0}, ["2"], "2 won"),
    (["1", "0"], {"0": 1, "1": 0}, ["0"], "0 won"),
    (["x", "y"], {"x": 0, "0": 1}, ["0"], "0 won"),
]


def named(ids: list[str]) -> list[AgentInfo]:
    return [AgentInfo(id=each) for each in ids]


@pytest.mark.parametrize(("agents", "outcome", "won", "text"), CASES)
def test_the_outcome_says_who_won_as_far_as_it_can_be_known(
    agents: list[str], outcome: dict[str, float], won: list[str], text: str
) -> None:
    assert winners_of(named(agents), outcome) == won
    assert result_text(named(agents), outcome) == text
    assert sorted(scores_of(named(agents), outcome).values()) == sorted(outcome.values())


@pytest.mark.parametrize(("agents", "outcome", "won", "text"), CASES)
async def test_the_commands_say_the_same(
    agents: list[str], outcome: dict[str, float], won: list[str], text: str, tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    path = str(tmp_path / "arena.duckdb")
    database = Database(path)
    start = RunStart(game="g", agents=named(agents))
    end = RunEnd(outcome={key: float(score) for key, score in outcome.items()})
    await store(database, [envelope("r", 1, 1, start), envelope("r", 1, 2, end)])
    database.close()

    def printed(*words: str) -> str:
        assert main([*words, "--db", path]) == 0
        return capfd.readouterr().out

    assert json.loads(printed("runs", "--json"))["winners"] == won
    assert json.loads(printed("show", "r", "--json"))["outcome"] == outcome
    assert f"finished{'' if text == 'finished' else ' · ' + text}  " in printed("runs")
    assert f"winners        {', '.join(won) or '–'}\n" in printed("show", "r")
