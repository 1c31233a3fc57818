"""Runs as the HTTP API gives them: stored totals, and what the broker knows of those still open."""

from __future__ import annotations

from typing import Any, Final

from arena_tui.broker.protocol import Cursor, RunInfo
from arena_tui.errors import StoreError, UnknownRunError
from arena_tui.events import check_run_id
from arena_tui.folds.totals import RunTotals, Usage, summary
from arena_tui.services.runtime import Runtime
from arena_tui.store.filters import parse_filter

PAGE_MAX: Final = 1_000
"""Most runs that one answer has."""

_STATES: Final = {"open": "running", "silent": "silent", "closed": "ended"}
"""The status of a run that has not ended as far as it is stored, by the broker's state of it; how a
closed one has ended is in its last event."""

_USED: Final = (
    "input_tokens", "output_tokens", "cached_input_tokens", "reasoning_tokens", "cost_usd"
)  # fmt: skip

_NEWEST: Final = 2**53


async def infos(runtime: Runtime) -> dict[str, RunInfo]:
    """The runs that the broker holds."""
    return {info.meta.run_id: info for info in await runtime.broker.runs()}


async def list_runs(runtime: Runtime, text: str, limit: int, offset: int) -> dict[str, Any]:
    """The runs that match a filter, newest first; `total` is how many match.

    Raises:
        UsageError: The filter cannot be read.
    """
    held = await infos(runtime)
    alive = [run_id for run_id, info in held.items() if info.state == "open"]
    where, parameters = parse_filter(text, dict.fromkeys(alive, "running"))
    history = runtime.history
    if history is None:
        if text:
            raise StoreError("no store is open here: runs cannot be filtered")
        found = [_unstored(info) for info in reversed(held.values())]
        total, found = len(found), found[offset : offset + limit]
    else:
        found = await history.runs(where, parameters, limit=limit, offset=offset)
        total = await history.count(where, parameters)
    runs = [summary(each, _status(each, held)) for each in found]
    return {"runs": runs, "total": total}


async def one_run(runtime: Runtime, run_id: str) -> dict[str, Any]:
    """One run, by its id or an unambiguous part of it, with what each agent did and used.

    Raises:
        UnknownRunError: There is none, or more than one.
    """
    run_id = await whole_id(runtime, run_id)
    held = await infos(runtime)
    try:
        if runtime.history is None:
            raise UnknownRunError("nothing is stored here")
        totals = await runtime.history.run(run_id)
        tallies = await runtime.history.tallies(run_id, Cursor(totals.epoch, _NEWEST))
    except UnknownRunError:
        if run_id not in held:
            raise
        totals, tallies = _unstored(held[run_id]), {}
    position = {"epoch": totals.epoch, "last_seq": totals.seq}
    by_agent = {
        agent: {"actions": tally.actions, "errors": tally.errors} | _used(tally.usage())
        for agent, tally in tallies.items()
    }
    return summary(totals, _status(totals, held)) | position | {"tallies": by_agent}


def _used(usage: Usage) -> dict[str, Any]:
    return {name: getattr(usage, name) for name in _USED}


async def whole_id(runtime: Runtime, part: str) -> str:
    """The id of the run that this is the id of, or an unambiguous part of it.

    Raises:
        UnknownRunError: There is none, or more than one.
        EventError: No run can have such an id.
    """
    check_run_id(part)
    if runtime.history is None or part in await infos(runtime):
        return part
    return (await runtime.history.run(part)).run_id


def _unstored(info: RunInfo) -> RunTotals:
    """What the broker knows of a run that is not stored, or not yet."""
    meta = info.meta
    return RunTotals(
        run_id=meta.run_id, epoch=info.epoch, seq=info.last_seq, game=meta.game, label=meta.label,
        agents=list(meta.agents), events=info.last_seq,
    )  # fmt: skip


def _status(totals: RunTotals, held: dict[str, RunInfo]) -> str:
    """An unfinished run that the broker does not hold is one whose producer is gone."""
    if totals.status != "running":
        return totals.status
    info = held.get(totals.run_id)
    return "silent" if info is None else _STATES[info.state]
