"""One server as this process reaches it: clients, what is wrong now, and trying again."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import re
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, TypeVar

from msgspec import Struct
from msgspec.structs import replace
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
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

from arena_tui.broker.redis.connection import Line
from arena_tui.broker.redis.scripts import DENIED, SCRIPTS, Script
from arena_tui.broker.timing import Timing
from arena_tui.broker_url import BrokerUrl
from arena_tui.errors import BrokerError

__all__ = ["ACL_RULES", "FAILURES", "Facts", "Link", "is_passing"]

FAILURES: Final = (RedisError, OSError)
"""Whatever a call to the server may end with."""

_COMMANDS: Final = (
    "client|setname x", "del arena:x", "exists arena:x", "expire arena:x 1", "hdel arena:x x",
    "hget arena:x x", "hgetall arena:x", "hmget arena:x x", "hset arena:x x x", "info", "ping",
    "sadd arena:x x", "script|load x", "select 0", "smembers arena:x", "srem arena:x x", "time",
    "type arena:x", "xadd arena:x * x x", "xdel arena:x 0-1", "xinfo|stream arena:x",
    "xrange arena:x - +", "xread streams arena:x 0", "xrevrange arena:x + -",
    "xtrim arena:x maxlen 0", "persist arena:x",
)  # fmt: skip
"""All that is ever asked of a server, beside EVALSHA."""

ACL_RULES: Final = " ".join(
    ["~arena:*", "+evalsha", *(f"+{command.split()[0]}" for command in _COMMANDS)]
)
"""The least that a user must be permitted, as `ACL SETUSER` takes it."""

_CONNECTING: Final = re.compile(r"^Error (?P<number>-?\d+) connecting to .+?\. (?P<why>.*)$")
_PASSING: Final = (
    BusyLoadingError, ClusterDownError, ConnectionError, MasterDownError, NoScriptError, OSError,
    OutOfMemoryError, ReadOnlyError, TimeoutError, TryAgainError,
)  # fmt: skip
_PASSING_WORDS: Final = ("BUSY", "MISCONF", "NOREPLICAS", "LOADING", "OOM", "UNBLOCKED")
_VERSION_MIN: Final = (7, 0)

T = TypeVar("T")


class Facts(Struct, frozen=True, kw_only=True):
    """What the server says of itself; None where it may not be asked.

    Attributes:
        product, version: `redis` `7.0.15`, `valkey` `9.1.2`.
        memory, memory_max: Bytes; 0: no limit.
        policy: `maxmemory-policy`.
        aof: Whether it writes an append-only file.
        denied: Commands that it does not permit this user.
    """

    product: str
    version: str
    memory: int | None = None
    memory_max: int | None = None
    policy: str | None = None
    aof: bool | None = None
    denied: tuple[str, ...] = ()


class Link:
    """See the module. One event loop's.

    Args:
        url: The server's.
        warn: Takes what the user should know.
        timing: How long an answer may take, and how soon to try again.
        clock: Monotonic seconds.

    Attributes:
        place: The server's name for people.
        closing: Set when nothing should be tried any more.
        reconnects: How often the server came back.
        control: The connection for all that is neither a run's events going out nor coming in.
    """

    def __init__(
        self,
        url: BrokerUrl,
        warn: Callable[[str], None],
        timing: Timing,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.place = f"redis {url.place}"
        self.closing = False
        self.reconnects = 0
        self._url = url
        self._warn = warn
        self._timing = timing
        self._clock = clock
        self._clients: list[Redis] = []
        self._problems: dict[str, tuple[float, str]] = {}
        self._away_since = 0.0
        self.control = self.client(timing.command_s)

    def line(self, block_s: float = 0.0) -> Line:
        """A connection for one task, whose commands may wait for `block_s` on the server."""
        return Line(self.client(None), block_s + self._timing.command_s)

    def client(self, timeout_s: float | None) -> Redis:
        """A connection of its own, made when it is used; None: a reply may take for ever."""
        client: Redis = Redis.from_url(
            self._url.reveal(),
            single_connection_client=True,
            socket_timeout=timeout_s,
            socket_connect_timeout=self._timing.command_s,
            retry=Retry(NoBackoff(), 0),
            protocol=2,
            client_name="arena-tui",
        )
        client.set_response_callback("XRANGE", _as_it_is)
        self._clients.append(client)
        return client

    @property
    def problem(self) -> str | None:
        """What is wrong now, and for how long; None when nothing is."""
        if not self._problems:
            return None
        since, text = min(self._problems.values())
        return f"{text} for {self._clock() - since:.0f} s"

    async def check(self) -> Facts:
        """Reach the server, load the scripts.

        Raises:
            BrokerError: It is not there, refuses, or is too old; says what to do.
        """
        try:
            await self._ping()
            facts = await self.facts()
            await self._load()
            denied: list[bytes] = await self.call(DENIED, args=_COMMANDS)
        except FAILURES as error:
            raise BrokerError(self.refusal(error)) from None
        return replace(facts, denied=tuple(each.split()[0].decode() for each in denied))

    async def facts(self) -> Facts:
        """What the server says of itself.

        Raises:
            BrokerError: It is too old, or a cluster.
        """
        try:
            info: dict[str, Any] = await self.control.info("everything")
        except NoPermissionError:
            return Facts(product="redis", version="unknown")
        product = str(info.get("server_name") or "redis")
        version = str(info.get(f"{product}_version") or info.get("redis_version") or "0")
        if _numbers(str(info.get("redis_version", "0"))) < _VERSION_MIN:
            raise BrokerError(
                f"the broker {self.place} is {product} {version}: use Redis 7.0 or newer, or Valkey"
            )
        if info.get("cluster_enabled"):
            raise BrokerError(
                f"the broker {self.place} is a Redis Cluster: use a single server (with replicas)"
            )
        return Facts(
            product=product,
            version=version,
            memory=int(info.get("used_memory", 0)),
            memory_max=int(info.get("maxmemory", 0)),
            policy=str(info.get("maxmemory_policy", "")),
            aof=bool(info.get("aof_enabled")),
        )

    async def command(self, client: Redis, *words: str | bytes | int) -> Any:
        """Any command, on one of this link's connections."""
        return await client.execute_command(*words)  # type: ignore[no-untyped-call]

    async def call(
        self, script: Script, keys: Sequence[str] = (), args: Sequence[str | int | bytes] = ()
    ) -> Any:
        """Run a script on the control connection."""
        try:
            return await self.control.evalsha(script.sha, len(keys), *keys, *args)
        except NoScriptError:
            await self._load()
            return await self.control.evalsha(script.sha, len(keys), *keys, *args)

    async def retrying(
        self, role: str, work: Callable[[], Awaitable[T]], *, forever: bool = False
    ) -> T:
        """`work`'s result, however often it takes.

        Raises:
            BrokerError: Closed meanwhile, or (unless `forever`) the server refuses for good.
        """
        attempt = 0
        try:
            while not self.closing:
                try:
                    result = await work()
                except FAILURES as error:
                    if not forever and not is_passing(error):
                        raise BrokerError(self.refusal(error)) from None
                    await self.failed(role, error, attempt)
                    attempt += 1
                else:
                    self.works(role)
                    return result
        finally:
            self._problems.pop(role, None)  # cancelled or refused: nobody is trying any more
        raise BrokerError(f"the broker {self.place} was left before it answered")

    async def failed(self, role: str, error: BaseException, attempt: int) -> None:
        """Note it, and wait before the next attempt: ever longer, and never twice the same."""
        text = self._explain(error)
        if not self._problems:
            self._away_since = self._clock()
            self._warn(f"{text}: trying again")
        since, _ = self._problems.get(role, (self._clock(), ""))
        self._problems[role] = since, text
        if isinstance(error, NoScriptError):
            with contextlib.suppress(*FAILURES):
                await self._load()
            return
        least, most = self._timing.backoff_s
        await asyncio.sleep(random.uniform(0.5, 1.0) * min(most, least * 2**attempt))

    def works(self, role: str) -> None:
        """An attempt has succeeded."""
        if self._problems.pop(role, None) is not None and not self._problems:
            self.reconnects += 1
            away_s = self._clock() - self._away_since
            self._warn(f"{self.place} works again, after {away_s:.1f} s")

    async def aclose(self) -> None:
        """Let go of every connection."""
        self.closing = True
        for client in self._clients:
            with contextlib.suppress(*FAILURES):
                await client.aclose()

    async def _ping(self) -> None:
        await self.control.ping()

    async def _load(self) -> None:
        for script in SCRIPTS:
            await self.control.script_load(script.text)

    def _explain(self, error: BaseException) -> str:
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
        return f"{self.place} refuses: {_plain(error)}"

    def risks(self, facts: Facts) -> list[tuple[str, str]]:
        """What may lose events or secrets, each with what to do."""
        found = []
        if facts.policy not in (None, "noeviction") and facts.memory_max:
            found.append((
                f"{self.place} may evict whole runs (maxmemory-policy {facts.policy})",
                "CONFIG SET maxmemory-policy noeviction",
            ))  # fmt: skip
        if facts.aof is False:
            found.append((
                f"{self.place} forgets everything when it ends (no AOF)",
                "CONFIG SET appendonly yes, or use `arena-tui redis`",
            ))  # fmt: skip
        if facts.denied:
            found.append((
                f"{self.place} does not permit this user all that is needed",
                f"ACL SETUSER … ~arena:* {' '.join(f'+{command}' for command in facts.denied)}",
            ))  # fmt: skip
        if not self._url.is_loopback and not self._url.is_encrypted:
            found.append((
                f"{self.place} is reached without encryption: others may read along",
                "use rediss://, or a tunnel",
            ))  # fmt: skip
        return found

    def refusal(self, error: BaseException) -> str:
        """Why the server cannot be used, in one line that says what to do."""
        if "without any password configured" in str(error):
            return f"{self.place} has no password: leave it out of the URL and of REDIS_PASSWORD"
        if isinstance(error, AuthenticationError) or _word(error) in ("NOAUTH", "WRONGPASS"):
            return (
                f"{self.place} refuses the user or the password: "
                "give both in the URL, or set REDIS_PASSWORD"
            )
        if isinstance(error, NoPermissionError):
            return (
                f"{self.place} does not permit it ({_plain(error)}): permit this user {ACL_RULES}"
            )
        if isinstance(error, InvalidResponse):
            return f"{self.place} is no Redis server: give the host and port of one"
        if isinstance(error, TimeoutError):
            other = "without TLS (redis://)" if self._url.is_encrypted else "another kind of server"
            return f"{self.place} does not answer: is it stopped, or {other}?"
        if isinstance(error, BusyLoadingError):
            return f"{self._explain(error)}: try again when it has"
        if "CERTIFICATE_VERIFY_FAILED" in str(error):
            return (
                f"the certificate of {self.place} cannot be verified: "
                "give what signed it, rediss://…?ssl_ca_certs=FILE"
            )
        if isinstance(error, ConnectionError) and not _CONNECTING.match(str(error)):
            tls = "without TLS (redis://)" if self._url.is_encrypted else "with TLS (rediss://)"
            return f"{self.place} hung up ({_plain(error)}): is it full, or to be used {tls}?"
        if isinstance(error, ConnectionError | OSError):
            return (
                f"cannot reach {self.place} ({_plain(error)}): is it running? "
                "`arena-tui redis` starts one"
            )
        if "DB index" in str(error):
            return f"{self.place} has no database of that number: give another one in the URL"
        return self._explain(error)


def _as_it_is(response: Any, **_: Any) -> Any:
    """Entries need no dictionaries."""
    return response


def is_passing(error: BaseException) -> bool:
    """Whether the same call may succeed later; its outcome is unknown."""
    if isinstance(error, AuthenticationError | NoPermissionError):
        return False
    return isinstance(error, _PASSING) or (
        isinstance(error, ResponseError) and _word(error) in _PASSING_WORDS
    )


def _word(error: BaseException) -> str:
    return str(error).partition(" ")[0]


def _plain(error: BaseException) -> str:
    """One line, and not the address again."""
    text = " ".join(str(error).split()) or type(error).__name__
    if found := _CONNECTING.match(text):
        refused = found["why"].startswith("Connect call failed")
        text = os.strerror(int(found["number"])) if refused else found["why"]
    return text.rstrip(".")[:160]


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())
