"""Long texts as styled lines of a width: wrapped with a hanging indent, Markdown where it is that.

The text is event text: each of its lines is cleaned, and nothing in it is parsed as our markup.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, TypeAlias

from rich.cells import cell_len, chop_cells
from rich.style import Style

from arena_tui.tui.render.clean import clean
from arena_tui.tui.render.palette import Palette

Span: TypeAlias = tuple[str, str]
"""Clean text, and the name of its style: a palette's, or `italic`."""
Line: TypeAlias = list[Span]

_TAB: Final = 4
_HEADING: Final = re.compile(r"(\s*)#{1,6}\s+(?=[\w\"'“(\[*`])(.+)$")
_ITEM: Final = re.compile(r"(\s*)(?:([-*+])|(\d{1,3}[.)]))\s+(?=[\w\"'“(\[*`$])(.+)$")
_QUOTE: Final = re.compile(r"\s*>\s?(.*)$")
_FENCE: Final = re.compile(r"\s*(```|~~~)")
_INLINE: Final = re.compile(
    r"(?P<code>`[^`\n]+`)"
    r"|(?P<strong>\*\*(?=\S)[^*\n]+?(?<=\S)\*\*|(?<!\w)__(?=\S)[^_\n]+?(?<=\S)__(?!\w))"
    r"|(?P<italic>(?<![\w*])\*(?=[^\s*])[^*\n]+?(?<=[^\s*])\*(?![\w*]))"
)
_MARKS: Final = {"code": 1, "strong": 2, "italic": 1}
_STYLES: Final = {"code": "accent", "strong": "strong", "italic": "italic"}
_WORD: Final = re.compile(r"\s+|\S+")


def style_of(palette: Palette, name: str) -> Style:
    """The style of a span."""
    if name == "italic":
        return palette.text + Style(italic=True)
    style: Style = getattr(palette, name)
    return style


def prose(text: str, width: int, style: str = "text", is_markdown: bool = True) -> Iterator[Line]:
    """The whole text in lines of at most `width` cells; lines that fit are left as they are."""
    is_code = False
    for raw in text.expandtabs(_TAB).replace("\r\n", "\n").split("\n"):
        row = clean(raw, len(raw) + 1)
        if is_markdown and _FENCE.match(row):
            is_code = not is_code
            continue
        if not is_markdown or is_code:
            yield from wrapped([(row, "accent" if is_code else style)], width)
        else:
            yield from _markdown(row, width, style)


def hanging(
    label: str, body: Iterator[Line], indent: int, label_style: str = "dim"
) -> Iterator[Line]:
    """The lines to the right of a label; `indent` cells are its column."""
    lead: Span = (label.ljust(indent), label_style)
    for row in body:
        yield [lead, *row]
        lead = (" " * indent, "text")


def wrapped(spans: Line, width: int, indent: int = 0) -> Iterator[Line]:
    """The spans in lines of at most `width` cells, broken at blanks, or within words that are
    longer; lines after the first begin with `indent` blanks."""
    width = max(4, width)
    indent = min(indent, width // 2)
    if sum(cell_len(text) for text, _ in spans) <= width:
        yield spans
        return
    row: Line = []
    room, blank = width, ("", "text")
    for word, style in ((word, style) for text, style in spans for word in _WORD.findall(text)):
        if word.isspace():
            blank = (word, style)
            continue
        left = word
        if cell_len(blank[0]) + cell_len(word) > room and row and cell_len(word) <= width - indent:
            yield _joined(row)
            row, room = _new_row(indent, width)
        elif cell_len(blank[0]) < room and blank[0]:
            row.append(blank)
            room -= cell_len(blank[0])
        blank = ("", "text")
        if cell_len(left) > room:
            piece = _head(left, room)
            yield _joined([*row, (piece, style)])
            *pieces, left = chop_cells(left[len(piece) :], width - indent)
            for each in pieces:
                yield _joined([*_new_row(indent, width)[0], (each, style)])
            row, room = _new_row(indent, width)
        row.append((left, style))
        room -= cell_len(left)
    yield _joined(row)


def _head(text: str, room: int) -> str:
    """The longest beginning in so few cells, perhaps none of it."""
    if room <= 0:
        return ""
    piece = chop_cells(text[:room], room)[0]
    return piece if cell_len(piece) <= room else ""


def _without_hashes(heading: str) -> str:
    return heading.rstrip().rstrip("#").rstrip()


def first_sentence(text: str, limit: int = 300) -> str:
    """The beginning of an answer in one clean line, without the marks of Markdown."""
    rows = (row.strip() for row in text[:2_000].splitlines())
    row = next((row for row in rows if row and not _FENCE.match(row)), "")
    if found := _HEADING.match(row):
        row = _without_hashes(found[2])
    if found := _ITEM.match(row):
        row = found[4]
    plain = "".join(each for each, _ in inline(clean(row, 2_000), "text"))
    end = re.search(r"[.!?…。！？](?=\s|$)", plain)
    return clean(plain[: end.end()] if end else plain, limit)


def inline(row: str, style: str) -> Line:
    """Bold, italic and code within one line."""
    spans: Line = []
    at = 0
    for found in _INLINE.finditer(row):
        kind = found.lastgroup or ""
        marks = _MARKS[kind]
        if found.start() > at:
            spans.append((row[at : found.start()], style))
        spans.append((found[0][marks:-marks], _STYLES[kind] if style != "dim" else style))
        at = found.end()
    if at < len(row) or not spans:
        spans.append((row[at:], style))
    return spans


def _markdown(row: str, width: int, style: str) -> Iterator[Line]:
    if found := _HEADING.match(row):
        heading = found[1] + _without_hashes(found[2])
        yield from wrapped([(heading, "strong" if style != "dim" else style)], width)
    elif found := _ITEM.match(row):
        sign = "• " if found[2] else f"{found[3]} "
        lead = found[1] + sign
        yield from wrapped([(lead, "dim"), *inline(found[4], style)], width, len(lead))
    elif found := _QUOTE.match(row):
        body = wrapped(inline(found[1], style), width - 2)
        yield from ([("│ ", "dim"), *each] for each in body)
    else:
        indent = len(row) - len(row.lstrip())
        yield from wrapped(inline(row, style), width, indent)


def _new_row(indent: int, width: int) -> tuple[Line, int]:
    row: Line = [(" " * indent, "text")] if indent else []
    return row, width - indent


def _joined(row: Line) -> Line:
    """Neighbours of one style as one span."""
    spans: Line = []
    for text, style in row:
        if spans and spans[-1][1] == style:
            spans[-1] = (spans[-1][0] + text, style)
        else:
            spans.append((text, style))
    return spans
