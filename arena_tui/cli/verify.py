"""`verify`: checks that the store is whole, but for known gaps."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from msgspec.structs import asdict

from arena_tui.cli.arguments import Parser
from arena_tui.cli.output import counted, say, say_json
from arena_tui.cli.stored import open_store
from arena_tui.folds.totals import lost_text
from arena_tui.store.verify import Verdict, verify_store


def add_arguments(parser: Parser) -> None:
    parser.set_defaults(function=verify)


def verify(arguments: argparse.Namespace) -> int:
    """Check every run; returns 1 when one has problems, or lost nobody knows how many events."""
    with open_store(arguments) as database:
        verdicts = database.read_now(verify_store)
    bad = [verdict for verdict in verdicts if not verdict.ok]
    if arguments.json:
        for verdict in verdicts:
            say_json({"ok": verdict.ok, **asdict(verdict)})
        counts = {name: _sum(verdicts, name) for name in ("events", "gaps", "lost", "lost_unknown")}
        unsound = sum(bool(verdict.problems) for verdict in verdicts)
        say_json({"ok": not bad, "runs": len(verdicts), **counts, "runs_with_problems": unsound})
    else:
        for verdict in verdicts:
            lost = f", {_lost(verdict)} lost in gaps" if _lost(verdict) != "0" else ""
            say(f"{verdict.run_id}  {verdict.events:>9,} events{lost}  {_state(verdict)}")
        say(_summary(verdicts))
    return 1 if bad else 0


def _sum(verdicts: Sequence[Verdict], field: str) -> int:
    return sum(getattr(verdict, field) for verdict in verdicts)


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
    return f"whole but for {counted(verdict.gaps, 'known gap')}"


def _summary(verdicts: Sequence[Verdict]) -> str:
    unsound = sum(bool(verdict.problems) for verdict in verdicts)
    unknown = sum(bool(verdict.lost_unknown) for verdict in verdicts)
    gaps = _sum(verdicts, "gaps")
    wrong = [f"{counted(unsound, 'run')} with problems"] if unsound else []
    wrong += [f"{counted(unknown, 'run')} with a loss of unknown length"] if unknown else []
    whole = f"whole but for {counted(gaps, 'known gap')}" if gaps else "all whole"
    lost = lost_text(_sum(verdicts, "lost"), unknown)
    events = counted(_sum(verdicts, "events"), "event")
    runs = counted(len(verdicts), "run")
    return f"{runs}, {events}, {lost} lost in gaps: {', '.join(wrong) or whole}"
