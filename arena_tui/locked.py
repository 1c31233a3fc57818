"""Why a store that is open elsewhere cannot be had here, in words. Opens nothing.

The lock on a store's file tells which process has it; whose that is, and whether it is of this
machine at all, decides what there is to be done.
"""

from __future__ import annotations

import os
import pwd
from pathlib import Path
from typing import Final

from arena_tui.errors import StoreError, StoreForeignError, StoreLockedError

_REMOTE: Final = frozenset({
    "9p", "afs", "ceph", "cifs", "fuse.glusterfs", "fuse.sshfs", "glusterfs", "gpfs", "lustre",
    "nfs", "nfs4", "smb3", "smbfs",
})  # fmt: skip
"""File systems that several machines may share, as Linux names them."""

_MOUNTS: Final = Path("/proc/self/mountinfo")


def locked(
    path: str, pid: int | None, *, asked: bool = False, mounts: Path = _MOUNTS
) -> StoreError:
    """What to say of a store whose lock this process holds.

    Args:
        asked: Whether a process that shares it was looked for in vain.
        mounts: See `file_system`.

    Returns:
        StoreForeignError, of a process of another user; else StoreLockedError, which may pass: its
        owner is about to share the store, or leaves it. One that is `lasting` may only pass if the
        owner has ended in this moment.
    """
    if pid == os.getpid():
        return StoreLockedError(
            f"the store {path} is open in this process, or its parent, already", pid
        )
    user = user_of(pid) if pid else None
    if user == os.geteuid():
        why = ", which does not share it (an older arena-tui, or another program?)" if asked else ""
        return StoreLockedError(
            f"the store {path} is open in process {pid}{why}: quit that one, or",
            pid, elsewhere=True,
        )  # fmt: skip
    if user is not None:
        return of_another_user(path, user, pid)
    kind = file_system(path, mounts)
    if kind in _REMOTE:
        message = (
            f"the store {path} is open on another machine (it lies on {kind}): use it there, or"
        )
    else:
        message = (
            f"the store {path} is open in a process that cannot be seen from here, of another "
            "container or machine: quit that one, or"
        )
    return StoreLockedError(message, elsewhere=True, lasting=True)


def of_another_user(path: str, user: int, pid: int | None = None) -> StoreForeignError:
    """What to say of a store that a process of this user has open."""
    which = "a process" if pid is None else f"process {pid}"
    return StoreForeignError(
        f"the store {path} is open in {which} of another user ({_name(user)}): "
        "have that one quit, or", elsewhere=True,
    )  # fmt: skip


def of_another_version(path: str, pid: int | None, theirs: str, ours: str) -> StoreForeignError:
    """What to say of a store whose owner speaks another protocol."""
    which = "a process" if pid is None else f"process {pid}"
    return StoreForeignError(
        f"the store {path} is open in {which} of arena-tui {theirs}, which this one ({ours}) "
        "cannot talk to: quit it and update the older of the two, or", elsewhere=True,
    )  # fmt: skip


def user_of(pid: int) -> int | None:
    """The user that a process of this machine runs as, -1 if that cannot be told; None if there is
    no such process here."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        mine = -1
    else:
        mine = os.geteuid()
    try:
        return os.stat(f"/proc/{pid}").st_uid
    except OSError:
        return mine


def file_system(path: str, mounts: Path = _MOUNTS) -> str | None:
    """The kind of file system that a path lies on, as the system names it; None if it does not
    tell."""
    try:
        lines = mounts.read_text(errors="surrogateescape").splitlines()
    except OSError:
        return None
    place, found = os.path.realpath(path), ("", "")
    for line in lines:
        fields, _, rest = line.partition(" - ")
        point = fields.split()[4].encode("utf-8", "surrogateescape").decode("unicode_escape")
        inside = point in ("/", place) or place.startswith(f"{point}/")
        if inside and len(point) >= len(found[0]):
            found = point, rest.split()[0]
    return found[1] or None


def _name(user: int) -> str:
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return "unknown" if user < 0 else str(user)
