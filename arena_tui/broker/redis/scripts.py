"""The Lua scripts, each atomic on the server, and the keys. Knows no connection and no event.

Keys: `arena:<run>:events` is a run's stream, with entry ids `<epoch>-<seq>`. `arena:<run>:meta` is
a hash: `run`, `epoch`, `seq`, `status` (open, closed, or left: open, but its producer has long gone
and every consumer has it), `alive` in ms, `ended` (the cursors of earlier streams) and
`p:<producer>`. `arena:<run>:name` has the `owner` of a run id that was asked for by name.
`arena:runs` is the index, a stream that names every run once. `arena:consumers` is the set
of durable consumers, `arena:acks:<consumer>` a hash of one consumer's cursors.
"""

from __future__ import annotations

from hashlib import sha1
from importlib.resources import files
from typing import Final

INDEX: Final = "arena:runs"
CONSUMERS: Final = "arena:consumers"
NO_RUN: Final = -1
CLOSED: Final = -2

_LUA: Final = files(__package__) / "lua"
_SHARED: Final = (_LUA / "shared.lua").read_text(encoding="utf-8")


def events_key(run_id: str) -> str:
    return f"arena:{run_id}:events"


def meta_key(run_id: str) -> str:
    return f"arena:{run_id}:meta"


def name_key(run_id: str) -> str:
    return f"arena:{run_id}:name"


def acks_key(consumer: str) -> str:
    return f"arena:acks:{consumer}"


class Script:
    """A Lua script and its SHA-1 digest, as EVALSHA takes it.

    Args:
        flags: `allow-oom` for scripts that must run on a full server, `no-writes` for read-only
            ones.
    """

    def __init__(self, name: str, flags: str = "") -> None:
        body = (_LUA / f"{name}.lua").read_text(encoding="utf-8")
        head = f"#!lua flags={flags}" if flags else "#!lua"
        self.text = f"{head}\n{_SHARED}\n{body}"
        self.sha = sha1(self.text.encode(), usedforsecurity=False).hexdigest()


OPEN: Final = Script("open")
CLAIM: Final = Script("claim")
APPEND: Final = Script("append")
RENEW: Final = Script("renew", "allow-oom")
BEAT: Final = Script("beat", "allow-oom")
LOOK: Final = Script("look", "no-writes")
ACK: Final = Script("ack", "allow-oom")
SWEEP: Final = Script("sweep", "allow-oom")
REAP: Final = Script("reap", "allow-oom")
DENIED: Final = Script("denied", "no-writes")

SCRIPTS: Final = (OPEN, CLAIM, APPEND, RENEW, BEAT, LOOK, ACK, SWEEP, REAP, DENIED)
