"""`compare`: two runs side by side, or what many runs come to."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Collection
from functools import partial
from typing import Final

from arena_tui.cli.arguments import Parser, as_text
from arena_tui.cli.opening_lines import group_fields, say_group
from arena_tui.cli.output import counted, say, say_json, say_table
from arena_tui.cli.stored import open_store, run_fields
from arena_tui.errors import UsageError
from arena_tui.events import short_id
from arena_tui.folds.comparing import (
    SIGNS,
    Beside,
    Figure,
    Measured,
    Step,
    actions_text,
    figures,
)
from arena_tui.folds.openings import group_runs
from arena_tui.folds.result import result_text
from arena_tui.folds.totals import RunTotals
from arena_tui.services.comparing import ComparedRun, Comparison, measure
from arena_tui.services.forking import StoredRun
from arena_tui.services.playback.turns import Turns
from arena_tui.services.stored import live_runs, status_of
from arena_tui.store.filters import parse_filter
from arena_tui.store.history import History
from arena_tui.store.openings import read_openings

_AROUND: Final = 3
"""Rows shown before and after the first difference."""
_TEXT_MAX: Final = 60


def add_arguments(parser: Parser) -> None:
    parser.set_defaults(function=compare)
    parser.add_argument("runs", nargs="*", type=as_text, metavar="run", help="two runs, by id")
    parser.add_argument(
        "--filter", type=as_text, metavar="FILTER", help="many runs instead: game:chess since:1d"
    )


def compare(arguments: argparse.Namespace) -> int:
    """Print what differs; of many runs, one summary for each game and set of players."""
    if arguments.filter is not None:
        if arguments.runs:
            raise UsageError("two runs, or those of a filter: give the ids or --filter, not both")
        return _compare_many(arguments)
    if len(arguments.runs) != 2:
        given = counted(len(arguments.runs), "run")
        raise UsageError(f"{given} to compare: give the ids of two, or --filter")
    with open_store(arguments) as store:
        history, live = History(store), live_runs(store)
        asyncio.run(_compare(history, live, *arguments.runs, as_json=arguments.json))
    return 0


async def _compare(history: History, live: Collection[str], *run_ids: str, as_json: bool) -> None:
    first, second = [await _run(history, run_id) for run_id in run_ids]
    comparison = Comparison(first, second)
    await comparison.read_turns(lambda: None)
    await comparison.find_parting(lambda: None)
    row, around = comparison.parting.row, list[Beside]()
    if row is not None:
        last = min(len(comparison.alignment), row + _AROUND + 1)
        around = await comparison.read(range(max(0, row - _AROUND), last))
    if as_json:
        say_json(_fields(comparison, live, around))
    else:
        _say(comparison, live, around)


def _compare_many(arguments: argparse.Namespace) -> int:
    parse_filter(arguments.filter)  # what is wrong with it is said first
    with open_store(arguments) as store:
        where, parameters = parse_filter(
            arguments.filter, dict.fromkeys(live_runs(store), "running")
        )
        query = partial(read_openings, where=where, parameters=parameters)
        groups = group_runs(store.read_now(query))
    if arguments.json:
        for group in groups:
            say_json(group_fields(group))
    elif not groups:
        say("no runs match")
    for number, group in enumerate([] if arguments.json else groups):
        if number:
            say()
        say_group(group)
    return 0


async def _run(history: History, run_id: str) -> ComparedRun:
    measured = await measure(history, run_id)
    run_id = measured.totals.run_id
    tape = StoredRun(run_id, history, await history.lengths(run_id))
    return ComparedRun(measured=measured, tape=tape, turns=Turns(tape))


def _fields(
    comparison: Comparison, live: Collection[str], around: list[Beside]
) -> dict[str, object]:
    first, second = (run.measured for run in comparison.runs)
    found = comparison.parting.found
    return {
        **{
            name: {**run_fields(run.totals, live), "latency_s": run.latency_s}
            for name, run in (("first", first), ("second", second))
        },
        "figures": [
            {"name": each.name, "unit": each.unit or None, "first": each.first,
             "second": each.second, "change": each.change}
            for each in figures(first, second)
        ],
        "shared_turns": comparison.alignment.shared,
        "divergence": None if found is None else _row_fields(found),
        "around": [_row_fields(row) for row in around if row.is_turn],
    }  # fmt: skip


def _row_fields(row: Beside) -> dict[str, object]:
    return {
        "turn": row.number, "differs": row.differs,
        "first": _step_fields(row.first), "second": _step_fields(row.second),
    }  # fmt: skip


def _step_fields(step: Step | None) -> dict[str, object] | None:
    if step is None:
        return None
    turn = step.turn
    return {
        "agent_id": turn.agent, "actions": turn.actions, "actions_count": turn.actions_count,
        "answer": turn.answer, "duration_s": turn.duration_s,
    }  # fmt: skip


def _say(comparison: Comparison, live: Collection[str], around: list[Beside]) -> None:
    first, second = (run.measured for run in comparison.runs)
    names = [short_id(run.run_id) for run in comparison.runs]
    say_table(("", *names, "difference"), _table(first, second, live))
    games = [run.totals.game for run in (first, second)]
    say()
    if games[0] != games[1]:
        say(f"these are runs of different games: {games[0] or '–'} and {games[1] or '–'}")
    say(_parting_text(comparison, names))
    if around:
        say_table(("turn", "", *names), [_row(row) for row in around if row.is_turn])
        say("  ".join(f"{sign} {thing}" for thing, sign in SIGNS.items()))


def _parting_text(comparison: Comparison, names: list[str]) -> str:
    found = comparison.parting.found
    without = [
        name for name, run in zip(names, comparison.runs, strict=True)
        if not run.turns.starts.numbered
    ]  # fmt: skip
    if without:
        return f"{' and '.join(without)}: no turns, so there is nothing to set side by side"
    if not comparison.alignment.shared:
        return "they have no turn in common, so nothing stands side by side"
    if found is None:
        return f"no difference in what was seen and done, in {_turns(comparison)}"
    if "alone" in found.differs:
        name = names[0] if found.first is not None else names[1]
        return f"first difference: turn {found.number}, which only {name} has"
    differ = " and the ".join(each for each in found.differs if each in ("board", "action"))
    return f"first difference: turn {found.number}, the {differ}"


def _turns(comparison: Comparison) -> str:
    return counted(comparison.alignment.shared, "turn")


def _table(first: Measured, second: Measured, live: Collection[str]) -> list[list[str]]:
    runs = first.totals, second.totals
    texts = [
        ("game", [each.game or "–" for each in runs]),
        ("agents", [" vs ".join(agent.id for agent in each.agents) or "–" for each in runs]),
        ("outcome", [_outcome(each, live) for each in runs]),
    ]
    rows = [
        [name, *(_cut(each) for each in told), "" if told[0] == told[1] else "≠"]
        for name, told in texts
    ]
    return rows + [_figure(each) for each in figures(first, second)]


def _outcome(totals: RunTotals, live: Collection[str]) -> str:
    if totals.status == "finished":
        return result_text(totals.agents, totals.outcome)
    return status_of(totals, live)


def _figure(figure: Figure) -> list[str]:
    change = figure.change
    more = "" if not change else f"{'+' if change > 0 else '-'}{_value(abs(change), figure.unit)}"
    return [figure.name, *(_value(each, figure.unit) for each in (figure.first, figure.second)),
            more]  # fmt: skip


def _value(value: float | None, unit: str) -> str:
    if value is None:
        return "–"
    return {"usd": f"${value:.4f}", "s": f"{value:.2f} s"}.get(unit, f"{value:,.0f}")


def _row(row: Beside) -> list[str]:
    number = "" if row.number is None else str(row.number)
    return [number, row.sign, _did(row.first), _did(row.second)]


def _did(step: Step | None) -> str:
    if step is None:
        return "–"
    return _cut(f"{step.turn.agent or '–'}  {actions_text(step.turn)}".rstrip())


def _cut(text: str) -> str:
    return text if len(text) <= _TEXT_MAX else text[: _TEXT_MAX - 1] + "…"
