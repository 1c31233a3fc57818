"""The help as lines: the legend, then the keys by task, in two columns where there is room."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Final, TypeAlias

from rich.cells import cell_len
from textual.content import Content

from arena_tui.tui.keys import TASKS, KeyRow
from arena_tui.tui.render.clean import wrapped
from arena_tui.tui.render.states import LOOKS, LOSING

Line: TypeAlias = Content

_SIGNS: Final = {state: look.sign for state, look in LOOKS.items()}
LEGEND: Final = (
    *(f"{sign} {state}" for state, sign in _SIGNS.items()),
    f"{LOSING.sign} events lost",
    "╵ turn",
    "◆ bookmark",
    "┆ gap",
    "▴ half a minute of silence",
    "* hit of a search",
    "… waiting",
    "! retrying, illegal, looping, slow",
    "$ budget",
    "~ changed to fit",
    "obs sight",
    "ask prompt",
    "llm answer",
    "act action",
    "res result",
    "num metric",
    "buf fill of a buffer",
    "lag not stored yet",
    "published = stored + already stored + in flight + lost",
)
"""Signs and short words, as they stand on the screens."""
_KEYS_MAX: Final = 18
_GAP: Final = 2
_TWO_FROM: Final = 68
"""Cells from which on two columns fit."""


def help_lines(rows: Sequence[KeyRow], width: int) -> list[Line]:
    """The legend and the keys, in `width` cells."""
    legend = [Content(each) for each in _wrapped(LEGEND, width, "   ")]
    columns = 2 if width >= _TWO_FROM else 1
    room = (width - _GAP * (columns - 1)) // columns
    blocks = [
        [Content.styled(task, "bold"), *_of(own, room)]
        for task in TASKS
        if (own := [row for row in rows if row.task == task])
    ]
    if columns == 1:
        return [*legend, Content(""), *(line for block in blocks for line in block)]
    left, right = _balanced(blocks)
    height = max(len(left), len(right))
    left += [Content("")] * (height - len(left))
    right += [Content("")] * (height - len(right))
    beside = [
        one.pad_right(max(0, room - one.cell_length) + _GAP) + other
        for one, other in zip(left, right, strict=True)
    ]
    return [*legend, Content(""), *beside]


def _of(rows: Sequence[KeyRow], width: int) -> list[Line]:
    """The rows of one task: keys, what they do; what does not fit goes on below."""
    keys = [_keys(row) for row in rows]
    wide = max(cell_len(line) for lines in keys for line in lines)
    lines: list[Line] = []
    for row, (held, *more) in zip(rows, keys, strict=True):
        said = wrapped(row.what, max(8, width - wide - 3))
        for index in range(max(1 + len(more), len(said))):
            key = [held, *more][index] if index <= len(more) else ""
            what = said[index] if index < len(said) else ""
            padded = " " + key + " " * (wide - cell_len(key)) + "  "
            lines.append(Content.assemble((padded, "bold $text-accent"), what))
    return lines


def _keys(row: KeyRow) -> list[str]:
    """Two blanks between groups, if one has more than one key."""
    gap = "  " if any(len(group) > 1 for group in row.keys) else " "
    return _wrapped([" ".join(group) for group in row.keys], _KEYS_MAX, gap)


def _balanced(blocks: Sequence[list[Line]]) -> tuple[list[Line], list[Line]]:
    """The blocks in two columns in order, the taller as low as may be."""

    cuts = range(1, len(blocks) + 1)
    sides = [([*chain(*blocks[:cut])], [*chain(*blocks[cut:])]) for cut in cuts]
    return min(sides, key=lambda each: max(map(len, each)))


def _wrapped(words: Sequence[str], width: int, gap: str) -> list[str]:
    """The items in lines of at most `width` cells; one that is longer has a line of its own."""
    lines = [""]
    for word in words:
        longer = f"{lines[-1]}{gap}{word}" if lines[-1] else word
        if cell_len(longer) <= width or not lines[-1]:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines
