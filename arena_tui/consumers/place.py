"""Which events an installed consumer's cursors belong to, and which process runs it there.

One process of a machine runs it at a time: two would keep their cursors in the same file.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import re
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from arena_tui.broker.protocol import BrokerProtocol
from arena_tui.config import Config
from arena_tui.errors import ConsumerBusyError

LOCK_FILE: Final = "lock"

_LABEL_CHARS: Final = 40


class Holder(Struct, frozen=True):
    """What the lock's file says.

    Attributes:
        place: The shared broker, or the store of a broker in process.
        pid: The process that holds it, or held it last.
    """

    place: str
    pid: int


def place_of(broker: BrokerProtocol, config: Config) -> str:
    """A shared broker's name; of one in process, whose runs only the store outlives, that one's
    path."""
    return broker.name if broker.shared else os.path.realpath(config.db or "")


def folder_of(place: str) -> str:
    """The name of the folder for a place: readable, and another one for each."""
    label = re.sub(r"[^A-Za-z0-9.]+", "-", place.rpartition("/")[2] or place)
    digest = hashlib.sha256(place.encode("utf-8", "surrogateescape")).hexdigest()[:8]
    return f"{label.strip('.-')[-_LABEL_CHARS:]}-{digest}"


class FolderLock:
    """Held from `take` until `release`, or until the process ends."""

    def __init__(self) -> None:
        self._descriptor = -1

    def take(self, folder: Path, place: str) -> None:
        """Take the lock of a folder.

        Raises:
            ConsumerBusyError: Another one has it.
            OSError: It cannot be had here.
        """
        self.release()
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
        descriptor = os.open(folder / LOCK_FILE, flags, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, msgspec.json.encode(Holder(place, os.getpid())), 0)
        except BlockingIOError:
            os.close(descriptor)
            holder = read_holder(folder)
            pid = None if holder is None else holder.pid
            raise ConsumerBusyError("another process runs it", pid) from None
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor = descriptor

    def release(self) -> None:
        """Idempotent."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def read_holder(folder: Path) -> Holder | None:
    """Who holds the lock of a folder, or held it last; None if nobody ever did."""
    try:
        return msgspec.json.decode((folder / LOCK_FILE).read_bytes(), type=Holder)
    except (OSError, msgspec.MsgspecError):
        return None


def is_held(folder: Path) -> bool:
    """Whether some process holds the lock of a folder at present. Changes nothing."""
    try:
        descriptor = os.open(folder / LOCK_FILE, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno == errno.EWOULDBLOCK
    finally:
        os.close(descriptor)
    return False
