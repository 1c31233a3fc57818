"""Claims run ids on the server, which decides between producers. Renames nothing."""

from __future__ import annotations

from typing import Final

from arena_tui.broker.owner import is_gone, own_name
from arena_tui.broker.redis.link import RedisLink
from arena_tui.broker.redis.scripts import CLAIM
from arena_tui.broker.stream import HEARTBEAT_S

_NAME_KEPT_S: Final = 30 * 24 * 3_600
"""How long an id stays taken: far longer than the run itself is kept."""

_SILENT_MS: Final = 3 * HEARTBEAT_S * 1_000


async def claim(link: RedisLink, run_id: str) -> bool:
    """Claim the id for a run of this process; False when it is taken.

    A run whose producer is gone without having ended it goes on. On this machine that is looked
    for; elsewhere, or of a run that nobody claimed, silence says so.
    """
    keys, owner = (link.keys.name(run_id), link.keys.meta(run_id)), own_name()
    claimed, *found = await link.call(CLAIM, keys, (owner, "", _NAME_KEPT_S))
    if claimed:
        return True
    holder, status, silent_ms = found[0].decode("utf-8", "replace"), found[1], found[2]
    if status in (b"", b"closed"):
        return False
    gone = is_gone(holder)
    if gone is None:
        gone = silent_ms > _SILENT_MS
    if not gone:
        return False
    claimed, *_ = await link.call(CLAIM, keys, (owner, holder, _NAME_KEPT_S))
    return bool(claimed)
