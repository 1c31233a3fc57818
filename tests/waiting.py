"""Waiting for what another task or thread does, without guessing how long it takes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

__all__ = ["until"]

_AT_MOST_S = 30


async def until(condition: Callable[[], object]) -> None:
    """Return once the condition holds."""
    async with asyncio.timeout(_AT_MOST_S):
        while not condition():
            await asyncio.sleep(0)
