"""Commands that read the store: `runs`, `show`, `events`, `verify`."""

from __future__ import annotations

import argparse
import asyncio
import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from arena_tui.broker.protocol import Cursor
from arena_tui.cli.output import local, local_time, say, say_json, say_table, tell
from arena_tui.codec import encode_event, encode_line
from arena_tui.config import load_config
from arena_tui.errors import StoreError
from arena_tui.events import Delivery, Envelope, Gap, short_id
from arena_tui.folds.places import Places
from arena_tui.folds.totals import RunTotals, lost_text
from arena_tui.store.database import Database
from arena_tui.store.filters import parse_filter
from arena_tui.store.history import History, read_run, read_runs
from arena_tui.store.replay import read_stored
from arena_tui.store.verify import Verdict, verify_store

_NO_LIMIT = 2**31
_SEQ_MAX = 2**53


@contextmanager
def open_store(arguments: argparse.Namespace) -> Iterator[Database]:
    """Open the configured store, which must exist.

    Raises:
        StoreError: It does not exist or cannot be opened.
    """
    path = load_config(arguments.broker, arguments.db).db
    assert path is not None
    if path != ":memory:" and not Path(path).exists():
        raise StoreError(f"no store at {path}: play something first, or give --db")
    database = Database(path)
    try:
        for notice in database.notices:
            tell(f"arena-tui: {notice}")
        yield database
    finally:
        database.close()


def runs(arguments: argparse.Namespace) -> int:
    """List runs, oldest first."""
    where, parameters = parse_filter(_filter_text(arguments.filter))
    limit = arguments.limit or _NO_LIMIT
    with open_store(arguments) as database:
        found = database.read_now(
            lambda connection: read_runs(connection, where, parameters, limit=limit)
        )[::-1]
    if arguments.json:
        for totals in found:
            say_json(_run_fields(totals))
    else:
        say_table(
            (
                "run",
                "started",
                "game",
                "agents",
                "status",
                "turns",
                "events",
                "err",
                "lost",
                "cost",
            ),
            map(_run_cells, found),
        )
    return 0


def _filter_text(words: list[str]) -> str:
    """A single argument is a whole filter; of several, those with spaces are quoted again."""
    if len(words) == 1:
        return words[0]
    return " ".join(shlex.quote(word) if " " in word else word for word in words)


def show(arguments: argparse.Namespace) -> int:
    """Print the fields of one run."""
    with open_store(arguments) as database:
        totals = database.read_now(lambda connection: read_run(connection, arguments.run))
    fields = _run_fields(totals)
    if arguments.json:
        say_json(fields)
    else:
        for name, value in fields.items():
            if name == "agents":
                value = ", ".join(agent.id for agent in totals.agents)  # noqa: PLW2901
            elif isinstance(value, datetime):
                value = local_time(value)  # noqa: PLW2901
            elif isinstance(value, dict):
                value = "  ".join(f"{key} {each:g}" for key, each in value.items())  # noqa: PLW2901
            elif name == "lost":
                value = lost_text(totals.lost, totals.lost_unknown)  # noqa: PLW2901
            elif name == "lost_unknown":
                continue
            say(f"{name:<14} {'–' if value in (None, '', []) else value}")
    return 0


def events(arguments: argparse.Namespace) -> int:
    """Print events as flat JSON lines, or one short line each."""
    with open_store(arguments) as database:
        if arguments.run:
            wanted = [database.read_now(lambda connection: read_run(connection, arguments.run))]
        else:
            wanted = database.read_now(lambda connection: read_runs(connection, limit=_NO_LIMIT))[
                ::-1
            ]
        asyncio.run(_say_events(History(database), wanted, arguments))
    return 0


def verify(arguments: argparse.Namespace) -> int:
    """Check every run; returns 1 when one has problems, or lost nobody knows how many events."""
    with open_store(arguments) as database:
        verdicts = database.read_now(verify_store)
    bad = [verdict for verdict in verdicts if not verdict.ok]
    if arguments.json:
        for verdict in verdicts:
            say_json(
                {
                    "run_id": verdict.run_id,
                    "ok": verdict.ok,
                    "events": verdict.events,
                    "gaps": verdict.gaps,
                    "lost": verdict.lost,
                    "lost_unknown": verdict.lost_unknown,
                    "problems": verdict.problems,
                }
            )
        say_json(
            {
                "ok": not bad,
                "runs": len(verdicts),
                "events": sum(verdict.events for verdict in verdicts),
                "gaps": sum(verdict.gaps for verdict in verdicts),
                "lost": sum(verdict.lost for verdict in verdicts),
                "lost_unknown": sum(verdict.lost_unknown for verdict in verdicts),
                "runs_with_problems": sum(bool(verdict.problems) for verdict in verdicts),
            }
        )
    else:
        for verdict in verdicts:
            lost = f", {_lost(verdict)} lost in gaps" if _lost(verdict) != "0" else ""
            say(f"{verdict.run_id}  {verdict.events:>9,} events{lost}  {_state(verdict)}")
        say(_summary(verdicts))
    return 1 if bad else 0


