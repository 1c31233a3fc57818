"""Explains server errors and risks, with a remedy, in one line each. Sends nothing."""

from __future__ import annotations

import os
import re
from typing import Final, Literal, NamedTuple

from msgspec import Struct
from msgspec.structs import replace
from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    ClusterCrossSlotError,
    ClusterDownError,
    ConnectionError,
    InvalidResponse,
    MasterDownError,
    NoPermissionError,
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
    TimeoutError,
    TryAgainError,
)

from arena_tui.broker_url import DEFAULT_PORT, BrokerUrl

FAILURES: Final = (RedisError, OSError)
"""All errors that a call to the server may raise."""

COMMANDS: Final = (
    "client|setname x", "del arena:x", "exists arena:x", "expire arena:x 1", "hdel arena:x x",
    "hget arena:x x", "hgetall arena:x", "hmget arena:x x", "hset arena:x x x", "info", "ping",
    "sadd arena:x x", "script|load x", "select 0", "smembers arena:x", "srem arena:x x", "time",
    "type arena:x", "xadd arena:x * x x", "xdel arena:x 0-1", "xinfo|stream arena:x",
    "xrange arena:x - +", "xread streams arena:x 0", "xrevrange arena:x + -",
    "xtrim arena:x maxlen 0", "persist arena:x",
)  # fmt: skip
"""Every command sent to a server, except EVALSHA."""

PUBLISHING: Final = (
    "exists", "expire", "hdel", "hget", "hmget", "hset", "persist", "time", "xadd", "xinfo|stream",
    "xrange",
)  # fmt: skip
"""Those of them that publishing needs; with fewer nothing is published."""

ACL_RULES: Final = " ".join(
    ["~arena:*", "+evalsha", *(f"+{command.split()[0]}" for command in COMMANDS)]
)
"""The least permissions a user needs, as `ACL SETUSER` takes them."""

_CONNECTING: Final = re.compile(r"^Error (?P<number>-?\d+) connecting to .+?\. (?P<why>.*)$")
_TRANSIENT: Final = (
    BusyLoadingError, ClusterDownError, ConnectionError, MasterDownError, NoScriptError, OSError,
    OutOfMemoryError, ReadOnlyError, TimeoutError, TryAgainError,
)  # fmt: skip
_TRANSIENT_WORDS: Final = ("BUSY", "MISCONF", "NOREPLICAS", "LOADING", "OOM", "UNBLOCKED")
_DENIED_IN_SCRIPT: Final = (
    "ACL failure in script",  # Valkey, and Redis from 7.2 on
    "The user executing the script can't",
)
"""Parts of what servers say, under no code of its own, when a script does what its user may not."""


class Facts(Struct, frozen=True, kw_only=True):
    """What the server reports of itself; None where this user may not ask.

    Attributes:
        product, version: `redis` `7.0.15`, `valkey` `9.1.2`.
        memory, memory_max: Bytes; a `memory_max` of 0 is no limit.
        aof: Whether it writes an append-only file.
        clients: Connections to it.
        is_replica: Whether it is a replica that takes no writes.
        denied: Commands this user may not run.
    """

    product: str
    version: str
    memory: int | None = None
    memory_max: int | None = None
    policy: str | None = None
    aof: bool | None = None
    clients: int | None = None
    is_replica: bool = False
    denied: tuple[str, ...] = ()


class Risk(NamedTuple):
    """What may lose events or expose secrets, and its remedy."""

    kind: Literal["evicts", "forgets", "takes none", "denies", "exposed"]
    what: str
    remedy: str


