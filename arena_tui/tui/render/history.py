"""History as text: the strip over the list, its cells, and a run at a glance beside it. Pure."""

from __future__ import annotations

from datetime import tzinfo
from itertools import groupby
from typing import Final

from textual.content import Content
from textual.strip import Strip

from arena_tui.events import short_id
from arena_tui.folds.density import Density
from arena_tui.folds.numbers import number
from arena_tui.folds.result import result_text, scores_of
from arena_tui.folds.scores import Scores
from arena_tui.folds.totals import RunTotals, lost_text
from arena_tui.folds.view import Pane, PaneState
from arena_tui.tui.render.canvas import Piece, between, line, width_of
from arena_tui.tui.render.clean import clean, clean_lines, fit
from arena_tui.tui.render.palette import Palette
from arena_tui.tui.render.pane import state_style_name, state_text
from arena_tui.tui.render.sgr import plain
from arena_tui.tui.render.states import LOOKS
from arena_tui.tui.render.table import Cell
from arena_tui.tui.render.text import cost, count, duration, short_count, spark, stamp

_BOARD_MAX: Final = 24
_BOARD_CELLS: Final = 40
_STRIP_MAX: Final = 40
_COLUMNS_FROM: Final = 90
_MORE: Final = len("   +999 more")


def preview(
    totals: RunTotals, density: Density | None, board: str, width: int, zone: tzinfo | None
) -> Content:
    """A stored run at a glance, in columns where there is room; `board` is the last one."""
    name = f"{clean(totals.game, 40) or 'run'} · {clean(short_id(totals.run_id))}"
    head = [Content.styled(name, "bold"), Content.styled(clean(totals.run_id), "$text-muted")]
    winners, scores = totals.winners, scores_of(totals.agents, totals.outcome)
    for agent in totals.agents:
        won = "★ " if agent.id in winners else "  "
        score = scores.get(agent.id)
        told = "" if score is None else number(score)
        head.append(Content(f"{won}{fit(clean(agent.id, 30), 24)}{told}"))
    room = _BOARD_CELLS if width >= _COLUMNS_FROM else width
    boards = [Content(fit(text, room).rstrip()) for text in clean_lines(plain(board), _BOARD_MAX)]
    facts = [
        Content.assemble((f"{name:<8}", "$text-muted"), clean(value, 200))
        for name, value in _facts(totals, zone)
    ]
    if density is not None and density.first_at is not None:
        head.append(_strip(density, min(width, _STRIP_MAX)))
    blocks = [head, boards if board else [], facts]
    if width >= _COLUMNS_FROM:
        return Content("\n").join(_beside([block for block in blocks if block]))
    return Content("\n\n").join([Content("\n").join(block) for block in blocks if block])


def _facts(totals: RunTotals, zone: tzinfo | None) -> list[tuple[str, str]]:
    """What is known of the run, without what is not."""
    tokens = f"{short_count(totals.input_tokens)} in  {short_count(totals.output_tokens)} out"
    lost = lost_text(totals.lost, totals.lost_unknown)
    told = [
        ("started", "" if totals.started_at is None else stamp(totals.started_at, zone)),
        ("reason", "" if totals.reason in (None, totals.status) else f"{totals.reason}"),
        ("turns", str(totals.turns)),
        ("events", count(totals.events)),
        ("tokens", "" if totals.tokens is None else tokens),
        ("cost", "" if totals.cost_usd is None else cost(totals.cost_usd)),
        ("errors", str(totals.errors) if totals.errors else ""),
        ("lost", "" if lost == "0" else lost),
        ("took", duration(totals.duration_s)),
        ("seed", "" if totals.seed is None else str(totals.seed)),
        ("label", totals.label or ""),
        ("tags", ", ".join(totals.tags)),
    ]
    return [(name, value) for name, value in told if value]


def _beside(blocks: list[list[Content]]) -> list[Content]:
    """Blocks of lines side by side."""
    widths = [max(each.cell_length for each in block) + 4 for block in blocks]
    return [
        Content.assemble(
            *(
                (block[row] if row < len(block) else Content("")).pad_right(
                    cells - (block[row].cell_length if row < len(block) else 0)
                )
                for block, cells in zip(blocks, widths, strict=True)
            )
        )
        for row in range(max(map(len, blocks)))
    ]


