"""A process's connections to one Redis server."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

from msgspec.structs import replace
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import NoPermissionError, NoScriptError, ResponseError

from arena_tui.broker.mirror.link import Link
from arena_tui.broker.redis.advice import (
    FAILURES,
    Advice,
    Facts,
    is_denied,
    is_transient,
    is_withheld,
)
from arena_tui.broker.redis.connection import Line
from arena_tui.broker.redis.scripts import DENIED, SCRIPTS, Keys, Script
from arena_tui.broker.timing import Timing
from arena_tui.broker.warnings import Warnings
from arena_tui.broker_url import BrokerUrl
from arena_tui.errors import BrokerError

_VERSION_MIN: Final = (7, 0)


class RedisLink(Link):
    """See the module.

    Args:
        clock: Monotonic seconds.

    Attributes:
        advice: Explanations about this server.
        keys: The names of the keys on this server.
        control: The connection for everything but publishing and reading events.
    """

    errors = FAILURES

    def __init__(
        self,
        url: BrokerUrl,
        warnings: Warnings,
        timing: Timing,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.advice = Advice(url)
        super().__init__(self.advice.place, warnings, timing, clock)
        self.keys = Keys(url.prefix)
        self._scripts = {each: each.under(url.prefix) for each in SCRIPTS}
        self._url = url
        self._timing = timing
        self._clients: list[Redis] = []
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

    async def check(self) -> Facts:
        """Connect, check the server, and load the scripts; raises BrokerError with the remedy."""
        try:
            await self.control.ping()
            facts = await self.facts()
            await self._load()
            denied: list[bytes] = await self.call(DENIED, args=self.advice.commands)
        except FAILURES as error:
            raise BrokerError(self.advice.refusal(error)) from None
        return replace(facts, denied=tuple(each.split()[0].decode() for each in denied))

    async def facts(self) -> Facts:
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
            clients=int(info.get("connected_clients", 0)),
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

    def explain(self, error: BaseException) -> str:
        return self.advice.explain(error)

    def refusal(self, error: BaseException) -> str:
        return self.advice.refusal(error)

    def is_transient(self, error: BaseException) -> bool:
        return is_transient(error)

    def is_answer(self, error: BaseException) -> bool:
        return isinstance(error, ResponseError)

    def is_withheld(self, error: BaseException) -> bool:
        return is_withheld(error)

    def is_denied(self, error: BaseException) -> bool:
        return is_denied(error)

    async def mend(self, error: BaseException) -> bool:
        """Load the scripts, if the server has lost them."""
        if not isinstance(error, NoScriptError):
            return False
        with contextlib.suppress(*FAILURES):
            await self._load()
            return True
        return False

    async def aclose(self) -> None:
        """Close every connection, at once: one with unsent bytes waits for its timeout."""
        self.stop_retrying()
        await asyncio.gather(*map(_close, self._clients))

    async def _load(self) -> None:
        for script in self._scripts.values():
            await self.control.script_load(script.text)


async def _close(client: Redis) -> None:
    with contextlib.suppress(*FAILURES):
        await client.aclose()
