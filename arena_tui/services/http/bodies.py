"""The bodies of requests, as they arrive: how much all of them may hold, and for how long."""

from __future__ import annotations

import asyncio
from typing import Final

from starlette.requests import ClientDisconnect, Request

from arena_tui.errors import StoreError, UsageError

ALL_MAX_BYTES: Final = 256 * 1024 * 1024
"""What the bodies that have yet to arrive in full may hold together."""

BODY_S: Final = 30.0
"""A body that takes longer is not waited for."""


class Bodies:
    """The bodies that are arriving at one server.

    Args:
        within_s: See `BODY_S`.
    """

    def __init__(self, within_s: float = BODY_S) -> None:
        self._within_s = within_s
        self._held = 0

    async def read(self, request: Request, most: int) -> bytes:
        """The body of a request.

        Raises:
            UsageError: It is larger than that.
            StoreError: It does not arrive in time, or too much arrives at once; who sent it is cut
                off, as if the server had ended.
        """
        body = bytearray()
        try:
            async with asyncio.timeout(self._within_s):
                async for chunk in request.stream():
                    body += chunk
                    self._held += len(chunk)
                    if len(body) > most:
                        raise UsageError(f"more than {most:,} bytes at once")
                    if self._held > ALL_MAX_BYTES:
                        raise self._cut_off(request, "too much arrives at once")
            return bytes(body)
        except TimeoutError:
            raise self._cut_off(request, "the request takes too long") from None
        except ClientDisconnect:
            raise StoreError("the client has left") from None
        finally:
            self._held -= len(body)

    def _cut_off(self, request: Request, why: str) -> StoreError:
        request.scope["state"]["abort"]()
        return StoreError(why)
