"""A connection that one task has to itself: commands out in one piece, the answers back in order.

redis-py connects, signs in and reads. Its client is left out where every event passes: it packs
commands in Python, argument by argument, and sends them in a task of their own, which together
takes longer than everything else that happens to an event.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, TypeAlias

import hiredis
from redis.asyncio import Redis
from redis.exceptions import ResponseError
from redis.exceptions import TimeoutError as NoAnswerError

__all__ = ["Command", "Line"]

Command: TypeAlias = Iterable[str | bytes | int]

_pack: Final[Callable[[Any], bytes]] = hiredis.pack_command


class Line:
    """See the module. Cancelled or timed out, it begins anew with the next command.

    Args:
        client: Has no time limit of its own.
        timeout_s: How long sending may take, and each answer.
    """

    def __init__(self, client: Redis, timeout_s: float) -> None:
        self._client = client
        self._timeout_s = timeout_s

    async def ask(self, *command: str | bytes | int) -> Any:
        """The answer to one command.

        Raises:
            RedisError: There is none, or it is a refusal.
        """
        (answer,) = await self.exchange([command])
        if isinstance(answer, ResponseError):
            raise answer
        return answer

    async def exchange(self, commands: Sequence[Command]) -> list[Any]:
        """The answer to each command; a refusal among them is returned, too.

        Raises:
            RedisError: At least one answer did not come; each may have been carried out or not.
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
