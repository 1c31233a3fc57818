"""A file appears under its name when it is whole; what the dead have left is removed."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from arena_tui.errors import OutputError, UsageError
from arena_tui.store.partial_file import appearing
from tests.programs import started


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    final = tmp_path / "out.jsonl"
    final.write_text("before")
    final.chmod(0o640)

    def fail() -> None:
        with appearing(str(final)) as fresh:
            fresh.write_text("half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert [each.name for each in tmp_path.iterdir()] == ["out.jsonl"]
    assert final.read_text() == "before"
    with appearing(str(final)) as fresh:
        fresh.write_text("whole")
        assert final.read_text() == "before"

    assert final.read_text() == "whole"
    assert final.stat().st_mode & 0o777 == 0o640
    assert list(tmp_path.iterdir()) == [final]


def test_what_is_no_file_is_not_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name in ("pipe", "."):
        with pytest.raises(UsageError, match="not a regular file"), appearing(str(tmp_path / name)):
            raise AssertionError
    with pytest.raises(OutputError, match="No such file"), appearing(str(tmp_path / "no" / "x")):
        raise AssertionError


WRITES_A_FILE = """\
import sys
from arena_tui.store.partial_file import appearing
with appearing(sys.argv[1]) as fresh:
    fresh.write_text("half")
    print("writing", flush=True)
    sys.stdin.read()
"""


def test_a_pipe_is_known_also_by_the_name_of_its_descriptor() -> None:
    reading, writing = os.pipe()
    refused = pytest.raises(UsageError, match="or - for a pipe")

    with open(reading, "rb"), open(writing, "wb"), refused, appearing(f"/dev/fd/{writing}"):
        pass


def test_only_what_dead_processes_left_is_removed(tmp_path: Path) -> None:
    final = str(tmp_path / "out.jsonl")
    with started(WRITES_A_FILE, final, says="writing") as killed:
        killed.send_signal(signal.SIGKILL)
    with started(WRITES_A_FILE, final, says="writing") as living:
        (left,) = tmp_path.iterdir()
        assert left.name.startswith(".out.jsonl.")
        with appearing(final) as fresh:
            assert {left, fresh} == {*tmp_path.iterdir()}
            fresh.write_text("ours")
        assert living.poll() is None

    assert [each.name for each in tmp_path.iterdir()] == ["out.jsonl"]
    assert Path(final).read_text() == "half"  # it ended last
