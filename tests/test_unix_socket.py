"""The socket beside a store: who reaches it, and what becomes of it."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

import pytest

from arena_tui.errors import ListenError, StoreForeignError
from arena_tui.unix_socket import OwnSocket, cannot_be_shared, connected, peer_of, socket_path


def reached(store: Path) -> bool:
    link = connected(str(store), 5)
    if link is None:
        return False
    link.close()
    return True


def test_nobody_is_reached_where_no_owner_listens(tmp_path: Path) -> None:
    assert not reached(tmp_path / "a.duckdb")
    assert not reached(tmp_path / "no such folder" / "a.duckdb")


def test_only_its_user_may_connect(tmp_path: Path) -> None:
    own = OwnSocket(str(tmp_path / "a.duckdb"))

    with own.listening:
        assert stat.S_IMODE(os.stat(own.path).st_mode) == 0o600
        assert reached(tmp_path / "a.duckdb")
        assert [each.name for each in tmp_path.iterdir()] == ["a.duckdb.sock"]


def test_a_socket_that_a_killed_process_left_is_replaced(tmp_path: Path) -> None:
    store = str(tmp_path / "a.duckdb")
    OwnSocket(store).listening.close()
    assert not reached(tmp_path / "a.duckdb")

    with OwnSocket(store).listening:
        assert reached(tmp_path / "a.duckdb")


def test_removing_leaves_the_socket_of_another_that_took_its_place(tmp_path: Path) -> None:
    store = str(tmp_path / "a.duckdb")
    old = OwnSocket(store)
    old.listening.close()
    new = OwnSocket(store)

    old.remove()
    assert new.is_in_place()
    new.remove()
    assert not new.is_in_place()
    new.listening.close()


def test_a_path_may_be_longer_than_the_address_of_a_socket(tmp_path: Path) -> None:
    folder = tmp_path.joinpath(*["deep" * 10] * 6)
    folder.mkdir(parents=True)
    for name in ("a.duckdb", "long" * 50 + ".duckdb"):
        with OwnSocket(str(folder / name)).listening:
            assert reached(folder / name)


def test_a_link_to_the_store_leads_to_the_socket_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link.duckdb").symlink_to(tmp_path / "real" / "a.duckdb")

    with OwnSocket(str(tmp_path / "link.duckdb")).listening:
        assert (tmp_path / "real" / "a.duckdb.sock").is_socket()
        assert reached(tmp_path / "real" / "a.duckdb")


def test_a_file_in_place_of_the_socket_is_left_alone(tmp_path: Path) -> None:
    path = Path(socket_path(str(tmp_path / "a.duckdb")))
    path.write_text("mine")

    with pytest.raises(ListenError, match="is not a socket: move it away"):
        OwnSocket(str(tmp_path / "a.duckdb"))
    assert path.read_text() == "mine"
    assert not reached(tmp_path / "a.duckdb")


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(ListenError, match=r"cannot listen at .*a\.duckdb\.sock: No such file"):
        OwnSocket(str(tmp_path / "gone" / "a.duckdb"))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a socket to another user")
def test_the_socket_of_another_user_is_not_talked_to(tmp_path: Path) -> None:
    own = OwnSocket(str(tmp_path / "a.duckdb"))
    os.chown(own.path, 12345, -1)

    with own.listening, pytest.raises(StoreForeignError, match=r"of another user \(12345\)"):
        reached(tmp_path / "a.duckdb")


@pytest.mark.skipif(not hasattr(socket, "SO_PEERCRED"), reason="only Linux tells who connects")
def test_it_is_known_who_connects(tmp_path: Path) -> None:
    own = OwnSocket(str(tmp_path / "a.duckdb"))
    link = connected(str(tmp_path / "a.duckdb"), 5)
    assert link is not None

    with own.listening, link, own.listening.accept()[0] as accepted:
        assert peer_of(accepted) == (os.getpid(), os.geteuid())


def test_a_store_can_be_shared_unless_something_else_is_in_the_socket_s_place(
    tmp_path: Path,
) -> None:
    store = str(tmp_path / "arena.duckdb")
    assert not cannot_be_shared(store)
    own = OwnSocket(store)
    assert not cannot_be_shared(store)
    own.listening.close()
    own.remove()

    Path(socket_path(store)).write_text("in the way")

    assert cannot_be_shared(store)
