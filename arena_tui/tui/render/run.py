"""The parts of the Run screen: header, board with tallies, event rows, scrubber."""

from __future__ import annotations

from datetime import tzinfo
from itertools import groupby
from typing import Final

from rich.cells import cell_len
from textual.content import Content
from textual.strip import Strip

from arena_tui.events import Delivery, ErrorEvent, Gap, short_id
from arena_tui.folds.costs import PriceList, cost_of
from arena_tui.folds.density import Density
from arena_tui.folds.result import result_text, scores_of
from arena_tui.folds.totals import AgentTally, RunTotals, lost_text
from arena_tui.folds.view import Instant
from arena_tui.services.playback.playhead import Position
from arena_tui.tui.render.board import board_lines
from arena_tui.tui.render.canvas import Piece, between, line, width_of
from arena_tui.tui.render.clean import clean, fit
from arena_tui.tui.render.lines import headline, tag
from arena_tui.tui.render.palette import Palette
from arena_tui.tui.render.states import LOOKS
from arena_tui.tui.render.text import (
    clock_time,
    cost,
    cost_text,
    count,
    day,
    duration,
    short_count,
    spark,
)

_NAME_CELLS: Final = 14
_BOARD_WIDE: Final = 30
"""From which width on the agents' names have all their cells."""
_MARKS: Final = {"error": ("!", "bad"), "gap": ("┆", "bad"), "bookmark": ("◆", "warn")}
_BLOCKS: Final = "▁▂▃▄▅▆▇█"


def paint_header(
    instant: Instant,
    position: Position,
    density: Density | None,
    palette: Palette,
    width: int,
    zone: tzinfo | None,
) -> Strip:
    """`connect_four · 7f3a   mcts:500 vs random   28 Nov, ✓ x won    REPLAY 4x ▶  turn 17/31  …`.

    A run that lost events says so before its position. Where room is short, the time goes first,
    then the players.
    """
    players = " vs ".join(clean(agent.name or agent.id, 24) for agent in instant.agents)
    name = f" {clean(instant.game, 40) or 'run'} · {clean(short_id(instant.run_id))}"
    label = f"  {clean(instant.label, 30)}" if instant.label else ""
    began, outcome = _outcome(instant, position, palette, zone)
    right = [
        (position.mode, palette.accent),
        (f"  event {position.at:,}/{position.last:,}", palette.text),
        (f"{turn_text(instant, position)} ", palette.text),
    ]
    if width < 70:
        right = right[:2]
    if density is not None and (density.lost or density.lost_unknown):
        lost = f"  lost {lost_text(density.lost, density.lost_unknown)}  "
        right.insert(0, (lost, palette.bad))
    ends: list[Piece] = [(began, palette.dim), outcome, (label, palette.dim)]
    room = width - width_of([(name, palette.strong), *ends, *right]) - 2
    when = "" if position.ts is None else f" {clock_time(position.ts, zone, tenths=True)} "
    if width >= 70 and room >= cell_len(when) + cell_len(players) + 2:
        right.append((when, palette.dim))
    shown = f"  {players}"
    if cell_len(shown) > room:
        shown = fit(shown, room) if room > 8 else ""
    left = [(name, palette.strong), (shown, palette.text), *ends]
    return line(between(left, right, width, palette.text), width, palette.text)


def _outcome(
    instant: Instant, position: Position, palette: Palette, zone: tzinfo | None
) -> tuple[str, Piece]:
    """`   28 Nov`, and `, ✓ x won` with the sign of its state."""
    began = "" if position.began_at is None else f"  {day(position.began_at, zone)}"
    end = position.end
    if end is None:
        return began, ("", palette.dim)
    look = LOOKS[end.status]
    text: str = end.status
    if end.status == "finished":
        names = {agent.id: agent.name or agent.id for agent in instant.agents}
        text = result_text(instant.agents, end.outcome, lambda each: names.get(each, each))
    comma = ", " if began else "  "
    return began, (f"{comma}{look.sign} {clean(text, 60)}", getattr(palette, look.style))


def turn_text(instant: Instant, position: Position) -> str:
    """`  turn 17/31`; nothing in a run without turns."""
    if not (instant.turn or position.turns):
        return ""
    total = max(instant.turn, position.turns)
    return f"  turn {instant.turn}" + ("" if position.live else f"/{total}")


def paint_board(
    instant: Instant, prices: PriceList, palette: Palette, width: int, height: int
) -> list[Strip]:
    """The board, whose turn it is, and what each agent used so far."""
    agents = [agent.id for agent in instant.agents] or sorted(instant.tallies)
    names = {agent: clean(agent, 20) for agent in agents[:6]}
    longest = max(map(cell_len, names.values()), default=0)
    name_cells = _NAME_CELLS if width >= _BOARD_WIDE else min(_NAME_CELLS, longest)
    footer: list[list[Piece]] = [[]]
    for index, agent in enumerate(agents[:6]):
        side = palette.first if index == 0 else palette.second if index == 1 else palette.text
        mark = "▸" if agent == instant.player and instant.status == "running" else " "
        mark = "★" if agent in instant.winners else mark
        tally = instant.tallies.get(agent, AgentTally())
        footer.append(
            [
                (mark, palette.accent),
                (f"{fit(names[agent], max(name_cells, cell_len(names[agent])))} ", side),
                *_tally(tally, prices, palette, width - name_cells - 2),
            ]
        )
    if instant.last_error:
        footer.append([(f" last error: {clean(instant.last_error, 200)}", palette.bad)])
    room = max(1, height - len(footer))
    rows = board_lines(instant.board, palette, width - 1, room)
    rows = [[(" ", palette.text), *row] for row in rows]
    rows += [[] for _ in range(room - len(rows))] if len(rows) + len(footer) > height else []
    rows = [*rows, *footer][:height]
    rows += [[] for _ in range(height - len(rows))]
    return [line(row, width, palette.text) for row in rows]


