"""The unix socket beside a store: where it lies, how it is made and reached. Speaks nothing.

Only its user can connect: it has mode 0600 before anybody can see it.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import socket
import stat
import struct
import tempfile
from collections.abc import Iterator
from typing import Final

from arena_tui.errors import ListenError
from arena_tui.locked import of_another_user

_ADDRESS_MAX: Final = 103
"""Bytes of a socket's address on macOS, without the final zero; Linux has 107 (unix(7))."""

_NAME_MAX: Final = 64
"""Bytes of a store's name that its socket is called after; a longer one is hashed."""

_BACKLOG: Final = 512


class OwnSocket:
    """A socket that listens beside a store.

    Attributes:
        path: Where it lies.
        listening: Not blocking.
    """

    def __init__(self, store: str) -> None:
        """Listen there, in place of a socket that a process left which is gone.

        Only the process that has the store open may do so.

        Raises:
            ListenError: The file system has no sockets, or something else is at the path.
        """
        self.path = socket_path(store)
        self.listening = self._bound()
        self._file = _file(self.path)

    def is_in_place(self) -> bool:
        """Whether the path still leads to this socket."""
        return self._file is not None and _file(self.path) == self._file

    def remove(self) -> None:
        """Remove it from its path; who listens closes it."""
        if self.is_in_place():
            with contextlib.suppress(OSError):
                os.unlink(self.path)

    def _bound(self) -> socket.socket:
        """Bind in a folder that nobody else can enter, then rename: the socket is never open to
        others, and whoever connects meanwhile finds the old one or the new one."""
        if _is_blocked(self.path):
            raise ListenError(f"{self.path} is not a socket: move it away to share the store")
        bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            fresh = tempfile.mkdtemp(prefix=".arena-", dir=os.path.dirname(self.path))
            try:
                with _short(fresh) as folder:
                    bound.bind(f"{folder}/s")
                os.chmod(f"{fresh}/s", 0o600)
                bound.listen(_BACKLOG)
                os.rename(f"{fresh}/s", self.path)
            finally:
                shutil.rmtree(fresh, ignore_errors=True)
        except OSError as error:
            bound.close()
            raise ListenError(f"cannot listen at {self.path}: {error.strerror}") from None
        bound.setblocking(False)
        return bound


def socket_path(store: str) -> str:
    """Where the socket of a store's file lies."""
    folder, name = os.path.split(os.path.realpath(store))
    if len(os.fsencode(name)) > _NAME_MAX:
        name = hashlib.sha256(os.fsencode(name)).hexdigest()[:32]
    return os.path.join(folder, f"{name}.sock")


def connected(store: str, timeout_s: float) -> socket.socket | None:
    """A blocking socket connected to the owner of the store; None if nobody listens there.

    Raises:
        StoreForeignError: The socket is another user's.
        TimeoutError: Too many wait there to be accepted.
    """
    path = socket_path(store)
    link = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    link.settimeout(timeout_s)
    try:
        owner = os.stat(path).st_uid
        if owner not in (os.geteuid(), 0):
            raise of_another_user(store, owner)
        with _short(os.path.dirname(path)) as folder:
            link.connect(f"{folder}/{os.path.basename(path)}")
    except PermissionError:
        link.close()
        raise of_another_user(store, owner) from None
    except (FileNotFoundError, ConnectionError, NotADirectoryError):
        link.close()
        return None
    except BlockingIOError:
        link.close()
        raise TimeoutError from None
    except BaseException:
        link.close()
        raise
    return link


def cannot_be_shared(store: str) -> bool:
    """Whether no process can share the store, since something else is where its socket would be."""
    return _is_blocked(socket_path(store))


def _is_blocked(path: str) -> bool:
    """Whether something else than a socket lies there."""
    try:
        return not stat.S_ISSOCK(os.lstat(path).st_mode)
    except OSError:
        return False


def peer_of(link: socket.socket) -> tuple[int, int] | None:
    """Process and user at the other end; None where the system does not tell."""
    if not hasattr(socket, "SO_PEERCRED"):
        return None
    raw = link.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    pid, user, _ = struct.unpack("3i", raw)
    return pid, user


def _file(path: str) -> tuple[int, int] | None:
    try:
        status = os.lstat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino


@contextlib.contextmanager
def _short(folder: str) -> Iterator[str]:
    """A path to the folder that leaves room for a socket's name: through a link if need be."""
    if len(os.fsencode(folder)) + 1 + _NAME_MAX + len(".sock") <= _ADDRESS_MAX:
        yield folder
        return
    link = tempfile.mkdtemp(prefix="arena-", dir="/tmp" if os.path.isdir("/tmp") else None)
    try:
        os.symlink(folder, f"{link}/d")
        yield f"{link}/d"
    finally:
        shutil.rmtree(link, ignore_errors=True)
