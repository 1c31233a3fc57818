"""One process of a machine runs a consumer for one place, and each place has a folder."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from arena_tui.broker.memory import InProcessBroker
from arena_tui.config import Config
from arena_tui.consumers.place import FolderLock, folder_of, is_held, place_of, read_holder
from arena_tui.errors import ConsumerBusyError

HOLD = """
import sys
from pathlib import Path
from arena_tui.consumers.place import FolderLock

lock = FolderLock()
lock.take(Path(sys.argv[1]), "redis here")
print(flush=True)
sys.stdin.read()
"""


def test_what_another_process_holds_is_its_until_it_is_killed(tmp_path: Path) -> None:
    other = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert other.stdout is not None
    other.stdout.readline()
    mine = FolderLock()
    with pytest.raises(ConsumerBusyError) as raised:
        mine.take(tmp_path, "redis here")
    held = is_held(tmp_path)
    other.kill()
    other.communicate()

    mine.take(tmp_path, "redis here")

    holder = read_holder(tmp_path)
    assert holder is not None
    assert (raised.value.pid, held) == (other.pid, True)
    assert (holder.place, holder.pid) == ("redis here", os.getpid())
    mine.release()
    assert not is_held(tmp_path)


def test_nobody_holds_what_was_never_taken(tmp_path: Path) -> None:
    assert (is_held(tmp_path), read_holder(tmp_path)) == (False, None)
    assert list(tmp_path.iterdir()) == []


def test_the_place_of_a_broker_in_process_is_its_store(tmp_path: Path) -> None:
    store = tmp_path / "arena.duckdb"
    (tmp_path / "link").symlink_to(store)

    places = {place_of(InProcessBroker(), Config(db=str(tmp_path / name)))
              for name in ("arena.duckdb", "link", "x/../arena.duckdb")}  # fmt: skip

    assert places == {str(store.resolve())}


def test_each_place_has_a_folder_one_can_read() -> None:
    places = ["/a/arena.duckdb", "/b/arena.duckdb", "redis 127.0.0.1:6379", "redis h:1?prefix=ü:",
              "/", "", "x" * 300, "/a/.hidden"]  # fmt: skip

    folders = [folder_of(place) for place in places]

    assert len(set(folders)) == len(places)
    assert folders[0].startswith("arena.duckdb-")
    assert folders[2].startswith("redis-127.0.0.1-6379-")
    assert all(len(each) < 60 and "/" not in each and each[0] != "." for each in folders)