def _strip(density: Density, width: int) -> Content:
    """The run's events over its time, with a mark where some are missing."""
    missing, first = density.missing(), len(density.counts) - width
    blocks = enumerate(spark(density.counts, width), start=first)
    pieces: list[tuple[str, str]] = []
    for is_missing, run in groupby(blocks, key=lambda each: each[0] in missing):
        text = "".join("┆" if is_missing else block for _, block in run)
        pieces.append((text, "$error" if is_missing else "$accent"))
    return Content.assemble(*pieces)


def deleting(totals: RunTotals, zone: tzinfo | None) -> str:
    """The question: which run it is, told by game, agents and start."""
    agents = " vs ".join(clean(agent.name or agent.id, 24) for agent in totals.agents[:4])
    more = " …" if len(totals.agents) > 4 else ""
    name = f"{clean(totals.game, 40) or 'the run'} · {clean(short_id(totals.run_id))}"
    return (
        f"Delete {name}{f', {agents}{more}' if agents else ''}, "
        f"started {stamp(totals.started_at, zone)}, with its {totals.events:,} events?\n"
        "There is no way back."
    )


def row_cells(
    totals: RunTotals, pane: Pane | None, zone: tzinfo | None, is_marked: bool = False
) -> list[Cell]:
    """One row of the list; `pane` is the run as it is being played."""
    lost = lost_text(totals.lost, totals.lost_unknown)
    game = clean(totals.game, 40) or "–"
    return [
        (stamp(totals.started_at, zone)[5:], "dim"),
        (f"◆ {game}", "accent") if is_marked else (game, "strong"),
        (clean(short_id(totals.run_id)), "accent"),
        (" vs ".join(clean(agent.id, 24) for agent in totals.agents), "text"),
        _state(totals, pane),
        (str(totals.turns), "text"),
        (count(totals.events), "text"),
        (short_count(totals.tokens), "text"),
        (cost(totals.cost_usd), "text"),
        (str(totals.errors), "bad" if totals.errors else "dim"),
        (lost, "dim" if lost == "0" else "bad"),
        (duration(totals.duration_s), "dim"),
    ]


def empty_columns(scores: Scores) -> frozenset[str]:
    """Columns in which no run of these has anything."""
    known = {"tokens": scores.tokens, "cost_usd": scores.cost_usd, "lost": scores.lost or None}
    return frozenset(key for key, value in known.items() if value is None)


def paint_scores(scores: Scores, text: str, palette: Palette, width: int) -> Strip:
    """`40 runs   mcts:400 6–1–1   random 1–1–6   $0.35   16 errors          game:chess`: who won,
    drew and lost how often; of many players, those there is room for."""
    right: list[Piece] = [(f" {clean(text, 60)} ", palette.accent)] if text else []
    left: list[Piece] = [(f" {scores.runs:,} run{'' if scores.runs == 1 else 's'}", palette.strong)]
    ends: list[Piece] = []
    if scores.cost_usd is not None:
        ends.append((f"   {cost(scores.cost_usd)}", palette.text))
    if scores.errors:
        noun = "error" if scores.errors == 1 else "errors"
        ends.append((f"   {scores.errors:,} {noun}", palette.bad))
    if scores.lost:
        ends.append((f"   {scores.lost:,} events lost", palette.bad))
    told: list[list[Piece]] = [
        [(f"   {clean(player, 24)} ", palette.text),
         (f"{record.wins}–{record.draws}–{record.losses}", palette.strong)]
        for player, record in scores.records.items()
    ]  # fmt: skip
    room = width - width_of([*left, *ends, *right])
    shown = len(told)
    while shown and sum(map(width_of, told[:shown])) + (_MORE if shown < len(told) else 0) > room:
        shown -= 1
    left += [piece for pieces in told[:shown] for piece in pieces]
    if shown < len(told):
        left.append((f"   +{len(told) - shown} more", palette.dim))
    return line(between([*left, *ends], right, width, palette.text), width, palette.text)


def _state(totals: RunTotals, pane: Pane | None) -> Cell:
    """The state that Live says, as long as the run is there; else how it ended."""
    if totals.status == "running" and pane is not None:
        return state_text(pane), state_style_name(pane)
    state: PaneState = "silent" if totals.status == "running" else totals.status
    look = LOOKS[state]
    if state != "finished":
        reason = "" if totals.reason in (None, state) else f": {clean(totals.reason, 60)}"
        return f"{look.sign} {state}{reason}", look.style
    result = result_text(totals.agents, totals.outcome, lambda each: clean(each, 24))
    return f"{look.sign} {result}", "text"  # most of them are
