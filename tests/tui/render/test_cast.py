"""A recording of a run: players play it, it shows the run, and texts of events do nothing in it."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pyte
import pytest

from arena_tui.errors import UsageError
from arena_tui.events import (
    Action,
    AgentInfo,
    Delivery,
    Envelope,
    ErrorEvent,
    Event,
    Gap,
    LlmResponse,
    LogEvent,
    Observation,
    RunEnd,
    RunStart,
    TurnStart,
)
from arena_tui.store.extract import EventRow
from arena_tui.tui.render.cast import LAST_S, Size, cast_texts
from tests.envelopes import envelope

AT = datetime(2026, 3, 14, 12, tzinfo=UTC)
AGENTS = [AgentInfo(id="x"), AgentInfo(id="y")]
HOSTILE = "\x1b]0;owned\x07\x1b[2J\x9b31m\x1b[?1049h\u202e\u2028\x1b[999;1Hgone"
OURS = re.compile(r"\x1b\[(?:[0-9;]*[mHK]|2J|\?25[lh])")


def rows(deliveries: Sequence[Delivery]) -> list[list[EventRow]]:
    """As an export reads them, two at a time."""
    made = [
        EventRow(each.run_id, each.epoch, each.seq, None, each.event.kind, None, each.event.ts,
                 each.raw.decode())
        if isinstance(each, Envelope)
        else EventRow(each.run_id, each.epoch, each.from_seq, None, "gap", None, None, json.dumps(
            {"kind": "gap", "from_seq": each.from_seq, "to_seq": each.to_seq, "reason": each.reason}
        ))
        for each in deliveries
    ]  # fmt: skip
    return [made[first : first + 2] for first in range(0, len(made), 2)]


def events(turns: int, text: str = "") -> list[Event]:
    """A turn takes four seconds, but the third, which takes an hour."""
    told: list[Event] = [RunStart(ts=AT, game=f"chess{text}", agents=AGENTS, label=text or None)]
    at = AT
    for number in range(1, turns + 1):
        player = "xy"[number % 2]
        at += timedelta(seconds=3_600 if number == 3 else 4)
        told += [
            TurnStart(ts=at, turn=number, player=player),
            Observation(ts=at, turn=number, text=f"· x ·\n· · o\nturn {number}{text}"),
            LlmResponse(ts=at, turn=number, agent_id=player, text=f"I see{text}", output_tokens=7),
            Action(ts=at, turn=number, agent_id=player, action=f"e{number}{text}"),
            ErrorEvent(ts=at - timedelta(seconds=1), turn=number, message=f"late{text}"),
        ]
    return [*told, RunEnd(ts=at, outcome={"x": 1.0, "y": 0.0}, reason=text or None)]


def run_of(told: Sequence[Event]) -> list[Delivery]:
    return [envelope("run-7f3a", 7, seq, each) for seq, each in enumerate(told, 1)]


def recorded(
    deliveries: Sequence[Delivery], size: Size, idle_s: float = 2.0
) -> tuple[dict[str, object], list[tuple[float, str, str]]]:
    """The header, and what a terminal is sent when."""
    header, *rest = b"".join(cast_texts(rows(deliveries), size, idle_s)).splitlines()
    return json.loads(header), [(at, kind, data) for at, kind, data in map(json.loads, rest)]


def shown(outputs: Sequence[tuple[float, str, str]], size: Size) -> list[str]:
    """What a terminal shows in the end."""
    screen = pyte.Screen(*size)
    stream = pyte.Stream(screen)
    for _, _, data in outputs:
        stream.feed(data)
    assert screen.title == ""
    return [line.rstrip() for line in screen.display]


def test_it_says_what_players_need() -> None:
    header, outputs = recorded(run_of(events(5)), Size(90, 20), 1.5)

    assert header == {
        "version": 2, "width": 90, "height": 20, "timestamp": int(AT.timestamp()),
        "idle_time_limit": 1.5, "title": "chess · 7f3a", "env": {"TERM": "xterm-256color"},
    }  # fmt: skip
    assert {kind for _, kind, _ in outputs} == {"o"}
    times = [at for at, _, _ in outputs]
    assert times == sorted(times)


def test_it_takes_as_long_as_the_run_without_its_silences() -> None:
    """Of five seconds, and an hour, two are left of each; a clock that goes back takes no time, and
    the end comes a second after it."""
    _, outputs = recorded(run_of(events(5)), Size(), 2.0)

    assert outputs[-1][0] == 5 * 2.0 + 1.0 + LAST_S
    assert [at for at, _, _ in outputs[:3]] == [0.0, 2.0, 4.0]


@pytest.mark.parametrize("size", [Size(60, 15), Size(100, 30), Size(200, 60)])
@pytest.mark.parametrize("text", ["", HOSTILE, "漢字" * 300])
def test_in_the_end_it_shows_the_end(size: Size, text: str) -> None:
    _, outputs = recorded(run_of(events(40, text)), size)

    lines = shown(outputs, size)

    assert [each[:10].rstrip() for each in lines[2:4]] == [" · x ·", " · · o"]
    assert lines[4].startswith(" turn 40")
    assert "✓ x won" in "".join(lines)
    assert "chess" in lines[0]
    assert lines[-1].startswith(" run_end  finished")


def test_in_between_it_shows_what_was_then() -> None:
    told = run_of(events(5))
    _, outputs = recorded(told, Size())

    second = [each for each in outputs if each[0] <= 4.0]

    lines = shown(second, Size())
    assert lines[4].startswith(" turn 2")
    assert any("▶  2 x e2" in " ".join(each.split(" ")) for each in lines)
    assert not any("e3" in each for each in lines)


def test_texts_of_events_bring_no_control_characters() -> None:
    _, outputs = recorded(run_of(events(40, HOSTILE)), Size())

    sent = OURS.sub("", "".join(data for _, _, data in outputs))

    assert "late" in sent
    assert not [char for char in sent if not char.isprintable() and char != "\r"]


def test_a_gap_is_shown_and_takes_no_time() -> None:
    first, *rest = run_of(events(2))
    gap = Gap("run-7f3a", 7, 2, 4, "trimmed")

    _, outputs = recorded([first, gap, *rest], Size())

    assert "┄┄ gap: 3 events lost ┄┄" in "".join(shown(outputs, Size()))
    assert outputs[-1][0] == 2 * 2.0 + 1.0 + LAST_S


def test_a_flood_is_ten_pictures_a_second_of_little_size() -> None:
    flood: list[Event] = [
        LogEvent(ts=AT + timedelta(milliseconds=number), text=f"line {number}")
        for number in range(20_000)
    ]

    _, outputs = recorded(run_of(flood), Size())

    assert 150 <= len(outputs) <= 202
    assert max(len(data) for _, _, data in outputs[1:]) < 1_000
    assert "line 19999" in shown(outputs, Size())[-1]


def test_a_run_without_events_is_refused() -> None:
    with pytest.raises(UsageError, match="no event yet"):
        recorded([], Size())
