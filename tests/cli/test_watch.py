"""`arena-tui` and `arena-tui demo`: the message when no dashboard can be shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.test_commands import arena


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--follow", "x.jsonl"], "needs a terminal"),
        (["watch", "--follow"], "expected at least one argument"),
        (["--follow", "x.jsonl", "-"], "pipe into arena-tui publish"),
        (["--follow", "."], ". is a folder: give a file of JSON lines"),
        (
            ["--follow", "x.jsonl", "--broker", "redis://:secret@127.0.0.1:1"],
            "use arena-tui publish x.jsonl --broker redis://",
        ),
        (["demo", "--follow", "x.jsonl"], "unrecognized arguments"),
    ],
    ids=["no terminal", "no file", "stdin", "folder", "redis", "demo"],
)
def test_what_cannot_be_followed_is_one_line_that_says_what_to_do(
    tmp_path: Path, words: list[str], said: str
) -> None:
    done = arena(tmp_path, *words)

    assert (done.returncode, done.stdout) == (2, "")
    assert len(done.stderr.splitlines()) == 1
    assert said in done.stderr
    assert "secret" not in done.stderr
