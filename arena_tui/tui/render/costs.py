"""Costs as text: the session's in two lines, and the cells of a table. Pure."""

from __future__ import annotations

from typing import Final

from textual.content import Content

from arena_tui.consumers.feed import GROUPS, Group
from arena_tui.folds.costs import Cost, SessionCost, Spent
from arena_tui.tui.render.clean import clean
from arena_tui.tui.render.table import Cell, Column
from arena_tui.tui.render.text import bar, cost, cost_text, count, short_count

BAR: Final = "bar"
"""The column whose cells are drawn as wide as it is."""

COLUMNS: Final = (
    Column(name="", key="name", width=0),
    Column(name="", key=BAR, width=0, least=110),
    Column(name="cost", key="cost", width=10, right=True),
    Column(name="share", key="share", width=5, right=True, least=70),
    Column(name="known", key="known", width=9, right=True, least=110),
    Column(name="estimated", key="estimated", width=9, right=True, least=110),
    Column(name="answers", key="answers", width=7, right=True, least=100),
    Column(name="in", key="input", width=7, right=True),
    Column(name="cached", key="cached", width=7, right=True, least=70),
    Column(name="out", key="output", width=7, right=True),
    Column(name="reasoning", key="reasoning", width=9, right=True, least=70),
)
_NAMELESS: Final[dict[Group, str]] = {
    "run": "", "agent": "no agent", "model": "model not told", "game": "game not known"
}  # fmt: skip
_ESTIMATED: Final = "~ partly estimated, by tokens and price"
_INCOMPLETE: Final = "≥ some of it is unknown"


def session_text(session: SessionCost, used: Spent) -> Content:
    """Two lines: what the session has cost and used, and what it goes on to cost."""
    cached, reasoning = used.cached_input_tokens, used.reasoning_tokens
    tokens = (
        f"   {short_count(used.input_tokens)} in{_of_these(cached, 'cached')}"
        f"   {short_count(used.output_tokens)} out{_of_these(reasoning, 'reasoning')}"
    )
    spent = Content.assemble(" session ", (cost_text(session.total), "bold $accent"), tokens)
    return Content("\n").join([spent, Content.styled(_rate(session), "$text-muted")])


def _of_these(tokens: int | None, what: str) -> str:
    return "" if tokens is None else f" ({short_count(tokens)} {what})"


def _rate(session: SessionCost) -> str:
    """` ~$1.30 an hour (last 9 min)   ~$31.20 a day   ~$5.51 in all in an hour`."""
    if not session.over_s:
        return " no answer in the last 10 min"
    minutes = f"last {max(1, round(session.over_s / 60))} min"
    if session.an_hour.usd is None:
        return f" rate unknown ({minutes})"
    return (
        f" {cost_text(session.an_hour)} an hour ({minutes})   {cost_text(session.a_day)} a day   "
        f"{cost_text(session.in_an_hour)} in all in an hour"
    )


def legend(amount: Cost) -> str:
    """What the marks mean that this session has."""
    marks = [
        *([_ESTIMATED] if amount.estimated_usd is not None else []),
        *([_INCOMPLETE] if amount.incomplete else []),
    ]
    return " " + "   ".join(marks)


def heading(group: Group) -> Content:
    """` by  ‹run›  agent  model  game`."""
    names = [
        (f" ‹{each}› ", "bold $accent") if each == group else (f"  {each}  ", "$text-muted")
        for each in GROUPS
    ]
    return Content.assemble((" by", "$text-muted"), *names)


def cells(row: Spent, group: Group, name: str, total: Cost, room: int) -> list[Cell]:
    """One row, with so wide a bar; `name` instead of its own, if that is not empty."""
    amount = row.cost
    share = amount.usd / total.usd if amount.usd is not None and total.usd else None
    return [
        (name or clean(row.name, 60) or _NAMELESS[group], "strong" if row.name else "dim"),
        (bar(share or 0.0, room)[0], "accent"),
        (cost_text(amount), "dim" if amount.usd is None else "text"),
        ("–" if share is None else f"{share:.0%}", "dim"),
        (cost(amount.known_usd), "dim"),
        (cost(amount.estimated_usd), "dim"),
        (count(row.responses), "text"),
        (short_count(row.input_tokens), "text"),
        (short_count(row.cached_input_tokens), "text"),
        (short_count(row.output_tokens), "text"),
        (short_count(row.reasoning_tokens), "text"),
    ]
