"""Whatever a value does when it is read, the game goes on, and what is lost by it is said."""

from __future__ import annotations

import dataclasses
import enum
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, NamedTuple

import msgspec
import pytest

from arena_tui.broker.warnings import Warnings
from arena_tui.codec import sealed
from arena_tui.errors import EventError, EventTooLargeError
from arena_tui.events import EVENT_MAX_BYTES, Event, ToolCall
from arena_tui.producers import messages
from arena_tui.producers import values as plain
from arena_tui.producers.lenient import Lenient
from arena_tui.producers.record import strictly
from arena_tui.producers.run import Run
from tests.faults.accounts import FULL


class Game(NamedTuple):
    run: Run
    events: list[Any]
    lenient: Lenient

    @property
    def last(self) -> tuple[Any, dict[str, str]]:
        """The newest event, and what it says that it lost."""
        event = self.events[-1]
        return event, event.extra.get("coerced", {})


def game(strict: bool = False, warnings: Warnings | None = None, **options: Any) -> Game:
    events: list[Event] = []

    def emit(_: str, event: Event) -> None:
        events.append(sealed(event)[0])

    lenient = Lenient(emit, warnings or Warnings(), EVENT_MAX_BYTES)
    run = Run(emit, "g", refused=strictly if strict else lenient, **options)
    return Game(run, events, lenient)


def in_itself() -> dict[str, Any]:
    value: dict[str, Any] = {"a": 1}
    value["self"] = [value]
    return value


def deep() -> list[Any]:
    value: list[Any] = []
    for _ in range(100_000):
        value = [value]
    return value


def laughs() -> list[Any]:
    value: list[Any] = ["ha"]
    for _ in range(90):
        value = [value, value]
    return value


class Raising(list[Any]):
    def __iter__(self) -> Any:
        raise RuntimeError


