"""Lines of styled pieces, fitted to a width: the primitives of every painter."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import TypeAlias

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from arena_tui.tui.render.clean import fit, head

Piece: TypeAlias = tuple[str, Style]
"""Clean text and its style."""


_NARROW_BELOW = "\u0300"
"""Below it each character of a clean text takes one cell."""


def width_of(pieces: Iterable[Piece]) -> int:
    """Cells the pieces take."""
    texts = [text for text, _ in pieces]
    whole = "".join(texts)
    return len(whole) if _is_narrow(whole) else sum(map(cell_len, texts))


def line(pieces: Iterable[Piece], width: int, fill: Style) -> Strip:
    """A strip of exactly `width` cells: truncated, or padded with `fill`."""
    return strip(fitted(pieces, width, fill), width)


def strip(pieces: Iterable[Piece], width: int) -> Strip:
    """A strip of pieces that take exactly `width` cells."""
    return Strip([Segment(text, style) for text, style in joined(pieces)], width)


def fitted(pieces: Iterable[Piece], width: int, fill: Style) -> list[Piece]:
    """Pieces of exactly `width` cells: cut, or padded with `fill`."""
    kept = list(pieces)
    room = width - width_of(kept)
    if room < 0:
        kept = cut(kept, width)
        room = width - width_of(kept)
    return joined([*kept, (" " * room, fill)] if room else kept)


def joined(pieces: Iterable[Piece]) -> list[Piece]:
    """The pieces with neighbours of one look made one: each costs a frame time, and the line some
    40 bytes. Blanks go with what is before or behind them on the same ground."""
    runs: list[Piece] = []
    for text, style in pieces:
        if not text:
            continue
        if runs:
            before, last = runs[-1]
            if style is last or (text.isspace() and _blanks_alike(style, last)):
                runs[-1] = before + text, last
                continue
            if before.isspace() and _blanks_alike(style, last):
                runs[-1] = before + text, style
                continue
        runs.append((text, style))
    return runs


@lru_cache(maxsize=1_024)
def _blanks_alike(one: Style, other: Style) -> bool:
    """Whether a blank looks the same in both."""
    return one.bgcolor == other.bgcolor and not (_draws_blanks(one) or _draws_blanks(other))


def _draws_blanks(style: Style) -> bool:
    return bool(
        style.reverse or style.underline or style.underline2 or style.strike or style.overline
    )


def cut(pieces: Iterable[Piece], width: int) -> list[Piece]:
    """The pieces as far as they have room in `width` cells; `…` is the last of them if anything but
    blanks is left out. No wide character is split."""
    pieces = list(pieces)
    if width_of(pieces) <= width:
        return [piece for piece in pieces if piece[0]]
    kept: list[Piece] = []
    room = width
    rest = iter(pieces)
    for text, style in rest:
        cells = _cells(text)
        if cells > room:
            is_all = _cells(text.rstrip()) <= room and not any(each.strip() for each, _ in rest)
            if room:
                kept.append((head(text, room), style))
            return kept if is_all else _marked(kept)
        if cells:
            kept.append((text, style))
            room -= cells
    return kept


def _marked(pieces: list[Piece]) -> list[Piece]:
    """The pieces with `…` for their last cell."""
    while pieces:
        text, style = pieces.pop()
        if cells := _cells(text):
            start = head(text, cells - 1)
            return [*pieces, (f"{start}…{' ' * (cells - 1 - _cells(start))}", style)]
    return []


def _cells(text: str) -> int:
    return len(text) if _is_narrow(text) else cell_len(text)


def _is_narrow(text: str) -> bool:
    return text.isascii() or max(text) < _NARROW_BELOW


def between(left: list[Piece], right: list[Piece], width: int, fill: Style) -> list[Piece]:
    """Left pieces, then a gap, then right ones ending at `width`; the right ones are never cut."""
    room = max(0, width - width_of(right))
    return [*fitted(left, room, fill), *right]


def as_many(groups: Iterable[list[Piece]], width: int) -> list[Piece]:
    """The groups of pieces one after another; those that have no room as a whole are left out."""
    kept: list[Piece] = []
    for group in groups:
        if width_of(kept) + width_of(group) <= width:
            kept += group
    return kept


def top_edge(title: Piece, state: Piece, width: int, edge: Style) -> list[Piece]:
    """`╭─ title ───── state ╮`: the state is cut only where it has no room even alone."""
    said = f" {state[0]} " if cell_len(state[0]) + 4 <= width else state[0]
    room = max(0, width - 2 - cell_len(said))
    name = f" {title[0]} "
    if cell_len(name) > room:
        name = fit(title[0], room - 2) if room > 4 else ""
        name = f" {name.rstrip()} " if name else ""
    corner = "╭" if cell_len(name) >= room else "╭─"
    rule = "─" * (room - cell_len(name) - cell_len(corner) + 1)
    left = [(corner, edge), (name, title[1]), (rule, edge), (said, state[1])]
    return between(left, [("╮", edge)], width, edge)


def bottom_edge(said: Sequence[Piece], width: int, edge: Style) -> list[Piece]:
    """`╰─ said ─────╯`."""
    kept = cut(said, max(0, width - 4))
    rule = "─" * max(0, width - 3 - width_of(kept))
    return fitted([("╰─", edge), *kept, (rule + "╯", edge)], width, edge)