class Advice:
    """Explanations about one server.

    Attributes:
        place: The server's display name.
        commands: Every command sent to it, with a key.
    """

    def __init__(self, url: BrokerUrl) -> None:
        self.place = f"redis {url.place}"
        self._url = url
        root = f"{url.prefix}arena:"
        self.commands = tuple(each.replace("arena:", root) for each in COMMANDS)
        self._pattern = f"~{url.prefix}*" if url.prefix else "~arena:*"

    @property
    def _is_ours(self) -> bool:
        """Whether `arena-tui redis` could stand in its place."""
        return self._url.is_loopback and not self._url.is_encrypted and self._url.port is not None

    @property
    def _how_to_start(self) -> str:
        if not self._url.is_loopback:
            return ", and may this machine reach it?"
        if not self._is_ours:
            return "?"
        port = "" if self._url.port == DEFAULT_PORT else f" --port {self._url.port}"
        return f"? `arena-tui redis{port}` starts one"

    @property
    def _credentials(self) -> str:
        if self._url.has_password:
            return "check both in the URL, or REDIS_PASSWORD"
        return "give both in the URL, or set REDIS_PASSWORD"

    def explain(self, error: BaseException) -> str:
        """What is wrong, without a remedy: for errors that are retried."""
        if isinstance(error, TimeoutError):
            return f"{self.place} does not answer"
        if isinstance(error, OutOfMemoryError) or _word(error) == "OOM":
            return f"{self.place} is full (maxmemory)"
        if isinstance(error, BusyLoadingError):
            return f"{self.place} is loading its data"
        if isinstance(error, ReadOnlyError):
            return f"{self.place} is a read-only replica"
        if isinstance(error, ConnectionError | OSError):
            return f"no connection to {self.place}"
        if is_denied(error):
            return f"{self.place} does not permit this user all that is needed"
        if isinstance(error, ClusterCrossSlotError):
            return f"{self.place} is a Redis Cluster: use a single server (with replicas)"
        return f"{self.place} refuses: {_one_line(error)}"

    def risks(self, facts: Facts) -> list[Risk]:
        """What may lose events or expose secrets."""
        found = []
        if facts.policy not in (None, "noeviction") and facts.memory_max:
            found.append(Risk(
                "evicts",
                f"{self.place} may evict whole runs (maxmemory-policy {facts.policy})",
                "CONFIG SET maxmemory-policy noeviction",
            ))  # fmt: skip
        if facts.aof is False:
            found.append(Risk(
                "forgets",
                f"{self.place} forgets everything when it ends (no AOF)",
                "CONFIG SET appendonly yes" + (", or use `arena-tui redis`" * self._is_ours),
            ))  # fmt: skip
        if facts.is_replica:
            what = f"{self.place} is a read-only replica"
            found.append(Risk("takes none", what, "give the URL of its primary"))
        if facts.denied:
            found.append(Risk(
                "denies",
                f"{self.place} does not permit this user all that is needed",
                f"ACL SETUSER … {self._pattern} {_permitting(facts.denied)}",
            ))  # fmt: skip
        if not self._url.is_loopback and not self._url.is_encrypted:
            found.append(Risk(
                "exposed",
                f"{self.place} is reached without encryption: others may read along",
                "use rediss://, or a tunnel",
            ))  # fmt: skip
        return found

    def obstacle(self, facts: Facts) -> str | None:
        """Why nothing can be published here, with a remedy; None when nothing is known of."""
        if facts.is_replica:
            return f"{self.place} is a read-only replica: give the URL of its primary"
        needed = replace(facts, denied=tuple(each for each in facts.denied if each in PUBLISHING))
        if not needed.denied:
            return None
        denied = next(each for each in self.risks(needed) if each.kind == "denies")
        return f"{denied.what}: {denied.remedy}"

    def refusal(self, error: BaseException) -> str:
        """Why the server cannot be used, with a remedy."""
        if "without any password configured" in str(error):
            return f"{self.place} has no password: leave it out of the URL and of REDIS_PASSWORD"
        if isinstance(error, AuthenticationError) or _word(error) in ("NOAUTH", "WRONGPASS"):
            return f"{self.place} refuses the user or the password: {self._credentials}"
        if isinstance(error, NoPermissionError):
            return (
                f"{self.place} does not permit it ({_one_line(error)}): "
                f"permit this user {ACL_RULES.replace('~arena:*', self._pattern)}"
            )
        if isinstance(error, InvalidResponse):
            return f"{self.place} is no Redis server: give the host and port of one"
        if isinstance(error, TimeoutError):
            other = "without TLS (redis://)" if self._url.is_encrypted else "another kind of server"
            return f"{self.place} does not answer: is it stopped, or {other}?"
        if isinstance(error, BusyLoadingError):
            return f"{self.explain(error)}: try again when it has"
        if "CERTIFICATE_VERIFY_FAILED" in str(error):
            return (
                f"the certificate of {self.place} cannot be verified: "
                "give what signed it, rediss://…?ssl_ca_certs=FILE"
            )
        if isinstance(error, ConnectionError) and not _CONNECTING.match(str(error)):
            tls = "without TLS (redis://)" if self._url.is_encrypted else "with TLS (rediss://)"
            return f"{self.place} hung up ({_one_line(error)}): is it full, or to be used {tls}?"
        if isinstance(error, ConnectionError | OSError):
            return (
                f"cannot reach {self.place} ({_one_line(error)}): is it running{self._how_to_start}"
            )
        if "DB index" in str(error):
            return f"{self.place} has no database of that number: give another one in the URL"
        return self.explain(error)


def _permitting(commands: tuple[str, ...]) -> str:
    return " ".join(f"+{command}" for command in commands)


def is_transient(error: BaseException) -> bool:
    """Whether the same call may succeed later; the failed one may or may not have been executed."""
    if isinstance(error, AuthenticationError | NoPermissionError):
        return False
    return isinstance(error, _TRANSIENT) or (
        isinstance(error, ResponseError) and _word(error) in _TRANSIENT_WORDS
    )


def is_mendable(error: BaseException) -> bool:
    """Whether the same call may succeed later, if need be once the user is permitted it."""
    return is_transient(error) or is_denied(error)


def is_withheld(error: BaseException) -> bool:
    """Whether the events of one run may be refused so, while those of others are taken."""
    return is_denied(error) or _word(error) == "WRONGTYPE"


def is_denied(error: BaseException) -> bool:
    return isinstance(error, NoPermissionError) or any(
        text in str(error) for text in _DENIED_IN_SCRIPT
    )


def _word(error: BaseException) -> str:
    return str(error).partition(" ")[0]


def _one_line(error: BaseException) -> str:
    """The error's text in one line, without the server's address."""
    text = " ".join(str(error).split()) or type(error).__name__
    if found := _CONNECTING.match(text):
        refused = found["why"].startswith("Connect call failed")
        text = os.strerror(int(found["number"])) if refused else found["why"]
    return text.rstrip(".")[:160]
