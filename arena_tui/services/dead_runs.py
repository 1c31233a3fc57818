"""Ends runs whose producer died before it ended them. Ends none whose producer is alive."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from msgspec.structs import replace

from arena_tui.broker.attached.broker import AttachedBroker
from arena_tui.broker.memory import InProcessBroker
from arena_tui.broker.protocol import BrokerProtocol, RunInfo, RunMeta
from arena_tui.config import Config
from arena_tui.errors import BrokerError, StoreError, UnknownRunError, UsageError
from arena_tui.events import Envelope, RunStatus
from arena_tui.folds.totals import RunTotals
from arena_tui.services.runtime import Runtime
from arena_tui.services.sharing import is_owned
from arena_tui.services.stored import live_runs, opened_to_read
from arena_tui.store.history import read_run

_ANSWER_S: Final = 10.0
"""How long a server is waited for once it was reached."""


async def end_stored(
    config: Config, wanted: str, status: RunStatus, reason: str | None
) -> RunTotals:
    """End a run that is in the store alone: append its `run_end` after its newest stored event.

    Whoever owns the store is the only one who could publish to such a run, so nobody else does.
    A store in which there is nothing to end is only read.

    Raises:
        UnknownRunError: No stored run is `wanted`, or more than one.
        UsageError: It has ended, is alive, or a server may hold more of it.
        StoreError: The store is another process's, or cannot be written.
    """
    assert config.db is not None
    with opened_to_read(config.db) as store:
        found = _unfinished(store.read_now(lambda connection: read_run(connection, wanted)))
        if found.run_id in live_runs(store):
            raise UsageError(
                f"run {found.run_id} is alive, in a process that shares the store: end that "
                "process (Ctrl-C, or kill), which ends the run, too"
            )
    if is_owned(config):
        await _end_through_owner(config.db, found.run_id, status, reason)
        return _read_stored(config, found.run_id)
    runtime = Runtime(config)
    assert isinstance(runtime.broker, InProcessBroker)
    if found.broker not in (None, runtime.broker.name):
        await runtime.aclose()
        raise UsageError(
            f"run {found.run_id} came through {found.broker}, which may hold more of it: "
            "give that server with --broker"
        )
    try:
        await runtime.open()
        assert runtime.history is not None
        totals = _unfinished(await runtime.history.run(found.run_id))
        await runtime.broker.open_run(_meta(totals), totals.epoch, totals.seq + 1)
        await runtime.broker.close_run(totals.run_id, status, reason)
    finally:
        unsaved = await runtime.aclose()
    if unsaved is not None:
        raise StoreError(f"run {found.run_id} is not closed: {unsaved}")
    return _read_stored(config, found.run_id)


async def _end_through_owner(path: str, run_id: str, status: RunStatus, reason: str | None) -> None:
    broker = AttachedBroker(path, reading=False)
    try:
        await broker.start()
        await broker.end_run(run_id, status, reason)
    finally:
        await broker.aclose()


async def end_shared(
    config: Config, wanted: str, status: RunStatus, reason: str | None
) -> RunTotals:
    """End a run on a server: publish its `run_end`, which every store and screen there is handed.

    The id is claimed first, as a producer does that goes on with a run: of a producer started again
    and this, the server lets one go on. A producer that was only cut off finds its run ended:
    what it publishes then is refused, and it says so.

    Returns totals of what the server holds: tokens and cost are unknown if that is not all.

    Raises:
        UnknownRunError: No run there is `wanted`, or more than one.
        UsageError: It has ended, or its producer is alive.
        BrokerError: The server cannot be reached, or does not answer.
    """
    runtime = Runtime(replace(config, db=None))
    broker = runtime.broker
    try:
        await runtime.open()
        async with asyncio.timeout(_ANSWER_S):
            info = _pick(await broker.runs(caught_up=True), wanted)
            meta = _forgotten(config, wanted, broker) if info is None else info.meta
            if info is not None:
                await _check_dead(broker, info)
            try:
                await broker.close_run(meta.run_id, status, reason)
            except UnknownRunError:  # the server let go of it, since every store has it
                await broker.open_run(meta)
                await broker.close_run(meta.run_id, status, reason)
            return await _held(broker, meta)
    except TimeoutError:
        raise BrokerError(f"{broker.name} does not answer: close the run again later") from None
    finally:
        await runtime.aclose()


async def _check_dead(broker: BrokerProtocol, info: RunInfo) -> None:
    run_id = info.meta.run_id
    if info.state == "closed":
        raise UsageError(f"run {run_id} has ended: there is nothing to close")
    is_dead = await broker.claim(run_id)
    if (problem := (await broker.stats()).link) is not None:  # it may have answered unseen
        raise BrokerError(f"{problem}: close the run again later")
    if not is_dead:
        raise UsageError(
            f"run {run_id} is alive, its producer was heard of {info.silent_s:.0f} s ago: end that "
            "process (Ctrl-C, or kill), which ends the run, too"
        )


def _forgotten(config: Config, wanted: str, broker: BrokerProtocol) -> RunMeta:
    """A run that the server no longer holds, as far as the store knows it."""
    try:
        found = _read_stored(config, wanted)
    except UnknownRunError:
        raise UnknownRunError(f"neither {broker.name} nor the store has a run {wanted!r}") from None
    except StoreError as error:
        raise UnknownRunError(
            f"{broker.name} holds no run {wanted!r}, and in the store it cannot be looked for: "
            f"{error}"
        ) from None
    if found.broker != broker.name:
        through = found.broker or "an unknown broker"
        raise UsageError(f"run {found.run_id} came through {through}, not through {broker.name}")
    return _meta(_unfinished(found))


async def _held(broker: BrokerProtocol, meta: RunMeta) -> RunTotals:
    """What the broker holds of a run that has ended, folded."""
    totals = RunTotals(
        run_id=meta.run_id, game=meta.game, label=meta.label, agents=list(meta.agents)
    )
    is_whole = True
    async for each in broker.stream(meta.run_id):
        if isinstance(each, Envelope):
            totals.add(each)
        else:
            is_whole = False
    totals.events = totals.seq
    if not is_whole:
        totals.input_tokens = totals.output_tokens = totals.cost_usd = None
        totals.started_at = datetime.fromtimestamp(totals.epoch / 1_000, UTC)
    return totals


def _pick(infos: Sequence[RunInfo], wanted: str) -> RunInfo | None:
    """The run of this id, or the only one whose id begins or ends so; None if there is none."""
    part = wanted.lower()
    ids = {info.meta.run_id: info for info in infos}
    found = [run_id for run_id in ids if run_id.lower().startswith(part) or
             run_id.lower().endswith(part)]  # fmt: skip
    if wanted in ids:
        return ids[wanted]
    if len(found) > 1:
        raise UnknownRunError(f"several runs match {wanted!r}: give more of the id")
    return ids[found[0]] if found else None


def _read_stored(config: Config, wanted: str) -> RunTotals:
    assert config.db is not None
    with opened_to_read(config.db) as store:
        return store.read_now(lambda connection: read_run(connection, wanted))


def _unfinished(totals: RunTotals) -> RunTotals:
    if totals.status != "running":
        raise UsageError(f"run {totals.run_id} has ended ({totals.status}): nothing to close")
    return totals


def _meta(totals: RunTotals) -> RunMeta:
    return RunMeta(
        run_id=totals.run_id, game=totals.game, label=totals.label, agents=tuple(totals.agents)
    )
