from __future__ import annotations

import stat
import sys
from pathlib import Path

import pytest

from arena_tui.errors import UsageError
from arena_tui.games.agents import make_agent, parse_agent
from arena_tui.games.protocol import AgentClosedError
from arena_tui.games.spiel import load_game
from arena_tui.games.uci import EngineError

ENGINE = """\
#!{python}
import sys
for line in sys.stdin:
    words = line.split()
    if words[0] == "uci":
        print("id name fake", "uciok", sep="\\n", flush=True)
    elif words[0] == "isready":
        print("readyok", flush=True)
    elif words[0] == "position":
        white = words[3] == "w"
    elif words[0] == "go":
        {go}
"""


def engine(folder: Path, go: str) -> str:
    path = folder / "fake"
    path.write_text(ENGINE.format(python=sys.executable, go=go))
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return f"uci:{path}"


def test_an_engine_plays_the_move_it_answers(tmp_path: Path):
    answer = """move = "e2e4" if white else "e7e5"
        print("info depth 1", f"bestmove {move} ponder a7a6", sep="\\n", flush=True)"""
    loaded = load_game("chess")
    state = loaded.rules.new_initial_state()
    agent = make_agent(parse_agent(engine(tmp_path, answer)), loaded, seed=0)
    played = []
    for player in (1, 0):
        action = agent.choose(state, player)
        played.append(state.action_to_string(player, action))
        state.apply_action(action)
    agent.close()

    assert played == ["e4", "e5"]
    assert agent.name == "fake"


def test_an_illegal_answer_is_an_error_that_names_it(tmp_path: Path):
    spec = parse_agent(engine(tmp_path, 'print("bestmove e2e5", flush=True)'))
    loaded = load_game("chess")
    agent = make_agent(spec, loaded, seed=0)

    with pytest.raises(EngineError, match="fake answered e2e5, which is not legal"):
        agent.choose(loaded.rules.new_initial_state(), 1)

    agent.close()


def test_an_engine_that_dies_is_an_error(tmp_path: Path):
    spec = parse_agent(engine(tmp_path, "sys.exit(3)"))
    loaded = load_game("chess")
    agent = make_agent(spec, loaded, seed=0)

    with pytest.raises(EngineError, match="fake has ended"):
        agent.choose(loaded.rules.new_initial_state(), 1)

    agent.close()


def test_a_closed_engine_says_so(tmp_path: Path):
    spec = parse_agent(engine(tmp_path, "pass"))
    loaded = load_game("chess")
    agent = make_agent(spec, loaded, seed=0)
    agent.close()
    agent.close()

    with pytest.raises(AgentClosedError):
        agent.choose(loaded.rules.new_initial_state(), 1)


@pytest.mark.parametrize(
    ("game", "agent", "complaint"),
    [
        ("chess", "uci:/no/such/program", "no chess engine at /no/such/program"),
        ("chess", "uci:/bin/true", "does not speak UCI"),
        ("go", "uci", "uci does not apply to go"),
        ("chess(chess960=true)", "uci", "uci does not apply"),
    ],
)
def test_what_cannot_be_an_engine_is_refused(game: str, agent: str, complaint: str):
    with pytest.raises(UsageError, match=complaint):
        make_agent(parse_agent(agent), load_game(game), seed=0)


def test_without_stockfish_the_error_tells_what_to_write(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", "/nowhere")

    with pytest.raises(UsageError, match="no stockfish on PATH: install it, or write uci:/path"):
        make_agent(parse_agent("uci"), load_game("chess"), seed=0)
