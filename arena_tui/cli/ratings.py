"""`ratings`: how good the players of stored runs are, and how sure that is."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec

from arena_tui.cli.arguments import Parser, as_text
from arena_tui.cli.output import counted, say, say_json, say_table
from arena_tui.cli.runs import filter_text
from arena_tui.cli.stored import open_store
from arena_tui.events import utc_now
from arena_tui.folds.ratings import Pair, Row, Standings, rate
from arena_tui.store.filters import parse_filter
from arena_tui.store.matches import read_matches

_HEADER: Final = (
    "", "player", "rating", "95 % interval", "wins-draws-losses", "cost", "tokens", "latency",
    "crashed", "illegal", "errors",
)  # fmt: skip
_AGE: Final = re.compile(r"(\d{1,6})([smhdw])", re.ASCII)
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def add_arguments(parser: Parser) -> None:
    parser.set_defaults(function=ratings)
    parser.add_argument("filter", nargs="*", type=as_text, help="which runs count, as for runs")
    parser.add_argument("--game", type=as_text, help="only runs of exactly this game")
    parser.add_argument(
        "--since", type=_since, metavar="WHEN", help="only runs begun since 12h, 1d, or 2026-11-01"
    )


def ratings(arguments: argparse.Namespace) -> int:
    """Print the table of each game, and one of all if there are several."""
    where, parameters = parse_filter(filter_text(arguments.filter))
    with open_store(arguments) as database:
        matches = database.read_now(
            lambda connection: read_matches(
                connection, where, parameters, game=arguments.game, since=arguments.since
            )
        )
    found = rate(matches)
    tables = [*found.games, found.overall] if len(found.games) > 1 else list(found.games)
    if arguments.json:
        for table in tables:
            say_json(_fields(table))
    elif not tables:
        say("no runs to rate")
    for number, table in enumerate([] if arguments.json else tables):
        if number:
            say()
        _say_standings(table)
    return 0


def _fields(table: Standings) -> dict[str, object]:
    """The whole table; `game` is null in that of all games."""
    fields: dict[str, object] = msgspec.to_builtins(table)
    pairs = [msgspec.to_builtins(pair) | {"real": pair.real} for pair in table.pairs]
    return fields | {"game": table.game or None, "settled": table.settled, "pairs": pairs}


def _say_standings(table: Standings) -> None:
    crashed = f", {counted(table.crashed, 'run')} crashed" if table.crashed else ""
    say(f"{table.game or 'all games'}: {counted(table.matches, 'rated game')}{crashed}")
    ranked = list(enumerate(table.rows, 1))
    say_table(_HEADER, ([str(rank), *_cells(row)] for rank, row in ranked))
    if len(table.rows) > 1 and table.matches:
        say("wins-draws-losses against")
        players = [row.player for row in table.rows]
        say_table(
            ["", "player", *(str(rank) for rank, _ in ranked)],
            ([str(rank), row.player, *_against(row, players)] for rank, row in ranked),
        )
    for advantage in table.advantages:
        game = "" if table.game else f" in {advantage.game}"
        say(
            f"moving first{game} is worth {advantage.points:+.0f} points "
            f"({advantage.low:+.0f} to {advantage.high:+.0f})"
        )
    for pair in table.unsettled:
        say(_unsettled(pair))
    if not table.matches:
        say("no game rates yet: one must finish, with scores of two players or more")


def _cells(row: Row) -> list[str]:
    rated = row.rating is not None and row.low is not None and row.high is not None
    return [
        row.player,
        f"{row.rating:.0f}" if rated else "–",
        f"{row.low:.0f} to {row.high:.0f}" if rated else "–",
        f"{row.wins}-{row.draws}-{row.losses}",
        "–" if row.cost_usd is None else f"${row.cost_usd:.4f}",
        "–" if row.tokens is None else f"{row.tokens:,.0f}",
        "–" if row.latency_s is None else f"{row.latency_s:.2f} s",
        f"{row.crashed} of {row.runs}",
        f"{row.illegal} of {row.actions}",
        str(row.errors),
    ]  # fmt: skip


def _against(row: Row, players: Iterable[str]) -> Iterable[str]:
    for player in players:
        record = row.against.get(player)
        yield "–" if record is None else f"{record.wins}-{record.draws}-{record.losses}"


def _unsettled(pair: Pair) -> str:
    """`a over b by 12 (-30 to 54) is not yet real: about 80 more games of these two would tell`."""
    if not pair.linked:
        return f"{pair.better} and {pair.worse} cannot be compared: no game links them"
    more = (
        "no number of games in sight would tell"
        if pair.more_games is None
        else f"about {counted(pair.more_games, 'more game')} of these two would tell"
    )
    return (
        f"{pair.better} over {pair.worse} by {pair.difference:.0f} "
        f"({pair.low:.0f} to {pair.high:.0f}) is not yet real: {more}"
    )


def _since(text: str) -> datetime:
    """A type of argument: an age such as `12h` or `1d`, or a local date or time."""
    try:
        if found := _AGE.fullmatch(text):
            return utc_now() - timedelta(**{_UNITS[found[2]]: int(found[1])})
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        raise argparse.ArgumentTypeError(
            f"{text[:20]!r} is no time: write 30m, 12h, 1d, 2w or 2026-11-01"
        ) from None
