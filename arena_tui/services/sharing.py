"""Shares a store that is open here with the other processes of its user."""

from __future__ import annotations

from arena_tui.services.runtime import Runtime
from arena_tui.services.storing import Sharing


def share(runtime: Runtime) -> Sharing:
    """See `Runtime`."""
    from arena_tui.services.http.owner import OwnerServer  # takes 100 ms to import

    assert runtime.database is not None
    return OwnerServer(runtime, runtime.database.path)
