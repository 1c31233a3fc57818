"""The Lua scripts, each atomic on the server, and the keys. Knows no connection and no event.

Keys, each after the prefix in the URL: `arena:<run>:events` is a run's stream, with entry ids
`<epoch>-<seq>`. `arena:<run>:meta` is
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

_LUA: Final = files(__package__) / "lua"
_SHARED: Final = (_LUA / "shared.lua").read_text(encoding="utf-8")


class Keys:
    """The names of all keys, which begin with `prefix`.

    Attributes:
        index, consumers: Those of which there is one.
    """

    def __init__(self, prefix: str = "") -> None:
        self.prefix = prefix
        self._root = f"{prefix}arena:"
        self.index = f"{self._root}runs"
        self.consumers = f"{self._root}consumers"

    def events(self, run_id: str) -> str:
        return f"{self._root}{run_id}:events"

    def meta(self, run_id: str) -> str:
        return f"{self._root}{run_id}:meta"

    def of(self, run_id: str) -> tuple[str, str]:
        """Those that nearly every script takes of a run."""
        return self.meta(run_id), self.events(run_id)

    def name(self, run_id: str) -> str:
        return f"{self._root}{run_id}:name"

    def acks(self, consumer: str) -> str:
        return f"{self._root}acks:{consumer}"

    def doctor(self, nonce: str) -> str:
        return f"{self._root}doctor:{nonce}"


_KEYS: Final = Keys()
INDEX: Final = _KEYS.index
CONSUMERS: Final = _KEYS.consumers
events_key: Final = _KEYS.events
meta_key: Final = _KEYS.meta
acks_key: Final = _KEYS.acks
"""The keys without a prefix."""


class Script:
    """A Lua script and its SHA-1 digest, as EVALSHA takes it.

    Args:
        flags: `allow-oom` for scripts that must run on a full server, `no-writes` for read-only
            ones.
        prefix: What the keys that it names itself begin with.
    """

    def __init__(self, name: str, flags: str = "", prefix: str = "") -> None:
        self._made_of = name, flags
        body = (_LUA / f"{name}.lua").read_text(encoding="utf-8")
        head = f"#!lua flags={flags}" if flags else "#!lua"
        named = f"{_SHARED}\n{body}".replace("'arena:", f"'{prefix}arena:")
        self.text = f"{head}\n{named}"
        self.sha = sha1(self.text.encode(), usedforsecurity=False).hexdigest()

    def under(self, prefix: str) -> Script:
        """The same script for keys under a prefix."""
        return Script(*self._made_of, prefix) if prefix else self


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
