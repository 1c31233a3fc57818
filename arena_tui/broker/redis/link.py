"""A process's link to one server: its connections, current problems, and retries."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, TypeVar

from msgspec.structs import replace
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import NoPermissionError, NoScriptError

from arena_tui.broker.redis.advice import FAILURES, Advice, Facts, is_transient
from arena_tui.broker.redis.connection import Line
from arena_tui.broker.redis.scripts import DENIED, SCRIPTS, Keys, Script
from arena_tui.broker.tasks import Failures
from arena_tui.broker.timing import Timing
from arena_tui.broker.warnings import Warnings
from arena_tui.broker_url import BrokerUrl
from arena_tui.errors import BrokerError

_VERSION_MIN: Final = (7, 0)

T = TypeVar("T")


class Link:
    """See the module. Belongs to one event loop.

    Args:
        clock: Monotonic seconds.

    Attributes:
        keys: The names of the keys on this server.
        failures: Failures here, for no fault of the server: what would fail again is set aside.
        control: The connection for everything but publishing and reading events.
    """

    def __init__(
        self,
        url: BrokerUrl,
        warnings: Warnings,
        timing: Timing,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.advice = Advice(url)
        self.keys = Keys(url.prefix)
        self._scripts = {each: each.under(url.prefix) for each in SCRIPTS}
        self.failures = Failures(warnings)
        self._closing = False
        self._url = url
        self._warnings = warnings
        self._timing = timing
        self._clock = clock
        self._clients: list[Redis] = []
        self._problems: dict[str, tuple[float, str]] = {}
        self._down_since = 0.0
        self.control = self.client(timing.command_s)

    def line(self, block_s: float = 0.0) -> Line:
        """A pipelined connection for one task, whose commands may block for `block_s`."""
        return Line(self.client(None), block_s + self._timing.command_s)

    def client(self, timeout_s: float | None) -> Redis:
        """A client with one connection, made at first use; None is no timeout."""
        client: Redis = Redis.from_url(
            self._url.reveal(), single_connection_client=True, socket_timeout=timeout_s,
            socket_connect_timeout=self._timing.command_s, retry=Retry(NoBackoff(), 0),
            protocol=2, client_name="arena-tui",
        )  # fmt: skip
        # Entries are left as lists: dictionaries would only cost time.
        client.set_response_callback("XRANGE", lambda response, **_: response)
        self._clients.append(client)
        return client

    @property
    def problem(self) -> str | None:
        """The current problem, and since when; None when there is none."""
        if not self._problems:
            return None
        since, text = min(self._problems.values())
        return f"{text} for {self._clock() - since:.0f} s"

    async def check(self) -> Facts:
        """Connect, check the server, and load the scripts; raises BrokerError with the remedy."""
        try:
            await self.control.ping()
            facts = await self._facts()
            await self._load()
            denied: list[bytes] = await self.call(DENIED, args=self.advice.commands)
        except FAILURES as error:
            raise BrokerError(self.advice.refusal(error)) from None
        return replace(facts, denied=tuple(each.split()[0].decode() for each in denied))

    async def _facts(self) -> Facts:
        """What the server reports of itself; raises BrokerError if it is too old, or a cluster."""
        try:
            info: dict[str, Any] = await self.control.info("everything")
        except NoPermissionError:
            return Facts(product="redis", version="unknown")
        place = self.advice.place
        product = str(info.get("server_name") or "redis")
        version = str(info.get(f"{product}_version") or info.get("redis_version") or "0")
        numbers = str(info.get("redis_version", "0")).split(".")
        if tuple(int(part) for part in numbers if part.isdigit()) < _VERSION_MIN:
            raise BrokerError(
                f"the broker {place} is {product} {version}: use Redis 7.0 or newer, or Valkey"
            )
        if info.get("cluster_enabled"):
            raise BrokerError(
                f"the broker {place} is a Redis Cluster: use a single server (with replicas)"
            )
        return Facts(
            product=product, version=version,
            memory=int(info.get("used_memory", 0)), memory_max=int(info.get("maxmemory", 0)),
            policy=str(info.get("maxmemory_policy", "")), aof=bool(info.get("aof_enabled")),
            is_replica=info.get("role") == "slave" and bool(info.get("slave_read_only", 1)),
        )  # fmt: skip

    async def command(self, *words: str | bytes | int) -> Any:
        """Execute a command on the control connection."""
        return await self.control.execute_command(*words)  # type: ignore[no-untyped-call]

    def sha(self, script: Script) -> str:
        """Digest of the script as this server has it."""
        return self._scripts[script].sha

    async def call(
        self, script: Script, keys: Sequence[str] = (), args: Sequence[str | int | bytes] = ()
    ) -> Any:
        """Run a script on the control connection, loading it if the server has lost it."""
        sha = self.sha(script)
        try:
            return await self.control.evalsha(sha, len(keys), *keys, *args)
        except NoScriptError:
            await self._load()
            return await self.control.evalsha(sha, len(keys), *keys, *args)

    async def retry(
        self, role: str, work: Callable[[], Awaitable[T]], *, forever: bool = False
    ) -> T:
        """Retry `work` until it succeeds, and return its result.

        Raises:
            BrokerError: The link was closed, or (unless `forever`) the error is not transient.
        """
        attempt = 0
        try:
            while not self._closing:
                try:
                    result = await work()
                except FAILURES as error:
                    if not forever and not is_transient(error):
                        raise BrokerError(self.advice.refusal(error)) from None
                    await self.on_failure(role, error, attempt)
                    attempt += 1
                else:
                    self.on_success(role)
                    return result
        finally:
            self._problems.pop(role, None)  # cancelled or refused: no longer being retried
        raise BrokerError(f"the broker {self.advice.place} was left before it answered")

    async def on_failure(self, role: str, error: BaseException, attempt: int) -> None:
        """Record a failure, and wait before the next attempt: exponential backoff with jitter."""
        self.note_failure(role, self.advice.explain(error))
        if isinstance(error, NoScriptError):
            with contextlib.suppress(*FAILURES):
                await self._load()
                return
        least, most = self._timing.backoff_s
        await asyncio.sleep(random.uniform(0.5, 1.0) * min(most, least * 2**attempt))

    def note_failure(self, role: str, text: str) -> None:
        """Record a failure, and warn of the first."""
        if not self._problems:
            self._down_since = self._clock()
            self._warnings.add("link_down", why=text)
        since, _ = self._problems.get(role, (self._clock(), ""))
        self._problems[role] = since, text

    def on_success(self, role: str) -> None:
        """Clear the role's problem; announces recovery when it was the last one."""
        if self._problems.pop(role, None) is not None and not self._problems:
            away_s = self._clock() - self._down_since
            self._warnings.add("link_restored", place=self.advice.place, away_s=away_s)

    def stop_retrying(self) -> None:
        self._closing = True

    async def aclose(self) -> None:
        """Close every connection, at once: one with unsent bytes waits for its timeout."""
        self._closing = True
        await asyncio.gather(*map(_close, self._clients))

    async def _load(self) -> None:
        for script in self._scripts.values():
            await self.control.script_load(script.text)


async def _close(client: Redis) -> None:
    with contextlib.suppress(*FAILURES):
        await client.aclose()
