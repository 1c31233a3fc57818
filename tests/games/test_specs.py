from __future__ import annotations

import math

import pytest

from arena_tui.errors import UsageError
from arena_tui.games import specs
from arena_tui.games.agents import parse_agent
from arena_tui.games.play import check_spec
from arena_tui.games.specs import DEMO_SPECS, SYNTH_AGENTS, GameSpec, demo_specs, derive_seed


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        (
            "connect_four mcts:200 random",
            GameSpec(game="connect_four", agents=("mcts:200", "random")),
        ),
        (
            "hex(num_cols=5, num_rows=7) random random delay=0.5 label=x",
            GameSpec(game="hex(num_cols=5, num_rows=7)", agents=("random", "random"),
                     delay_s=0.5, label="x"),
        ),
        (
            "turn_based_simultaneous_game(game=goofspiel(num_cards=4)) random",
            GameSpec(game="turn_based_simultaneous_game(game=goofspiel(num_cards=4))",
                     agents=("random",)),
        ),
        (
            "chess games=4 parallel=2 seed=7 max_turns=90",
            GameSpec(game="chess", games=4, parallel=2, seed=7, max_turns=90),
        ),
        ("synth", GameSpec(game="synth")),
        ("synth rate=50 turns=9", GameSpec(game="synth", rate_per_s=50.0, max_turns=9)),
        ("synth agents=3", GameSpec(game="synth", agents=SYNTH_AGENTS[:3])),
        ("synth ada bob", GameSpec(game="synth", agents=("ada", "bob"))),
    ],
)  # fmt: skip
def test_a_spec_is_read_from_text(text: str, spec: GameSpec):
    assert GameSpec.parse(text) == spec


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "no game given"),
        ("games=3", "no game given"),
        ("chess gpt", "no agent 'gpt'"),
        ("chess mcts:0 random", "must be 1 to"),
        ("chess rate=5", "chess has no option rate"),
        ("chess speed=5", "no option speed: use one of games, parallel, seed"),
        ("chess games=many", "does not fit"),
        ("chess games=0", "games must be 1 to"),
        ("chess parallel=-1", "parallel must be 1 to"),
        ("chess delay=-1", "delay must be a number from 0"),
        ("synth rate=nan", "rate must be a number from 0"),
        ("synth agents=0", "synth has 1 to 6 models"),
        ("synth ada ada", "the same name"),
        ("synth ada bob --games 3", "^--games is an option of arena-tui play: write games=3 inst"),
        ("chess random --max-turns=9", "^--max-turns is an .*: write max_turns=9 instead"),
        ("chess --parallel", "write parallel=N instead"),
        ("chess -x random", "^-x is no player: options are written name=value, with one of games"),
    ],
)
def test_a_bad_spec_is_told_in_one_line(text: str, complaint: str):
    with pytest.raises(UsageError, match=complaint) as error:
        GameSpec.parse(text)

    assert "\n" not in str(error.value)


def test_a_spec_checks_its_values_however_it_is_made():
    with pytest.raises(UsageError, match="delay must be"):
        GameSpec(game="chess", delay_s=math.inf)


def test_the_turn_limit_depends_on_the_game():
    assert GameSpec(game="chess").turn_limit == 1000
    assert GameSpec(game="synth").turn_limit == 120
    assert GameSpec(game="synth", max_turns=5).turn_limit == 5


def test_seeds_differ_by_part_and_repeat():
    seeds = {derive_seed(1, "game", index) for index in range(1000)}

    assert len(seeds) == 1000
    assert all(0 <= seed < 2**31 for seed in seeds)
    assert derive_seed(1, "game", 0) == derive_seed(1, "game", 0)
    assert derive_seed(-5, "game", 0) != derive_seed(5, "game", 0)


def test_the_demo_shows_many_real_games_at_a_pace_people_can_follow():
    real = [spec for spec in DEMO_SPECS if not spec.is_synth]

    assert len({spec.game for spec in real}) >= 8
    assert all(0.4 <= spec.delay_s <= 1.2 for spec in real)
    for spec in real:
        check_spec(spec)


def test_the_demo_is_light_enough_to_run_beside_others():
    for spec in DEMO_SPECS:
        for agent in spec.agents if not spec.is_synth else ():
            amount = parse_agent(agent)
            assert amount.kind != "mcts" or amount.amount <= 400


def test_without_open_spiel_the_demo_is_made_up(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(specs, "find_spec", lambda name: None)

    assert len(demo_specs()) >= 6
    assert all(spec.is_synth for spec in demo_specs())


def test_with_open_spiel_the_demo_is_real():
    assert demo_specs() == DEMO_SPECS
