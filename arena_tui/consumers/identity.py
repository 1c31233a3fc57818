"""Names durable consumers after the file that holds their cursors."""

from __future__ import annotations

import os
import socket


def identity_in(path: str | os.PathLike[str], role: str) -> str:
    """The identity of the consumer that keeps its cursors in this file of this machine."""
    return f"{socket.gethostname()}:{os.path.realpath(path)} {role}"
