"""Ratings as text: the table's cells, an interval as a bar, and what is said beside them. Pure."""

from __future__ import annotations

from typing import Final

from rich.cells import cell_len

from arena_tui.consumers.ratings import LiveRatings
from arena_tui.folds.ratings import Pair, Record, Row, Standings
from arena_tui.tui.render.clean import clean, fit
from arena_tui.tui.render.table import Cell, Column
from arena_tui.tui.render.text import cost, count, short_count

BAR: Final = "bar"
"""The column whose cells are drawn as wide as it is."""

ACROSS_MAX: Final = 12
"""Columns of the table of each against each."""

COLUMNS: Final = (
    Column(name="", key="rank", width=4, right=True),
    Column(name="player", key="player", width=0),
    Column(name="rating", key="rating", width=6, right=True),
    Column(name="95 % interval", key=BAR, width=0),
    Column(name="from–to", key="bounds", width=11),
    Column(name="W–D–L", key="record", width=10),
    Column(name="moved", key="moved", width=6),
    Column(name="cost", key="cost", width=8, right=True, least=110),
    Column(name="tokens", key="tokens", width=7, right=True, least=110),
    Column(name="latency", key="latency", width=8, right=True, least=110),
    Column(name="crashed", key="crashed", width=7, right=True, least=140),
    Column(name="illegal", key="illegal", width=7, right=True, least=140),
    Column(name="errors", key="errors", width=6, right=True, least=140),
)


def tables_of(ratings: LiveRatings) -> list[Standings]:
    """The tables to choose from: all games first, if there are several."""
    games = list(ratings.now.games)
    return [ratings.now.overall, *games] if len(games) > 1 else games


def name_of(table: Standings) -> str:
    """What a table is called."""
    return clean(table.game, 40) if table.game else "all games"


def heading(tables: list[Standings], at: int) -> str:
    """` ‹ tic_tac_toe ›  2 of 3   60 games rated, 1 crashed`."""
    table = tables[at]
    crashed = f", {table.crashed:,} crashed" if table.crashed else ""
    place = f"  {at + 1} of {len(tables)}" if len(tables) > 1 else ""
    games = "game" if table.matches == 1 else "games"
    return f" ‹ {name_of(table)} ›{place}   {table.matches:,} {games} rated{crashed}"


def cells(table: Standings, index: int, moved: float | None, bar: int) -> list[Cell]:
    """One row, with so wide a bar; `≈` before a rank: not really below the player above it yet."""
    row = table.rows[index]
    above = next((pair for pair in table.pairs if pair.worse == row.player), None)
    tied = above is not None and not above.real
    return [
        (f"{'≈' if tied else ''}{index + 1}", "warn" if tied else "dim"),
        (clean(row.player, 60), "strong"),
        ("–" if row.rating is None else f"{row.rating:.0f}", "accent"),
        (interval_bar(table, row, bar), "text"),
        (_bounds(row), "dim"),
        (f"{row.wins}–{row.draws}–{row.losses}", "text"),
        movement(moved),
        (cost(row.cost_usd), "text"),
        (short_count(row.tokens), "text"),
        ("–" if row.latency_s is None else f"{row.latency_s:.2f} s", "text"),
        (_share(row.crashed, row.runs), "bad" if row.crashed else "dim"),
        (_share(row.illegal, row.actions), "bad" if row.illegal else "dim"),
        (count(row.errors), "bad" if row.errors else "dim"),
    ]


def movement(moved: float | None) -> Cell:
    """`▲ 12`, `▼ 3`, `=`; `–` when the player was not rated before."""
    if moved is None:
        return ("–", "dim")
    if round(moved) == 0:
        return ("=", "dim")
    return (f"▲ {moved:.0f}", "good") if moved > 0 else (f"▼ {-moved:.0f}", "bad")


def interval_bar(table: Standings, row: Row, width: int) -> str:
    """`   ├───●──┤     `, all rows on one scale."""
    if row.rating is None or row.low is None or row.high is None:
        return " " * width
    least = min(each.low for each in table.rows if each.low is not None)
    most = max(each.high for each in table.rows if each.high is not None)
    scale = (width - 1) / max(1.0, most - least)
    low, here, high = (round((each - least) * scale) for each in (row.low, row.rating, row.high))
    bar = ["─" if low < place < high else " " for place in range(width)]
    bar[low], bar[high], bar[here] = "├", "┤", "●"
    return "".join(bar)


