"""Prints how a tournament stands: as text, Markdown or JSON. Computes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias

from msgspec.structs import asdict

from arena_tui.cli.output import counted, harmless, say, say_json, say_table
from arena_tui.folds.ratings import Pair
from arena_tui.folds.standings import Game, Standing, Standings

Format: TypeAlias = Literal["text", "json", "markdown"]

_HEADER = ("", "agent", "games", "W–D–L", "score", "rating", "95 %", "crashed", "stopped")


def say_standings(
    title: str, scheduled: int, table: Standings, games: Sequence[Game], style: Format,
    facts: dict[str, object],
) -> None:  # fmt: skip
    """Print it.

    Args:
        title: What tournament it is, in a line.
        scheduled: How many games its schedule has.
        games: Those that the table is of.
        facts: Fields of the last line of JSON, before the sums.
    """
    if style == "json":
        for game in games:
            say_json({"type": "game", **asdict(game)})
        for row in table.rows:
            say_json({"type": "standing", **_json_row(row)})
        sums = {"scheduled": scheduled, "over": table.games, "finished": table.finished,
                "crashed": table.crashed, "stopped": table.stopped, "cost_usd": table.cost_usd,
                "play_s": table.play_s, "settled": table.settled,
                "unsettled": table.unsettled}  # fmt: skip
        say_json({"type": "tournament", **facts, **sums})
        return
    names = [row.agent for row in table.rows]
    is_markdown = style == "markdown"
    write = _say_markdown if is_markdown else say_table
    say(f"## {title}" if is_markdown else title)
    say()
    write(_HEADER, [_cells(row) for row in table.rows])
    say()
    write(["", *names], [_cross(row, names) for row in table.rows])
    say()
    if any(len(game.agents) > 2 for game in games):
        say("each two players of a game count as won, drawn or lost")
        say()
    say(_sums(table, scheduled))
    for pair in table.unsettled:
        if is_markdown:
            say()  # else it goes on in the line before
        line = _unsettled(pair)
        say(line.replace("|", "\\|") if is_markdown else line)


def _json_row(row: Standing) -> dict[str, object]:
    record = {**asdict(row.record), "score": row.record.score}
    return {name: value for name, value in asdict(row).items() if name != "record"} | record


def _cells(row: Standing) -> list[str]:
    record = row.record
    return [str(row.place), row.agent, f"{row.games:,}", str(record),
            f"{record.score:g}/{record.met}", _number(row.rating), _interval(row),
            str(row.crashed), str(row.stopped)]  # fmt: skip


def _number(points: float | None) -> str:
    return "–" if points is None else f"{points:.0f}"


def _interval(row: Standing) -> str:
    return "–" if row.rating is None else f"{_number(row.low)} to {_number(row.high)}"


def _cross(row: Standing, names: Sequence[str]) -> list[str]:
    cells = ["" if name == row.agent else str(row.against[name]) for name in names]
    return [row.agent, *cells]


def _sums(table: Standings, scheduled: int) -> str:
    cost = "cost unknown" if table.cost_usd is None else f"${table.cost_usd:.3f}"
    ended = f"{table.finished:,} finished, {table.crashed:,} crashed, {table.stopped:,} stopped"
    of = f"{table.games:,} of {counted(scheduled, 'game')}"
    return f"{of}: {ended}; {table.play_s:,.1f} s of play, {cost}"


def _unsettled(pair: Pair) -> str:
    more = f"; about {counted(pair.more_games, 'more game')}" if pair.more_games else ""
    return f"not settled yet: {pair.better} or {pair.worse}{more}"


def _say_markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    for cells in (header, ["---"] * len(header), *rows):
        say("| " + " | ".join(harmless(cell).replace("|", "\\|") for cell in cells) + " |")