def event_cells(delivery: Delivery, zone: tzinfo | None) -> list[tuple[str, str]]:
    """Cells of one row of the event list: seq, time, kind, what."""
    if isinstance(delivery, Gap):
        return [
            (f"{delivery.from_seq:,}", "bad"),
            ("", "dim"),
            ("gap", "bad"),
            (headline(delivery), "bad"),
        ]
    event = delivery.event
    style = "bad" if isinstance(event, ErrorEvent) else "text"
    return [
        (f"{delivery.seq:,}", "dim"),
        (clock_time(event.ts, zone, tenths=True), "dim"),
        (tag(delivery), "accent" if style == "text" else "bad"),
        (headline(delivery), style),
    ]


def paint_scrubber(
    density: Density | None, position: Position, palette: Palette, width: int, zone: tzinfo | None
) -> Strip:
    """`12:01:10 ▕▁▂▂▃!▅▇┆▃◆┃▁▂▏ 12:06:31`: the run's events over time, and the position."""
    if density is None or density.first_at is None or density.last_at is None:
        return line([(" no events yet", palette.dim)], width, palette.dim)
    first, last = clock_time(density.first_at, zone), clock_time(density.last_at, zone)
    here = density.slice_of(position.at)
    top = max(*density.counts, 1)
    pieces: list[Piece] = [(f" {first} ▕", palette.dim)]
    marked = {mark.slice: mark.kind for mark in density.marks if mark.kind != "gap"}
    missing = density.missing()
    for index, events in enumerate(density.counts):
        kind = "gap" if index in missing else marked.get(index)
        if index == here:
            pieces.append(("┃", palette.bad if kind == "gap" else palette.strong))
        elif kind is not None:
            sign, style = _MARKS[kind]
            pieces.append((sign, getattr(palette, style)))
        else:
            block = _BLOCKS[min(7, round(events / top * 7))] if events else " "
            pieces.append((block, palette.accent if index < here else palette.dim))
    pieces += [("▏ ", palette.dim), ("now" if position.live else last, palette.dim)]
    return line(pieces, width, palette.dim)


def preview(totals: RunTotals, density: Density | None, width: int, zone: tzinfo | None) -> Content:
    """A stored run at a glance."""
    rows: list[Content] = [
        Content.styled(
            f"{clean(totals.game, 40) or 'run'} · {clean(short_id(totals.run_id))}", "bold"
        ),
        Content.styled(clean(totals.run_id), "$text-muted"),
        Content(""),
    ]
    winners, scores = totals.winners, scores_of(totals.agents, totals.outcome)
    for agent in totals.agents:
        won = "★ " if agent.id in winners else "  "
        score = scores.get(agent.id)
        rows.append(
            Content(f"{won}{clean(agent.id, 30):<24}{'' if score is None else f'{score:g}'}")
        )
    facts = [
        ("status", totals.status + (f": {clean(totals.reason, 120)}" if totals.reason else "")),
        ("turns", str(totals.turns)),
        ("events", count(totals.events)),
        (
            "tokens",
            f"{short_count(totals.input_tokens)} in  {short_count(totals.output_tokens)} out",
        ),
        ("cost", cost(totals.cost_usd)),
        ("errors", str(totals.errors)),
        ("lost", lost_text(totals.lost, totals.lost_unknown)),
        ("took", duration(totals.duration_s)),
        ("seed", "–" if totals.seed is None else str(totals.seed)),
        ("label", clean(totals.label or "–", 60)),
        ("tags", clean(", ".join(totals.tags) or "–", 120)),
    ]
    rows.append(Content(""))
    rows += [
        Content.assemble((f"{name:<8}", "$text-muted"), clean(value, 200)) for name, value in facts
    ]
    if density is not None and density.first_at is not None:
        rows += [Content(""), _strip(density, width)]
    return Content("\n").join(rows)


def _strip(density: Density, width: int) -> Content:
    """The run's events over its time, with a mark where some are missing."""
    missing, first = density.missing(), len(density.counts) - width
    blocks = enumerate(spark(density.counts, width), start=first)
    pieces: list[tuple[str, str]] = []
    for is_missing, run in groupby(blocks, key=lambda each: each[0] in missing):
        text = "".join("┆" if is_missing else block for _, block in run)
        pieces.append((text, "$error" if is_missing else "$accent"))
    return Content.assemble(*pieces)


def _tally(tally: AgentTally, prices: PriceList, palette: Palette, room: int) -> list[Piece]:
    """What an agent used; where that is more than `room` cells, without the tokens."""
    usage = tally.usage()
    if usage.tokens is None and usage.cost_usd is None:
        return [(f"{tally.actions} actions", palette.dim)]
    amount = cost_of(tally.by_model.items(), prices)
    used: list[Piece] = [
        ("tok ", palette.dim),
        (f"{short_count(usage.tokens or 0):<6}", palette.text),
        (" cost ", palette.dim),
        (cost_text(amount), palette.text),
    ]
    if width_of(used) <= room:
        return used
    return used[2:] if amount.usd is not None else used[:2]
