"""A script as users type it: a Python file and its arguments."""

from __future__ import annotations

from pathlib import Path

import pytest

from arena_tui.errors import UsageError
from arena_tui.games.specs import GameSpec
from arena_tui.services.playables import parse_playable
from arena_tui.services.scripts.spec import ScriptSpec


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home and working directory with scripts."""
    for name in ("agent.py", "my agent.py"):
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(
    ("text", "file", "arguments"),
    [
        ("agent.py", "agent.py", ()),
        ("./agent.py --model x --games 3", "./agent.py", ("--model", "x", "--games", "3")),
        ('agent.py --name \'a b\' "c\\"d"', "agent.py", ("--name", "a b", 'c"d')),
        ("agent.py other.py", "agent.py", ("other.py",)),
        ("my agent.py", "my agent.py", ()),
        ("'my agent.py' -x", "my agent.py", ("-x",)),
    ],
)
def test_its_words_are_those_of_a_shell(text: str, file: str, arguments: tuple[str, ...]) -> None:
    assert parse_playable(text) == ScriptSpec(file=file, arguments=arguments)


def test_a_tilde_is_the_home_directory(folder: Path) -> None:
    assert parse_playable("~/agent.py") == ScriptSpec(file=str(folder / "agent.py"))


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("nope.py", "no file nope.py: give a Python file"),
        ("nope.py --games 3", "no file nope.py: give a Python file"),
        ("nobody-has-this-name~/a.py", "no file"),
        ("x" * 10_000 + ".py", "no file xxx"),
        ("a\0.py", "no file"),
        ("agent.py 'x", "No closing quotation"),
    ],
)
def test_a_file_that_is_not_there_is_said_in_one_line(text: str, complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint) as raised:
        parse_playable(text)

    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 300


def test_a_game_is_none() -> None:
    assert parse_playable("synth ada bob") == GameSpec.parse("synth ada bob")
    assert ScriptSpec.parse("synth 'ada") is None
    assert ScriptSpec.parse("") is None


def test_its_name_is_what_one_types() -> None:
    spec = ScriptSpec(file="/a/b/agent.py", arguments=("--name", "a b"))

    assert spec.name == "agent.py --name 'a b'"
