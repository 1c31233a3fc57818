"""One turn, or one event, as a conversation in prose. All event text is cleaned here."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import tzinfo
from functools import lru_cache
from itertools import islice
from typing import Any, Final

import msgspec
from msgspec import Struct

from arena_tui.events import (
    Action,
    ActionResult,
    AgentInfo,
    Delivery,
    Envelope,
    ErrorEvent,
    Event,
    Gap,
    LlmPrompt,
    LlmResponse,
    LogEvent,
    Observation,
    OtherEvent,
    RunEnd,
    RunStart,
    TurnStart,
)
from arena_tui.folds.numbers import number
from arena_tui.folds.result import names_of, scores_of
from arena_tui.folds.turns import Turn, fold_turn, fresh_messages
from arena_tui.producers.shortening import COERCED
from arena_tui.services.playback.detail import Detail, Told
from arena_tui.tui.render.clean import clean
from arena_tui.tui.render.conversation import called, compact, named, said
from arena_tui.tui.render.lines import headline
from arena_tui.tui.render.prose import Line, hanging, prose, wrapped
from arena_tui.tui.render.sgr import plain
from arena_tui.tui.render.text import clock_time, cost, duration, short_count

_LABEL: Final = 10
_LABEL_FROM: Final = 44
"""From which width on labels stand beside their texts, not above them."""
_LINES_MAX: Final = 200
"""Lines of one text where there is little room."""
_LABELS: Final = {"world_mutation": "WORLD"}
_USUAL_ENDS: Final = frozenset({"stop", "end_turn", "tool_calls", "tool_use", "STOP", "completed"})


class View(Struct, frozen=True, kw_only=True):
    """How a detail is shown.

    Attributes:
        width: Cells a line.
        at: The place shown; what lies after it is dim.
        agents: The run's players.
        board: The board in sight beside it, which is not shown twice; None: there is none.
        by_turns: Whether it is a turn, of which routine is left out, or one event.
        is_raw: Whether the events follow as JSON; is_whole: whether texts are shown to their end.
    """

    width: int
    at: int
    agents: tuple[AgentInfo, ...] = ()
    board: str | None = None
    by_turns: bool = True
    is_raw: bool = False
    is_whole: bool = False
    zone: tzinfo | None = None


def inspect_title(detail: Detail, view: View) -> tuple[str, str]:
    """`turn 17 · qwen3` or `event 120 · action`, and `2.3 s · 1,204→212 tok · $0.002`."""
    turn = fold_turn((each.delivery for each in detail.told), detail.left_out)
    newest = next((each.delivery for each in detail.told[-1:]), None)
    if view.by_turns:
        names = names_of(view.agents)
        agent = clean(names.get(turn.agent or "", turn.agent or ""), 40)
        number = "run" if turn.number is None or turn.end is not None else f"turn {turn.number}"
        return " · ".join(filter(None, (number, agent))), figures(turn)
    if not isinstance(newest, Envelope):
        return ("gap" if newest is not None else ""), ""
    event = newest.event
    latency_s = event.latency_s if isinstance(event, LlmResponse) else None
    when = clock_time(event.ts, view.zone, tenths=True)
    told = figures(msgspec.structs.replace(turn, duration_s=latency_s))
    return f"event {newest.seq:,} · {clean(event.kind, 40)}", told or when


def figures(turn: Turn) -> str:
    """`2.3 s · 1,204→212 tok · $0.002`, as far as they are known."""
    parts = [] if turn.duration_s is None else [duration(turn.duration_s)]
    least = "≥" if turn.left_out else ""
    if turn.input_tokens is not None or turn.output_tokens is not None:
        used = f"{short_count(turn.input_tokens)}→{least}{short_count(turn.output_tokens)}"
        parts.append(f"{least}{used} tok")
    if turn.cost_usd is not None:
        parts.append(f"{least}{cost(turn.cost_usd)}")
    return " · ".join(parts)


def inspect(detail: Detail, view: View) -> list[Line]:
    """The lines of the conversation, in order."""
    rows: list[Line] = []
    told, before = list(detail.told), detail.first
    while told:
        each = told.pop(0)
        if detail.left_out and each.place - before > detail.left_out:
            rows.append([(f"… {detail.left_out:,} more events: v lists them", "dim")])
        before = each.place
        result = _result_of(each, told)
        if result is not None:
            told.remove(result)
        block = [*_block(each, result, view)]
        if each.place > view.at:
            block = [[(text, "dim") for text, _ in row] for row in block]
        rows += block
    if view.is_raw:
        for each in detail.told:
            if isinstance(each.delivery, Envelope):
                text = msgspec.json.format(each.delivery.raw, indent=2).decode()
                rows += _labelled("RAW", text, view, is_markdown=False)
    return rows


def _block(  # noqa: PLR0912 - one arm per kind
    told: Told, result: Told | None, view: View
) -> Iterator[Line]:
    delivery = told.delivery
    if isinstance(delivery, Gap):
        yield from wrapped([(headline(delivery), "bad")], view.width)
        return
    event = delivery.event
    match event:
        case LlmPrompt():
            yield from _prompt(event, told.previous, view)
        case LlmResponse():
            yield from _response(event, view)
        case Action():
            yield from _action(event, None if result is None else result.delivery, view)
        case ActionResult():
            yield from wrapped(_outcome(event), view.width, 2)
            yield from _result_detail(event, view)
        case Observation():
            yield from _observation(event, view)
        case ErrorEvent():
            where = f"{event.where}: " if event.where else ""
            yield from _labelled("ERROR", where + event.message, view, "bad")
            if event.traceback:
                yield from _labelled("", event.traceback, view, "dim", is_markdown=False)
        case LogEvent():
            yield from _labelled("LOG", headline(delivery), view)
        case RunStart() | RunEnd():
            yield from _start_or_end(event, view)
        case TurnStart():
            if not view.by_turns:
                yield from _facts([("turn", str(event.turn or "")), ("player", event.player or ""),
                                   ("state", event.state or "")], view)  # fmt: skip
        case _:
            label = _LABELS.get(event.kind) or clean(event.kind, _LABEL - 1).upper()
            yield from _labelled(label, headline(delivery), view)
    yield from _extra(event, view)


def _prompt(event: LlmPrompt, previous: LlmPrompt | None, view: View) -> Iterator[Line]:
    """What is new in it: agents send their whole history each turn."""
    if event.text is not None:
        before = previous.text if previous is not None else None
        old = len(before) if before and event.text.startswith(before) else 0
        if old and old == len(event.text):
            yield from _labelled("PROMPT", "", view, told="the same as the prompt before")
            return
        told = f"after {old:,} characters as before" if old else ""
        yield from _labelled("PROMPT", event.text[old:].lstrip("\n"), view, told=told)
        return
    messages = event.messages or []
    count = fresh_messages(messages, None if previous is None else previous.messages)
    fresh = messages[count:]
    told = f"after {count:,} message{'' if count == 1 else 's'} as before" if count else ""
    if not fresh:
        told = "the same as the prompt before" if messages else ""
        yield from _labelled("PROMPT", "", view, told=told)
    for index, message in enumerate(fresh):
        role = message.get("role") if isinstance(message, dict) else None
        label = "PROMPT" if not index else ""
        notes = [told if not index else "", "" if role in (None, "user") else clean(str(role), 40)]
        yield from _labelled(label, said(message), view, told="   ".join(filter(None, notes)))


def _response(event: LlmResponse, view: View) -> Iterator[Line]:
    if event.reasoning:
        yield from _labelled("REASONING", event.reasoning, view)
    if event.text:
        yield from _labelled("ANSWER", event.text, view)
    for call in event.tool_calls or ():
        text = clean(called(msgspec.to_builtins(call)), 100_000)
        yield from _cut(wrapped([(text, "strong")], view.width, 2), view.is_whole)
    if event.finish_reason and event.finish_reason not in _USUAL_ENDS:
        yield [(f"  ended by {clean(event.finish_reason, 80)}", "warn")]
    if not view.by_turns and event.model:
        yield from _facts([("model", event.model)], view)


def _action(event: Action, result: Delivery | None, view: View) -> Iterator[Line]:
    text = clean(named(event.action), 100_000)
    arrow = "" if text.startswith("→") else "→ "
    spans: Line = [(arrow, "accent"), (text, "strong")]
    if isinstance(result, Envelope) and isinstance(result.event, ActionResult):
        spans += [("   ", "text"), *_outcome(result.event)]
        yield from _cut(wrapped(spans, view.width, 2), view.is_whole)
        yield from _result_detail(result.event, view)
    else:
        yield from _cut(wrapped(spans, view.width, 2), view.is_whole)


def _outcome(event: ActionResult) -> Line:
    reward = "" if event.reward is None else f" reward {number(event.reward)}"
    return [("✓" if event.ok else "✗ illegal", "good" if event.ok else "bad"), (reward, "text")]


def _result_detail(event: ActionResult, view: View) -> Iterator[Line]:
    if event.detail is not None:
        text = event.detail if isinstance(event.detail, str) else named(event.detail)
        yield from _labelled("RESULT", text, view)


def _observation(event: Observation, view: View) -> Iterator[Line]:
    is_seen = view.board is not None and event.text.strip() == view.board.strip()
    if event.text and not (view.by_turns and is_seen):
        yield from _labelled("SEES", plain(event.text), view, is_markdown=False)
    if not view.by_turns:
        if event.legal_actions is not None:
            yield from _facts([("may do", ", ".join(event.legal_actions) or "nothing")], view)
        if event.data is not None:
            yield from _labelled("DATA", _json(event.data), view, is_markdown=False)


def _start_or_end(event: RunStart | RunEnd, view: View) -> Iterator[Line]:
    if isinstance(event, RunEnd):
        scores = scores_of(view.agents, event.outcome)
        names = names_of(view.agents)
        rows = [(names.get(agent, agent), number(score)) for agent, score in scores.items()]
        yield from _facts([("ended", event.status), ("reason", event.reason or ""), *rows], view)
        return
    players = [(each.name or each.id, each.spec or each.id) for each in event.agents]
    facts = [("game", event.game), *players, ("label", event.label or ""),
             ("seed", "" if event.seed is None else str(event.seed)),
             ("tags", ", ".join(event.tags))]  # fmt: skip
    yield from _facts(facts, view)
    if event.config:
        yield from _labelled("CONFIG", _json(event.config), view, is_markdown=False)


def _extra(event: Event, view: View) -> Iterator[Line]:
    """What was changed to fit, and, of one event, the fields that its kind does not declare."""
    for name, value in event.extra.items():
        if name == COERCED and isinstance(value, dict):
            text = "\n".join(f"{field}: {compact(why)}" for field, why in value.items())
            yield from _labelled("COERCED", text, view, "warn", is_markdown=False)
        elif not view.by_turns and not isinstance(event, OtherEvent):
            yield from _facts([(name, compact(value))], view)


def _facts(facts: list[tuple[str, str]], view: View) -> Iterator[Line]:
    """`game  chess`, a line each; those without a value are left out."""
    for name, value in facts:
        if value:
            lead = f"{clean(name, 40)}  "
            row = wrapped([(lead, "dim"), (clean(value, 100_000), "text")], view.width, 2)
            yield from _cut(row, view.is_whole)


def _labelled(
    label: str, text: str, view: View, style: str = "text", *, told: str = "",
    is_markdown: bool = True,
) -> Iterator[Line]:  # fmt: skip
    """The text to the right of its label, or below it where that would be narrow.

    `told` is said beside the label, before the text.
    """
    is_beside = view.width >= _LABEL_FROM
    indent = _LABEL if is_beside else 2
    width = view.width - indent
    body = _body(text, told if is_beside else "", width, style, is_markdown, view)
    label_style = "bad" if style == "bad" else "accent"
    if is_beside:
        yield from hanging(label, body, indent, label_style)
        return
    if label or told:
        yield from wrapped([(f"{label} ", label_style), (told, "dim")], view.width, 2)
    yield from hanging("", body, indent)


def _body(
    text: str, told: str, width: int, style: str, is_markdown: bool, view: View
) -> Iterator[Line]:
    if told:
        yield from wrapped([(told, "dim")], width)
    if text:
        yield from _prose(text.rstrip(), width, style, is_markdown, view.is_whole)


@lru_cache(maxsize=128)
def _prose(text: str, width: int, style: str, is_markdown: bool, is_whole: bool) -> list[Line]:
    """Kept, as a step within a turn shows the texts that it showed before."""
    return [*_cut(prose(text, width, style, is_markdown), is_whole)]


def _cut(rows: Iterator[Line], is_whole: bool) -> Iterator[Line]:
    if is_whole:
        yield from rows
        return
    yield from islice(rows, _LINES_MAX)
    if next(rows, None) is not None:
        yield [("… enter shows all of it", "dim")]


def _result_of(told: Told, later: list[Told]) -> Told | None:
    """The result of an action, if it is the next event or belongs to it by its number."""
    if not (isinstance(told.delivery, Envelope) and isinstance(told.delivery.event, Action)):
        return None
    event = told.delivery.event
    for each in later[:8]:
        other = each.delivery.event if isinstance(each.delivery, Envelope) else None
        if isinstance(other, ActionResult) and other.agent_id == event.agent_id:
            return each if other.index_in_turn == event.index_in_turn else None
        if not isinstance(other, Action):
            return None
    return None


def _json(value: Any) -> str:
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
