"""The two lines on every screen: the title line and the truth bar."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

from rich.cells import cell_len
from textual.strip import Strip

from arena_tui.consumers.feed import Frame, Truth
from arena_tui.tui.render.canvas import Piece, between, line, width_of
from arena_tui.tui.render.clean import clean, fit
from arena_tui.tui.render.palette import Palette
from arena_tui.tui.render.text import spark, with_short_ids
from arena_tui.tui.tabs import Tab

_SLOW_FPS: Final = 5.0
"""Fewer frames a second than that are said: half of what is drawn where that is possible."""
_QUEUED_MIN: Final = 100
_CALM_STORES: Final = ("ok", "off")
_LATE_MS: Final = 50.0
"""How late the event loop may be before it is said: keys wait for it."""


def paint_title(
    here: str,
    tabs: Sequence[Tab],
    frame: Frame,
    clock: str,
    badge: str,
    palette: Palette,
    width: int,
    scripts: str = "",
) -> Strip:
    """`arena-tui  1 Live  2 History      in-process · 6 live, 1 silent · 12:03:14`; where there is
    no room for a badge beside them, other screens are left out."""
    left: list[Piece] = [(" arena-tui ", palette.strong)]
    for tab in tabs:
        style = palette.accent if tab.name == here else palette.dim
        left.append((f" {tab.label} ", style))
    if here not in [tab.name for tab in tabs]:
        left.append((f" {here} ", palette.accent))
    told: list[Piece] = [(" ", palette.dim), (f" {badge} ", palette.warn)] if badge else []
    count = Counter(pane.state for pane in frame.panes)
    bad = [f", {count[each]} {each}" for each in ("stuck", "silent") if count[each]]
    state = "".join([f"{count['running']} live", *bad, *([f", {scripts}"] if scripts else [])])
    where = f"{frame.place} · " if frame.place else ""
    right = [(where, palette.dim), (state, palette.text), (f" · {clock} ", palette.dim)]
    if width < 60:
        right = right[1:2]
    if told and width_of([*left, *told, *right]) > width:  # it matters more than where one may go
        left = [left[0], *(each for each in left if each[1] == palette.accent)]
        right = right[-2:]
    left += told
    if told and width_of([*left, *right]) > width:
        right = right[:1]
    return line(between(left, right, width, palette.dim), width, palette.dim)


def is_calm(truth: Truth) -> bool:
    """Whether nothing is lost, queued, late or in doubt: then figures need not be looked at."""
    account = truth.account
    is_whole = not (account.lost or account.lost_unknown or truth.link)
    return is_whole and truth.store in _CALM_STORES and not truth.is_late and not _queued(truth)


def steady(shown: Truth, newest: Truth) -> Truth:
    """What to show of the newest: while all is well, figures stand still until a second is over."""
    is_same = shown.second == newest.second and shown.store == newest.store
    return shown if is_same and is_calm(shown) and is_calm(newest) else newest


def truth_text(truth: Truth, in_full: bool = False) -> str:
    """`● 2,400 events, all stored`; when that does not say it all, or when it is to be said
    `in_full`: `published 90,312 = stored 90,201 + in flight 111 + lost 0, and an unknown number`.
    """
    published = truth.account.published
    events = f"● {published:,} event{'' if published == 1 else 's'}"
    match truth.store:
        case None:
            return ""
        case "off":
            return f"{events}, not stored"
        case "starting":
            return events
    if in_full or not is_calm(truth):
        return str(truth.account)
    return f"{events}, all stored" if published else "● no events yet"


def paint_truth(
    truth: Truth,
    pace: tuple[float, float] | None,
    late_ms: float,
    note: str | None,
    palette: Palette,
    width: int,
    since: str = "",
    in_full: bool = False,
) -> Strip:
    """The truth bar; a current problem takes precedence over a note, and that over the figures.

    `pace` is frames a second and ms a frame; None leaves out what changes with every frame.
    `late_ms` is how late the event loop is, shown when it matters. `since` is when counting began,
    for the figures `in_full`; it goes first where room is short.
    """
    style = palette.bad if truth.account.lost or truth.account.lost_unknown else palette.text
    said = truth_text(truth, in_full)
    text = f" {said}"
    note = clean(with_short_ids(note), 200) if note else ""
    beside = cell_len(note) + 2 if note else 0
    is_equation = bool(said) and not said.startswith("●")
    if since and is_equation and cell_len(text) + len(since) + 8 + beside <= width:
        text = f" since {since}:{text}"
    left: list[Piece] = [(text, style)]
    if wrong := _wrong(truth, width - width_of(left)):
        left.append((wrong, palette.bad))
        return line(left, width, palette.dim)
    if truth.store == "starting":
        left.append(("  opening the store …", palette.warn))
    if note:
        left.append((fit(f"  {note}", max(0, width - width_of(left))), palette.warn))
        return line(left, width, palette.dim)
    shown: list[Piece] = []
    for pieces in _figures(truth, pace, late_ms, palette, in_full):
        if width_of(left) + 2 + width_of(pieces) + width_of(shown) > width:
            break
        shown = [*pieces, *shown]
    return line(between(left, shown, width, palette.dim), width, palette.dim)


def _figures(
    truth: Truth, pace: tuple[float, float] | None, late_ms: float, palette: Palette, in_full: bool
) -> list[list[Piece]]:
    """What stands at the right, from there on: the rate, and whatever is not as it should be."""
    rate = truth.per_second[-1] if truth.per_second else 0
    right: list[list[Piece]] = [[(f"{rate:,} ev/s ", palette.text)]]
    if pace is not None:
        recent = (spark(truth.per_second, 12).lstrip(), palette.accent)
        right[0] += [recent, (" ", palette.dim)]
        if in_full or 0 < pace[0] < _SLOW_FPS:
            right.insert(0, [(f" {pace[0]:.0f} fps {pace[1]:.0f} ms ", palette.dim)])
    if late_ms > _LATE_MS:
        right.insert(0, [(f"loop {late_ms:.0f} ms late ", palette.warn)])
    if truth.store not in (None, "off") and (in_full or truth.is_late):
        late = palette.warn if truth.is_late else palette.dim
        right.append([(f"lag {truth.lag_s:.1f} s  ", late)])
    if queued := truth.queued + truth.behind if in_full else _queued(truth):
        right.append([(f"queued {queued:,}  ", palette.warn)])
    return right


def _queued(truth: Truth) -> int:
    """Events not published or not shown yet, where they are more than come in a second."""
    queued = truth.queued + truth.behind
    return queued if queued > max(_QUEUED_MIN, sum(truth.per_second[-1:])) else 0


def _wrong(truth: Truth, room: int) -> str:
    """Problems of store and link, in that order, shortened to `room` cells."""
    wrong: list[str] = []
    if truth.store == "error" and truth.store_error:
        wrong.append(f"store failing: {clean(truth.store_error, 160)}")
    if truth.link:
        wrong.append(clean(truth.link, 160))
    room -= 2 * len(wrong)
    text = ""
    for left, each in zip(range(len(wrong), 0, -1), wrong, strict=True):
        others = sum(map(cell_len, wrong[len(wrong) - left + 1 :]))
        cells = min(cell_len(each), max(room // left, room - others))
        text += "  " + fit(each, max(0, cells))
        room -= cells
    return text