def _lost(verdict: Verdict) -> str:
    return lost_text(verdict.lost, verdict.lost_unknown)


def _state(verdict: Verdict) -> str:
    """What is wrong with the run, or that it is whole."""
    wrong = list(verdict.problems)
    if verdict.lost_unknown:
        least = f", at least {verdict.lost:,}" if verdict.lost else ""
        wrong.append(f"an unknown number of events lost{least}")
    if wrong or not verdict.gaps:
        return "; ".join(wrong) or "whole"
    return f"whole but for {_many(verdict.gaps, 'known gap')}"


def _summary(verdicts: Sequence[Verdict]) -> str:
    """The verdicts in one line."""
    unsound = sum(bool(verdict.problems) for verdict in verdicts)
    unknown = sum(bool(verdict.lost_unknown) for verdict in verdicts)
    gaps = sum(verdict.gaps for verdict in verdicts)
    wrong = [f"{_many(unsound, 'run')} with problems"] if unsound else []
    wrong += [f"{_many(unknown, 'run')} with a loss of unknown length"] if unknown else []
    whole = f"whole but for {_many(gaps, 'known gap')}" if gaps else "all whole"
    lost = lost_text(sum(verdict.lost for verdict in verdicts), unknown)
    events = _many(sum(verdict.events for verdict in verdicts), "event")
    return (
        f"{_many(len(verdicts), 'run')}, {events}, {lost} lost in gaps: {', '.join(wrong) or whole}"
    )


def _many(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


async def _say_events(
    history: History, wanted: Sequence[RunTotals], arguments: argparse.Namespace
) -> None:
    """Print the events between two limits: each is an event id, or a seq in every epoch."""
    first, last = arguments.first, arguments.last
    for run_id in [totals.run_id for totals in wanted]:
        places = Places(await history.lengths(run_id))
        for epoch in places.epochs:
            low = Cursor(epoch, first) if isinstance(first, int) else first
            high = Cursor(epoch, last) if isinstance(last, int) else last
            low, high = max(low, Cursor(epoch, 1)), min(high, Cursor(epoch, _SEQ_MAX))
            if low.epoch == high.epoch == epoch:
                after = Cursor(epoch, low.seq - 1)
                async for delivery in read_stored(history, run_id, places, after, high):
                    _say_event(delivery, arguments)


def _say_event(delivery: Delivery, arguments: argparse.Namespace) -> None:
    if (
        arguments.kind
        and isinstance(delivery, Envelope)
        and delivery.event.kind not in arguments.kind
    ):
        return
    if arguments.json:
        sys.stdout.buffer.write(encode_line(delivery) + b"\n")
    elif isinstance(delivery, Gap):
        missing = f"{delivery.count:,} events, {delivery.reason}"
        if delivery.unknown:
            missing = "an unknown number of events lost"
        say(f"{delivery.from_seq:>7}  gap: {missing}")
    else:
        event = delivery.event
        text = encode_event(event).decode()
        turn = "" if event.turn is None else event.turn
        at = local(event.ts)
        say(f"{delivery.seq:>7}  {at:%H:%M:%S.%f}  {turn:>4}  {event.kind:<15} {text}")


def _run_fields(totals: RunTotals) -> dict[str, Any]:
    """The fields that `runs --json` guarantees, and some more."""
    return {
        "run_id": totals.run_id,
        "game": totals.game,
        "label": totals.label,
        "agents": totals.agents,
        "status": _status(totals),
        "outcome": totals.outcome,
        "winners": totals.winners,
        "turns": totals.turns,
        "events": totals.events,
        "errors": totals.errors,
        "lost": totals.lost,
        "lost_unknown": totals.lost_unknown,
        "input_tokens": totals.input_tokens,
        "output_tokens": totals.output_tokens,
        "cost_usd": totals.cost_usd,
        "started_at": totals.started_at,
        "ended_at": totals.ended_at,
        "duration_s": totals.duration_s,
        "parent_run_id": totals.parent_run_id,
        "seed": totals.seed,
        "tags": totals.tags,
        "reason": totals.reason,
    }


def _status(totals: RunTotals) -> str:
    """An unfinished run is lost: this process owns the store, so no other is storing into it."""
    return "lost" if totals.status == "running" else totals.status


def _run_cells(totals: RunTotals) -> list[str]:
    started = "–" if totals.started_at is None else local_time(totals.started_at)
    won = f" · {', '.join(totals.winners)} won" if totals.winners else ""
    return [
        short_id(totals.run_id),
        started,
        totals.game,
        " vs ".join(agent.id for agent in totals.agents),
        _status(totals) + won,
        str(totals.turns),
        str(totals.events),
        str(totals.errors),
        lost_text(totals.lost, totals.lost_unknown),
        "–" if totals.cost_usd is None else f"${totals.cost_usd:.3f}",
    ]
