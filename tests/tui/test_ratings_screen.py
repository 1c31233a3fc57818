"""The screen of ratings, as a person meets it."""

from __future__ import annotations

from typing import Any

import pytest

from arena_tui.events import ErrorEvent, RunEnd
from tests.tui.scenario import Scenario, Tape
from tests.tui.test_screens import running, settled

GAMES = (("tic_tac_toe", "mcts:50", "random"), ("connect_four", "mcts:50", "minimax:2"))


def played(number: int, game: str, first: str, second: str, score: float) -> Tape:
    """One finished game; its score is the first player's."""
    tape = Tape(f"01ARENA00000000000000{number:05}", game, [first, second])
    tape.turn(1, first, "x · ·", "0", 3)
    tape.turn(2, second, "x o ·", "1", 2)
    tape.add(RunEnd, outcome={first: score, second: -score})
    return tape


def series(first: int = 0, count: int = 12) -> list[Tape]:
    """Games in which the strong player wins two of three, and one crash."""
    tapes = []
    for number in range(first, first + count):
        game, strong, weak = GAMES[number % 5 == 4]
        score = (1.0, 1.0, -1.0, 1.0, 0.0)[number % 5]
        seats = (strong, weak, score) if number % 2 else (weak, strong, -score)
        tapes.append(played(number, game, *seats))
    crash = Tape(f"01ARENA00000000000000{first + count:05}", "tic_tac_toe", ["mcts:50", "random"])
    crash.add(ErrorEvent, agent_id="random", message="no such move", fatal=True)
    crash.add(RunEnd, status="crashed")
    return [*tapes, crash]


async def rated(app: Scenario, pilot: Any, *keys: str) -> list[str]:
    await pilot.press(*keys)
    return (await settled(app, pilot)).splitlines()


async def test_without_games_it_says_how_to_get_some() -> None:
    app = Scenario(playables=[])
    async with running(app) as pilot:
        lines = await rated(app, pilot, "5")

    assert "No game between players has ended yet." in "\n".join(lines)
    assert "against" not in "\n".join(lines)
    assert "no events yet" in lines[-2]


@pytest.mark.parametrize("store", [True, False])
async def test_the_best_stand_first_with_what_is_known_of_them(store: bool) -> None:
    app = Scenario(playables=series(), store=store)
    async with running(app) as pilot:
        lines = await rated(app, pilot, "5")

    assert lines[1] == " ‹ all games ›  1 of 3   12 games rated, 1 crashed"
    assert lines[3].split()[:2] == ["1", "mcts:50"]
    assert "├" in lines[3]
    assert "●" in lines[3]
    assert any("mcts:50 against" in line for line in lines)
    assert any("not real yet" in line for line in lines)


async def test_keys_choose_the_game_in_a_circle() -> None:
    app = Scenario(playables=series())
    async with running(app) as pilot:
        first = await rated(app, pilot, "5", "right")
        second = await rated(app, pilot, "right_square_bracket")
        around = await rated(app, pilot, "right")
        back = await rated(app, pilot, "left")

    assert [lines[1].split("›")[0].strip(" ‹") for lines in (first, second, around, back)] == [
        "connect_four", "tic_tac_toe", "all games", "tic_tac_toe",
    ]  # fmt: skip


async def test_the_selected_players_opponents_are_shown() -> None:
    app = Scenario(playables=series())
    async with running(app) as pilot:
        await rated(app, pilot, "5", "left")
        lines = await rated(app, pilot, "down")

    assert any("random against" in line for line in lines)
    assert any("2–0–8  mcts:50" in line for line in lines)


async def test_games_that_end_meanwhile_move_the_ratings() -> None:
    app = Scenario(playables=series(), store=False)
    async with running(app) as pilot:
        before = await rated(app, pilot, "5")
        await app.publish(series(20, 8))
        app.clock.now += 60.0  # longer than a rating seems to take that was under way meanwhile
        after = await rated(app, pilot)

    assert "12 games rated" in before[1]
    assert "20 games rated" in after[1]


async def test_a_deleted_run_counts_no_longer() -> None:
    app = Scenario(playables=series())
    async with running(app) as pilot:
        await rated(app, pilot, "5")
        await app.session.delete("01ARENA0000000000000000000")
        lines = await rated(app, pilot)

    assert "11 games rated" in lines[1]


async def test_enter_does_nothing_and_is_not_offered() -> None:
    app = Scenario(playables=series())
    async with running(app) as pilot:
        lines = await rated(app, pilot, "5", "enter")
        assert app.screen.name == "Ratings"

    assert "open" not in lines[-1]


async def test_each_against_each_is_shown_where_there_is_room_for_it() -> None:
    app = Scenario(playables=series())
    async with running(app) as pilot:
        narrow = await rated(app, pilot, "5")
        await pilot.resize_terminal(200, 50)
        wide = await rated(app, pilot)

    assert not any("each against each" in line for line in narrow)
    assert any("each against each" in line for line in wide)
    assert any("1 mcts:50" in line and "·" in line for line in wide[8:])
