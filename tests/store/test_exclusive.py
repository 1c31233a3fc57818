"""What one process at a time may do: of several who ask, one has it, and none once that is dead."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from arena_tui.errors import StoreError
from arena_tui.store.exclusive import Exclusive
from tests.programs import started

HOLDER = """\
import sys
from arena_tui.store.exclusive import Exclusive
held = Exclusive(sys.argv[1], "cup", "plays the cup")
held.take()
print("taken", flush=True)
sys.stdin.read()
"""


def exclusive(path: str, name: str = "cup") -> Exclusive:
    return Exclusive(path, name, "plays the cup")


def test_a_second_one_is_told_who_has_it_until_that_is_killed(path: str) -> None:
    with started(HOLDER, path, says="taken") as holder:
        mine = exclusive(path)

        with pytest.raises(StoreError, match=rf"^process {holder.pid} plays the cup in the store"):
            mine.take()
        holder.kill()
        holder.wait()
        mine.take()

    with pytest.raises(StoreError, match=f"^process {os.getpid()} plays the cup"):
        exclusive(path).take()
    mine.release()


def test_once_released_it_is_free_and_nothing_is_left(path: str) -> None:
    first, second = exclusive(path), exclusive(path)
    first.take()
    first.release()
    second.take()
    first.release()

    with pytest.raises(StoreError):
        first.take()
    second.release()
    assert list(Path(path).parent.iterdir()) == []


def test_others_are_free_beside_it(path: str) -> None:
    held = [exclusive(path), exclusive(path, "league"), exclusive(f"{path}2")]

    for each in held:
        each.take()
    for each in held:
        each.release()


def test_where_there_is_no_file_to_lock_it_is_granted(
    path: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    for where in (":memory:", f"{path}/no/such/folder"):
        exclusive(where).take()
        exclusive(where).take()

    assert list(tmp_path.iterdir()) == []