def head_to_head(row: Row) -> str:
    """One opponent a line, those met most often first: `18–6–0  random`."""
    met = sorted(row.against.items(), key=lambda each: (-_games(each[1]), each[0]))
    if not met:
        return "nobody yet"
    records = [f"{each.wins}–{each.draws}–{each.losses}" for _, each in met]
    width = max(map(len, records))
    return "\n".join(
        f"{record:>{width}}  {clean(opponent, 40)}"
        for record, (opponent, _) in zip(records, met, strict=True)
    )


def each_against_each(table: Standings, width: int) -> str:
    """The record of everybody against everybody, the columns by rank; those beyond `width` or the
    twelfth are left out, which is said. Of one player at least."""
    rows = table.rows
    names = [clean(row.player, 24) for row in rows]
    rank, name = len(str(len(rows))), max(map(cell_len, names), default=0)
    texts = [[_met(row, other.player) for other in rows] for row in rows]
    cell = 2 + max(len(text) for texts_of_one in texts for text in texts_of_one)
    shown = min(len(rows), ACROSS_MAX, max(1, (width - rank - 1 - name) // cell))
    lines = [" " * (rank + 1 + name) + "".join(f"{n:>{cell}}" for n in range(1, shown + 1))]
    for number, (who, across) in enumerate(zip(names, texts, strict=True), 1):
        records = "".join(f"{text:>{cell}}" for text in across[:shown])
        lines.append(f"{number:>{rank}} {fit(who, name)}{records}")
    if shown < len(rows):
        lines.append(f"the first {shown} of {len(rows)} across")
    return "\n".join(lines)


def notes(table: Standings, row: Row) -> str:
    """What is known beside the table: the player's own, what is not real yet, moving first."""
    errors = f"{row.errors:,} error{'' if row.errors == 1 else 's'}"
    said = [
        f"{clean(row.player, 40)}: {_share(row.crashed, row.runs)} of runs crashed, "
        f"{_share(row.illegal, row.actions)} of actions illegal, {errors}"
    ]
    if row.skill is not None:
        skill = row.skill
        said.append(f"openskill μ {skill.mu:.1f} ± {skill.sigma:.1f}, ordinal {skill.ordinal:.1f}")
    if not table.matches:
        said.append("no game rates yet: one must finish, with scores of two players or more")
    own_first = sorted(
        table.unsettled, key=lambda pair: row.player not in (pair.better, pair.worse)
    )
    said += [unsettled(pair) for pair in own_first]
    if table.settled:
        said.append("every difference between neighbours is real")
    for each in table.advantages:
        where = "" if table.game else f" in {clean(each.game, 40)}"
        said.append(
            f"moving first{where}: {each.points:+.0f} points ({each.low:+.0f} to {each.high:+.0f})"
        )
    if table.unsettled:
        said.append("≈ not really below the player above it yet")
    return "\n".join(said)


def unsettled(pair: Pair) -> str:
    """`a ≈ b: 12 apart, not real yet (-30 to 54), about 80 more games`."""
    names = f"{clean(pair.better, 24)} ≈ {clean(pair.worse, 24)}"
    if not pair.linked:
        return f"{names}: no game links them"
    more = "" if pair.more_games is None else f", about {pair.more_games:,} more games"
    return (
        f"{names}: {pair.difference:.0f} apart, not real yet "
        f"({pair.low:.0f} to {pair.high:.0f}){more}"
    )


def _bounds(row: Row) -> str:
    if row.low is None or row.high is None:
        return fit("–", 11)
    return f"{row.low:.0f}–{row.high:.0f}"


def _met(row: Row, other: str) -> str:
    """`3–0–1`; `·` against itself and against one it has not met."""
    found = row.against.get(other)
    return "·" if found is None else f"{found.wins}–{found.draws}–{found.losses}"


def _games(record: Record) -> int:
    return record.wins + record.draws + record.losses


def _share(some: int, of: int) -> str:
    """`3 %`; `–` of nothing."""
    return "–" if not of else "0 %" if not some else f"{max(1, round(100 * some / of))} %"
