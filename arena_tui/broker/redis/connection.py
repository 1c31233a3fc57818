"""A pipelined connection for one task: commands in one write, the answers in order.

redis-py connects, authenticates and parses. Its client is bypassed on the hot path: it packs
commands in Python, argument by argument, and sends them in a task of their own, which together
takes longer than the rest of an event's way through the broker.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, TypeAlias

import hiredis
from redis.asyncio import Redis
from redis.exceptions import ResponseError
from redis.exceptions import TimeoutError as NoAnswerError

Command: TypeAlias = Iterable[str | bytes | int]

_pack: Final[Callable[[Any], bytes]] = hiredis.pack_command


class Line:
    """See the module. After a cancellation or a timeout the next command reconnects.

    Args:
        client: Must have no timeout of its own.
        timeout_s: Timeout of sending, and of each answer.
    """

    def __init__(self, client: Redis, timeout_s: float) -> None:
        self._client = client
        self._timeout_s = timeout_s

    async def ask(self, *command: str | bytes | int) -> Any:
        """Send one command and return its answer; raises RedisError for none, and for a refusal."""
        (answer,) = await self.exchange([command])
        if isinstance(answer, ResponseError):
            raise answer
        return answer

    async def exchange(self, commands: Sequence[Command]) -> list[Any]:
        """Send commands and return the answer to each; a refusal is returned as an error.

        Raises:
            RedisError: An answer is missing; any of the commands may have been executed.
        """
        answers: list[Any] = []
        try:
            async with asyncio.timeout(self._timeout_s) as limit:
                client = self._client
                connection = client.connection or (await client.initialize()).connection
                assert connection is not None
                await connection.send_packed_command(b"".join(map(_pack, commands)))
                for _ in commands:
                    limit.reschedule(asyncio.get_running_loop().time() + self._timeout_s)
                    try:
                        answers.append(await connection.read_response())
                    except ResponseError as refusal:
                        answers.append(refusal)
        except TimeoutError:
            raise NoAnswerError(f"no answer within {self._timeout_s} s") from None
        return answers
