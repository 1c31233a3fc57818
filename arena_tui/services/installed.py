"""Starts the consumers of installed packages beside a store. Whatever fails there stops no one."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any, Final

from arena_tui.broker.warnings import Warnings
from arena_tui.consumers.entry_points import Declared, declared
from arena_tui.consumers.installed import InstalledConsumer
from arena_tui.services.consumption import Consumption
from arena_tui.services.running import Running

_RETRY_S: Final = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
"""Delays between attempts: the import of a package may be costly, and in vain."""

_START_S: Final = 2.0
"""How long their start is waited for: the broker lets go of nothing before it has begun."""


async def start_installed(running: Running, warnings: Warnings) -> list[Consumption[Any]]:
    """Run all that are declared, each again and again until it starts.

    Returns when each has been tried, or after two seconds.
    """
    started: list[Consumption[Any]] = []
    for each in await _declared(warnings):
        if each.refusal is not None:
            warnings.add("consumer_left_out", consumer=each.name, why=each.refusal)
            continue
        consumption = running.add(partial(InstalledConsumer, each), _RETRY_S)
        consumption.start_soon()
        started.append(consumption)
    tried = [asyncio.create_task(each.health.tried.wait()) for each in started]
    if tried:
        _, pending = await asyncio.wait(tried, timeout=_START_S)
        for task in pending:
            task.cancel()
    return started


async def _declared(warnings: Warnings) -> list[Declared]:
    try:
        return await asyncio.to_thread(declared)
    except Exception as error:  # noqa: BLE001 - what is wrong with some package's own data
        work = "finding installed consumers"
        warnings.add("work_failed", error=error, work=work, why=str(error))
        return []