@pytest.mark.parametrize("value", [in_itself, deep, laughs, lambda: [Raising([1])]])
@pytest.mark.parametrize(
    "record",
    [
        lambda run, value: run.action(value),
        lambda run, value: run.observation("x", data=value),
        lambda run, value: run.result(detail=value),
        lambda run, value: run.llm_prompt(messages=[value]),
        lambda run, value: run.llm_response(tool_calls=[{"name": "f", "arguments": value}]),
    ],
    ids=["action", "observation", "result", "llm_prompt", "llm_response"],
)
def test_a_value_without_end_is_recorded_and_marked(
    record: Callable[[Run, Any], None], value: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    if not FULL:  # values shared without end are given up sooner
        monkeypatch.setattr(plain, "NODES_MAX", 5_000)
        monkeypatch.setattr(messages, "NODES_MAX", 5_000)
    run, events, lenient = played = game()

    record(run, value())

    assert (len(events), lenient.coerced, lenient.refused.events) == (2, 1, 0)
    assert played.last[1]


def test_a_config_in_itself_does_not_keep_a_run_from_beginning() -> None:
    played = game(config=in_itself())

    with played.run:
        pass

    assert [event.kind for event in played.events] == ["run_start", "run_end"]
    assert played.lenient.coerced == 1


@pytest.mark.parametrize("value", [in_itself, deep, laughs])
def test_strictly_a_value_without_end_is_an_error(value: Callable[[], Any]) -> None:
    run = game(strict=True).run

    with pytest.raises(EventTooLargeError):
        run.action(value())


@dataclasses.dataclass
class Score:
    value: float


class Stored(msgspec.Struct):
    value: float


class Odds(enum.Enum):
    NONE = float("nan")


@pytest.mark.parametrize(
    "value", [Score(float("nan")), Stored(float("inf")), [{"a": Score(float("-inf"))}], Odds.NONE]
)
def test_a_number_that_is_not_finite_is_found_in_any_value(value: Any) -> None:
    played = game()

    played.run.result(detail=value)

    assert list(played.last[1].values()) in (["nan"], ["inf"], ["-inf"])
    with pytest.raises(EventError, match="not finite"):
        game(strict=True).run.result(detail=value)


@pytest.mark.parametrize("call", [
    {"name": "f", "arguments": {"x": float("nan")}},
    ToolCall(name="f", arguments={"x": float("nan")}),
])  # fmt: skip
def test_a_number_that_is_not_finite_is_found_in_arguments_of_tools(call: Any) -> None:
    played = game()

    played.run.llm_response(tool_calls=[call])

    event, notes = played.last
    assert event.tool_calls == [ToolCall(name="f", arguments={"x": None})]
    assert notes == {"tool_calls[0].arguments.x": "nan"}


class Unready:
    """A lazy object whose making fails, whatever it is asked for."""

    @property
    def __class__(self) -> Any:  # type: ignore[override]
        raise RuntimeError


@pytest.mark.parametrize(
    "record",
    [
        lambda run, value: run.turn(1, value),
        lambda run, value: run.observation(value, value, value),
        lambda run, value: run.llm_prompt(value, value),
        lambda run, value: run.llm_response(value, tool_calls=value),
        lambda run, value: run.action(value),
        lambda run, value: run.error(value),
        lambda run, value: run.log(value),
        lambda run, value: run.end(value),
    ],
)  # fmt: skip
def test_a_lazy_object_that_fails_is_marked(record: Callable[[Run, Any], None]) -> None:
    played = game(agents=Unready(), tags=Unready(), config=Unready(), run_id=Unready())

    record(played.run, Unready())

    assert (len(played.events), played.lenient.coerced) == (2, 2)


def not_a_time(*_: Any) -> Any:
    raise ValueError


class NotATime(datetime):  # as pandas.NaT
    utcoffset = not_a_time


@pytest.mark.parametrize("make", [lambda: NotATime(2026, 1, 1), Unready])
def test_a_time_that_cannot_be_told_is_marked(make: Callable[[], Any]) -> None:
    played = game()

    played.run.at(make()).action("e4")

    event, notes = played.last
    assert (event.kind, notes.keys()) == ("action", {"ts"})
    with pytest.raises(EventError, match="no time"):
        game(strict=True).run.at(make())


def failing(*values: Any) -> Iterator[Any]:
    yield from values
    raise LookupError("no more")


def test_what_a_failing_generator_gave_is_kept_and_its_end_is_marked() -> None:
    played = game(tags=failing("a"))

    played.run.observation("x", failing("e4", "d4"))

    event, notes = played.last
    assert event.legal_actions == ["e4", "d4", "LookupError: no more"]
    assert notes == {"legal_actions[2]": "LookupError"}
    assert played.events[0].tags == ["a", "LookupError: no more"]
    with pytest.raises(EventError):
        game(strict=True).run.observation("x", failing("e4"))


def test_one_message_that_cannot_be_read_spoils_no_other() -> None:
    played = game()
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 4_000}}
    messages = [{"type": "human", "content": [image]}, in_itself(), {"type": "ai", "content": "b"}]

    played.run.llm_prompt(messages=iter(messages))

    event, notes = played.last
    assert [each.get("role") for each in event.messages] == ["user", None, "assistant"]
    assert "3,000 bytes" in event.messages[0]["content"][0]["image_url"]["url"]
    assert notes.keys() == {"messages[1].self[0]"}


def test_threads_that_lose_something_at_once_are_one_warning_with_their_number() -> None:
    warnings = Slow()
    played = game(warnings=warnings)

    def lose() -> None:
        for _ in range(50):
            played.run.action(object())

    threads = [threading.Thread(target=lose) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert played.lenient.coerced == 400
    assert [each.figures["events"] for each in warnings.newest()] == [400]


class Slow(Warnings):
    """Lets the other threads go first."""

    def update(self, *args: Any, **figures: Any) -> Any:
        time.sleep(0)
        return super().update(*args, **figures)


def test_strictly_a_step_that_raises_has_changed_nothing() -> None:
    run, events, _ = game(strict=True)
    run.step("e4")

    for values in ({"action": object()}, {"action": "d4", "detail": float("nan")}):
        with pytest.raises(EventError):
            run.step(observation="x", **values)
    run.step("c4")

    assert [event.kind for event in events] == ["run_start", *["turn_start", "action"] * 2]
    assert events[-1].turn == 2
