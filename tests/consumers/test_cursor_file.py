"""What was written is there, whatever happened since; no cursor ever goes back."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from arena_tui.broker.protocol import Cursor
from arena_tui.consumers.cursor_file import CursorFile, look_at

KILLED = """
import os, sys
from pathlib import Path
from arena_tui.broker.protocol import Cursor
from arena_tui.consumers.cursor_file import CursorFile

kept = CursorFile(Path(sys.argv[1]))
kept.begin({})
for seq in range(1, 10_000):
    kept.write({"a": Cursor(7, seq), "b": Cursor(7, seq)}, {"b"})
    print(seq, flush=True)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "cursors.sqlite"


@pytest.fixture
def kept(path: Path) -> Iterator[CursorFile]:
    with closing(CursorFile(path)) as file:
        file.begin({})
        yield file


def test_what_was_written_is_read_by_the_next(kept: CursorFile, path: Path) -> None:
    kept.write({"a": Cursor(7, 3), "b": Cursor(7, 9)}, {"b"})

    with closing(CursorFile(path)) as again:
        assert not again.is_new
        assert again.read() == {"a": Cursor(7, 3), "b": Cursor(7, 9)}
        assert again.unfinished() == ["a"]


def test_it_is_new_until_it_was_begun(path: Path) -> None:
    with closing(CursorFile(path)) as file:
        assert file.is_new
    with closing(CursorFile(path)) as file:
        file.begin({"a": Cursor(7, 3)})
        assert not file.is_new
        assert (file.read(), file.unfinished()) == ({"a": Cursor(7, 3)}, [])


@pytest.mark.parametrize("earlier", [Cursor(7, 4), Cursor(6, 9)])
def test_no_cursor_goes_back(kept: CursorFile, earlier: Cursor) -> None:
    kept.write({"a": Cursor(7, 5)}, {"a"})

    kept.write({"a": earlier}, set())

    assert (kept.read(), kept.unfinished()) == ({"a": Cursor(7, 5)}, [])


def test_a_later_epoch_is_further_on(kept: CursorFile) -> None:
    kept.write({"a": Cursor(7, 5)}, {"a"})

    kept.write({"a": Cursor(8, 1)}, set())

    assert (kept.read(), kept.unfinished()) == ({"a": Cursor(8, 1)}, ["a"])


def test_killed_while_it_writes_it_has_what_it_had_said(path: Path) -> None:
    writer = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(path)], stdout=subprocess.PIPE, text=True
    )
    assert writer.stdout is not None
    for line in writer.stdout:
        if int(line) == 20:
            break
    writer.kill()
    said = [int(line) for line in writer.stdout.read().splitlines() if line]
    writer.wait()

    with closing(CursorFile(path)) as file:
        cursors = file.read()
    assert cursors["a"] == cursors["b"]
    assert max([20, *said]) <= cursors["a"].seq <= max([20, *said]) + 1


@pytest.mark.parametrize("content", [b"no database at all, and long enough to see that it is none"])
def test_another_file_is_refused_and_left_alone(path: Path, content: bytes) -> None:
    path.write_bytes(content)

    with pytest.raises(OSError, match=r"cannot keep cursors in .*cursors\.sqlite"):
        CursorFile(path)
    assert path.read_bytes() == content
    assert look_at(path) is None


def test_looking_tells_how_far_it_is_also_while_it_is_open(kept: CursorFile, path: Path) -> None:
    kept.write({"a": Cursor(7, 3), "b": Cursor(7, 9)}, {"b"})

    seen = look_at(path)

    assert seen is not None
    assert (seen.runs, seen.unfinished) == (2, 1)
    assert look_at(path.with_name("missing")) is None
    assert not path.with_name("missing").exists()
