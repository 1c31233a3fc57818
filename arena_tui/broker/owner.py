"""Who owns a run id: this process, as other processes of its machine can look for it."""

from __future__ import annotations

import os
import socket
from pathlib import Path


def own_name() -> str:
    """The name of this process: machine, process id and when that began."""
    return f"{_machine()} {os.getpid()} {_began(os.getpid())}"


def pid_of(owner: str) -> int:
    """The process id in such a name; 0 if it has none."""
    pid = owner.partition(" ")[2].partition(" ")[0]
    return int(pid) if pid.isdigit() else 0


def is_gone(owner: str) -> bool | None:
    """Whether the process of this name has ended; None when it is of another machine."""
    machine, _, process = owner.partition(" ")
    pid, _, began = process.partition(" ")
    if machine != _machine() or not pid.isdigit():
        return None
    try:
        os.kill(int(pid), 0)
    except PermissionError:
        return False
    except OSError:
        return True
    return began != _began(int(pid))


def _machine() -> str:
    """The machine, or the container: each counts its processes itself."""
    try:
        space = Path("/proc/self/ns/pid").stat().st_ino
    except OSError:
        space = 0
    return f"{socket.gethostname()}:{space}"


def _began(pid: int) -> str:
    """When the process began, where the system tells: ids are used again."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return "0"
    return text.rpartition(")")[2].split()[19]
